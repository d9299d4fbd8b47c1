// Drives one published CometD JavaScript client for the Go tests one folder up.
//
//   node driver.mjs '{"major":8,"url":"http://127.0.0.1:8080/cometd","transport":"websocket","ack":true}'
//
// Commands come as JSON lines on stdin: {"seq":1,"cmd":"subscribe","channel":"/a"}. Each is answered on stdout by
// {"kind":"reply","seq":1,"ok":true}; between the answers events are told:
//   {"kind":"message","channel":"/a","data":…}           a message for a subscription
//   {"kind":"meta","channel":"/meta/connect","ok":true,…} a reply or a failure that the client notices
// The first line tells what is driven: {"kind":"about","client":"cometd","version":"8.0.11","cannot":{}}; cannot names the
// scenarios that the client has no means for, each with the reason.
// The program ends with its stdin.

import {readFileSync} from "node:fs";
import {createRequire} from "node:module";
import {createInterface} from "node:readline";

const require = createRequire(import.meta.url);

// Only our lines may stand on stdout: whatever the libraries print goes to stderr.
for (const name of ["log", "info", "debug"]) {
    console[name] = (...args) => console.error(...args);
}

function tell(line) {
    process.stdout.write(JSON.stringify(line) + "\n");
}

// Up to major 7 the client is one CommonJS file with its extensions beside it, from 8 on it is an ES module.
async function load(major) {
    if (major <= 7) {
        require("cnc1").adapt();
        return {
            CometD: require(`cometd${major}`).CometD,
            AckExtension: require(`cometd${major}/AckExtension`),
        };
    }
    const shim = await import("cometd-nodejs-client");
    shim.adapt();
    return import(`cometd${major}`);
}

// The packages of the later majors export no package.json, so it is read as a file.
function installed(name) {
    return JSON.parse(readFileSync(new URL(`node_modules/${name}/package.json`, import.meta.url))).version;
}

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

const options = JSON.parse(process.argv[2]);
const {CometD, AckExtension} = await load(options.major);
const cometd = new CometD("halley");

tell({kind: "about", client: "cometd (JavaScript)", version: installed(`cometd${options.major}`), cannot: {}});

for (const type of ["websocket", "long-polling", "callback-polling"]) {
    if (type !== options.transport) {
        cometd.unregisterTransport(type);
    }
}
if (options.ack) {
    cometd.registerExtension("ack", new AckExtension());
}
cometd.configure({
    url: options.url,
    logLevel: options.logLevel ?? "warn",
    backoffIncrement: options.backoffIncrement ?? 100,
    maxBackoff: options.maxBackoff ?? 500,
    maxNetworkDelay: options.maxNetworkDelay ?? 10000,
});

const subscriptions = new Map();

for (const channel of ["handshake", "connect", "subscribe", "unsubscribe", "publish", "disconnect", "unsuccessful"]) {
    cometd.addListener(`/meta/${channel}`, message => {
        const event = digest(cometd, message);
        event.kind = "meta";
        event.listener = `/meta/${channel}`;
        tell(event);
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

function subscribe(channel, done) {
    const receive = message => tell({kind: "message", channel: message.channel, subscription: channel, data: message.data});
    subscriptions.set(channel, cometd.subscribe(channel, receive, done));
}

function unsubscribe(channel, done) {
    const subscription = subscriptions.get(channel);
    subscriptions.delete(channel);
    cometd.unsubscribe(subscription, done);
}

const commands = {
    handshake: (command, done) => cometd.handshake(done),
    subscribe: (command, done) => subscribe(command.channel, done),
    unsubscribe: (command, done) => unsubscribe(command.channel, done),
    publish: (command, done) => cometd.publish(command.channel, command.data, done),
    disconnect: (command, done) => cometd.disconnect(done),
    batch(command, done) {
        let open = command.ops.length;
        const failed = [];
        const part = message => {
            if (!message.successful) {
                failed.push(message);
            }
            if (--open === 0) {
                done(failed[0] ?? message);
            }
        };
        cometd.batch(() => {
            for (const op of command.ops) {
                commands[op.cmd](op, part);
            }
        });
    },
};

const lines = createInterface({input: process.stdin});
lines.on("line", line => {
    const command = JSON.parse(line);
    const run = commands[command.cmd];
    if (!run) {
        tell({kind: "reply", seq: command.seq, ok: false, error: `unknown command ${command.cmd}`});
        return;
    }
    run(command, message => {
        const reply = digest(cometd, message);
        reply.kind = "reply";
        reply.seq = command.seq;
        tell(reply);
    });
});
lines.on("close", () => process.exit(0));
