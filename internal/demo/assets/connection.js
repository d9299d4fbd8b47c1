// One connection for all rooms, on the published CometD client. It stays up:
// what a room subscribed to is subscribed again after each handshake.

import {CometD} from "./vendor/cometd/cometd.js";

const JOIN = "/service/demo/join";
const ECHO = "/service/demo/echo";
const ECHO_PACE = 2000;

const size = message => new TextEncoder().encode(JSON.stringify(message)).length;

// Events: "state", "figures", "join" (detail: the server's welcome), "restart" (the same, when the server has
// forgotten what it held).
export class Connection extends EventTarget {
    name = "";
    state = "connecting";
    figures = {received: 0, sent: 0, reconnects: 0, latency: undefined};

    #url;
    #rooms = [];
    #cometd;
    #transport;
    #epoch;
    #key; // Makes this page the same member in its next session.
    #broken = false;
    #open = false; // Whether messages have a session to leave by.
    #echoes = new Map();
    #echo = 0;

    constructor(url) {
        super();
        this.#url = url;
        setInterval(() => this.#measure(), ECHO_PACE);
    }

    // on has receive called with the data and the channel of each message.
    on(channel, receive) {
        this.#rooms.push({channel, receive});
    }

    // use connects, by that transport alone.
    use(transport) {
        const old = this.#cometd;
        this.#cometd = undefined;
        this.#transport = transport;
        if (old && !old.isDisconnected()) {
            old.disconnect();
        }
        this.#broken = this.#open = false;
        this.figures.latency = undefined;
        this.#echoes.clear();
        this.#turn("connecting");
        this.#connect();
    }

    // publish reports whether the message is on its way.
    publish(channel, data) {
        if (this.#open) {
            this.#cometd.publish(channel, data);
        }
        return this.#open;
    }

    join(name) {
        this.name = name;
        this.publish(JOIN, {name});
    }

    leave() {
        this.#cometd?.disconnect();
    }

    #connect() {
        const cometd = new CometD();
        this.#cometd = cometd;
        for (const type of cometd.getTransportTypes()) {
            if (type !== this.#transport) {
                cometd.unregisterTransport(type);
            }
        }
        // A stopped server is no news for the console: the page shows it.
        cometd._warn = () => {};
        cometd.configure({
            url: this.#url,
            logLevel: "warn",
            backoffIncrement: 250,
            maxBackoff: 2000,
            maxURILength: 6000,
        });
        cometd.registerExtension("count", {
            incoming: message => this.#count("received", message),
            outgoing: message => this.#count("sent", message),
        });
        const listen = (channel, f) => cometd.addListener(channel, message => cometd === this.#cometd && f(message));
        listen("/meta/handshake", message => message.successful ? this.#enter(cometd) : this.#lost());
        listen("/meta/connect", message => message.successful ? this.#alive() : this.#lost());
        listen("/meta/disconnect", () => this.#lost());
        listen(JOIN, message => this.#joined(message.data));
        listen(ECHO, message => this.#echoed(message.data));
        cometd.handshake();
    }

    // A handshake made a new session: it must subscribe and join.
    #enter(cometd) {
        cometd.batch(() => {
            for (const room of this.#rooms) {
                cometd.subscribe(room.channel, message => {
                    if (cometd === this.#cometd) {
                        room.receive(message.data, message.channel);
                    }
                });
            }
            cometd.publish(JOIN, {name: this.name, key: this.#key});
        });
    }

    #joined(welcome) {
        const restarted = this.#epoch !== undefined && this.#epoch !== welcome.epoch;
        this.#epoch = welcome.epoch;
        this.#key = welcome.key;
        this.#open = true;
        this.name = welcome.you.name;
        this.dispatchEvent(new CustomEvent(restarted ? "restart" : "join", {detail: welcome}));
    }

    #alive() {
        this.#open = true;
        if (this.#broken) {
            this.#broken = false;
            this.figures.reconnects++;
        }
        if (this.state !== "connected") {
            this.#turn("connected");
            this.#measure();
        }
    }

    #lost() {
        this.#open = false;
        this.#broken ||= this.state === "connected";
        this.#turn(this.#broken ? "reconnecting" : "connecting");
        this.#echoes.clear();
        // The client gives up where no transport is left; the page does not.
        const cometd = this.#cometd;
        setTimeout(() => {
            if (cometd === this.#cometd && cometd.isDisconnected()) {
                this.#connect();
            }
        }, 1000);
    }

    #turn(state) {
        this.state = state;
        this.dispatchEvent(new Event("state"));
        this.dispatchEvent(new Event("figures"));
    }

    #count(way, message) {
        this.figures[way] += size(message);
        return message;
    }

    #measure() {
        if (this.state === "connected") {
            this.#echoes.clear();
            this.#echoes.set(++this.#echo, performance.now());
            this.#cometd.publish(ECHO, {n: this.#echo});
        }
        this.dispatchEvent(new Event("figures"));
    }

    #echoed({n}) {
        const begun = this.#echoes.get(n);
        if (begun !== undefined) {
            this.#echoes.delete(n);
            this.figures.latency = performance.now() - begun;
            this.dispatchEvent(new Event("figures"));
        }
    }
}
