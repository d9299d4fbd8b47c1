// Small helpers of all rooms.

export const byId = id => document.getElementById(id);

// make returns an element with class, text and children; text is never HTML.
export function make(tag, className, ...children) {
    const element = document.createElement(tag);
    if (className) {
        element.className = className;
    }
    element.append(...children);
    return element;
}

// face is a disc with the initials of a member.
export function face(member) {
    const initials = member.name.split(/\s+/).filter(Boolean).slice(0, 2).map(word => [...word][0]).join("");
    const disc = make("span", `face hue-${member.hue}`, initials.toUpperCase());
    disc.setAttribute("aria-hidden", "true");
    return disc;
}

export const calm = window.matchMedia("(prefers-reduced-motion: reduce)");
export const dark = window.matchMedia("(prefers-color-scheme: dark)");

// colours reads the hues of the style sheet, as the theme has them now.
export function colours() {
    const style = getComputedStyle(document.documentElement);
    const read = name => style.getPropertyValue(name).trim();
    return {
        hues: Array.from({length: 8}, (_, i) => read(`--h${i}`)),
        rule: read("--rule"), soft: read("--soft"), sheet: read("--sheet"), text: read("--text"),
    };
}

// fit makes the bitmap of a canvas as fine as the screen; it returns the context and the size in CSS pixels.
export function fit(canvas) {
    const {width, height} = canvas.getBoundingClientRect();
    const ratio = window.devicePixelRatio || 1;
    const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (canvas.width !== w || canvas.height !== h) {
        canvas.width = w;
        canvas.height = h;
    }
    const pen = canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    return {pen, width, height};
}

// bytes writes a count for people.
export function bytes(n) {
    if (n < 1000) {
        return `${n} B`;
    }
    return n < 1e6 ? `${(n / 1e3).toFixed(1)} kB` : `${(n / 1e6).toFixed(2)} MB`;
}
