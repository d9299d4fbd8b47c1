// Puts a CometD object of any major, or of a binding, under the commands of driver.mjs.

import {obey, together} from "./commands.mjs";

function transportType(cometd) {
    const transport = cometd.getTransport();
    if (!transport) {
        return "";
    }
    return typeof transport.getType === "function" ? transport.getType() : transport.type;
}

// A failed message carries its transport and request, which JSON cannot hold: only what the tests need is told.
function digest(cometd, message) {
    const failure = message.failure;
    return {
        channel: message.channel,
        ok: message.successful === true,
        clientId: message.clientId,
        subscription: message.subscription,
        error: message.error ?? (failure ? String(failure.reason ?? failure.exception ?? failure.httpCode ?? "failure") : undefined),
        advice: message.advice,
        ack: message.ext?.ack,
        status: cometd.getStatus(),
        transport: transportType(cometd),
    };
}

// control returns what takes the commands for a client that was made, has its extensions, and is not yet connected.
export function control(cometd, options, tell) {
    for (const type of ["websocket", "long-polling", "callback-polling"]) {
        if (type !== options.transport) {
            cometd.unregisterTransport(type);
        }
    }
    cometd.configure({
        url: options.url,
        logLevel: options.logLevel ?? "warn",
        backoffIncrement: options.backoffIncrement ?? 100,
        maxBackoff: options.maxBackoff ?? 500,
        maxNetworkDelay: options.maxNetworkDelay ?? 10000,
        ...options.maxSend && {maxSendBayeuxMessageSize: options.maxSend},
    });

    if (options.transcript) {
        const noting = kind => message => {
            tell({kind, channel: message.channel, message});
            return message;
        };
        cometd.registerExtension("transcript", {outgoing: noting("sent"), incoming: noting("received")});
    }

    const subscriptions = new Map();

    for (const channel of ["handshake", "connect", "subscribe", "unsubscribe", "publish", "disconnect", "unsuccessful"]) {
        cometd.addListener(`/meta/${channel}`, message => {
            tell({...digest(cometd, message), kind: "meta", listener: `/meta/${channel}`});
        });
    }

    // A new handshake is a new session: the application subscribes again, as CometD's documentation tells it to.
    cometd.addListener("/meta/handshake", message => {
        if (!message.successful) {
            return;
        }
        cometd.batch(() => {
            for (const [channel, subscription] of subscriptions) {
                subscriptions.set(channel, cometd.resubscribe(subscription));
            }
        });
    });

    const reply = done => message => done(digest(cometd, message));
    const commands = {
        handshake: ({props}, done) => props ? cometd.handshake(props, reply(done)) : cometd.handshake(reply(done)),
        // A service channel is listened to, not subscribed to.
        listen({channel}, done) {
            cometd.addListener(channel, message => {
                if (message.data !== undefined) {
                    tell({kind: "message", channel: message.channel, data: message.data});
                }
            });
            done({ok: true});
        },
        subscribe({channel}, done) {
            const receive = message => tell({kind: "message", channel: message.channel, subscription: channel, data: message.data});
            subscriptions.set(channel, cometd.subscribe(channel, receive, reply(done)));
        },
        unsubscribe({channel}, done) {
            const subscription = subscriptions.get(channel);
            subscriptions.delete(channel);
            cometd.unsubscribe(subscription, reply(done));
        },
        publish: (command, done) => cometd.publish(command.channel, command.data, command.props ?? {}, reply(done)),
        // The reply says that the call has left: some calls have no answer.
        call(command, done) {
            cometd.remoteCall(command.channel, command.data, () => undefined);
            done({ok: true});
        },
        disconnect: (command, done) => cometd.disconnect(reply(done)),
        batch: (command, done) => cometd.batch(() => together(commands, command.ops, done)),
    };
    return obey(commands, tell);
}
