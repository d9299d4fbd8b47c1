// Drives the demo page in two windows of one Chromium profile for demo_test.go.
//
//   node demo.mjs '{"chromium":"/usr/bin/chromium","profile":"/empty/folder","url":"http://127.0.0.1:8080/"}'
//
// Commands come as JSON lines on stdin: {"seq":1,"cmd":"say","window":0,"text":"hello"}. Each is answered on stdout by
// {"seq":1,"ok":true,"result":…} or {"seq":1,"ok":false,"error":"…"}. The program ends with its stdin.

import {createInterface} from "node:readline";
import {chromium} from "playwright-core";
import {audit} from "./audit.mjs";

const options = JSON.parse(process.argv[2]);
const context = await chromium.launchPersistentContext(options.profile, {
    executablePath: options.chromium,
    headless: true,
    viewport: null,
    args: [
        "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
    ],
});
context.setDefaultTimeout(20_000);

const windows = [];
const complaints = [];

function watch(page) {
    const name = windows.length;
    page.on("console", m => ["error", "warning"].includes(m.type()) && complaints.push(`window ${name}: ${m.text()} ${m.location().url ?? ""}`));
    page.on("pageerror", e => complaints.push(`window ${name}: ${e.stack ?? e.message}`));
    windows.push(page);
}

const text = (page, id) => page.locator(`#${id}`).textContent();
const settled = (page, state) => page.waitForSelector(`#state[data-state=${state}]`);
const names = page => page.locator("#members .who").allTextContents();

// pixels counts those of the sheet that have ink. It reads a copy, so that the page's own canvas stays as it is.
const pixels = page => page.evaluate(() => {
    const sheet = document.getElementById("sheet");
    const copy = new OffscreenCanvas(sheet.width, sheet.height).getContext("2d", {willReadFrequently: true});
    copy.drawImage(sheet, 0, 0);
    const {data} = copy.getImageData(0, 0, sheet.width, sheet.height);
    let inked = 0;
    for (let i = 3; i < data.length; i += 4) {
        inked += data[i] > 40 ? 1 : 0;
    }
    return inked;
});

const commands = {
    // open loads the page in a first window, and from there in a second one of the same profile.
    async open({transport}) {
        const url = `${options.url}?transport=${transport}`;
        const first = context.pages()[0] ?? await context.newPage();
        watch(first);
        await first.goto(url);
        const opened = context.waitForEvent("page");
        await first.evaluate(u => void window.open(u, "_blank", "popup,noopener,width=1200,height=940"), url);
        watch(await opened);
        await Promise.all(windows.map(page => page.setViewportSize({width: 1200, height: 900})));
        await Promise.all(windows.map(page => settled(page, "connected")));
    },
    async use({window, transport}) {
        await windows[window].locator(`label:has-text("${{websocket: "WebSocket", "long-polling": "Long-polling", "callback-polling": "Callback-polling"}[transport]}")`).click();
        await settled(windows[window], "connected");
    },
    state: async ({window}) => ({
        state: await windows[window].locator("#state").getAttribute("data-state"),
        transport: await windows[window].locator("input[name=transport]:checked").getAttribute("value"),
        latency: await text(windows[window], "latency"),
        received: await text(windows[window], "received"),
        reconnects: Number(await text(windows[window], "reconnects")),
        name: await windows[window].locator("#name").inputValue(),
    }),
    wait: ({window, state}) => settled(windows[window], state).then(() => undefined),
    measured: ({window}) => windows[window].waitForFunction(() => /ms$/.test(document.getElementById("latency").textContent)).then(() => undefined),
    async say({window, text}) {
        await windows[window].fill("#text", text);
        await windows[window].press("#text", "Enter");
    },
    heard: ({window, text}) => windows[window].locator("#lines li", {hasText: text}).first().waitFor({state: "attached"}),
    members: async ({window, count}) => {
        await windows[window].waitForFunction(n => document.querySelectorAll("#members li").length === n, count);
        return names(windows[window]);
    },
    async rename({window, text}) {
        await windows[window].fill("#name", text);
        await windows[window].locator("#name-form button").click();
    },
    // moves waits until the feed has had other values three times.
    async moves({window}) {
        for (let i = 0; i < 3; i++) {
            const before = await text(windows[window], "prices");
            await windows[window].waitForFunction(old => document.getElementById("prices").textContent !== old, before);
        }
        return text(windows[window], "prices");
    },
    // draw makes a wave with the pointer; keys does it by keyboard.
    async draw({window, height, ink}) {
        const page = windows[window];
        if (ink !== undefined) {
            await page.locator(`label[for=ink-${ink}]`).click();
        }
        const sheet = page.locator("#sheet");
        await sheet.scrollIntoViewIfNeeded();
        const box = await sheet.boundingBox();
        const at = i => [box.x + box.width * (0.15 + i / 90), box.y + box.height * (height + Math.sin(i / 6) / 9)];
        await page.mouse.move(...at(0));
        await page.mouse.down();
        for (let i = 1; i <= 60; i++) {
            await page.mouse.move(...at(i));
        }
        await page.mouse.up();
    },
    async keys({window}) {
        const page = windows[window];
        await page.locator("label[for=w3]").click();
        await page.locator("#sheet").focus();
        await page.keyboard.press("Space");
        for (const key of ["ArrowRight", "ArrowRight", "ArrowDown", "ArrowRight", "ArrowUp", "Shift+ArrowRight"]) {
            await page.keyboard.press(key);
        }
        await page.keyboard.press("Space");
        return text(page, "sketch-news");
    },
    async clear({window}) {
        await windows[window].locator("#clear").click();
    },
    // inked waits until the sheet has at least, or at most, so much ink.
    async inked({window, least, most}) {
        for (let n, i = 0; i < 200; i++) {
            n = await pixels(windows[window]);
            if (n >= (least ?? 0) && n <= (most ?? Infinity)) {
                return n;
            }
            await windows[window].waitForTimeout(50);
        }
        throw new Error(`the sheet has ${await pixels(windows[window])} inked pixels, want ${least ?? 0} to ${most ?? "any"}`);
    },
    cursor: ({window, text}) => windows[window].locator("#cursors .cursor", {hasText: text}).waitFor({state: "attached"}),
    // latency sends lines from one window to the other, one after the other, and returns the milliseconds of each.
    async latency({window, count}) {
        const [from, to] = [windows[window], windows[1 - window]];
        await to.evaluate(() => {
            window.arrivals = new Map();
            new MutationObserver(() => {
                for (const said of document.querySelectorAll("#lines li:nth-last-child(-n+4) .said")) {
                    if (!window.arrivals.has(said.textContent)) {
                        window.arrivals.set(said.textContent, performance.timeOrigin + performance.now());
                    }
                }
            }).observe(document.getElementById("lines"), {childList: true});
        });
        const times = [];
        for (let i = 0; i < count; i++) {
            const line = `measured ${i} ${Math.random()}`;
            const sent = await from.evaluate(line => {
                document.getElementById("text").value = line;
                const now = performance.timeOrigin + performance.now();
                document.getElementById("say").requestSubmit();
                return now;
            }, line);
            const got = await to.waitForFunction(line => window.arrivals.get(line), line, {polling: 5}).then(h => h.jsonValue());
            times.push(got - sent);
        }
        return times;
    },
    async audit({window, scheme, width, height}) {
        const page = windows[window];
        await page.emulateMedia({colorScheme: scheme, reducedMotion: "reduce"});
        await page.setViewportSize({width, height});
        const found = await page.evaluate(audit);
        await page.emulateMedia({colorScheme: null, reducedMotion: null});
        await page.setViewportSize({width: 1200, height: 900});
        return found;
    },
    async shot({window, path, scheme, width, height}) {
        const page = windows[window];
        await page.bringToFront();
        await page.emulateMedia({colorScheme: scheme});
        await page.setViewportSize({width, height});
        await page.evaluate(() => window.scrollTo(0, 0));
        await page.waitForTimeout(600);
        await page.screenshot({path, fullPage: width < 600});
        await page.emulateMedia({colorScheme: null});
        await page.setViewportSize({width: 1200, height: 900});
    },
    // complaints returns what the consoles said since the last call.
    complaints: () => complaints.splice(0),
    close: ({window}) => windows[window].close({runBeforeUnload: false}),
};

function tell(line) {
    process.stdout.write(JSON.stringify(line) + "\n");
}

const lines = createInterface({input: process.stdin});
lines.on("line", async line => {
    const command = JSON.parse(line);
    try {
        const result = await commands[command.cmd](command);
        tell({seq: command.seq, ok: true, result: result ?? null});
    } catch (e) {
        tell({seq: command.seq, ok: false, error: String(e.stack ?? e)});
    }
});
lines.on("close", async () => {
    await context.close();
    process.exit(0);
});
