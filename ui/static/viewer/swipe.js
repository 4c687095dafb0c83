// Two panes under one line: left of it the one that is compared with, right of it the chosen one.

const shareOf = (clientX) => {
    const box = panesBox.getBoundingClientRect();
    return (clientX - box.x) / box.width;
};

const swipeTo = (share) => {
    view.share = Math.min(1, Math.max(0, share));
    stage.style.setProperty("--share", `${100 * view.share}%`);
    const told = Math.round(100 * view.share);
    line.setAttribute("aria-valuenow", told);
    line.setAttribute("aria-valuetext", `${told} % ${other()?.label ?? ""}, ${100 - told} % ${panes[view.chosen]?.label ?? ""}`);
};

line.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    line.setPointerCapture(event.pointerId);
    line.focus();
    event.preventDefault();
});
line.addEventListener("pointermove", (event) => {
    if (line.hasPointerCapture(event.pointerId)) swipeTo(shareOf(event.clientX));
});
line.addEventListener("keydown", (event) => {
    const to = { ArrowLeft: view.share - SWIPE_STEP, ArrowRight: view.share + SWIPE_STEP, Home: 0, End: 1 }[event.key];
    if (to === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    swipeTo(to);
});

const layOut = (layout) => {
    view.layout = panes.length > 1 ? layout : "side";
    panesBox.classList.remove("grid", "side", "swipe");
    panesBox.classList.add(view.layout);
    line.hidden = view.layout !== "swipe" || panes.length < 2;
    // Below the image it is at hand; of several rows of images the last one would be far from it.
    (view.layout === "grid" ? find(".bar") : find(".line")).prepend(find(".zooming"));
    for (const button of root.querySelectorAll("[data-layout]")) {
        button.setAttribute("aria-pressed", panes.length > 1 && button.dataset.layout === view.layout);
    }
    const left = panes.indexOf(other());
    if (view.chosen === left || view.chosen >= panes.length) {
        view.chosen = panes.length - 1 === left ? 0 : panes.length - 1;
    }
    panes.forEach(({ figure, only }, index) => {
        figure.classList.toggle("left", index === left);
        figure.classList.toggle("right", index === view.chosen);
        only.setAttribute("aria-pressed", view.layout !== "grid" && index === view.chosen);
    });
    panesBox.append(...panes.map(({ figure }) => figure));
    if (view.layout !== "grid" && panes.length > 1) panesBox.prepend(panes[left].figure);
    swipeTo(view.share);
    measure();
};
