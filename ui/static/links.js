// The address says what is chosen on the tab in sight, so that it can be copied; a tab's image outlasts a reload.
() => {
    const TABS = ["upscale", "compare", "chained", "prompt"];
    const FIRST = TABS[0];
    const kept = new Map(); // tab -> what its address says
    const opened = new URLSearchParams(location.search);
    let tab = TABS.includes(opened.get("tab")) ? opened.get("tab") : FIRST;
    const isOurs = (name) => !name.startsWith("__"); // gradio's own, such as __theme, stay as they are
    const of = (name) => kept.get(name) ?? kept.set(name, new Map()).get(name);
    for (const [name, value] of opened) if (isOurs(name) && name !== "tab") of(tab).set(name, value);

    // A run is found again by the address that it was asked for at: it goes along.
    const carryOver = (before) => {
        for (const key of Object.keys(sessionStorage)) {
            try {
                const [id, search] = JSON.parse(sessionStorage.getItem(key));
                if (search === before) sessionStorage.setItem(key, JSON.stringify([id, location.search]));
            } catch {}
        }
    };

    const write = () => {
        const query = new URLSearchParams([...new URLSearchParams(location.search)].filter(([name]) => !isOurs(name)));
        if (tab !== FIRST) query.set("tab", tab);
        for (const [name, value] of of(tab)) query.set(name, value);
        const text = query.toString();
        const before = location.search;
        history.replaceState(history.state, "", `${location.pathname}${text ? `?${text}` : ""}`);
        try {
            carryOver(before);
        } catch {}
    };

    window.links = {
        // What a field of a tab says now, and which other fields have no say any more.
        set(where, name, value, clears) {
            const said = of(where);
            clears.forEach((other) => said.delete(other));
            const text = Array.isArray(value) ? value.join(",") : String(value ?? "");
            text ? said.set(name, text) : said.delete(name);
            if (where === tab) write();
        },
        show(where) {
            tab = where;
            write();
        },
        remember(where, value) {
            try {
                sessionStorage.setItem(`image-${where}`, JSON.stringify({ value }));
            } catch {}
        },
        isReload: () => ["reload", "back_forward"].includes(performance.getEntriesByType("navigation")[0]?.type),
        recall(where, shown) {
            try {
                return links.isReload() ? (JSON.parse(sessionStorage.getItem(`image-${where}`))?.value ?? shown) : shown;
            } catch {
                return shown;
            }
        },
    };

    const copy = async (text) => {
        try {
            await navigator.clipboard.writeText(text);
        } catch {
            // Without https there is no clipboard but this one.
            const field = Object.assign(document.createElement("textarea"), { value: text });
            document.body.append(field);
            field.select();
            document.execCommand("copy");
            field.remove();
        }
    };
    links.copy = copy;
    document.addEventListener("click", async ({ target }) => {
        const button = target.closest?.("button.copy-link");
        if (!button) return;
        await copy(location.href);
        const text = button.textContent;
        button.textContent = "Link copied";
        setTimeout(() => (button.textContent = text), 2000);
    });
}
