// What the pages have in common: the language of ../js/driver.mjs, carried by chromium.mjs.

export const options = JSON.parse(new URLSearchParams(location.search).get("options"));

export function tell(line) {
    window.report(JSON.stringify(line));
}

// begin says what client the page has, and gives each command to take.
export function begin(about, take) {
    window.take = line => take(JSON.parse(line));
    tell({kind: "about", cannot: {}, ...about});
}

async function read(file) {
    const answer = await fetch(file);
    if (!answer.ok) {
        throw new Error(`${file}: HTTP ${answer.status}`);
    }
    return answer.text();
}

// npmVersion and mavenVersion read the version of what is installed in a folder.
export async function npmVersion(folder) {
    return JSON.parse(await read(`${folder}/package.json`)).version;
}

export async function mavenVersion(folder, artifact) {
    const properties = await read(`${folder}/META-INF/maven/org.cometd.javascript/${artifact}/pom.properties`);
    return properties.match(/^version=(.*)$/m)[1].trim();
}

// load runs a classic script.
export function load(src) {
    return new Promise((resolve, reject) => {
        const script = document.createElement("script");
        script.src = src;
        script.onload = resolve;
        script.onerror = () => reject(new Error(`cannot load ${src}`));
        document.head.append(script);
    });
}
