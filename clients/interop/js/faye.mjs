// Drives the published faye client for the Go tests one folder up; driver.mjs tells the language of both.
//
//   node faye.mjs '{"url":"http://127.0.0.1:8080/cometd","transport":"websocket"}'

import {createRequire} from "node:module";
import {cannot, control} from "./control/faye.mjs";
import {listen, tell} from "./lines.mjs";

const require = createRequire(import.meta.url);

tell({kind: "about", client: "faye in Node", version: require("faye/package.json").version, cannot});
listen(control(require("faye"), JSON.parse(process.argv[2]), tell));
