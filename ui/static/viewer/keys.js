// Keys and buttons.

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
let visited = -1; // of the places where they differ most
const goToPlace = (index) => {
    visited = index;
    goTo(given.boxes[index]);
};
const SWIPES = {
    ",": () => swipeTo(view.share - SWIPE_STEP),
    ".": () => swipeTo(view.share + SWIPE_STEP),
    ArrowLeft: () => swipeTo(view.share - SWIPE_STEP),
    ArrowRight: () => swipeTo(view.share + SWIPE_STEP),
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
    n: () => given.boxes.length && goToPlace((visited + 1) % given.boxes.length),
    f: () => showFull(!view.full),
    "?": () => showHelp(find(".help").hidden),
    ",": SWIPES[","],
    ".": SWIPES["."],
};

panesBox.addEventListener("keydown", (event) => {
    const act = (event.shiftKey && view.layout === "swipe" && SWIPES[event.key]) || KEYS[event.key];
    if (!act || event.ctrlKey || event.metaKey || event.altKey || !panes.length) return;
    event.preventDefault();
    act();
    if (!SWIPES[event.key] || !event.shiftKey) pointAt({ x: view.x, y: view.y });
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
find(".other").addEventListener("change", () => layOut(view.layout));

const showLayer = (layer) => {
    view.layer = layer;
    for (const button of root.querySelectorAll("[data-layer]")) {
        button.setAttribute("aria-pressed", button.dataset.layer === layer);
    }
    find(".scale").hidden = !(layer in HEATS);
    if (layer in HEATS) {
        find(".most").textContent = `${given.heat[layer]} levels or more`;
        find(".what").textContent = HEATS[layer];
    }
    redraw();
};

root.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    const { zoom, layer, box, only, layout } = button.dataset;
    if (zoom) ZOOMS[zoom]();
    if (layer) showLayer(layer);
    if (box) goToPlace(Number(box));
    if (layout) {
        view.laid = true;
        view.larger = false;
        layOut(layout);
    }
    if (only) {
        if (panes.indexOf(other()) === Number(only)) find(".other").value = view.chosen;
        view.chosen = Number(only);
        view.laid = view.larger = true;
        layOut("swipe");
        panesBox.focus();
    }
});
