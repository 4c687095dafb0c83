// Drawing: each pane's tiles at the level that fits the zoom, or coarser ones while those are on their way.

const other = () => panes[Number(find(".other").value)] ?? panes[0];
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
        const found = tiles.get(urlOf(layer, coarse.level, coarse.row, coarse.column));
        if (found) return { bitmap: found, ...coarse };
    }
    return null;
};

const drawLayer = ({ canvas, context }, layer) => {
    const scale = scaleOf(layer, canvas);
    context.imageSmoothingQuality = layer.whole ? "medium" : "low"; // a whole file has no smaller levels
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
        context.imageSmoothingEnabled = layer.smooth || scale.x * step < 1 || best.level > part.level;
        context.drawImage(
            best.bitmap,
            (part.x0 - best.column * side) / step, (part.y0 - best.row * side) / step,
            (part.x1 - part.x0) / step, (part.y1 - part.y0) / step,
            x0, y0, x1 - x0, y1 - y0,
        );
    }
};

// The bicubic enlargement over what `drawLayer` drew for the time being.
const drawSmooth = ({ canvas, context }, layer) => {
    const enlarged = { width: size.width, height: size.height, tile: SMOOTH_TILE, levels: 32 };
    const scale = scaleOf(enlarged, canvas);
    for (const { level, row, column } of inView(enlarged, canvas, scale)) {
        const bitmap = smoothTile(layer, level, row, column);
        if (!bitmap) continue;
        const step = 2 ** level * scale.x;
        const [left, top] = [column * SMOOTH_TILE * step, row * SMOOTH_TILE * step];
        const x0 = Math.round(scale.left + left), x1 = Math.round(scale.left + left + bitmap.width * step);
        const y0 = Math.round(scale.top + top), y1 = Math.round(scale.top + top + bitmap.height * step);
        context.imageSmoothingEnabled = step < 1;
        if (layer.clear || layer.whole) {
            context.clearRect(x0, y0, x1 - x0, y1 - y0);
            drawBoard(context, x0, y0, x1, y1);
        }
        context.drawImage(bitmap, x0, y0, x1 - x0, y1 - y0);
    }
};

const isDark = () => Boolean(root.closest(".dark"));
const boards = {};
const boardOf = (dark) => {
    if (boards[dark]) return boards[dark];
    const side = 8 * Math.ceil(window.devicePixelRatio);
    const square = new OffscreenCanvas(2 * side, 2 * side).getContext("2d");
    square.fillStyle = dark ? "#3f4650" : "#ffffff";
    square.fillRect(0, 0, 2 * side, 2 * side);
    square.fillStyle = dark ? "#2a2f37" : "#d3d7de";
    square.fillRect(0, 0, side, side);
    square.fillRect(side, side, side, side);
    return (boards[dark] = square.createPattern(square.canvas, "repeat"));
};

// A chequerboard, to be seen through what is transparent.
const drawBoard = (context, x0, y0, x1, y1) => {
    context.fillStyle = boardOf(isDark());
    context.fillRect(x0, y0, x1 - x0, y1 - y0);
};

const drawPane = (pane) => {
    const { canvas, context } = pane;
    const layer = shown(pane);
    context.clearRect(0, 0, canvas.width, canvas.height);
    if (!layer.width) return;
    const scale = scaleOf(layer, canvas);
    if (layer.clear || (layer.whole && tiles.has(layer.top.url))) {
        drawBoard(context, scale.left, scale.top, scale.left + layer.width * scale.x, scale.top + layer.height * scale.y);
    }
    drawLayer(pane, layer);
    if (layer.smooth && scale.x > 1) drawSmooth(pane, layer);
    if (given.state === "running") {
        context.fillStyle = isDark() ? "rgb(15 23 42 / 60%)" : "rgb(255 255 255 / 60%)";
        context.fillRect(0, 0, canvas.width, canvas.height);
    }
    if (pane.layers.over) drawLayer(pane, pane.layers.over);
};

const draw = () => {
    drawing = 0;
    smoothed = 0;
    unfinished = false;
    const visible = panes.filter(({ canvas }) => canvas.width > 0);
    if (!visible.length) return;
    wanted = [];
    inSight = new Set();
    visible.forEach(drawPane);
    const missing = wanted;
    wanted = [];
    // One tile of all of each image, so that nothing is empty where one goes next: before what is in sight if that is
    // much, so that it is seen at once, if blurred, else after it.
    for (const pane of visible) tileAt(shown(pane), shown(pane).levels - 1, 0, 0);
    if (missing.length > FEW_TILES * visible.length) wanted.push(...missing);
    else if (missing.length) wanted = missing;
    showNavigator(visible);
    loadWanted(missing.length > 0);
    if (unfinished) redraw();
    drawMarks(visible);
    Object.assign(root.dataset, { x: view.x, y: view.y, zoom: view.zoom });
    const text = percent();
    if (find(".zoom").textContent !== text) find(".zoom").textContent = text;
    panesBox.classList.toggle("fitted", view.fitted);
};

const redraw = () => {
    drawing ||= requestAnimationFrame(draw);
};
