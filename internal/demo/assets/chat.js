// The chat, its members and the visitor's name.

import {byId, face, make} from "./dom.js";

const KEPT = 200; // Lines on the page.
const TOGETHER = 90_000; // Lines of one person within this time stand under one name.

export class Chat {
    #connection;
    #you = {id: "", name: ""};
    #seen = 0;
    #sequence = 0;
    #last;
    #remember;

    constructor(connection, remember) {
        this.#connection = connection;
        this.#remember = remember;
        connection.on("/demo/chat", line => this.#hear(line));
        connection.on("/demo/members", change => this.#meet(change));
        byId("name").value = connection.name;
        byId("name-form").addEventListener("submit", event => {
            event.preventDefault();
            connection.join(byId("name").value);
        });
        byId("say").addEventListener("submit", event => {
            event.preventDefault();
            const text = byId("text");
            if (text.value.trim() && connection.publish("/demo/chat", {text: text.value})) {
                text.value = "";
            }
        });
        new ResizeObserver(() => this.#toEnd()).observe(byId("lines"));
        connection.addEventListener("state", () => {
            byId("say").querySelector("button").disabled = connection.state !== "connected";
        });
    }

    enter(welcome, restarted) {
        this.#you = welcome.you;
        byId("name").value = welcome.you.name;
        this.#remember(welcome.you.name);
        if (restarted) {
            this.#seen = 0;
            this.#sequence = 0;
            this.#last = undefined;
            this.#add(make("li", "cut", "The server came back"));
        }
        welcome.lines.forEach(line => this.#hear(line));
    }

    #hear(line) {
        // What the server remembers may have come before.
        if (line.id <= this.#seen) {
            return;
        }
        this.#seen = line.id;
        const at = new Date(line.at);
        const time = make("time", "", at.toLocaleTimeString([], {hour: "2-digit", minute: "2-digit"}));
        time.dateTime = at.toISOString();
        const from = make("span", "from", line.who.name);
        const item = make("li", `hue-${line.who.hue}`, face(line.who), from, time, make("p", "said", line.text));
        const last = this.#last;
        if (last && last.who.id === line.who.id && last.who.name === line.who.name && line.at - last.at < TOGETHER) {
            item.classList.add("more");
        }
        this.#last = line;
        this.#add(item, line.who.id !== "" && line.who.id === this.#you.id);
    }

    #add(item, mine) {
        const lines = byId("lines");
        const atEnd = lines.scrollHeight - lines.scrollTop - lines.clientHeight < 60;
        lines.append(item);
        while (lines.childElementCount > KEPT) {
            lines.firstElementChild.remove();
        }
        if (atEnd || mine) {
            this.#toEnd();
        }
    }

    #toEnd() {
        const lines = byId("lines");
        lines.scrollTop = lines.scrollHeight;
    }

    #meet(change) {
        if (change.n < this.#sequence) {
            return;
        }
        this.#sequence = change.n;
        const notes = {
            join: `${change.who.name} came in`,
            leave: `${change.who.name} left`,
            name: `${change.was} is now ${change.who.name}`,
        };
        if (notes[change.kind]) {
            this.#last = undefined;
            this.#add(make("li", "note", notes[change.kind]));
        }
        byId("count").textContent = change.count === 1 ? "One person" : `${change.count} people`;
        byId("members").replaceChildren(...change.members.map(member => {
            const item = make("li", "", face(member), make("span", "who", member.name));
            if (member.id === this.#you.id) {
                item.append(make("span", "you", "you"));
            }
            return item;
        }));
        this.#connection.dispatchEvent(new CustomEvent("members", {detail: change.members}));
    }
}
