// Tiles: fetched as they come into sight, the latest kept decoded.

const urlOf = (layer, level, row, column) => (layer.whole ? layer.top.url : `${layer.base}${level}_${row}_${column}.webp`);

const tileAt = (layer, level, row, column) => {
    const url = urlOf(layer, level, row, column);
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

const keepTile = (url, bitmap) => {
    tiles.set(url, bitmap);
    for (const old of tiles.keys()) {
        if (tiles.size <= MOST_TILES) break;
        if (inSight.has(old)) continue;
        tiles.get(old).close();
        tiles.delete(old);
    }
};

const load = async (url) => {
    fetching.add(url);
    try {
        const answer = await fetch(url);
        if (!answer.ok) throw new Error(answer.statusText);
        keepTile(url, await createImageBitmap(await answer.blob(), { colorSpaceConversion: "none" }));
    } catch {
        failed.add(url);
        find(".lost").hidden = false;
    }
    fetching.delete(url);
    redraw();
};

const loadWanted = (missing) => {
    for (const url of wanted) {
        if (fetching.size >= MOST_FETCHING) break;
        if (!fetching.has(url)) load(url);
    }
    const busy = String(missing || unfinished);
    if (panesBox.getAttribute("aria-busy") !== busy) panesBox.setAttribute("aria-busy", busy);
};
