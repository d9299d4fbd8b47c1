// Opens the page of the README in two windows, says something in each, and prints what both lists hold.
//
//   node page.mjs CHROMIUM PROFILE URL

import {createRequire} from "node:module";

// The driver is one of the packages that `make deps` installs for the tests of the demo.
const {chromium} = createRequire(new URL("../../clients/interop/browser/package.json", import.meta.url))("playwright-core");

const [executablePath, profile, url] = process.argv.slice(2);
const context = await chromium.launchPersistentContext(profile, {
    executablePath,
    headless: true,
    args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"],
});
context.setDefaultTimeout(60_000);
try {
    const complaints = [];
    const pages = [];
    for (let i = 0; i < 2; i++) {
        const page = await context.newPage();
        page.on("pageerror", e => complaints.push(e.message));
        page.on("console", m => m.type() === "error" && !m.location().url.endsWith("/favicon.ico") && complaints.push(m.text()));
        const subscribed = page.waitForEvent("websocket").then(socket => socket.waitForEvent("framereceived", {
            predicate: frame => frame.payload.includes('"/meta/subscribe"') && frame.payload.includes('"successful":true'),
        }));
        await page.goto(url);
        await subscribed;
        pages.push(page);
    }
    for (const [i, page] of pages.entries()) {
        await page.getByLabel("Message").fill(`hello from window ${i}`);
        await page.getByRole("button").click();
        for (const other of pages) {
            await other.locator("li", {hasText: `window ${i}`}).waitFor();
        }
    }
    const lists = await Promise.all(pages.map(page => page.locator("li").allTextContents()));
    console.log(JSON.stringify({lists, complaints}));
} finally {
    await context.close();
}
