// Drives one published CometD JavaScript client for the Go tests one folder up.
//
//   node driver.mjs '{"major":8,"url":"http://127.0.0.1:8080/cometd","transport":"websocket","ack":true}'
//
// Commands come as JSON lines on stdin: {"seq":1,"cmd":"subscribe","channel":"/a"}. Each is answered on stdout by
// {"kind":"reply","seq":1,"ok":true}; between the answers events are told:
//   {"kind":"message","channel":"/a","data":…}           a message for a subscription
//   {"kind":"meta","channel":"/meta/connect","ok":true,…} a reply or a failure that the client notices
// With "transcript":true also each message as it leaves or has come:
//   {"kind":"sent","channel":"/a","message":{…}}, {"kind":"received",…}
// With "page":true a client from major 8 on has callback-polling, and its WebSockets have cookies (page.mjs).
// The first line tells what is driven: {"kind":"about","client":"cometd","version":"8.0.11","cannot":{}}; cannot names the
// scenarios that the client has no means for, each with the reason.
// The program ends with its stdin.

import {readFileSync} from "node:fs";
import {createRequire} from "node:module";
import {control} from "./control/cometd.mjs";
import {listen, tell} from "./lines.mjs";
import {furnish} from "./page.mjs";

const require = createRequire(import.meta.url);

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
    const settings = {};
    shim.adapt(settings);
    if (options.page) {
        furnish(globalThis.window, settings);
    }
    return import(`cometd${major}`);
}

// The packages of the later majors export no package.json, so it is read as a file.
function installed(name) {
    return JSON.parse(readFileSync(new URL(`node_modules/${name}/package.json`, import.meta.url))).version;
}

const options = JSON.parse(process.argv[2]);
const {CometD, AckExtension} = await load(options.major);
const cometd = new CometD("halley");
if (options.ack) {
    cometd.registerExtension("ack", new AckExtension());
}

tell({kind: "about", client: "cometd (JavaScript) in Node", version: installed(`cometd${options.major}`), cannot: {}});
listen(control(cometd, options, tell));
