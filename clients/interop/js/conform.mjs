// Puts the published JavaScript clients under the command of `halley conform --client`; docs/CONFORMANCE_CLIENTS.md
// describes the language of such drivers.
//
//   halley conform --client -- node conform.mjs cometd9
//   halley conform --client --shared -- node conform.mjs faye
//
// The argument is the package: cometd3 to cometd9, or faye. All CometD clients of a process share their cookies, so each
// case has a process of its own.

import {readFileSync} from "node:fs";
import {createRequire} from "node:module";
import {listen, tell} from "./lines.mjs";

const require = createRequire(import.meta.url);
const name = process.argv[2] ?? "cometd9";
const CONTROL = "/bx/control";
const DATA = "/bx/data";

// The packages of the later majors export no package.json, so it is read as a file.
const version = JSON.parse(readFileSync(new URL(`node_modules/${name}/package.json`, import.meta.url))).version;

// Up to major 7 the client is one CommonJS file with its extensions beside it, from 8 on it is an ES module.
async function load() {
    if (Number(name.slice("cometd".length)) <= 7) {
        require("cnc1").adapt();
        return {CometD: require(name).CometD, AckExtension: require(`${name}/AckExtension`)};
    }
    (await import("cometd-nodejs-client")).adapt();
    return import(name);
}

function cometdApp({CometD, AckExtension}, job, say) {
    const client = new CometD(job.client);
    if (job.ack) {
        client.registerExtension("ack", new AckExtension());
    }
    for (const type of ["websocket", "long-polling", "callback-polling"]) {
        if (type === "callback-polling" || job.transport !== "any" && type !== job.transport) {
            client.unregisterTransport(type);
        }
    }
    client.configure({
        url: job.url, logLevel: "error", maxNetworkDelay: job.networkDelay, connectTimeout: job.networkDelay,
        backoffIncrement: job.backoff, maxBackoff: job.maxBackoff,
    });

    const subscriptions = new Map();
    const why = reply => reply.error ?? String(reply.failure?.reason ?? reply.failure?.httpCode ?? "failure");
    const outcome = (kind, rest) => reply => say({...rest, kind, ok: reply.successful === true, error: reply.successful ? undefined : why(reply)});
    const subscribe = channel => subscriptions.set(channel, client.subscribe(channel, receive, outcome("subscribed", {channel})));
    let up = false;
    client.addListener("/meta/connect", reply => {
        if (up !== (reply.successful === true)) {
            up = !up;
            say({kind: up ? "up" : "down"});
        }
    });

    function receive(message) {
        if (message.channel !== CONTROL) {
            say({kind: "message", channel: message.channel, data: message.data});
            return;
        }
        const {do: what, channel, data} = message.data;
        switch (what) {
        case "publish":
            client.publish(channel, data, outcome("published", {channel, data}));
            break;
        case "subscribe":
            subscribe(channel);
            break;
        case "unsubscribe":
            client.unsubscribe(subscriptions.get(channel));
            subscriptions.delete(channel);
            break;
        case "disconnect":
            client.disconnect();
            break;
        }
    }

    // A new handshake is a new session: the application subscribes again, as CometD's documentation tells it to.
    client.addListener("/meta/handshake", reply => {
        if (!reply.successful) {
            return;
        }
        client.batch(() => {
            if (subscriptions.size === 0) {
                subscribe(CONTROL);
                subscribe(DATA);
                return;
            }
            for (const [channel, subscription] of subscriptions) {
                subscriptions.set(channel, client.resubscribe(subscription));
            }
        });
    });
    client.handshake();
    // Nothing is left to end: from now on the client is silent and its server is gone.
    return () => {
        say = () => {};
        client.disconnect();
    };
}

function fayeApp(faye, job, say) {
    const seconds = ms => ms / 1000;
    const client = new faye.Client(job.url, {timeout: seconds(job.networkDelay), retry: seconds(job.backoff)});
    if (job.transport === "long-polling") {
        client.disable("websocket"); // the other way round is not possible: faye shakes hands by HTTP
    }
    client.on("transport:up", () => say({kind: "up"}));
    client.on("transport:down", () => say({kind: "down"}));

    const subscriptions = new Map();
    const follow = (promise, kind, rest) => promise.then(
        () => say({...rest, kind, ok: true}),
        error => say({...rest, kind, ok: false, error: String(error?.message ?? error)}),
    );
    function subscribe(channel) {
        const subscription = client.subscribe(channel).withChannel(receive);
        subscriptions.set(channel, subscription);
        follow(subscription, "subscribed", {channel});
        subscription.then(null, () => failed.add(channel));
    }
    // A subscription that waits for a handshake fails with it: the application tries again once there is a session.
    const failed = new Set();
    client.addExtension({
        incoming(message, next) {
            next(message);
            if (message.channel === "/meta/handshake" && message.successful) {
                const again = [...failed];
                failed.clear();
                again.forEach(subscribe);
            }
        },
    });
    function receive(at, message) {
        if (at !== CONTROL) {
            say({kind: "message", channel: at, data: message});
            return;
        }
        const {do: what, channel, data} = message;
        switch (what) {
        case "publish":
            follow(client.publish(channel, data), "published", {channel, data});
            break;
        case "subscribe":
            subscribe(channel);
            break;
        case "unsubscribe":
            subscriptions.get(channel)?.cancel();
            subscriptions.delete(channel);
            break;
        case "disconnect":
            client.disconnect();
            break;
        }
    }
    subscribe(CONTROL);
    subscribe(DATA);
    return () => {
        say = () => {};
        client.disconnect();
    };
}

const faye = name === "faye";
const library = faye ? require("faye") : await load();
const apps = new Map();

// An error in one client must not end the others.
process.on("uncaughtException", error => console.error(error));
process.on("unhandledRejection", error => console.error(error));

tell({
    kind: "about", client: faye ? "Faye (JavaScript)" : "CometD (JavaScript)", version,
    cannot: faye ? {ack: "ships no acknowledgement extension"} : {},
});
listen(line => {
    if (line.cmd === "start") {
        const say = event => tell({client: line.client, ...event});
        apps.set(line.client, faye ? fayeApp(library, line, say) : cometdApp(library, line, say));
    } else if (line.cmd === "stop") {
        apps.get(line.client)?.();
        apps.delete(line.client);
    }
});
