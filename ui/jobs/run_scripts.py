"""What a run button does in the browser. KEY stands for the id of its hidden button that shows a run again, TAB for the
tab whose address names the last run of many images.
"""

# A browser's tab remembers the id of its last run and the page's URL then; both outlast a reload, and nothing else.
# Where a browser allows no memory, nothing is found again after one. On plain HTTP there is no randomUUID.
MAKE_ID = """(...values) => {
    const drawn = crypto.getRandomValues(new Uint8Array(16));
    const id = Array.from(drawn, (each) => each.toString(16).padStart(2, "0")).join("");
    if ("TAB") links.set("TAB", "job", values[0]?.length > 1 ? id : "", []);
    (window.lastRuns ??= {})["KEY"] = id;
    try { sessionStorage.setItem("KEY", JSON.stringify([id, location.search])); } catch {}
    return [...values.slice(0, -1), id];
}"""
READ_ID = """(...values) => {
    let id = window.lastRuns?.["KEY"] ?? "";
    try { id ||= JSON.parse(sessionStorage.getItem("KEY"))[0]; } catch {}
    return values.length > 1 ? [...values.slice(0, -1), id] : id;
}"""
# Until the server has let go of a run that was cancelled, gradio drops a click that would begin another.
READ_CANCELLED = f"""(...values) => {{
    (window.lettingGo ??= {{}})["KEY"] = Date.now();
    return ({READ_ID})(...values);
}}"""
# The click is answered at once, without the server: the line, both buttons, the panel and its button; five seconds
# after another was cancelled at the latest. And where the server did not take the run, that is taken back; one that has
# shown more than that it starts goes on, whatever became of the connection.
SHOW_STARTING = """async () => {
    while (Date.now() - (window.lettingGo?.["KEY"] ?? 0) < 5000) await new Promise((done) => setTimeout(done, 30));
    const update = (properties) => ({ __type__: "update", ...properties });
    return [STARTING, update({ interactive: false }), update({ interactive: true }), "", update({ visible: false })];
}"""
SHOW_READY = """() => {
    delete window.lettingGo?.["KEY"];
    const line = document.getElementById("KEY").closest(".run-bar").querySelector(".progress");
    const update = (properties) => ({ __type__: "update", ...properties });
    const same = Array(5).fill(update({}));
    if (line?.textContent.trim() !== "Starting") return same;
    return [READY, update({ interactive: true }), update({ interactive: false }), ...same.slice(3)];
}"""
FIND_AGAIN = """() => {
    try {
        const asked = new URLSearchParams(location.search);
        if (asked.has("job") && ["TAB", null].includes(asked.get("tab")) && "TAB")
            sessionStorage.setItem("KEY", JSON.stringify([asked.get("job"), location.search]));
        const [id, search] = JSON.parse(sessionStorage.getItem("KEY"));
        if (!id || search !== location.search) return false;
    } catch { return false; }
    document.getElementById("KEY").click();
    return true;
}"""
# Without an image there is nothing to press. A run that goes on has the button already.
ALLOW = """(chosen) => {
    const bar = document.getElementById("KEY").closest(".run-bar");
    const idle = bar.querySelector(".cancel").disabled;
    return { __type__: "update", interactive: idle && (chosen?.length ?? 0) > 0 };
}"""
PRESS = """() => document.getElementById("KEY").closest(".run-bar").querySelector(".run").click()"""
# Once the browser has drawn what a run made: what else there is to tell would keep it from that.
WHEN_DRAWN = """async () => {
    for (let looks = 0; looks < 40 && document.querySelector('.viewer .panes[aria-busy="true"]'); looks++)
        await new Promise((done) => setTimeout(done, 50));
}"""
