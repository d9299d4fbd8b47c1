// Puts published clients in pages of one Chromium under the commands of the Go tests one folder up.
//
//   node chromium.mjs '{"chromium":"/usr/bin/chromium"}'
//
// Each page speaks as ../js/driver.mjs describes it; here each line stands in an envelope that names the page. On stdin:
//   {"page":1,"open":{"address":"http://127.0.0.1:8080/interop/…","files":"http://127.0.0.1:9090"}}
//   {"page":1,"line":{"seq":1,"cmd":"subscribe","channel":"/a"}}
//   {"page":1,"close":true}
// On stdout:
//   {"page":1,"line":{"kind":"about",…}}
//   {"page":1,"said":"warning: …"}           a line of the page's console
//   {"page":1,"gone":"the page crashed"}     nothing more comes from it
// Each page has a context, that is cookies, of its own. The program ends with its stdin.

import {readFile} from "node:fs/promises";
import {basename} from "node:path/posix";
import {createInterface} from "node:readline";
import {chromium} from "playwright-core";

const options = JSON.parse(process.argv[2]);
const browser = await chromium.launch({
    executablePath: options.chromium,
    headless: true,
    args: [
        "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
    ],
});

const pages = new Map();

function send(envelope) {
    process.stdout.write(JSON.stringify(envelope) + "\n");
}

// serve gives the server under test a page as if it were its own; scripts of the page come from where the files are. The
// browser does not know that such a page comes from this machine, and would ask before it may use what is on it; older
// ones ask nothing.
async function serve(page, address, files) {
    const {pathname} = new URL(address);
    const text = await readFile(new URL(basename(pathname), new URL("pages/", import.meta.url)), "utf8");
    const body = text.replace("<meta ", `<base href="${files}${pathname}">\n<meta `);
    await page.context().grantPermissions(["local-network-access"]).catch(() => undefined);
    await page.route(address, route => route.fulfill({contentType: "text/html; charset=utf-8", body}));
}

async function open(number, {address, files}) {
    const context = await browser.newContext();
    const page = await context.newPage();
    page.on("console", m => send({page: number, said: `${m.type()}: ${m.text()}`}));
    page.on("pageerror", e => send({page: number, said: String(e.stack ?? e)}));
    page.on("crash", () => send({page: number, gone: "the page crashed"}));
    let hear;
    const about = new Promise(resolve => hear = resolve);
    await page.exposeFunction("report", line => hear(line));
    const foreign = new URL(address).origin !== files;
    if (foreign) {
        await serve(page, address, files);
    }
    await page.goto(address);
    const first = await about;
    if (foreign) {
        await page.unrouteAll(); // The client's requests must leave as the browser sends them.
    }
    hear = line => send({page: number, line: JSON.parse(line)});
    hear(first);
    return page;
}

async function obey({page: number, open: wanted, line, close}) {
    try {
        if (wanted) {
            pages.set(number, open(number, wanted));
        }
        const page = await pages.get(number);
        if (line) {
            await page.evaluate(text => window.take(text), JSON.stringify(line));
        } else if (close) {
            pages.delete(number);
            await page.context().close();
        }
    } catch (e) {
        send({page: number, gone: String(e.stack ?? e)});
    }
}

const lines = createInterface({input: process.stdin});
lines.on("line", line => obey(JSON.parse(line)));
lines.on("close", async () => {
    await browser.close();
    process.exit(0);
});
