// The field for one image, for several, or for a batch, which is one image or many: chosen by a click, dropped or pasted
// anywhere on the page (see page.js), shown at once, looked at by the server, and kept there for as long as this page
// shows them.
const KEEP_EVERY = 10 * 60 * 1000; // milliseconds between two times that the server is told what is still shown
const AT_ONCE = 4; // files that are sent
const READABLE = "image/*,.heic,.heif,.avif,.tif,.tiff";
const GONE = "The image is no longer on the server. Choose it again.";

const field = element.querySelector(".image-field");
const find = (selector) => field.querySelector(selector);
const [input, image, thumbs, remove, about, said] = ["input", "label > img", ".thumbs", ".place > .remove", ".about", ".said"].map(find);
const mode = MODE; // of a component that is out of sight at first, the browser forgets its own properties
const most = MOST; // bytes
const sent = new Map(); // the server's path to the file in this browser and its URL here
let latest = 0; // the newest choice; an earlier one that comes late is dropped
let busy = 0;

const items = () => props.value || [];
const isMany = () => mode === "several" || (mode === "batch" && items().length > 1);
const put = (list) => {
    props.value = list;
    draw();
};
const tell = (text, trouble = false) => {
    said.textContent = text;
    said.classList.toggle("trouble", trouble);
};
const sourceOf = ({ file, shown }) => shown ?? sent.get(file.path)?.url ?? file.url;
const nameOf = ({ file }) => file.orig_name ?? file.path.split("/").at(-1);

const megabytes = (bytes) => (bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0);
const tooLarge = (file) =>
    file.size > most && `${file.name} is ${megabytes(file.size)} MB. The limit is ${most / 1e6} MB.`;

// Where the browser finds a file of the server, by the address of another one. Names may have any sign in them.
const addressOf = (path, url) =>
    url.slice(0, url.indexOf("file=") + "file=".length) + path.split("/").map(encodeURIComponent).join("/");

// Of what a browser cannot show the server draws a preview: null where it cannot either.
const drawThere = async ({ path, url }) => {
    const { preview, problem } = await server.inspect_image({ path, preview: true });
    return { shown: preview ? addressOf(preview, url) : null, problem };
};
const canShow = (url) =>
    new Promise((resolve) => {
        const trial = new Image();
        trial.onload = () => resolve(true);
        trial.onerror = () => resolve(false);
        trial.src = url;
    });

const show = (picture, item) => {
    picture.onerror = async () => {
        picture.onerror = null;
        item.shown = (await drawThere(item.file)).shown;
        if (item.shown) picture.src = item.shown;
    };
    if (picture.getAttribute("src") !== sourceOf(item)) picture.src = sourceOf(item);
    picture.alt = nameOf(item);
};

const makeThumb = (item) => {
    const [row, picture, button, name] = ["li", "img", "button", "span"].map((tag) => document.createElement(tag));
    picture.loading = "lazy";
    picture.dataset.path = item.file.path;
    show(picture, item);
    Object.assign(button, { type: "button", className: "remove", textContent: "✕", title: "Remove" });
    button.setAttribute("aria-label", `Remove ${nameOf(item)}`);
    button.addEventListener("click", () => {
        put(items().filter((other) => other.file.path !== item.file.path));
        input.focus();
    });
    // No line breaks within the size.
    name.textContent = name.title = `${nameOf(item)}${item.about ? ` · ${item.about.replaceAll(" ", "\u00a0")}` : ""}`;
    row.append(picture, button, name);
    return row;
};

const draw = () => {
    const list = items();
    const [filled, many] = [list.length > 0, isMany()];
    field.classList.toggle("filled", filled || (busy > 0 && !many));
    field.classList.toggle("busy", busy > 0);
    field.classList.toggle("several", many);
    field.classList.toggle("batch", many && mode === "batch");
    const call = many ? (filled ? "Add images" : "Choose images") : "Choose an image";
    find(".call strong").textContent = call;
    input.setAttribute("aria-label", filled && !many && !list[0].example ? "Replace the image" : call);
    for (const path of sent.keys()) if (!list.some((item) => item.file.path === path)) forget(path);
    thumbs.hidden = !filled || !many;
    thumbs.replaceChildren(...(many ? list.map(makeThumb) : []));
    image.hidden = many || (!filled && !busy);
    const example = filled && !many && !busy && list[0].example;
    field.classList.toggle("example", example);
    remove.hidden = !filled || mode === "several";
    remove.title = many ? "Remove all images" : "Remove image";
    remove.setAttribute("aria-label", remove.title);
    about.hidden = !filled || many;
    find(".replace").hidden = !filled || many || list[0].example;
    if (!filled || many) return;
    if (!busy) show(image, list[0]);
    about.textContent = [nameOf(list[0]), list[0].about].filter(Boolean).join(" · ");
};
const forget = (path) => {
    URL.revokeObjectURL(sent.get(path).url);
    sent.delete(path);
};

const isZip = (file) => mode === "batch" && (/\.zip$/i.test(file.name) || /^application\/(x-)?zip/.test(file.type));

// Sends a file and returns it as an item of the value, or of a zip the images in it; says what is wrong with one that
// is none, and returns nothing.
const send = async (file) => {
    const fail = (problem) => (tell(problem, true), []);
    const heavy = tooLarge(file);
    if (heavy) return fail(heavy);
    let sentTo;
    try {
        sentTo = await upload(file);
    } catch {
        return fail(`${file.name} could not be sent. Check the connection and try again.`);
    }
    if (isZip(file)) return unpack(sentTo, file.name, fail);
    const { problem, about } = await server.look_at_image({ path: sentTo.path, name: file.name });
    if (problem) return fail(problem);
    const [path, url] = [sentTo.path, URL.createObjectURL(file)];
    const drawn = (await canShow(url)) ? { shown: null } : await drawThere(sentTo);
    if (drawn.problem) return fail(drawn.problem);
    sent.set(path, { file, url });
    const served = addressOf(path, sentTo.url);
    return [makeItem({ path, url: served, orig_name: file.name, size: file.size }, about, drawn.shown)];
};
const makeItem = (data, about, shown) => ({
    file: { ...data, meta: { _type: "gradio.FileData" } }, about, example: false, shown,
});
const unpack = async ({ path, url }, name, fail) => {
    const { problem, images, note } = await server.unpack_archive({ path, name });
    if (problem) return fail(problem);
    if (note) tell(note, true);
    return images.map((each) =>
        makeItem({ path: each.path, url: addressOf(each.path, url), orig_name: each.name }, each.about, null),
    );
};

const sendAll = async (files) => {
    const items = files.map(() => []);
    let [next, ended, telling] = [0, 0, ""];
    const work = async () => {
        while (next < files.length) {
            const at = next++;
            items[at] = await send(files[at]);
            ended += 1;
            // What is wrong with one stays in sight.
            if (files.length > 1 && said.textContent === telling) tell((telling = `${ended} of ${files.length} sent`));
        }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    if (said.textContent === telling) tell("");
    return items;
};

const take = async (files) => {
    const turn = ++latest;
    const chosen = mode === "one" ? files.slice(0, 1) : files;
    tell(files.length > chosen.length ? `One image at a time here: ${chosen[0].name} is used.` : "");
    busy += 1;
    const adds = isMany(); // else what is chosen takes the place of what was there
    const early = adds || chosen.length > 1 || isZip(chosen[0]) ? null : URL.createObjectURL(chosen[0]);
    if (early) Object.assign(image, { onerror: null, src: early, alt: chosen[0].name });
    draw();
    const arrived = (await sendAll(chosen)).flat();
    busy -= 1;
    if (early) URL.revokeObjectURL(early);
    if (!adds && turn !== latest) return draw();
    if (!arrived.length) return draw();
    const told = [said.textContent, said.classList.contains("trouble")];
    put([...(adds ? items().filter((item) => !item.example) : []), ...arrived]);
    announce(arrived.at(-1));
    if (isMany() && mode === "batch") return tell(...told); // its run decodes them
    for (const item of arrived) await inspect(item);
};

// The pixels are decoded once, so that damage is told now and not after a click.
const inspect = async (item) => {
    const { problem, note } = await server.inspect_image({ path: item.file.path, preview: false });
    if (!items().some((other) => other.file.path === item.file.path)) return;
    if (problem) put(items().filter((other) => other.file.path !== item.file.path));
    if (problem || note) tell(problem ?? note, Boolean(problem));
};

const announce = (item) => {
    const detail = { url: item ? sourceOf(item) : null, path: item?.file.path ?? null };
    field.dispatchEvent(new CustomEvent("image-chosen", { bubbles: true, detail }));
};

const keep = async () => {
    const paths = items().map((item) => item.file.path);
    if (!paths.length) return;
    const { missing } = await server.keep_images({ paths });
    for (const path of missing ?? []) {
        const [again] = sent.has(path) ? await send(sent.get(path).file) : [];
        const at = items().findIndex((item) => item.file.path === path);
        if (at >= 0) put(items().toSpliced(at, 1, ...(again ? [again] : [])));
        if (at >= 0 && !again) tell(GONE, true);
    }
};

image.addEventListener("load", () => image.style.setProperty("--ratio", image.naturalWidth / image.naturalHeight));
Object.assign(input, { accept: mode === "batch" ? `${READABLE},.zip` : READABLE, multiple: mode !== "one" });
if (mode === "batch") find(".call small").textContent += ". Several images or a zip make a batch.";
input.addEventListener("change", () => {
    const files = [...input.files];
    input.value = ""; // the same file can be chosen again
    if (files.length) take(files);
});
field.addEventListener("give-files", ({ detail }) => take(detail));
remove.addEventListener("click", () => {
    latest += 1;
    tell("");
    put([]);
    announce(null);
    input.focus();
});
watch("value", () => {
    tell("");
    draw();
});
setInterval(keep, KEEP_EVERY);
document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && keep());
draw();
