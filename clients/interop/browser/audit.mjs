// The checks that a page review would make by hand, as one function that runs inside the page and returns the list of
// what is wrong: contrast, names of controls, headings, landmarks, sizes of targets, width of the viewport.

export function audit() {
    const wrong = [];
    const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});

    // rgba turns any CSS colour into numbers.
    function rgba(colour) {
        canvas.clearRect(0, 0, 1, 1);
        canvas.fillStyle = colour;
        canvas.fillRect(0, 0, 1, 1);
        const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
        return [r, g, b, a / 255];
    }

    const over = ([r, g, b, a], under) => [r, g, b].map((c, i) => c * a + under[i] * (1 - a));

    function background(element) {
        const layers = [];
        for (let e = element; e; e = e.parentElement) {
            layers.unshift(rgba(getComputedStyle(e).backgroundColor));
        }
        return layers.reduce((under, layer) => over(layer, under), [255, 255, 255]);
    }

    function luminance(colour) {
        const [r, g, b] = colour.map(c => c / 255).map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    }

    function contrast(a, b) {
        const [high, low] = [luminance(a), luminance(b)].sort((x, y) => y - x);
        return (high + 0.05) / (low + 0.05);
    }

    const name = e => `<${e.tagName.toLowerCase()}${e.id ? ` id=${e.id}` : ""} class="${e.className}">`;
    const hidden = e => e.closest(".hidden, .skip") || !e.checkVisibility({visibilityProperty: true, opacityProperty: true});

    // Text must stand out from what is behind it: 4.5 to 1, large text 3 to 1.
    let texts = 0;
    const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    for (let node = walk.nextNode(); node; node = walk.nextNode()) {
        const e = node.parentElement;
        if (!node.data.trim() || hidden(e) || e.tagName === "SCRIPT" || e.closest(":disabled")) {
            continue;
        }
        texts++;
        const style = getComputedStyle(e);
        const size = parseFloat(style.fontSize);
        const large = size >= 24 || size >= 18.66 && Number(style.fontWeight) >= 700;
        const behind = background(e);
        const ratio = contrast(over(rgba(style.color), behind), behind);
        if (ratio < (large ? 3 : 4.5)) {
            wrong.push(`contrast ${ratio.toFixed(2)} of "${node.data.trim().slice(0, 30)}" in ${name(e)}`);
        }
        if (size < 10) {
            wrong.push(`text of ${size} px in ${name(e)}`);
        }
    }
    if (texts < 30) {
        wrong.push(`only ${texts} texts were looked at`);
    }

    // The borders by which controls are known must stand out 3 to 1.
    for (const e of document.querySelectorAll("input:not([type=radio]), button:not(.primary):not([aria-pressed=true]), .pad")) {
        const ratio = contrast(over(rgba(getComputedStyle(e).borderTopColor), background(e.parentElement)), background(e.parentElement));
        if (ratio < 3) {
            wrong.push(`contrast ${ratio.toFixed(2)} of the border of ${name(e)}`);
        }
    }

    // Each control has a name and is large enough to hit.
    for (const e of document.querySelectorAll("a[href], button, input, select, textarea, canvas, [tabindex='0']")) {
        const labels = [...e.labels ?? []].map(l => l.textContent).join("");
        if (!(e.getAttribute("aria-label") || e.getAttribute("aria-labelledby") || labels || e.textContent).trim()) {
            wrong.push(`${name(e)} has no name`);
        }
        const target = e.type === "radio" ? e.labels[0] : e;
        const {width, height} = target.getBoundingClientRect();
        const inText = e.tagName === "A" && e.closest("p");
        if (!hidden(target) && !inText && (width < 24 || height < 24)) {
            wrong.push(`${name(e)} is ${width} by ${height} pixels`);
        }
    }
    for (const e of document.querySelectorAll("fieldset")) {
        if (!e.querySelector("legend")?.textContent.trim()) {
            wrong.push(`${name(e)} has no legend`);
        }
    }
    for (const e of document.querySelectorAll("img:not([alt])")) {
        wrong.push(`${name(e)} has no alt`);
    }

    // Structure: language, title, viewport, landmarks, headings in order, ids once.
    const once = {"main": 1, "h1": 1, "header.masthead": 1, "footer": 1, "nav[aria-label]": 1, "title": 1, "meta[name=viewport]": 1, "html[lang]": 1};
    for (const [selector, count] of Object.entries(once)) {
        if (document.querySelectorAll(selector).length !== count) {
            wrong.push(`want ${selector} once`);
        }
    }
    for (const e of document.querySelectorAll("section")) {
        if (!document.getElementById(e.getAttribute("aria-labelledby"))?.textContent.trim()) {
            wrong.push(`${name(e)} has no label`);
        }
    }
    let depth = 0;
    for (const e of document.querySelectorAll("h1, h2, h3, h4")) {
        const level = Number(e.tagName[1]);
        if (level > depth + 1) {
            wrong.push(`heading ${name(e)} skips a level`);
        }
        depth = level;
    }
    const ids = [...document.querySelectorAll("[id]")].map(e => e.id);
    ids.filter((id, i) => ids.indexOf(id) !== i).forEach(id => wrong.push(`id ${id} stands twice`));
    if (/user-scalable=no|maximum-scale/.test(document.querySelector("meta[name=viewport]")?.content)) {
        wrong.push("the viewport forbids zooming");
    }

    // Nothing sticks out of the viewport.
    const wide = document.documentElement.clientWidth;
    if (document.documentElement.scrollWidth > wide) {
        const out = [...document.body.querySelectorAll("*")].filter(e => !hidden(e) && !e.closest(".cursors") && e.getBoundingClientRect().right > wide + 1);
        wrong.push(`the page is wider than the viewport of ${wide}: ${out.slice(0, 3).map(name).join(" ")}`);
    }
    return wrong;
}
