// Other images than those whose results are shown: these go, and so does their address.
(chosen, board, line) => {
    const paths = (items) => JSON.stringify((items ?? []).map((item) => item.file.path));
    if (board?.items?.length && paths(chosen) === paths(board.items)) return;
    links.set("upscale", "job", "", []);
    // One image has results of its own, and a run has the line to itself.
    const mine = chosen?.length > 1 && line.includes("progress idle");
    const ready = mine ? READY : { __type__: "update" };
    return [{ items: [], ended: false }, { __type__: "update", value: null, interactive: false }, "", "", null, ready];
}
