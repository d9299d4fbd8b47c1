// Puts dojox.cometd, the client of Dojo before 1.7, under the commands of ../js/driver.mjs.

import {Awaited, obey, together} from "../js/control/commands.mjs";

// control returns what takes the commands. Calls of this client promise little: replies are seen by its extension lists.
export function control(dojo, cometd, options, tell) {
    // It has no option for its rest after a failure, which grows by a second each time.
    cometd._backoffIncrement = 100;
    cometd._backoffMax = 500;
    if (options.transport === "callback-polling") {
        // A script that failed to load is noticed by its time only: polls of one second, and five more for the network.
        cometd.expectedNetworkDelay = 5000;
        cometd.connectTimeout = 6000;
    }

    const channels = new Set();
    const awaited = new Awaited();
    const publishing = []; // who waits for messages that have no id yet.
    let leaving;

    const receive = ({channel, data}) => tell({kind: "message", channel, data});
    const key = ({channel, subscription}) => `${channel} ${subscription ?? ""}`;

    cometd._extendOutList.push(message => {
        if (!message.channel.startsWith("/meta/")) {
            awaited.expect(message.id, publishing.shift());
        }
        return message;
    });

    cometd._extendInList.push(message => {
        const {channel, id, successful, error} = message;
        if (successful === undefined) {
            return message;
        }
        if (!channel.startsWith("/meta/")) {
            awaited.settle(id, {ok: successful, error});
            return message;
        }
        tell({
            kind: "meta",
            channel,
            ok: successful,
            clientId: message.clientId,
            subscription: message.subscription,
            error,
            advice: message.advice,
            ack: message.ext?.ack,
            status: cometd.state(),
            transport: cometd.currentTransport?._connectionType ?? "",
        });
        awaited.settle(key(message), {ok: successful, error});
        if (channel === "/meta/connect") {
            leaving?.({ok: true});
        }
        return message;
    });

    dojo.subscribe("/cometd/meta", ({action, successful, failure, reestablish, messages}) => {
        if (failure) {
            tell({kind: "meta", channel: `/meta/${action}`, ok: false, error: "failure", status: cometd.state()});
        }
        if (action === "connect" && !successful) {
            leaving?.({ok: true});
        }
        for (const {id} of action === "publish" ? messages : []) {
            awaited.settle(id, {ok: false, error: "failure"});
        }
        // A new session knows no subscriptions: the application makes them again.
        if (reestablish) {
            channels.forEach(channel => cometd.subscribe(channel, receive));
        }
    });

    const commands = {
        handshake(command, done) {
            awaited.expect("/meta/handshake ", done);
            cometd.init(options.url);
        },
        subscribe({channel}, done) {
            awaited.expect(`/meta/subscribe ${channel}`, done);
            channels.add(channel);
            cometd.subscribe(channel, receive);
        },
        unsubscribe({channel}, done) {
            awaited.expect(`/meta/unsubscribe ${channel}`, done);
            channels.delete(channel);
            cometd.unsubscribe(channel, receive);
        },
        publish({channel, data}, done) {
            publishing.push(done);
            cometd.publish(channel, data);
        },
        // The client looks at no reply to its disconnect: the poll that ends after it stands for that.
        disconnect(command, done) {
            leaving = result => {
                leaving = undefined;
                done(result);
            };
            cometd.disconnect();
        },
        batch(command, done) {
            cometd.startBatch();
            together(commands, command.ops, done);
            cometd.endBatch();
        },
    };
    return obey(commands, tell);
}
