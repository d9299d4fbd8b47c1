// What all drivers have in common, in Node and in a page: commands by their names, each of which calls done once with
// {ok, error}.

// obey returns what takes a command, has it carried out and tells the reply.
export function obey(commands, tell) {
    return command => {
        const done = result => tell({...result, kind: "reply", seq: command.seq});
        const run = commands[command.cmd];
        if (run) {
            run(command, done);
        } else {
            done({ok: false, error: `unknown command ${command.cmd}`});
        }
    };
}

// together carries out the commands of a batch; done gets the first failure, or the last result.
export function together(commands, ops, done) {
    let open = ops.length;
    let failed;
    for (const op of ops) {
        commands[op.cmd](op, result => {
            failed ??= result.ok ? undefined : result;
            if (--open === 0) {
                done(failed ?? result);
            }
        });
    }
}

// Awaited keeps who waits for a reply, for clients whose calls promise nothing.
export class Awaited {
    #waiting = new Map();

    expect(key, done) {
        this.#waiting.set(key, [...(this.#waiting.get(key) ?? []), done]);
    }

    // settle calls those that wait for the key.
    settle(key, result) {
        const waiting = this.#waiting.get(key) ?? [];
        this.#waiting.delete(key);
        for (const done of waiting) {
            done(result);
        }
    }
}
