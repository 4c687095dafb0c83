// The panes, made anew for each value.

const make = (tag, attributes, ...children) => {
    const made = document.createElement(tag);
    Object.entries(attributes).forEach(([name, value]) => made.setAttribute(name, value));
    made.append(...children);
    return made;
};

const makePane = ({ label, caption, layers }, index) => {
    const canvas = make("canvas", { role: "img", "aria-label": `${label}: ${caption}` });
    const cursor = make("i", { class: "cursor", hidden: "" });
    const name = make("span", { class: "name" }, label);
    const said = { "aria-label": `Only ${label}`, title: "Only this one, larger", "aria-pressed": false };
    const only = make("button", { type: "button", class: "only", "data-only": index, ...said }, "⤢");
    const value = make("span", { class: "value" });
    const about = make("span", { class: "about" }, caption);
    const figure = make("figure", { class: "pane" }, canvas, cursor, make("figcaption", {}, name, only, about, value));
    for (const layer of Object.values(layers)) layer.base = layer.top.url.slice(0, layer.top.url.lastIndexOf("/") + 1);
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
    keepInside();
    draw();
};
const observer = new ResizeObserver(measure);

const show = () => {
    given = props.value || { panes: [], boxes: [] };
    root.hidden = !given.panes.length;
    failed.clear();
    find(".lost").hidden = true;
    blink(false);
    const chosen = find(".other").selectedOptions[0]?.textContent;
    panes = given.panes.map(makePane);
    panesBox.replaceChildren(...panes.map(({ figure }) => figure));
    observer.disconnect();
    if (!panes.length) return;
    const { width, height } = panes[0].layers.picture;
    if (width !== size.width || height !== size.height) {
        size = { width, height };
        Object.assign(view, { fitted: true, spot: null });
    }
    panesBox.style.setProperty("--aspect", Math.min(Math.max(width / height, 0.75), 1.6));
    find(".other").replaceChildren(...panes.map(({ label }, index) => make("option", { value: index }, label)));
    const same = panes.findIndex(({ label }) => label === chosen);
    find(".other").value = same < 0 ? (given.original ?? 0) : same;
    find(".boxes").hidden = !given.boxes.length;
    const buttons = given.boxes.map((_, index) => {
        const name = `Place ${index + 1} where they differ most`;
        return make("button", { type: "button", "data-box": index, "aria-label": name, title: name }, `${index + 1}`);
    });
    find(".boxes").replaceChildren("Most different", ...buttons);
    root.querySelectorAll("[data-layer]").forEach((button) => {
        button.hidden = !panes.some(({ layers }) => button.dataset.layer in layers);
    });
    find(".layers").hidden = !panes.some(({ layers }) => "error" in layers || "consistency" in layers);
    find(".scale i").style.background = `linear-gradient(to right, ${given.heat.colours.join(", ")})`;
    showLayer(panes.some(({ layers }) => view.layer in layers) ? view.layer : "picture");
    showSingle(view.single !== null && view.single < panes.length ? view.single : null);
    panes.forEach(({ canvas }) => observer.observe(canvas));
};

watch("value", show);
show();
