// Lets a CometD object run as an application leaves it to, and tells what becomes of it, for ../../networks: record.go lists
// the events. The client shakes hands, subscribes to one channel and stays.

// watch begins with options {url, channel, transports, sticky, scale}; transports and sticky may be missing, for what the
// client does by itself.
export function watch(cometd, options, tell) {
    const note = (kind, what) => tell({kind, at: performance.timeOrigin + performance.now(), ...what});
    const outcome = message => ({
        id: message.id,
        ok: message.successful === true,
        error: message.error ?? reason(message.failure),
        transport: cometd.getTransport()?.type ?? "",
    });
    if (options.transports) {
        for (const type of cometd.getTransportTypes().filter(type => !options.transports.includes(type))) {
            cometd.unregisterTransport(type);
        }
    }
    cometd.configure({
        url: options.url,
        logLevel: "warn",
        // The client's own, 1 s, 60 s and 10 s, where nothing is shrunk.
        backoffIncrement: 1000 * options.scale,
        maxBackoff: 60000 * options.scale,
        maxNetworkDelay: Math.max(2000, 10000 * options.scale),
        ...options.sticky === false && {stickyReconnect: false},
    });
    cometd.registerExtension("watch", {
        outgoing(message) {
            if (message.channel === "/meta/connect") {
                note("asked", {id: message.id, soon: message.advice?.timeout === 0});
            }
            return message;
        },
    });
    cometd.addListener("/meta/connect", message => note("answered", outcome(message)));
    let subscription;
    cometd.addListener("/meta/handshake", message => {
        note("handshake", outcome(message));
        if (message.successful) {
            const done = reply => note("subscribed", outcome(reply));
            subscription = subscription
                ? cometd.resubscribe(subscription)
                : cometd.subscribe(options.channel, ({data}) => note("message", {n: data.n}), done);
        }
    });
    note("opened", {at: performance.timeOrigin});
    cometd.handshake();
}

function reason(failure) {
    if (!failure) {
        return undefined;
    }
    const code = failure.httpCode ?? failure.websocketCode;
    return [code, failure.reason ?? failure.exception].filter(x => x !== undefined && x !== "").join(" ") || "failure";
}
