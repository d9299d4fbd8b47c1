// Reloads pages that go on with their sessions, for the Go tests of this folder:
//
//   node reload.mjs '{"chromium":"/usr/bin/chromium","site":"http://127.0.0.1:1","reloads":3,"cells":[{"major":9,"transport":"websocket","channel":"/a","ack":true}]}'
//
// The site has the pages and the server, publishes numbers to a channel from /begin on and tells the last one at /end.
// One line of JSON on stdout for each cell tells what its pages got; what is right, the tests say.

import {chromium} from "playwright-core";

const options = JSON.parse(process.argv[2]);
const patience = 120000;
// Pages that are not in front may not be drawn: no frame, no look.
const wait = {timeout: patience, polling: 20};
// A browser can have any number of pages, a machine cannot.
const pagesAtOnce = 4;
const browser = await chromium.launch({
    executablePath: options.chromium,
    headless: true,
    args: [
        "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
    ],
});

async function tell(path, channel) {
    const response = await fetch(`${options.site}${path}?${new URLSearchParams({channel})}`);
    return response.json();
}

async function play(cell) {
    const context = await browser.newContext();
    context.setDefaultTimeout(patience);
    const page = await context.newPage();
    const errors = [];
    page.on("pageerror", e => errors.push(String(e.stack ?? e)));
    page.on("crash", () => errors.push("the page crashed"));
    try {
        await page.goto(`${options.site}/page/reload.html?${new URLSearchParams(cell)}`);
        await page.waitForFunction(() => window.ready, null, wait);
        await tell("/begin", cell.channel);
        for (let i = 0; i < options.reloads; ++i) {
            await page.waitForFunction(() => window.got() >= 20, null, wait);
            await page.reload();
            await page.waitForFunction(() => window.ready, null, wait);
        }
        await page.waitForFunction(() => window.got() >= 20, null, wait);
        const last = await tell("/end", cell.channel);
        await page.waitForFunction(last => window.latest() === last, last, wait);
        return {pages: await page.evaluate(() => window.pages()), last, errors};
    } catch (e) {
        errors.push(String(e.stack ?? e));
        return {pages: [], last: 0, errors};
    } finally {
        await context.close();
    }
}

const results = [];
let next = 0;
await Promise.all(Array.from({length: pagesAtOnce}, async () => {
    while (next < options.cells.length) {
        const i = next++;
        results[i] = await play(options.cells[i]);
    }
}));
for (const result of results) {
    process.stdout.write(JSON.stringify(result) + "\n");
}
await browser.close();
