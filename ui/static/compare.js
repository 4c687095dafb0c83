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

    const share = (handle) => {
        const area = handle.closest(".slider-wrap").getBoundingClientRect();
        const box = handle.getBoundingClientRect();
        return Math.min(1, Math.max(0, (box.x + box.width / 2 - area.x) / area.width));
    };

    const onKey = (event) => {
        const handle = event.currentTarget;
        const at = share(handle);
        const moved = { ArrowLeft: at - STEP, ArrowRight: at + STEP, Home: 0, End: 1 }[event.key];
        if (moved === undefined) return;
        event.preventDefault();
        const area = handle.closest(".slider-wrap").getBoundingClientRect();
        drag(handle, area.x + Math.min(1, Math.max(0, moved)) * area.width);
    };

    const name = (place) => {
        place.querySelectorAll(".slider-wrap img").forEach((image, index) => {
            const alt = index ? "After: the result" : "Before: enlarged by the plain method";
            if (image.alt !== alt) image.alt = alt;
            const shown = image.getBoundingClientRect();
            const size = Math.min(shown.width / image.naturalWidth, shown.height / image.naturalHeight);
            const drawn = size >= PIXELS_SHOW ? "pixelated" : "auto";
            if (image.style.imageRendering !== drawn) image.style.imageRendering = drawn;
        });
        const handle = place.querySelector(".inner");
        if (!handle) return;
        const now = String(Math.round(100 * share(handle)));
        if (handle.getAttribute("aria-valuenow") !== now) handle.setAttribute("aria-valuenow", now);
        if (handle.tabIndex === 0) return;
        const said = { role: "slider", "aria-label": "Before and after", "aria-valuemin": 0, "aria-valuemax": 100 };
        Object.entries(said).forEach(([key, value]) => handle.setAttribute(key, value));
        handle.tabIndex = 0;
        handle.addEventListener("keydown", onKey);
    };
    const nameAll = () => document.querySelectorAll(".before-after").forEach(name);

    // On a telephone the result is below what fits: pressing the button goes there.
    document.addEventListener("click", (event) => {
        const pressed = event.target.closest(":is(#actions, #prompt-actions) button.primary");
        if (!event.isTrusted || !pressed || window.innerWidth > 640) return;
        const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
        pressed.closest("[role=tabpanel]").querySelector(".progress").scrollIntoView({ behavior: calm ? "auto" : "smooth" });
    });

    // In a frame: what grows without a change to the document, as a line that wraps, is told to the post as well.
    new ResizeObserver(() => window.parentIFrame?.size()).observe(document.body);

    new MutationObserver(nameAll).observe(document.body, { subtree: true, childList: true, attributeFilter: ["style"] });
    nameAll();
}
