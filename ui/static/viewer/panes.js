// The panes, made anew for each value.

const make = (tag, attributes, ...children) => {
    const made = document.createElement(tag);
    Object.entries(attributes).forEach(([name, value]) => made.setAttribute(name, value));
    made.append(...children);
    return made;
};

const makePane = ({ label, caption, layers, smooth }, index) => {
    const canvas = make("canvas", { role: "img", "aria-label": caption ? `${label}: ${caption}` : label });
    const cursor = make("i", { class: "cursor", hidden: "" });
    const name = make("span", { class: "name" }, label);
    const title = "Larger, beside the one it is compared with";
    const said = { "aria-label": `Show ${label} larger`, title, "aria-pressed": false };
    const only = make("button", { type: "button", class: "only", "data-only": index, ...said }, "⤢");
    const value = make("span", { class: "value" });
    const about = make("span", { class: "about" }, caption);
    const frame = make("div", { class: "frame" }, canvas, cursor);
    const figure = make("figure", { class: "pane" }, frame, make("figcaption", {}, name, only, about, value));
    for (const layer of Object.values(layers)) layer.base = layer.top.url.slice(0, layer.top.url.lastIndexOf("/") + 1);
    layers.picture.smooth = smooth;
    return { figure, canvas, context: canvas.getContext("2d"), cursor, name, only, value, label, layers };
};

const measure = () => {
    const ratio = window.devicePixelRatio;
    for (const { canvas } of panes) {
        const [width, height] = [Math.round(canvas.clientWidth * ratio), Math.round(canvas.clientHeight * ratio)];
        if (canvas.width !== width) canvas.width = width;
        if (canvas.height !== height) canvas.height = height;
    }
    if (!panes.length) return;
    if (shownPane().canvas.width) openAtPlace();
    placeNavigator();
    keepInside();
    draw();
};
const observer = new ResizeObserver(measure);

// A file that the browser was given tells its size once it is read; `scale` is how many times it will be enlarged.
const findSize = async (value) => {
    const whole = value.panes.map(({ layers }) => layers.picture).filter((layer) => layer.whole && !layer.width);
    for (const layer of whole) {
        const { url } = layer.top;
        if (!tiles.has(url)) await load(url);
        const bitmap = tiles.get(url);
        if (!bitmap) continue;
        const { width, height } = bitmap;
        Object.assign(layer, { width, height, tile: Math.max(width, height), levels: 1 });
        value.size ??= [width * value.scale, height * value.scale];
    }
    return value;
};

const placeButtons = () => {
    const one = panes.length < 2; // while there is no result yet, what it will bring stays in sight, so nothing jumps
    const count = one ? 3 : given.boxes.length;
    find(".boxes").hidden = !count;
    const buttons = Array.from({ length: count }, (_, index) => {
        const name = `Place ${index + 1} where they differ most`;
        return make("button", { type: "button", "data-box": index, "aria-label": name, title: name }, `${index + 1}`);
    });
    find(".boxes").replaceChildren("Most different", ...buttons);
    const layers = panes.map((pane) => pane.layers);
    root.querySelectorAll("[data-layer]").forEach((button) => {
        button.hidden = !layers.some((each) => button.dataset.layer in each);
    });
    find(".layers").hidden = !layers.some((each) => "error" in each || "consistency" in each);
    find("[data-layout=grid]").hidden = find(".blinking-with label").hidden = panes.length < 3;
    root.querySelectorAll("[data-layout], .blink, [data-box]").forEach((button) => (button.disabled = one));
    if (given.heat) find(".scale i").style.background = `linear-gradient(to right, ${given.heat.colours.join(", ")})`;
};

const showValue = () => {
    const chosen = find(".other").selectedOptions[0]?.textContent;
    const right = panes[view.chosen]?.label;
    panes = given.panes.filter(({ layers }) => layers.picture.width).map(makePane);
    panesBox.replaceChildren(...panes.map(({ figure }) => figure));
    observer.disconnect();
    root.hidden = !panes.length && !given.empty;
    root.classList.toggle("vacant", !panes.length);
    find(".empty").textContent = given.empty ?? "";
    root.dataset.state = given.state ?? "";
    if (!panes.length) {
        line.hidden = true;
        return;
    }
    const { width, height } = panes[0].layers.picture;
    const [wide, high] = given.size ?? [width, height];
    const other_size = wide !== size.width || high !== size.height;
    if (other_size) Object.assign(view, { fitted: true, moved: false, spot: null });
    size = { width: wide, height: high };
    const place = given.open_at ?? null;
    if (place !== null && !view.moved) view.place = given.boxes[place] ?? place;
    visited = typeof place === "number" ? place : -1;
    panesBox.style.setProperty("--aspect", Math.min(Math.max(wide / high, 0.75), 1.6));
    find(".other").replaceChildren(...panes.map(({ label }, index) => make("option", { value: index }, label)));
    const labelled = (label, otherwise) => {
        const index = panes.findIndex((pane) => pane.label === label);
        return index < 0 ? otherwise : index;
    };
    const [left, chosenRight] = given.pair ?? [given.original ?? 0, panes.length - 1];
    find(".other").value = labelled(chosen, left);
    view.chosen = labelled(right, chosenRight);
    placeButtons();
    showLayer(panes.some(({ layers }) => view.layer in layers) ? view.layer : "picture");
    layOut(view.laid ? view.layout : given.layout ?? "grid");
    panes.forEach(({ canvas }) => observer.observe(canvas));
};

// What there was before a run that ended early.
let settled = given;
root.addEventListener("settle", () => {
    given = settled;
    showValue();
});

const show = async () => {
    const value = props.value || { panes: [], boxes: [] };
    root.dataset.state = value.state ?? "";
    if (value.state !== "running") settled = value;
    failed.clear();
    find(".lost").hidden = true;
    blink(false);
    given = value;
    // A run's image is the one that is shown already, if that is of the same file: loaded, and where no browser can show
    // the file itself, as the server drew it.
    const [before] = settled.panes;
    if (value.state === "running" && before && settled.source === value.source) {
        value.panes[0].layers.picture = { ...before.layers.picture };
    }
    await findSize(value);
    // What is newer is shown once it is here, and not nothing until then.
    const over = value.panes.map(({ layers }) => layers.over?.top.url).filter((url) => url && !tiles.has(url));
    await Promise.all(over.map(load));
    if (given === value) showValue(); // no newer one came in the meantime
};

watch("value", show);
show();
