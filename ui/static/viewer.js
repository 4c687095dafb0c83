// Panes of tiles at one zoom and position. A zoom of 1 is one pixel of the first picture on one pixel of the screen.
const KEPT = 192; // decoded tiles, of 1 MB each
const AT_ONCE = 8; // tiles being fetched
const CLOSEST = 32; // the largest zoom
const ZOOM_STEP = 1.25;
const PAN_STEP = 0.1; // of a pane
const QUIET = 700; // milliseconds without a movement until it is said where the view is
const REST = 80; // milliseconds that the pointer stays until the pixels under it are fetched
const HEATS = {
    error: "|result − original|, the largest of red, green and blue",
    consistency: "|result shrunk again − small picture|, the largest of red, green and blue",
};

const root = element.querySelector(".viewer");
const find = (selector) => root.querySelector(selector);
const panesBox = find(".panes");
const probe = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });

const view = { x: 0, y: 0, zoom: 1, fitted: true, layer: "picture", blinking: false, single: null, spot: null };
const tiles = new Map(); // address to bitmap, the one used longest ago first
const fetching = new Set();
const failed = new Set();
const pointers = new Map(); // fingers and buttons that are down: id to place
let gripped = null; // what of the picture they hold: the place in it, and the zoom and how far they were apart then
let given = { panes: [], boxes: [] };
let panes = []; // { figure, canvas, context, name, value, cursor, layers, label }
let size = { width: 1, height: 1 }; // of the first picture
let wanted = []; // addresses, the most urgent first
let inSight = new Set(); // addresses of the tiles drawn last, which must stay
let drawing = 0;
let saying = 0;
let resting = 0;

// --- the view ---

const shownPane = () => panes.find((pane) => pane.canvas.width > 0) ?? panes[0];
const fitZoom = ({ canvas }) => Math.min(canvas.width / size.width, canvas.height / size.height);
const bounded = (zoom, fit) => Math.min(Math.max(zoom, Math.min(fit, 1)), Math.max(CLOSEST, fit));

const keepInside = () => {
    const { canvas } = shownPane();
    if (!canvas.width) return;
    const fit = fitZoom(shownPane());
    view.zoom = view.fitted ? fit : bounded(view.zoom, fit);
    view.fitted = view.fitted || Math.abs(view.zoom / fit - 1) < 1e-6;
    const inside = (at, side, seen) => (side <= seen ? side / 2 : Math.min(Math.max(at, seen / 2), side - seen / 2));
    view.x = inside(view.x, size.width, canvas.width / view.zoom);
    view.y = inside(view.y, size.height, canvas.height / view.zoom);
};

const moved = () => {
    keepInside();
    redraw();
    clearTimeout(saying);
    saying = setTimeout(say, QUIET);
};

const pan = (dx, dy) => {
    view.x += dx / view.zoom;
    view.y += dy / view.zoom;
    moved();
};

// Keeps what is at that place of the pane, in screen pixels from its middle, where it is.
const zoomTo = (zoom, dx = 0, dy = 0) => {
    const x = view.x + dx / view.zoom;
    const y = view.y + dy / view.zoom;
    view.zoom = bounded(zoom, fitZoom(shownPane()));
    view.fitted = false;
    view.x = x - dx / view.zoom;
    view.y = y - dy / view.zoom;
    moved();
};

const fitAll = () => {
    view.fitted = true;
    moved();
};

const goTo = ([left, top, width, height]) => {
    const { canvas } = shownPane();
    view.x = left + width / 2;
    view.y = top + height / 2;
    zoomTo(Math.min(canvas.width / width, canvas.height / height));
};

const percent = () => `${Math.round(100 * view.zoom)} %`;
const say = () => {
    find(".said").textContent = `Zoom ${percent()}, middle at ${Math.floor(view.x)}, ${Math.floor(view.y)}.`;
};

// --- tiles ---

const address = (layer, level, row, column) => `${layer.base}${level}_${row}_${column}.webp`;

const tileAt = (layer, level, row, column) => {
    const url = address(layer, level, row, column);
    inSight.add(url);
    const bitmap = tiles.get(url);
    if (bitmap) {
        tiles.delete(url);
        tiles.set(url, bitmap);
    } else if (!failed.has(url)) {
        wanted.push(url);
    }
    return bitmap;
};

const load = async (url) => {
    fetching.add(url);
    try {
        const answer = await fetch(url);
        if (!answer.ok) throw new Error(answer.statusText);
        tiles.set(url, await createImageBitmap(await answer.blob(), { colorSpaceConversion: "none" }));
    } catch {
        failed.add(url);
        find(".lost").hidden = false;
    }
    fetching.delete(url);
    for (const old of tiles.keys()) {
        if (tiles.size <= KEPT) break;
        if (inSight.has(old)) continue;
        tiles.get(old).close();
        tiles.delete(old);
    }
    redraw();
};

const loadWanted = () => {
    for (const url of wanted) {
        if (fetching.size >= AT_ONCE) break;
        if (!fetching.has(url)) load(url);
    }
    const busy = String(wanted.length > 0);
    if (panesBox.getAttribute("aria-busy") !== busy) panesBox.setAttribute("aria-busy", busy);
};

// --- drawing ---

const other = () => panes[Number(find(".other").value)];
const shown = (pane) => (view.blinking ? other().layers.picture : (pane.layers[view.layer] ?? pane.layers.picture));

// Each tile of the layer that is in sight, at the level nearest above the screen's pixels, and which part of it, in the
// pixels of level 0.
function* inView(layer, canvas, scale) {
    const level = Math.min(Math.max(Math.floor(Math.log2(1 / scale.x)), 0), layer.levels - 1);
    const side = layer.tile * 2 ** level;
    const left = Math.max(0, -scale.left / scale.x);
    const top = Math.max(0, -scale.top / scale.y);
    const right = Math.min(layer.width, (canvas.width - scale.left) / scale.x);
    const bottom = Math.min(layer.height, (canvas.height - scale.top) / scale.y);
    const step = 2 ** level; // a pixel of the level is drawn as a whole or not at all
    for (let row = Math.floor(top / side); row * side < bottom; row++) {
        for (let column = Math.floor(left / side); column * side < right; column++) {
            yield {
                level, row, column,
                x0: Math.max(column * side, Math.floor(left / step) * step),
                y0: Math.max(row * side, Math.floor(top / step) * step),
                x1: Math.min((column + 1) * side, layer.width, Math.ceil(right / step) * step),
                y1: Math.min((row + 1) * side, layer.height, Math.ceil(bottom / step) * step),
            };
        }
    }
}

// How many screen pixels a pixel of the layer is wide and high, and where its left upper corner is on the canvas.
const scaleOf = (layer, canvas) => ({
    x: (view.zoom * size.width) / layer.width,
    y: (view.zoom * size.height) / layer.height,
    left: Math.round(canvas.width / 2 - view.x * view.zoom),
    top: Math.round(canvas.height / 2 - view.y * view.zoom),
});

// The tile, or while it is not there the part of a coarser one that shows the same.
const bestTile = (layer, { level, row, column }) => {
    const bitmap = tileAt(layer, level, row, column);
    if (bitmap) return { bitmap, level, row, column };
    for (let up = 1; level + up < layer.levels; up++) {
        const coarse = { level: level + up, row: row >> up, column: column >> up };
        const found = tiles.get(address(layer, coarse.level, coarse.row, coarse.column));
        if (found) return { bitmap: found, ...coarse };
    }
    return null;
};

const drawPane = (pane) => {
    const { canvas, context } = pane;
    const layer = shown(pane);
    const scale = scaleOf(layer, canvas);
    context.clearRect(0, 0, canvas.width, canvas.height);
    for (const part of inView(layer, canvas, scale)) {
        const best = bestTile(layer, part);
        if (!best) continue;
        const step = 2 ** best.level;
        const side = layer.tile * step;
        // On whole pixels of the screen, or seams would show between tiles.
        const x0 = Math.round(scale.left + part.x0 * scale.x);
        const y0 = Math.round(scale.top + part.y0 * scale.y);
        const x1 = Math.round(scale.left + part.x1 * scale.x);
        const y1 = Math.round(scale.top + part.y1 * scale.y);
        context.imageSmoothingEnabled = scale.x * step < 1 || best.level > part.level;
        context.drawImage(
            best.bitmap,
            (part.x0 - best.column * side) / step, (part.y0 - best.row * side) / step,
            (part.x1 - part.x0) / step, (part.y1 - part.y0) / step,
            x0, y0, x1 - x0, y1 - y0,
        );
    }
};

const draw = () => {
    drawing = 0;
    const visible = panes.filter(({ canvas }) => canvas.width > 0);
    if (!visible.length) return;
    wanted = [];
    inSight = new Set();
    // First one tile of everything that may come into sight, so that nothing stays empty.
    for (const pane of visible) tileAt(shown(pane), shown(pane).levels - 1, 0, 0);
    visible.forEach(drawPane);
    if (view.single !== null) {
        const { canvas } = visible[0];
        const layer = other().layers.picture;
        const scale = scaleOf(layer, canvas);
        for (const { level, row, column } of inView(layer, canvas, scale)) tileAt(layer, level, row, column);
    }
    loadWanted();
    drawMarks(visible);
    Object.assign(root.dataset, { x: view.x, y: view.y, zoom: view.zoom });
    const text = percent();
    if (find(".zoom").textContent !== text) find(".zoom").textContent = text;
    panesBox.classList.toggle("fitted", view.fitted);
};

const redraw = () => {
    drawing ||= requestAnimationFrame(draw);
};

// --- the pixel under the pointer ---

const colourAt = (layer, x, y) => {
    const column = Math.floor((x * layer.width) / size.width);
    const row = Math.floor((y * layer.height) / size.height);
    const tile = { row: Math.floor(row / layer.tile), column: Math.floor(column / layer.tile) };
    const url = address(layer, 0, tile.row, tile.column);
    const bitmap = tiles.get(url);
    if (!bitmap) return { url };
    probe.drawImage(bitmap, column - tile.column * layer.tile, row - tile.row * layer.tile, 1, 1, 0, 0, 1, 1);
    return { colour: [...probe.getImageData(0, 0, 1, 1).data.slice(0, 3)] };
};

const difference = (colour, reference) => Math.max(...colour.map((level, index) => Math.abs(level - reference[index])));

const drawMarks = (visible) => {
    const ratio = window.devicePixelRatio;
    const { spot } = view;
    const at = spot && { x: Math.floor(spot.x), y: Math.floor(spot.y) };
    const original = panes[given.original]?.layers.picture;
    const reference = at && original && colourAt(original, spot.x, spot.y).colour;
    for (const { canvas, cursor, value, layers } of visible) {
        cursor.hidden = !at;
        if (!at) {
            value.textContent = "";
            continue;
        }
        const side = Math.max(7, view.zoom / ratio);
        const left = ((at.x + 0.5 - view.x) * view.zoom + canvas.width / 2) / ratio - side / 2;
        const top = ((at.y + 0.5 - view.y) * view.zoom + canvas.height / 2) / ratio - side / 2;
        cursor.hidden = left < 0 || top < 0 || left + side > canvas.clientWidth || top + side > canvas.clientHeight;
        cursor.style.cssText = `width:${side}px;height:${side}px;transform:translate(${left}px,${top}px)`;
        const { colour } = colourAt(layers.picture, spot.x, spot.y);
        const apart = colour && reference && view.layer === "error" ? ` · Δ ${difference(colour, reference)}` : "";
        value.textContent = colour ? `${colour.join(" ")}${apart}` : "…";
    }
    const where = `${size.width} × ${size.height}${at ? ` · RGB at ${at.x}, ${at.y}` : ""}`;
    if (find(".where").textContent !== where) find(".where").textContent = where;
};

// The full-size tiles under the spot, once it rests: passing over the picture must not fetch all of it.
const fetchSpot = () => {
    if (!view.spot) return;
    for (const { layers } of panes) {
        const { url } = colourAt(layers.picture, view.spot.x, view.spot.y);
        if (url && !fetching.has(url) && !failed.has(url)) load(url);
    }
};

const pointAt = (spot) => {
    const inside = spot && spot.x >= 0 && spot.y >= 0 && spot.x < size.width && spot.y < size.height;
    view.spot = inside ? spot : null;
    clearTimeout(resting);
    resting = setTimeout(fetchSpot, REST);
    redraw();
};

// --- mouse, pen and fingers ---

// Screen pixels from the middle of the pane.
const fromMiddle = (canvas, { x, y }) => {
    const box = canvas.getBoundingClientRect();
    const ratio = window.devicePixelRatio;
    return { dx: (x - box.x - box.width / 2) * ratio, dy: (y - box.y - box.height / 2) * ratio };
};

const spotAt = (canvas, place) => {
    const { dx, dy } = fromMiddle(canvas, place);
    return { x: view.x + dx / view.zoom, y: view.y + dy / view.zoom };
};

// Of the first two that are down, who may be on two panes; of one it is the place itself.
const middleOf = ([first, second = first]) => ({
    x: (first.x + second.x) / 2,
    y: (first.y + second.y) / 2,
    apart: Math.hypot(first.x - second.x, first.y - second.y) || 1,
    canvas: first.canvas,
});

// What is held is remembered and not each movement, so that it stays under the fingers even past the picture's edge.
const grip = () => {
    panesBox.classList.toggle("held", pointers.size > 0);
    if (!pointers.size) return;
    const middle = middleOf([...pointers.values()]);
    gripped = { ...spotAt(middle.canvas, middle), zoom: view.zoom, apart: middle.apart };
};

const carry = () => {
    const middle = middleOf([...pointers.values()]);
    const { dx, dy } = fromMiddle(middle.canvas, middle);
    if (pointers.size > 1) zoomTo((gripped.zoom * middle.apart) / gripped.apart);
    view.x = gripped.x - dx / view.zoom;
    view.y = gripped.y - dy / view.zoom;
    moved();
};

const placeOf = (event) => ({ x: event.clientX, y: event.clientY, canvas: event.target });

panesBox.addEventListener("pointerdown", (event) => {
    if (event.button || !event.target.matches("canvas")) return;
    event.target.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, placeOf(event));
    grip();
    pointAt(spotAt(event.target, placeOf(event)));
});

panesBox.addEventListener("pointermove", (event) => {
    if (!event.target.matches("canvas")) return;
    if (pointers.has(event.pointerId)) {
        pointers.set(event.pointerId, placeOf(event));
        carry();
    }
    pointAt(spotAt(event.target, placeOf(event)));
});

const letGo = (event) => {
    if (pointers.delete(event.pointerId)) grip();
};
panesBox.addEventListener("pointerup", letGo);
panesBox.addEventListener("pointercancel", letGo);
panesBox.addEventListener("pointerleave", (event) => {
    if (event.pointerType === "mouse") pointAt(null);
});

// Two fingers are ours even where one scrolls the page.
panesBox.addEventListener("touchstart", (event) => {
    if (event.touches.length > 1 && event.cancelable) event.preventDefault();
}, { passive: false });

panesBox.addEventListener("wheel", (event) => {
    if (!event.target.matches("canvas")) return;
    if (view.fitted && event.deltaY > 0) return; // it is all in sight, so the page scrolls
    event.preventDefault();
    const { dx, dy } = fromMiddle(event.target, placeOf(event));
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1;
    zoomTo(view.zoom * Math.exp(-event.deltaY * lines * (event.ctrlKey ? 0.01 : 0.0015)), dx, dy);
    pointAt(spotAt(event.target, placeOf(event)));
}, { passive: false });

// --- keys and buttons ---

const blink = (held) => {
    if (view.blinking === held || !panes.length) return;
    view.blinking = held;
    find(".blink").setAttribute("aria-pressed", held);
    for (const pane of panes) {
        pane.figure.classList.toggle("blinking", held && pane !== other());
        pane.name.textContent = held ? other().label : pane.label;
    }
    redraw();
};

const stride = () => PAN_STEP * shownPane().canvas.width;
const ZOOMS = {
    in: () => zoomTo(view.zoom * ZOOM_STEP),
    out: () => zoomTo(view.zoom / ZOOM_STEP),
    fit: fitAll,
    pixels: () => zoomTo(1),
};
const KEYS = {
    ArrowLeft: () => pan(-stride(), 0),
    ArrowRight: () => pan(stride(), 0),
    ArrowUp: () => pan(0, -stride()),
    ArrowDown: () => pan(0, stride()),
    "+": ZOOMS.in,
    "=": ZOOMS.in,
    "-": ZOOMS.out,
    0: ZOOMS.fit,
    1: ZOOMS.pixels,
};

panesBox.addEventListener("keydown", (event) => {
    const act = KEYS[event.key];
    if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    act();
    pointAt({ x: view.x, y: view.y });
});

const isBlink = (event) =>
    event.key.toLowerCase() === "b" || (event.target.matches(".blink") && (event.key === " " || event.key === "Enter"));
root.addEventListener("keydown", (event) => {
    if (!isBlink(event) || event.ctrlKey || event.metaKey || event.altKey || event.target.matches("select")) return;
    event.preventDefault();
    blink(true);
});
root.addEventListener("keyup", (event) => {
    if (isBlink(event)) blink(false);
});
root.addEventListener("focusout", (event) => {
    if (!root.contains(event.relatedTarget)) blink(false);
});
find(".blink").addEventListener("pointerdown", (event) => {
    event.target.setPointerCapture(event.pointerId);
    blink(true);
});
find(".blink").addEventListener("lostpointercapture", () => blink(false));
find(".blink").addEventListener("contextmenu", (event) => event.preventDefault());
find(".other").addEventListener("change", redraw);

const showLayer = (layer) => {
    view.layer = layer;
    for (const button of root.querySelectorAll("[data-layer]")) {
        button.setAttribute("aria-pressed", button.dataset.layer === layer);
    }
    find(".help").classList.toggle("away", layer in HEATS);
    find(".scale").classList.toggle("away", !(layer in HEATS));
    if (layer in HEATS) {
        find(".most").textContent = `${given.heat[layer]} levels or more`;
        find(".what").textContent = HEATS[layer];
    }
    redraw();
};

const showSingle = (index) => {
    view.single = index;
    panesBox.classList.toggle("single", index !== null);
    panes.forEach(({ figure, only }, place) => {
        figure.classList.toggle("chosen", place === index);
        only.setAttribute("aria-pressed", place === index);
    });
    measure();
};

root.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    const { zoom, layer, box, only } = button.dataset;
    if (zoom) ZOOMS[zoom]();
    if (layer) showLayer(layer);
    if (box) goTo(given.boxes[Number(box)]);
    if (only) showSingle(view.single === Number(only) ? null : Number(only));
});

// --- building ---

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
