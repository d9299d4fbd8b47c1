// A complete driver, for the newest CometD client on long-polling.
import {createInterface} from "node:readline";
import {adapt} from "cometd-nodejs-client";
import {CometD} from "cometd9";

const tell = line => process.stdout.write(JSON.stringify(line) + "\n");

function start(job) {
    const client = new CometD();
    client.unregisterTransport("websocket");
    client.configure({
        url: job.url, logLevel: "off", maxNetworkDelay: job.networkDelay,
        backoffIncrement: job.backoff, maxBackoff: job.maxBackoff,
    });
    const subscriptions = new Map();
    function receive({channel, data}) {
        if (channel !== "/bx/control") {
            tell({kind: "message", channel, data});
        } else if (data.do === "publish") {
            client.publish(data.channel, data.data, reply => tell({kind: "published", channel: data.channel, data: data.data, ok: reply.successful}));
        } else if (data.do === "subscribe") {
            subscriptions.set(data.channel, client.subscribe(data.channel, receive));
        } else if (data.do === "unsubscribe") {
            client.unsubscribe(subscriptions.get(data.channel));
            subscriptions.delete(data.channel);
        } else if (data.do === "disconnect") {
            client.disconnect();
        }
    }
    client.addListener("/meta/handshake", reply => {
        if (reply.successful) {
            const channels = new Set(["/bx/control", "/bx/data", ...subscriptions.keys()]);
            client.batch(() => channels.forEach(channel => subscriptions.set(channel, client.subscribe(channel, receive))));
        }
    });
    client.handshake();
}

adapt();
process.on("uncaughtException", error => console.error(error));
tell({
    kind: "about", client: "my client", version: "1.0",
    cannot: {websocket: "not in this example", any: "not in this example", ack: "not in this example", down: "not in this example"},
});
createInterface({input: process.stdin})
    .on("line", line => start(JSON.parse(line)))
    .on("close", () => process.exit(0));
