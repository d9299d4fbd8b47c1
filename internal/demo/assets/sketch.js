// The sketch pad: strokes travel in parts while they are drawn, and cursors with them.

import {byId, colours, dark, fit, make} from "./dom.js";

const SCALE = 1000; // Coordinates on the wire, in both directions.
const PART = 120; // Numbers in one message; callback-polling has room for no more.
const PACE = 45; // Milliseconds between two messages while something moves.
const LONGEST = 3600; // Numbers in a stroke; a longer one goes on as another.
const WIDTHS = [0, 2, 4.5, 10];
const INKS = ["Blue", "Amber", "Green", "Pink", "Violet", "Teal", "Red", "Ink"];
const STEP = 12; // What an arrow key moves the pen.

const newId = () => Array.from(crypto.getRandomValues(new Uint8Array(6)), b => b.toString(16).padStart(2, "0")).join("");

export class Sketch {
    #connection;
    #you = "";
    #strokes = new Map();
    #mine = new Set();
    #members = new Map();
    #cursors = new Map();
    #colours = colours();
    #stroke; // What is being drawn, with sent: how many numbers have left.
    #pointer; // {x, y, down, gone} that has not left yet.
    #pen = {x: SCALE / 2, y: SCALE / 2, down: false, shown: false};
    #due = false;

    constructor(connection) {
        this.#connection = connection;
        connection.on("/demo/sketch", part => this.#take(part));
        connection.on("/demo/cursor", cursor => this.#point(cursor));
        connection.addEventListener("members", ({detail}) => this.#meet(detail));
        this.#makeInks();
        this.#listen(byId("sheet"));
        byId("clear").addEventListener("click", () => connection.publish("/demo/sketch", {clear: true}));
        dark.addEventListener("change", () => {
            this.#colours = colours();
            this.#paint();
        });
        new ResizeObserver(() => {
            this.#paint();
            this.#cursors.forEach(c => this.#place(c));
        }).observe(byId("sheet"));
        setInterval(() => this.#send(), PACE);
    }

    enter(welcome, restarted) {
        this.#you = welcome.you.id;
        const mine = [...this.#mine].map(id => this.#strokes.get(id)).filter(Boolean);
        // What the server has forgotten everybody draws again who drew it; so is what was drawn without a connection.
        const owed = mine.filter(s => restarted || s.sent < s.points.length);
        if (!restarted) {
            this.#strokes = new Map(owed.map(s => [s.stroke, s]));
        }
        welcome.strokes.forEach(s => this.#merge({...s, at: 0}));
        for (const s of owed) {
            s.sent = 0;
            this.#flush(s);
        }
        this.#paint();
    }

    #makeInks() {
        INKS.forEach((name, i) => {
            const radio = make("input");
            Object.assign(radio, {type: "radio", name: "ink", id: `ink-${i}`, value: i, checked: i === 0});
            const label = make("label", `hue-${i}`, make("span", "hidden", name));
            label.htmlFor = radio.id;
            label.title = name;
            byId("inks").append(radio, label);
        });
    }

    #listen(sheet) {
        const where = event => {
            const box = sheet.getBoundingClientRect();
            const within = n => Math.round(Math.min(Math.max(n, 0), 1) * SCALE);
            return {x: within((event.clientX - box.left) / box.width), y: within((event.clientY - box.top) / box.height)};
        };
        sheet.addEventListener("pointerdown", event => {
            if (event.isPrimary && event.button === 0) {
                sheet.setPointerCapture(event.pointerId);
                this.#move(where(event), true);
            }
        });
        sheet.addEventListener("pointermove", event => {
            if (event.isPrimary) {
                const all = event.getCoalescedEvents?.() ?? [];
                (all.length ? all : [event]).forEach(e => this.#move(where(e), sheet.hasPointerCapture(event.pointerId)));
            }
        });
        for (const kind of ["pointerup", "pointercancel"]) {
            sheet.addEventListener(kind, event => event.isPrimary && this.#move(where(event), false));
        }
        sheet.addEventListener("pointerleave", () => this.#leave());
        sheet.addEventListener("keydown", event => this.#key(event));
        sheet.addEventListener("focus", () => sheet.matches(":focus-visible") && this.#showPen());
        sheet.addEventListener("blur", () => {
            this.#pen.down = this.#pen.shown = false;
            this.#drop("pen");
            this.#leave();
        });
    }

    #key(event) {
        const way = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]}[event.key];
        const pen = this.#pen;
        if (event.key === " ") {
            pen.down = !pen.down;
            byId("sketch-news").textContent = pen.down ? "Pen down" : "Pen up";
        } else if (way) {
            const step = event.shiftKey ? STEP * 4 : STEP;
            pen.x = Math.min(Math.max(pen.x + way[0] * step, 0), SCALE);
            pen.y = Math.min(Math.max(pen.y + way[1] * step, 0), SCALE);
        } else {
            return;
        }
        event.preventDefault();
        this.#showPen();
        this.#move({x: pen.x, y: pen.y}, pen.down);
    }

    #showPen() {
        this.#pen.shown = true;
        this.#place(this.#cursor("pen", {...this.#pen, hue: this.#ink(), name: ""}));
    }

    #ink() {
        return Number(document.querySelector("input[name=ink]:checked").value);
    }

    // move follows the visitor's own pointer; with down it draws.
    #move({x, y}, down) {
        this.#pointer = {x, y, down};
        if (!down) {
            this.#finish();
            return;
        }
        if (!this.#stroke || this.#stroke.points.length >= LONGEST) {
            const last = this.#stroke?.points.slice(-2) ?? [];
            this.#finish();
            const width = Number(document.querySelector("input[name=width]:checked").value);
            this.#stroke = {stroke: newId(), points: last, ink: this.#ink(), width, sent: 0};
            this.#strokes.set(this.#stroke.stroke, this.#stroke);
            this.#mine.add(this.#stroke.stroke);
        }
        const points = this.#stroke.points;
        if (points.at(-2) !== x || points.at(-1) !== y) {
            points.push(x, y);
            this.#repaint();
        }
    }

    #finish() {
        if (this.#stroke) {
            this.#flush(this.#stroke);
            this.#stroke = undefined;
        }
    }

    #leave() {
        if (!this.#stroke) {
            this.#pointer = {x: 0, y: 0, gone: true};
        }
    }

    // flush sends what a stroke has grown by. Without a connection it waits.
    #flush(s) {
        while (s.sent < s.points.length) {
            const points = s.points.slice(s.sent, s.sent + PART);
            if (!this.#publish(s, s.sent, points)) {
                return;
            }
            s.sent += points.length;
        }
    }

    #publish(s, at, points) {
        return this.#connection.publish("/demo/sketch", {stroke: s.stroke, at, points, ink: s.ink, width: s.width});
    }

    #send() {
        if (this.#stroke) {
            this.#flush(this.#stroke);
        }
        if (this.#pointer && this.#connection.publish("/demo/cursor", this.#pointer)) {
            this.#pointer = undefined;
        }
    }

    #take(part) {
        if (part.clear) {
            this.#stroke = undefined;
            this.#strokes.clear();
            this.#mine.clear();
            byId("sketch-news").textContent = `${part.name} cleared the sheet`;
        } else if (part.by !== this.#you) {
            this.#merge(part);
        }
        this.#repaint();
    }

    // merge writes a part where it belongs; one that came before changes nothing.
    #merge({stroke, at, points, ink, width}) {
        if (!this.#strokes.has(stroke)) {
            this.#strokes.set(stroke, {stroke, points: [], ink, width, sent: Infinity});
        }
        const known = this.#strokes.get(stroke).points;
        points.forEach((n, i) => {
            known[at + i] = n;
        });
    }

    #point(cursor) {
        if (cursor.by === this.#you) {
            return;
        }
        if (cursor.gone) {
            this.#drop(cursor.by);
            return;
        }
        const member = this.#members.get(cursor.by);
        if (member) {
            this.#place(this.#cursor(cursor.by, {...cursor, hue: member.hue, name: member.name}));
        }
    }

    #meet(members) {
        this.#members = new Map(members.map(m => [m.id, m]));
        for (const id of this.#cursors.keys()) {
            if (id !== "pen" && !this.#members.has(id)) {
                this.#drop(id);
            }
        }
    }

    #cursor(id, {x, y, down, hue, name}) {
        let c = this.#cursors.get(id);
        if (!c) {
            c = {element: make("div"), tag: make("span")};
            if (name) {
                c.element.append(c.tag);
            }
            byId("cursors").append(c.element);
            this.#cursors.set(id, c);
        }
        Object.assign(c, {x, y});
        const tags = [id === "pen" ? "pen" : "", down ? "down" : "", x > SCALE * 0.8 ? "left" : ""].filter(Boolean);
        c.element.className = ["cursor", `hue-${hue}`, ...tags].join(" ");
        c.tag.textContent = name;
        return c;
    }

    #place({element, x, y}) {
        const box = byId("cursors");
        element.style.transform = `translate(${x * box.clientWidth / SCALE}px, ${y * box.clientHeight / SCALE}px)`;
    }

    #drop(id) {
        this.#cursors.get(id)?.element.remove();
        this.#cursors.delete(id);
    }

    #repaint() {
        if (!this.#due) {
            this.#due = true;
            requestAnimationFrame(() => {
                this.#due = false;
                this.#paint();
            });
        }
    }

    #paint() {
        const {pen, width, height} = fit(byId("sheet"));
        pen.clearRect(0, 0, width, height);
        pen.lineCap = pen.lineJoin = "round";
        const fine = Math.max(0.7, Math.min(1.3, width / 700));
        for (const s of this.#strokes.values()) {
            pen.strokeStyle = this.#colours.hues[s.ink] ?? this.#colours.soft;
            pen.lineWidth = (WIDTHS[s.width] ?? 2) * fine;
            this.#trace(pen, s.points, width / SCALE, height / SCALE);
        }
    }

    // trace goes through the middles between points, which rounds the corners.
    #trace(pen, p, sx, sy) {
        pen.beginPath();
        pen.moveTo(p[0] * sx, p[1] * sy);
        for (let i = 2; i + 3 < p.length; i += 2) {
            pen.quadraticCurveTo(p[i] * sx, p[i + 1] * sy, (p[i] + p[i + 2]) / 2 * sx, (p[i + 1] + p[i + 3]) / 2 * sy);
        }
        pen.lineTo(p[p.length - 2] * sx, p[p.length - 1] * sy);
        pen.stroke();
    }
}
