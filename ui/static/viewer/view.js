// Where the view is: what moves it, and what keeps it inside the image.

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
    view.moved = true;
    keepInside();
    redraw();
    clearTimeout(saying);
    saying = setTimeout(say, SAY_AFTER);
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

const centreOn = ([left, top, width, height]) => {
    view.x = left + width / 2;
    view.y = top + height / 2;
};

const goTo = (box) => {
    const { canvas } = shownPane();
    centreOn(box);
    zoomTo(Math.min(canvas.width / box[2], canvas.height / box[3]));
};

// Once there is room: a value may come while its tab is out of sight.
const openAtPlace = () => {
    const box = view.place;
    view.place = null;
    if (!box) return;
    const { canvas } = shownPane();
    const zoom = Math.min(OPENING_ZOOM * window.devicePixelRatio, canvas.width / box[2]);
    if (zoom <= fitZoom(shownPane())) return;
    centreOn(box);
    Object.assign(view, { zoom, fitted: false });
};

const percent = () => `${Math.round(100 * view.zoom)} %`;
const say = () => {
    find(".said").textContent = `Zoom ${percent()}, middle at ${Math.floor(view.x)}, ${Math.floor(view.y)}.`;
};
