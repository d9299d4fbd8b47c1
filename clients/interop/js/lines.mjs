// What the drivers in Node have in common: their language is JSON lines on stdin and stdout, which driver.mjs describes.

import {createInterface} from "node:readline";

// Only our lines may stand on stdout: whatever the libraries print goes to stderr.
for (const name of ["log", "info", "debug"]) {
    console[name] = (...args) => console.error(...args);
}

export function tell(line) {
    process.stdout.write(JSON.stringify(line) + "\n");
}

// listen gives each command to take. The program ends with its stdin.
export function listen(take) {
    const lines = createInterface({input: process.stdin});
    lines.on("line", line => take(JSON.parse(line)));
    lines.on("close", () => process.exit(0));
}
