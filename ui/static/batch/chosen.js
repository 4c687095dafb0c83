// Other images than those whose results are shown: these go, and so does their address.
(chosen, board, line) => {
    const paths = (items) => JSON.stringify((items ?? []).map((item) => item.file.path));
    if (board?.items?.length && paths(chosen) === paths(board.items)) return;
    links.set("upscale", "job", "", []);
    const ready = line.includes("progress idle") ? READY : { __type__: "update" }; // a run has its line to itself
    return [{ items: [] }, { __type__: "update", value: null, interactive: false }, "", "", ready];
}
