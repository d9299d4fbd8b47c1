// The published CometD client 9 in Node for ../networks: it begins at once and tells events (control/watch.mjs).
//
//   node networks.mjs '{"url":"http://127.0.0.1:8080/cometd","channel":"/a","transports":["long-polling"],"ack":true,"scale":1}'
//
// The program ends with its stdin.

import {adapt} from "cometd-nodejs-client";
import {watch} from "./control/watch.mjs";
import {listen, tell} from "./lines.mjs";

adapt({});
const {AckExtension, CometD} = await import("cometd9");
const options = JSON.parse(process.argv[2]);
const cometd = new CometD("networks");
if (options.ack) {
    cometd.registerExtension("ack", new AckExtension());
}
listen(() => undefined);
watch(cometd, options, tell);
