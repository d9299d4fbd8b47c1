// The published Faye client in Node for ../networks, as networks.mjs has CometD's: it begins at once and tells the same events.
// It says nothing of a connect that failed, and sends it again after its pause: that it has lost its server stands for that, once
// until it has an answer.
//
//   node faye-networks.mjs '{"url":"http://127.0.0.1:8080/cometd","channel":"/a","scale":1}'

import {createRequire} from "node:module";
import {listen, tell} from "./lines.mjs";

const require = createRequire(import.meta.url);
const faye = require("faye");
const options = JSON.parse(process.argv[2]);
const pause = 5 * options.scale; // seconds, its own where nothing is shrunk
const note = (kind, what) => tell({kind, at: performance.timeOrigin + performance.now(), ...what});

const client = new faye.Client(options.url, {retry: pause});
for (const type of ["websocket", "eventsource", "cross-origin-long-polling", "callback-polling"]) {
    client.disable(type);
}
let last; // the id of the connect that is on its way
client.addExtension({
    outgoing(message, next) {
        if (message.channel === "/meta/connect") {
            // The first one is answered at once.
            note("asked", {id: message.id, soon: last === undefined});
            last = message.id;
        }
        next(message);
    },
    incoming(message, next) {
        const outcome = {id: message.id, ok: message.successful === true, error: message.error, transport: client._dispatcher.connectionType};
        if (message.channel === "/meta/connect" && message.successful !== undefined) {
            note("answered", outcome);
        }
        if (message.channel === "/meta/handshake") {
            note("handshake", outcome);
        }
        next(message);
    },
});
client.on("transport:down", () => {
    if (last === undefined) {
        return;
    }
    note("answered", {id: last, ok: false, error: "transport down"});
    const again = last;
    setTimeout(() => note("asked", {id: again, soon: false}), 1000 * pause);
});

listen(() => undefined);
note("opened");
client.subscribe(options.channel, data => note("message", {n: data.n})).then(
    () => note("subscribed", {ok: true}),
    error => note("subscribed", {ok: false, error: String(error?.message ?? error)}),
);
