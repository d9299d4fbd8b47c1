// Puts published clients in pages of one Chromium under the commands of the Go tests one folder up.
//
//   node chromium.mjs '{"chromium":"/usr/bin/chromium"}'
//
// Each page speaks as ../js/driver.mjs describes it; here each line stands in an envelope that names the page. On stdin:
//   {"page":1,"open":{"address":"http://127.0.0.1:8080/interop/…","files":"http://127.0.0.1:9090"}}
//   {"page":1,"line":{"seq":1,"cmd":"subscribe","channel":"/a"}}
//   {"page":1,"reload":true}
//   {"page":1,"close":true}
// On stdout:
//   {"page":1,"line":{"kind":"about",…}}     and again after it was loaded anew
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
    timeout: 0, // The tests have bounds of their own.
    args: [
        "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
    ],
});

function send(envelope) {
    process.stdout.write(JSON.stringify(envelope) + "\n");
}

// lend gives the server under test a page as if it were its own; scripts of the page come from where the files are. The
// browser does not know that such a page comes from this machine, and would ask before it may use what is on it; older
// ones ask nothing.
async function lend(page, {origin, pathname}, files) {
    const text = await readFile(new URL(basename(pathname), new URL("pages/", import.meta.url)), "utf8");
    const body = text.replace("<meta ", `<base href="${files}${pathname}">\n<meta `);
    await page.context().grantPermissions(["local-network-access"]).catch(() => undefined);
    await page.route(url => url.origin === origin && url.pathname === pathname, route => route.fulfill({contentType: "text/html; charset=utf-8", body}));
}

// Client is a page and what it tells.
class Client {
    #number;
    #page;
    #address;
    #files;
    #hear;

    constructor(number, {address, files}) {
        this.#number = number;
        this.#address = new URL(address);
        this.#files = files;
    }

    async open() {
        const number = this.#number;
        // The authority of a server with TLS is the test's own, which the browser does not know.
        const page = this.#page = await (await browser.newContext({ignoreHTTPSErrors: true})).newPage();
        page.setDefaultTimeout(0);
        page.on("console", m => send({page: number, said: `${m.type()}: ${m.text()}`}));
        page.on("pageerror", e => send({page: number, said: String(e.stack ?? e)}));
        page.on("crash", () => send({page: number, gone: "the page crashed"}));
        await page.exposeFunction("report", line => this.#hear(line));
        await this.#load(() => page.goto(this.#address.href));
        return this;
    }

    reload() {
        return this.#load(() => this.#page.reload());
    }

    // load lets a page begin and passes on what it tells. The client's requests must leave as the browser sends them:
    // what it begins with is held back until the page that was lent has been loaded, and so are commands.
    async #load(go) {
        const tell = line => send({page: this.#number, line});
        const about = new Promise(resolve => {
            this.#hear = text => {
                const line = JSON.parse(text);
                if (line.kind === "about") {
                    resolve(line);
                } else {
                    tell(line); // The page before it may have last words.
                }
            };
        });
        if (this.#address.origin !== this.#files) {
            await lend(this.#page, this.#address, this.#files);
        }
        await go();
        const line = await about;
        await this.#page.unrouteAll();
        tell(line);
    }

    take(line) {
        return this.#page.evaluate(text => window.take(text), JSON.stringify(line));
    }

    close() {
        return this.#page.context().close();
    }
}

const clients = new Map();

async function obey({page: number, open, line, reload, close}) {
    try {
        if (open) {
            clients.set(number, new Client(number, open).open());
        }
        const client = await clients.get(number);
        if (line) {
            await client.take(line);
        } else if (reload) {
            await client.reload();
        } else if (close) {
            clients.delete(number);
            await client.close();
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
