// Shows an image that was just chosen, in the place of the result of another one: at once, and without the server.
(picture, madeOf, scale = "x4") => {
    const first = [picture].flat()[0];
    const file = first?.file ?? first;
    const known = madeOf ? JSON.parse(madeOf) : {};
    if (file?.path && file.path === known.source) return; // it is its own result
    const times = Number(String(scale).replace(/^x/, "")) || 4;
    const layers = { picture: { top: { url: file?.url }, whole: true } };
    const view = {
        panes: file?.url ? [{ label: "Preview", caption: `Bicubic x${times}`, smooth: true, layers }] : [],
        boxes: [], original: null, layout: "side", scale: times, state: "preview",
        empty: "Choose an image, and your result will appear here.",
    };
    const off = { __type__: "update", value: null, interactive: false };
    return ["", view, "", null, off, "", ""];
}
