// Shows an image that was just chosen, in the place of the result of another one: at once, and without the server.
(picture, madeOf, line, scale = "xSCALE") => {
    if ([picture].flat().length > 1) return; // a batch has results of its own kind
    const first = [picture].flat()[0];
    const file = first?.file ?? first;
    const known = madeOf ? JSON.parse(madeOf) : {};
    if (file?.path && file.path === known.source) return; // it is its own result
    const told = Number(String(scale).replace(/^x/, "")); // none of a size of one's own
    const times = told || SCALE;
    const url = first?.shown ?? file?.url; // what the server drew of a file that no browser shows may be smaller
    const sides = first?.about?.match(/(\d+) × (\d+)/)?.slice(1).map((side) => Number(side) * times);
    const layers = { picture: { top: { url }, whole: true } };
    const view = {
        panes: url ? [{ label: "Preview", caption: told ? `Bicubic x${times}` : "Bicubic", smooth: true, layers }] : [],
        boxes: [], original: null, layout: "side", size: sides, scale: times, state: "preview", source: file?.path,
        empty: "Choose an image, and your result will appear here.",
    };
    const off = { __type__: "update", value: null, interactive: false };
    const shown = { __type__: "update", visible: true };
    const ready = line.includes("progress idle") ? READY : { __type__: "update" }; // a run has its line to itself
    return [ready, "", view, "", null, off, "", shown, "", ...Array(ALSO).fill("")];
}
