// Drives the published faye client for the Go tests one folder up; driver.mjs tells the language of both.
//
//   node faye.mjs '{"url":"http://127.0.0.1:8080/cometd","transport":"websocket"}'

import {createRequire} from "node:module";
import {createInterface} from "node:readline";

const require = createRequire(import.meta.url);

for (const name of ["log", "info", "debug"]) {
    console[name] = (...args) => console.error(...args);
}

function tell(line) {
    process.stdout.write(JSON.stringify(line) + "\n");
}

const options = JSON.parse(process.argv[2]);
const faye = require("faye");

tell({
    kind: "about",
    client: "faye",
    version: require("faye/package.json").version,
    cannot: {ack: "ships no acknowledgement extension"},
});

// retry is in seconds: how long the client rests before it sends a failed message again.
const client = new faye.Client(options.url, {retry: 0.2});
if (options.transport === "long-polling") {
    client.disable("websocket");
}

const subscriptions = new Map();
const awaited = new Map();

function settle(key, message) {
    const waiting = awaited.get(key) ?? [];
    awaited.delete(key);
    for (const done of waiting) {
        done({ok: message.successful === true, error: message.error});
    }
}

function expect(key, done) {
    awaited.set(key, [...(awaited.get(key) ?? []), done]);
}

// Some calls of faye promise nothing; their replies pass here as all others do.
client.addExtension({
    incoming(message, next) {
        if (message.channel?.startsWith("/meta/") && message.successful !== undefined) {
            tell({
                kind: "meta",
                channel: message.channel,
                ok: message.successful,
                clientId: message.clientId,
                subscription: message.subscription,
                error: message.error,
                advice: message.advice,
                transport: client._dispatcher.connectionType,
            });
            settle(message.channel + (message.channel === "/meta/unsubscribe" ? message.subscription : ""), message);
        }
        next(message);
    },
});

function follow(promise, done) {
    promise.then(() => done({ok: true}), error => done({ok: false, error: String(error?.message ?? error)}));
}

const commands = {
    handshake(command, done) {
        expect("/meta/handshake", done);
        client.connect();
    },
    subscribe(command, done) {
        const subscription = client.subscribe(command.channel).withChannel((channel, data) => tell({kind: "message", channel, data}));
        subscriptions.set(command.channel, subscription);
        follow(subscription, done);
    },
    unsubscribe(command, done) {
        expect("/meta/unsubscribe" + command.channel, done);
        subscriptions.get(command.channel).cancel();
        subscriptions.delete(command.channel);
    },
    publish: (command, done) => follow(client.publish(command.channel, command.data), done),
    disconnect: (command, done) => follow(client.disconnect(), done),
    // faye has no call for a batch: it joins what is sent in one turn of the event loop, on long-polling.
    batch(command, done) {
        let open = command.ops.length;
        let failed;
        for (const op of command.ops) {
            commands[op.cmd](op, result => {
                failed ??= result.ok ? undefined : result;
                if (--open === 0) {
                    done(failed ?? result);
                }
            });
        }
    },
};

const lines = createInterface({input: process.stdin});
lines.on("line", line => {
    const command = JSON.parse(line);
    const done = result => tell({kind: "reply", seq: command.seq, ...result});
    const run = commands[command.cmd];
    if (run) {
        run(command, done);
    } else {
        done({ok: false, error: `unknown command ${command.cmd}`});
    }
});
lines.on("close", () => process.exit(0));
