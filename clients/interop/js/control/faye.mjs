// Puts a client of faye under the commands of driver.mjs.

import {Awaited, obey, together} from "./commands.mjs";

// The handshake goes by HTTP, whatever is used after it.
const used = {
    "websocket": ["websocket", "long-polling"],
    "long-polling": ["long-polling"],
    "callback-polling": ["callback-polling"],
};

export const cannot = {ack: "ships no acknowledgement extension"};

// control returns what takes the commands for a client made by the faye of that name space.
export function control(faye, options, tell) {
    // retry is in seconds: how long the client rests before it sends a failed message again.
    const client = new faye.Client(options.url, {retry: 0.2});
    for (const type of ["websocket", "eventsource", "long-polling", "cross-origin-long-polling", "callback-polling"]) {
        if (!used[options.transport].includes(type)) {
            client.disable(type);
        }
    }

    const subscriptions = new Map();
    const awaited = new Awaited();

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
                const key = message.channel + (message.channel === "/meta/unsubscribe" ? message.subscription : "");
                awaited.settle(key, {ok: message.successful === true, error: message.error});
            }
            next(message);
        },
    });

    function follow(promise, done) {
        promise.then(() => done({ok: true}), error => done({ok: false, error: String(error?.message ?? error)}));
    }

    const commands = {
        handshake(command, done) {
            awaited.expect("/meta/handshake", done);
            client.connect();
        },
        subscribe(command, done) {
            const subscription = client.subscribe(command.channel).withChannel((channel, data) => tell({kind: "message", channel, data}));
            subscriptions.set(command.channel, subscription);
            follow(subscription, done);
        },
        unsubscribe(command, done) {
            awaited.expect("/meta/unsubscribe" + command.channel, done);
            subscriptions.get(command.channel).cancel();
            subscriptions.delete(command.channel);
        },
        publish: (command, done) => follow(client.publish(command.channel, command.data), done),
        disconnect: (command, done) => follow(client.disconnect(), done),
        // faye has no call for a batch: it joins what is sent in one turn of the event loop, on long-polling.
        batch: (command, done) => together(commands, command.ops, done),
    };
    return obey(commands, tell);
}
