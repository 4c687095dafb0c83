// The before/after slider is drawn by gradio for the mouse and touch; this gives it a name, keys and texts for the eyeless.
() => {
    const STEP = 0.05;
    const PIXELS_SHOW = 3; // screen pixels for one of the picture's: from here on it is shown as squares, not smoothed

    const drag = (handle, to) => {
        const box = handle.getBoundingClientRect();
        const at = { x: box.x + box.width / 2, y: box.y + box.height / 2 };
        const send = (target, type, x) =>
            target.dispatchEvent(new MouseEvent(type, { bubbles: true, view: window, clientX: x, clientY: at.y }));
        send(handle, "mousedown", at.x);
        send(window, "mousemove", to);
        send(window, "mouseup", to);
    };

    const onKey = (event) => {
        const handle = event.currentTarget;
        const area = handle.closest(".slider-wrap").querySelector("img").getBoundingClientRect();
        const box = handle.getBoundingClientRect();
        const share = (box.x + box.width / 2 - area.x) / area.width;
        const moved = { ArrowLeft: share - STEP, ArrowRight: share + STEP, Home: 0, End: 1 }[event.key];
        if (moved === undefined) return;
        event.preventDefault();
        const kept = Math.min(1, Math.max(0, moved));
        drag(handle, area.x + kept * area.width);
        handle.setAttribute("aria-valuenow", Math.round(100 * kept));
    };

    const name = () => {
        document.querySelectorAll("#compare .slider-wrap img").forEach((image, index) => {
            const alt = index ? "After: the result" : "Before: enlarged by the plain method";
            if (image.alt !== alt) image.alt = alt;
            const shown = image.getBoundingClientRect();
            const size = Math.min(shown.width / image.naturalWidth, shown.height / image.naturalHeight);
            const drawn = size >= PIXELS_SHOW ? "pixelated" : "auto";
            if (image.style.imageRendering !== drawn) image.style.imageRendering = drawn;
        });
        const handle = document.querySelector("#compare .inner");
        if (!handle || handle.tabIndex === 0) return;
        const said = { role: "slider", "aria-label": "Before and after", "aria-valuemin": 0, "aria-valuemax": 100, "aria-valuenow": 50 };
        Object.entries(said).forEach(([key, value]) => handle.setAttribute(key, value));
        handle.tabIndex = 0;
        handle.addEventListener("keydown", onKey);
    };

    new MutationObserver(name).observe(document.body, { subtree: true, childList: true, attributeFilter: ["style"] });
    name();
}
