// The pixel under the pointer: its colour in every pane, and how far it is from the original's.

const colourAt = (layer, x, y) => {
    if (layer.smooth && layer.width < size.width) {
        const made = smoothPart(layer, 0, Math.floor(x), Math.floor(y), 1, 1);
        return made ? { colour: [...made.data.slice(0, 3)] } : {};
    }
    const column = Math.floor((x * layer.width) / size.width);
    const row = Math.floor((y * layer.height) / size.height);
    const tile = { row: Math.floor(row / layer.tile), column: Math.floor(column / layer.tile) };
    const url = urlOf(layer, 0, tile.row, tile.column);
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
    const values = [];
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
        values.push(value.textContent);
    }
    const told = view.layout === "grid" || !values.length ? "" : `: ${values.join(" | ")}`;
    const where = `${size.width} × ${size.height}${at ? ` · RGB at ${at.x}, ${at.y}${told}` : ""}`;
    if (find(".where").textContent !== where) find(".where").textContent = where;
};

// The full-size tiles under the spot, once it rests: passing over the image must not fetch all of it.
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
    resting = setTimeout(fetchSpot, FETCH_AFTER);
    redraw();
};
