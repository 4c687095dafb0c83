// The navigator: all of the image, small, with the part in sight as a frame that can be dragged.

const navigator = find(".navigator");
const overview = navigator.querySelector("canvas");
let drawnOf = ""; // what the overview shows

// In the corner of the first of several images, or of the stage where there is but one row of it.
const placeNavigator = () => {
    const box = stage.getBoundingClientRect();
    const host = view.layout === "grid" ? panes[0].canvas.getBoundingClientRect() : box;
    navigator.style.right = `calc(0.5rem + ${box.right - host.right}px)`;
    navigator.style.bottom = `calc(0.5rem + ${box.bottom - host.bottom}px)`;
};

const showNavigator = (visible) => {
    const pane = visible.at(-1);
    const { canvas } = pane;
    const seen = { width: canvas.width / view.zoom / size.width, height: canvas.height / view.zoom / size.height };
    navigator.hidden = seen.width >= 1 && seen.height >= 1;
    if (navigator.hidden) return;
    const layer = pane.layers.picture;
    const url = urlOf(layer, layer.levels - 1, 0, 0);
    const bitmap = tiles.get(url);
    const longest = Math.max(size.width, size.height);
    const least = (side) => `max(0.75rem, calc(var(--side) * ${side / longest}))`;
    Object.assign(navigator.style, { width: least(size.width), height: least(size.height) });
    if (bitmap && drawnOf !== url) {
        drawnOf = url;
        const ratio = window.devicePixelRatio;
        overview.width = Math.round(navigator.clientWidth * ratio);
        overview.height = Math.round(navigator.clientHeight * ratio);
        const context = overview.getContext("2d");
        context.imageSmoothingQuality = "high";
        context.drawImage(bitmap, 0, 0, overview.width, overview.height);
    }
    const share = (value) => `${100 * Math.min(1, Math.max(0, value))}%`;
    Object.assign(navigator.querySelector("i").style, {
        left: share(view.x / size.width - seen.width / 2),
        top: share(view.y / size.height - seen.height / 2),
        width: share(seen.width),
        height: share(seen.height),
    });
};

const navigate = (event) => {
    const box = navigator.getBoundingClientRect();
    view.x = ((event.clientX - box.x) / box.width) * size.width;
    view.y = ((event.clientY - box.y) / box.height) * size.height;
    moved();
};

navigator.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    navigator.setPointerCapture(event.pointerId);
    navigate(event);
});
navigator.addEventListener("pointermove", (event) => {
    if (navigator.hasPointerCapture(event.pointerId)) navigate(event);
});
