// Takes the extensions of one published CometD JavaScript client through their paces for the Go tests one folder up:
//
//   node extensions.mjs '{"major":8,"transport":"websocket","plain":"http://…","stamped":"http://…","rounds":1,"skew":0,"within":0}'
//
// The server "plain" has ack, timesync and the services of extensions_test.go; "stamped" also sets timestamps and ends
// sessions that are inactive and say so. One line of JSON on stdout tells what was seen; what is right, the tests say.

import {createHash} from "node:crypto";
import {readFileSync} from "node:fs";
import {createRequire} from "node:module";

const options = JSON.parse(process.argv[2]);
const require = createRequire(import.meta.url);
const patience = 120000;

for (const name of ["log", "info", "debug"]) {
    console[name] = (...args) => console.error(...args);
}

// What the reload extension keeps across pages of one window.
const stored = new Map();
const sessionStorage = {
    getItem: name => stored.get(name) ?? null,
    setItem: (name, value) => stored.set(name, String(value)),
    removeItem: name => stored.delete(name),
};

async function load(major) {
    if (major <= 7) {
        require("cnc1").adapt();
        const all = {CometD: require(`cometd${major}`).CometD};
        for (const name of ["Ack", "Binary", "Reload", "TimeStamp", "TimeSync"]) {
            all[`${name}Extension`] = require(`cometd${major}/${name}Extension`);
        }
        return all;
    }
    const shim = await import("cometd-nodejs-client");
    shim.adapt();
    return import(`cometd${major}`);
}

const library = await load(options.major);
window.sessionStorage = sessionStorage;

// A client is a page's: the library, its extensions by name, and all replies to meta messages.
function make(url, ...names) {
    const cometd = new library.CometD();
    for (const type of ["websocket", "long-polling", "callback-polling"]) {
        if (type !== options.transport) {
            cometd.unregisterTransport(type);
        }
    }
    // Later majors send no more than 8 KiB at a time unless they are told so.
    cometd.configure({url, logLevel: "warn", backoffIncrement: 100, maxBackoff: 500, maxNetworkDelay: patience, maxSendBayeuxMessageSize: 65536});
    const client = {cometd, replies: [], extensions: {}};
    for (const name of names) {
        client.extensions[name] = new library[`${name}Extension`]();
        cometd.registerExtension(name.toLowerCase(), client.extensions[name]);
    }
    for (const channel of ["handshake", "connect", "subscribe", "publish", "disconnect"]) {
        cometd.addListener(`/meta/${channel}`, message => client.replies.push(message));
    }
    client.of = channel => client.replies.filter(m => m.channel === channel);
    return client;
}

// done makes a promise of a call with a callback.
function done(call) {
    return new Promise((resolve, reject) => {
        call(m => m.successful ? resolve(m) : reject(new Error(`${m.channel} failed: ${m.error ?? JSON.stringify(m.failure?.reason)}`)));
    });
}

const handshake = (client, ext) => done(f => client.cometd.handshake({ext}, f));
const subscribe = (client, channel, hear) => done(f => client.cometd.subscribe(channel, hear, f));
const publish = (client, channel, data) => done(f => client.cometd.publish(channel, data, f));
// A connect that overtakes the disconnect is refused, and the client then aborts both: whatever the outcome, it is over.
const disconnect = client => new Promise(resolve => client.cometd.disconnect(resolve));
const pause = time => new Promise(resolve => setTimeout(resolve, time));

async function until(what, condition) {
    for (const end = performance.now() + patience; !condition(); await pause(5)) {
        if (performance.now() > end) {
            throw new Error(`waited in vain for ${what()}`);
        }
    }
}

// timesync measures the server's clock until a measurement is as good as it has to be, or often enough. Each has a
// connect that was held among its samples.
async function timesync() {
    const rounds = [];
    do {
        const client = make(options.plain, "TimeSync", "Ack");
        await handshake(client);
        for (let i = 0; i < 10; ++i) {
            await subscribe(client, `/sync/${i}`, () => undefined);
        }
        await until(() => "a held connect", () => client.of("/meta/connect").length > 1);
        const sync = client.extensions.TimeSync;
        rounds.push({offset: sync.getTimeOffset(), lag: sync.getNetworkLag(), held: client.of("/meta/connect")[1].ext.timesync.p});
        await disconnect(client);
    } while (rounds.length < options.rounds && Math.abs(rounds.at(-1).offset - options.skew) > options.within);
    return rounds;
}

async function timestamp(url) {
    const client = make(url, "TimeStamp");
    const got = [];
    const first = await handshake(client);
    await subscribe(client, "/stamp", m => got.push(m));
    const reply = await publish(client, "/stamp", 1);
    await until(() => "the message", () => got.length > 0);
    await disconnect(client);
    return {handshake: first.timestamp, message: got[0].timestamp, reply: reply.timestamp};
}

// bytes are those of the message with that number.
function bytes(number, length) {
    return Uint8Array.from({length}, (_, i) => (number * 31 + i * 7 + (i >> 8)) & 255).buffer;
}

function digest(message) {
    const {data, last, meta} = message.data;
    return {length: data.byteLength, hash: createHash("sha256").update(new Uint8Array(data)).digest("hex"), last, meta};
}

async function binary() {
    const sender = make(options.plain, "Binary");
    const receiver = make(options.plain, "Binary");
    const relayed = [], parts = [], reversed = [], published = [];
    await handshake(receiver);
    await subscribe(receiver, "/binary/small", m => relayed.push(digest(m)));
    await subscribe(receiver, "/binary/large", m => parts.push(digest(m)));
    await subscribe(receiver, "/binary/server", m => published.push(digest(m)));
    await handshake(sender);
    sender.cometd.addListener("/service/reverse", m => reversed.push(digest(m)));

    for (const channel of ["/binary/small", "/service/reverse"]) {
        const all = [];
        sender.cometd.batch(() => {
            for (let n = 0; n <= 64; ++n) {
                all.push(done(f => sender.cometd.publishBinary(channel, bytes(n, n), n % 2 === 0, {n}, f)));
            }
        });
        await Promise.all(all);
    }
    const size = 32 << 10, count = 32;
    for (let n = 0; n < count; ++n) {
        await done(f => sender.cometd.publishBinary("/binary/large", bytes(n, size), n === count - 1, undefined, f));
    }
    await until(() => `all bytes, not ${[relayed, parts, reversed, published].map(a => a.length)}`,
        () => relayed.length >= 65 && parts.length >= count && reversed.length >= 65 && published.length >= 65);
    await Promise.all([sender, receiver].map(disconnect));
    return {relayed, parts, reversed, published};
}

// reload leaves one page and opens the next, which listens to the channel without subscribing to it.
async function reload() {
    const names = ["Ack", "TimeSync", "TimeStamp", "Reload", "Binary"];
    const other = make(options.plain);
    const one = make(options.plain, ...names);
    const first = [], second = [];
    await Promise.all([one, other].map(client => handshake(client)));
    await subscribe(one, "/reload", m => first.push(m.data));
    let n = 0;
    const say = async () => {
        for (let i = 0; i < 5; ++i) {
            await publish(other, "/reload", ++n);
        }
    };
    await say();
    await until(() => "what the first page gets", () => first.length >= 5);
    const before = one.cometd.getClientId();
    one.cometd.reload();
    await say();
    const two = make(options.plain, ...names);
    two.cometd.addListener("/reload", m => second.push(m.data));
    const reply = await handshake(two);
    await say();
    await until(() => `what the second page gets, after ${first} and ${second}`, () => second.at(-1) === n);
    await until(() => "a connect of the second page", () => two.of("/meta/connect").length > 1);
    const result = {
        before, after: two.cometd.getClientId(), replayed: reply.ext?.reload === true, first, second, said: n,
        acks: [one, two].flatMap(c => c.of("/meta/connect")).filter(m => m.successful).map(m => m.ext?.ack),
    };
    await Promise.all([two, other].map(disconnect));
    return result;
}

// activity waits until the server ends the session, and whether the client stays away.
async function activity() {
    const client = make(options.stamped);
    await handshake(client, {inactive: true});
    await until(() => "the end", () => client.cometd.isDisconnected());
    await pause(500);
    return {
        status: client.cometd.getStatus(), handshakes: client.of("/meta/handshake").length,
        pushed: client.of("/meta/disconnect").filter(m => m.successful && m.id === undefined).length,
    };
}

const {version} = JSON.parse(readFileSync(new URL(`node_modules/cometd${options.major}/package.json`, import.meta.url)));
const result = {version, timesync: await timesync()}; // alone: it measures
[result.plain, result.stamped, result.binary, result.reload, result.activity] =
    await Promise.all([timestamp(options.plain), timestamp(options.stamped), binary(), reload(), activity()]);
process.stdout.write(JSON.stringify(result) + "\n", () => process.exit(0));
