// A smaller image at the size of the result, by the bicubic of the server (a = -0.5, Keys 1981; Pillow's borders), for
// the part in sight alone: so that "before" costs neither a second upscale nor its tiles.

const SMOOTH_TILE = 256; // pixels a side
const SMOOTH_PER_FRAME = 3;
const scratch = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
let smoothed = 0; // tiles made in this frame
let unfinished = false; // some are left for the next one

const keysKernel = (distance) => {
    const x = Math.abs(distance);
    if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
    return x < 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0;
};

// For each of `count` pixels from `first` on, `step` pixels of the smaller image wide: the four pixels that it reads,
// counted from `low` on, and their weights, which are 0 beyond the border.
const makeTaps = (first, count, step, length, low) => {
    const places = new Int32Array(4 * count);
    const weights = new Float32Array(4 * count);
    for (let index = 0; index < count; index++) {
        const centre = (first + index + 0.5) * step - 0.5;
        const start = Math.floor(centre) - 1;
        let sum = 0;
        for (let tap = 4 * index, at = start; at < start + 4; tap++, at++) {
            places[tap] = Math.min(Math.max(at, 0), length - 1) - low;
            weights[tap] = at < 0 || at >= length ? 0 : keysKernel(at - centre);
            sum += weights[tap];
        }
        for (let tap = 4 * index; tap < 4 * index + 4; tap++) weights[tap] /= sum;
    }
    return { places, weights };
};

// The layer's own pixels there, colours multiplied by opacity; null while tiles are on their way.
const readLayer = (layer, left, top, width, height) => {
    const parts = [];
    for (let row = Math.floor(top / layer.tile); row * layer.tile < top + height; row++) {
        for (let column = Math.floor(left / layer.tile); column * layer.tile < left + width; column++) {
            parts.push({ row, column, bitmap: tileAt(layer, 0, row, column) });
        }
    }
    if (parts.some(({ bitmap }) => !bitmap)) return null;
    Object.assign(scratch.canvas, { width, height });
    for (const { row, column, bitmap } of parts) {
        scratch.drawImage(bitmap, column * layer.tile - left, row * layer.tile - top);
    }
    const { data } = scratch.getImageData(0, 0, width, height);
    const values = new Float32Array(data);
    for (let at = 0; at < values.length; at += 4) {
        if (data[at + 3] === 255) continue;
        for (let channel = 0; channel < 3; channel++) values[at + channel] *= data[at + 3] / 255;
    }
    return values;
};

// That part of the enlarged image, in pixels of `level`; null while tiles are on their way.
const smoothPart = (layer, level, left, top, width, height) => {
    const step = { x: (layer.width / size.width) * 2 ** level, y: (layer.height / size.height) * 2 ** level };
    const low = (first, by) => Math.max(0, Math.floor((first + 0.5) * by - 0.5) - 1);
    const high = (last, by, length) => Math.min(length, Math.floor((last - 0.5) * by - 0.5) + 3);
    const x0 = low(left, step.x), x1 = high(left + width, step.x, layer.width);
    const y0 = low(top, step.y), y1 = high(top + height, step.y, layer.height);
    const values = readLayer(layer, x0, y0, x1 - x0, y1 - y0);
    if (!values) return null;
    const across = makeTaps(left, width, step.x, layer.width, x0);
    const down = makeTaps(top, height, step.y, layer.height, y0);
    const columns = x1 - x0, rows = y1 - y0;
    const wide = new Float32Array(rows * width * 4);
    for (let row = 0, to = 0; row < rows; row++) {
        const from = 4 * row * columns;
        for (let tap = 0; tap < 4 * width; tap += 4) {
            const w0 = across.weights[tap], w1 = across.weights[tap + 1];
            const w2 = across.weights[tap + 2], w3 = across.weights[tap + 3];
            let p0 = from + 4 * across.places[tap], p1 = from + 4 * across.places[tap + 1];
            let p2 = from + 4 * across.places[tap + 2], p3 = from + 4 * across.places[tap + 3];
            for (const end = to + 4; to < end; to++, p0++, p1++, p2++, p3++) {
                wide[to] = w0 * values[p0] + w1 * values[p1] + w2 * values[p2] + w3 * values[p3];
            }
        }
    }
    const made = new ImageData(width, height);
    const stride = 4 * width;
    const line = new Float32Array(stride);
    for (let y = 0; y < height; y++) {
        const [w0, w1, w2, w3] = down.weights.subarray(4 * y, 4 * y + 4);
        const [p0, p1, p2, p3] = down.places.subarray(4 * y, 4 * y + 4).map((place) => stride * place);
        for (let at = 0; at < stride; at++) {
            line[at] = w0 * wide[p0 + at] + w1 * wide[p1 + at] + w2 * wide[p2 + at] + w3 * wide[p3 + at];
        }
        for (let at = 0, to = y * stride; at < stride; at += 4, to += 4) {
            const opacity = line[at + 3];
            const by = opacity >= 254.5 ? 1 : opacity > 0 ? 255 / opacity : 0;
            for (let channel = 0; channel < 3; channel++) made.data[to + channel] = line[at + channel] * by;
            made.data[to + 3] = opacity;
        }
    }
    return made;
};

const smoothTile = (layer, level, row, column) => {
    const key = `bicubic ${size.width} ${size.height} ${level} ${row} ${column} ${layer.top.url}`;
    inSight.add(key);
    let bitmap = tiles.get(key);
    if (bitmap) {
        tiles.delete(key);
        tiles.set(key, bitmap);
        return bitmap;
    }
    if (smoothed >= SMOOTH_PER_FRAME) {
        unfinished = true;
        return null;
    }
    const left = column * SMOOTH_TILE, top = row * SMOOTH_TILE;
    const width = Math.min(SMOOTH_TILE, Math.ceil(size.width / 2 ** level) - left);
    const height = Math.min(SMOOTH_TILE, Math.ceil(size.height / 2 ** level) - top);
    const made = smoothPart(layer, level, left, top, width, height);
    if (!made) return null;
    smoothed += 1;
    const canvas = new OffscreenCanvas(width, height);
    canvas.getContext("2d").putImageData(made, 0, 0);
    bitmap = canvas.transferToImageBitmap();
    keepTile(key, bitmap);
    return bitmap;
};
