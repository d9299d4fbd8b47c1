// What pages have and Node has not: script elements, which callback-polling needs, and cookies that upgrades to WebSocket
// carry both ways.

// furnish adds them to the window that cometd-nodejs-client made with the options, which hold its cookies.
export function furnish(window, options) {
    addScripts(window);
    addUpgradeCookies(window, options);
}

function addScripts(window) {
    const head = {
        appendChild(script) {
            const request = new window.XMLHttpRequest();
            let over = false;
            const end = ok => {
                if (over) {
                    return;
                }
                over = true;
                if (ok && request.status === 200) {
                    new Function("window", `with (window) {${request.responseText}\n}`)(window);
                } else {
                    script.onerror({type: `error, status ${request.status}`});
                }
            };
            request.onload = () => end(true);
            request.onerror = () => end(false);
            request.open("GET", script.src);
            request.send();
        },
        removeChild() {},
    };
    window.document = {getElementsByTagName: () => [head], createElement: () => ({})};
}

function addUpgradeCookies(window, options) {
    const WebSocket = window.WebSocket;
    window.WebSocket = class extends WebSocket {
        constructor(url, protocols) {
            const jar = options.globalCookies[new URL(url).hostname] ??= {};
            super(url, protocols ?? [], {headers: {Cookie: Object.values(jar).join("; ")}});
            this.on("upgrade", response => {
                for (const cookie of response.headers["set-cookie"] ?? []) {
                    const [pair] = cookie.split(";");
                    jar[pair.slice(0, pair.indexOf("="))] = pair;
                }
            });
        }
    };
}
