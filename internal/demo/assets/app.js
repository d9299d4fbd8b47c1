// The page: the line at the top, and the three rooms on one connection.

import {Connection} from "./connection.js";
import {Chat} from "./chat.js";
import {Feed} from "./feed.js";
import {Sketch} from "./sketch.js";
import {byId, bytes} from "./dom.js";

const STATES = {connected: "Connected", connecting: "Connecting", reconnecting: "Reconnecting"};
const pick = list => list[Math.floor(Math.random() * list.length)];

// A tab keeps its name and transport over a reload; another tab is another visitor.
function remember(key, value) {
    try {
        sessionStorage.setItem(`halley.${key}`, value);
    } catch {
        // Without storage the page merely forgets.
    }
}

function remembered(key) {
    try {
        return sessionStorage.getItem(`halley.${key}`);
    } catch {
        return null;
    }
}

function newName() {
    const kind = ["Amber", "Quiet", "Swift", "Polar", "Copper", "Early", "Merry", "Silver", "Lucky", "Northern"];
    const bird = ["Heron", "Otter", "Lynx", "Wren", "Marten", "Plover", "Badger", "Swallow", "Hare", "Falcon"];
    return `${pick(kind)} ${pick(bird)}`;
}

const path = document.querySelector("meta[name=bayeux-path]").content;
const connection = new Connection(new URL(path, location.href).href);
connection.name = remembered("name") ?? newName();

const chat = new Chat(connection, name => remember("name", name));
const feed = new Feed(connection);
const sketch = new Sketch(connection);

for (const kind of ["join", "restart"]) {
    connection.addEventListener(kind, ({detail}) => {
        const restarted = kind === "restart";
        chat.enter(detail, restarted);
        feed.enter(detail);
        sketch.enter(detail, restarted);
    });
}

connection.addEventListener("state", () => {
    const state = byId("state");
    if (state.dataset.state !== connection.state) {
        state.dataset.state = connection.state;
        state.textContent = STATES[connection.state];
    }
});

connection.addEventListener("figures", () => {
    const {latency, received, sent, reconnects} = connection.figures;
    byId("latency").textContent = latency === undefined ? "–" : `${latency < 10 ? latency.toFixed(1) : Math.round(latency)} ms`;
    byId("received").textContent = bytes(received);
    byId("sent").textContent = bytes(sent);
    byId("reconnects").textContent = reconnects;
});

for (const radio of document.querySelectorAll("input[name=transport]")) {
    radio.addEventListener("change", () => {
        remember("transport", radio.value);
        connection.use(radio.value);
    });
}

const wish = new URLSearchParams(location.search).get("transport") ?? remembered("transport");
const first = document.querySelector(`input[name=transport][value="${CSS.escape(wish ?? "")}"]`) ?? byId("t-ws");
first.checked = true;
connection.use(first.value);

// Who closes the page says so; who comes back by the browser's history comes back.
window.addEventListener("pagehide", () => connection.leave());
window.addEventListener("pageshow", event => event.persisted && connection.use(document.querySelector("input[name=transport]:checked").value));
