// Mouse, pen and fingers.

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

// What is held is remembered and not each movement, so that it stays under the fingers even past the image's edge.
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
    if (pointers.size > 1) panesBox.focus({ preventScroll: true });
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
panesBox.addEventListener("dblclick", (event) => {
    if (!event.target.matches("canvas")) return;
    const { dx, dy } = fromMiddle(event.target, placeOf(event));
    if (view.fitted) zoomTo(Math.max(view.zoom, OPENING_ZOOM * window.devicePixelRatio), dx, dy);
    else fitAll();
});

// Two fingers are ours even where one scrolls the page.
panesBox.addEventListener("touchstart", (event) => {
    if (event.touches.length > 1 && event.cancelable) event.preventDefault();
}, { passive: false });

const hint = () => {
    find(".hint").hidden = false;
    clearTimeout(hinting);
    hinting = setTimeout(() => (find(".hint").hidden = true), HINT_FOR);
};

// The wheel is the page's until the image was clicked, which is when the panes have the focus.
const isOurs = (event) => event.ctrlKey || view.full || panesBox.contains(document.activeElement);

panesBox.addEventListener("wheel", (event) => {
    if (!event.target.matches("canvas")) return;
    if (!isOurs(event)) return hint();
    if (view.fitted && event.deltaY > 0 && !view.full && !event.ctrlKey) return; // it is all in sight, so the page scrolls
    event.preventDefault();
    const { dx, dy } = fromMiddle(event.target, placeOf(event));
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1;
    zoomTo(view.zoom * Math.exp(-event.deltaY * lines * (event.ctrlKey ? 0.01 : 0.0015)), dx, dy);
    pointAt(spotAt(event.target, placeOf(event)));
}, { passive: false });
