// The feed: a chart of our own on a canvas, and the last values as a table.

import {byId, calm, colours, dark, fit, make} from "./dom.js";

const HUES = [0, 1, 2, 3];
const LEFT = 46; // Room for the scale and for the names, in pixels.
const RIGHT = 62;

export class Feed {
    #series = new Map(); // Name to {values, anchor, at, cells}; at is when the last value came.
    #pace = 250;
    #kept = 160;
    #paused = false;
    #bounds = {low: -1, high: 1};
    #colours = colours();
    #drawn = false;

    constructor(connection) {
        connection.on("/demo/feed/*", (data, channel) => this.#take(channel.slice(channel.lastIndexOf("/") + 1), data.v));
        byId("pause").addEventListener("click", () => {
            this.#paused = !this.#paused;
            byId("pause").setAttribute("aria-pressed", this.#paused);
        });
        dark.addEventListener("change", () => {
            this.#colours = colours();
            this.#draw(0);
        });
        new ResizeObserver(() => this.#draw(0)).observe(byId("chart"));
        setInterval(() => this.#describe(), 5000);
        const frame = now => {
            if (!this.#paused && !calm.matches) {
                this.#draw(now);
            }
            requestAnimationFrame(frame);
        };
        requestAnimationFrame(frame);
    }

    // enter takes the server's memory, so that the chart begins full.
    enter(welcome) {
        this.#pace = welcome.every;
        for (const [name, values] of Object.entries(welcome.feed).sort()) {
            const series = this.#get(name);
            series.values = values.slice(-this.#kept);
            series.at = performance.now();
            series.anchor ??= values.reduce((sum, v) => sum + v, 0) / values.length;
            this.#show(series);
        }
        this.#describe();
        this.#draw(0);
    }

    #get(name) {
        if (!this.#series.has(name)) {
            const title = name[0].toUpperCase() + name.slice(1);
            const head = make("th", "", title);
            head.scope = "row";
            const cells = {last: make("td", "last"), change: make("td")};
            const hue = HUES[this.#series.size % HUES.length];
            byId("prices").append(make("tr", `hue-${hue}`, head, cells.last, cells.change));
            this.#series.set(name, {title, hue, cells, values: [], at: 0});
        }
        return this.#series.get(name);
    }

    #take(name, value) {
        if (this.#paused) {
            return;
        }
        const series = this.#get(name);
        series.values.push(value);
        series.at = performance.now();
        if (series.values.length > this.#kept) {
            series.values.shift();
        }
        this.#show(series);
        if (calm.matches) {
            this.#draw(0);
        }
    }

    #show({cells, values}) {
        const last = values.at(-1);
        const change = 100 * (last / values[0] - 1);
        const text = `${change < 0 ? "−" : "+"}${Math.abs(change).toFixed(2)} %`;
        cells.last.textContent = (last / 100).toFixed(2);
        cells.change.textContent = text;
        cells.change.className = change < 0 ? "down" : "up";
    }

    #describe() {
        const parts = [...this.#series.values()].map(s => `${s.title} ${s.cells.change.textContent}`);
        byId("chart").setAttribute("aria-label", `Chart of the last 40 seconds, in percent of change: ${parts.join(", ")}`);
    }

    #scale() {
        let low = -0.3;
        let high = 0.3;
        for (const {values, anchor = values[0]} of this.#series.values()) {
            for (const v of values) {
                const change = 100 * (v / anchor - 1);
                low = Math.min(low, change);
                high = Math.max(high, change);
            }
        }
        // The frame follows slowly, so that the lines move and not the paper.
        const ease = this.#drawn && !calm.matches ? 0.06 : 1;
        this.#bounds.low += (low * 1.08 - this.#bounds.low) * ease;
        this.#bounds.high += (high * 1.08 - this.#bounds.high) * ease;
        this.#drawn = this.#series.size > 0;
    }

    // draw paints the chart as it is at a moment; 0 means now, with no value on its way.
    #draw(now) {
        const {pen, width, height} = fit(byId("chart"));
        this.#scale();
        pen.clearRect(0, 0, width, height);
        pen.font = `12px ${this.#colours.text}`;
        pen.textBaseline = "middle";
        const {low, high} = this.#bounds;
        const y = change => 10 + (height - 20) * (high - change) / (high - low);
        this.#grid(pen, width, y);
        const labels = [];
        for (const series of this.#series.values()) {
            this.#line(pen, series, width - RIGHT, y, now, labels);
        }
        this.#labels(pen, labels, width, height);
    }

    #grid(pen, width, y) {
        const {low, high} = this.#bounds;
        const step = [0.25, 0.5, 1, 2, 5, 10, 20, 50].find(s => (high - low) / s <= 6) ?? 100;
        pen.lineWidth = 1;
        for (let k = Math.ceil(low / step); k * step <= high; k++) {
            const at = Math.round(y(k * step)) + 0.5;
            pen.strokeStyle = this.#colours.rule;
            pen.setLineDash(k === 0 ? [] : [2, 4]);
            pen.beginPath();
            pen.moveTo(LEFT, at);
            pen.lineTo(width - RIGHT, at);
            pen.stroke();
            pen.fillStyle = this.#colours.soft;
            pen.textAlign = "right";
            pen.fillText(`${k < 0 ? "−" : ""}${Math.abs(k * step)} %`, LEFT - 8, at);
        }
        pen.setLineDash([]);
    }

    #line(pen, series, right, y, now, labels) {
        const {values, anchor = values[0], hue, at} = series;
        if (values.length < 2) {
            return;
        }
        const gap = (right - LEFT) / (this.#kept - 2);
        // Between two values the line slides, and its end is on its way to the newest.
        const part = now ? Math.min(Math.max((now - at) / this.#pace, 0), 1) : 1;
        const change = i => 100 * (values[i] / anchor - 1);
        const end = values.length - 1;
        const tip = change(end - 1) + (change(end) - change(end - 1)) * part;
        pen.strokeStyle = pen.fillStyle = this.#colours.hues[hue];
        pen.lineWidth = 2;
        pen.lineJoin = "round";
        pen.save();
        pen.beginPath();
        pen.rect(LEFT, 0, right + 4 - LEFT, 4000);
        pen.clip();
        pen.beginPath();
        for (let i = 0; i < end; i++) {
            pen.lineTo(right - (end - 1 - i + part) * gap, y(change(i)));
        }
        pen.lineTo(right, y(tip));
        pen.stroke();
        pen.beginPath();
        pen.arc(right, y(tip), 3.5, 0, 7);
        pen.fill();
        pen.restore();
        labels.push({text: series.title, at: y(tip), colour: this.#colours.hues[hue]});
    }

    // labels stand at the ends of their lines, pushed apart where they would touch.
    #labels(pen, labels, width, height) {
        const room = 15;
        labels.sort((a, b) => a.at - b.at);
        for (let i = 1; i < labels.length; i++) {
            labels[i].at = Math.max(labels[i].at, labels[i - 1].at + room);
        }
        for (let i = labels.length - 1, limit = height - 8; i >= 0; i--, limit -= room) {
            labels[i].at = Math.min(labels[i].at, limit);
        }
        pen.textAlign = "left";
        for (const {text, at, colour} of labels) {
            pen.fillStyle = colour;
            pen.fillText(text, width - RIGHT + 8, at);
        }
    }
}
