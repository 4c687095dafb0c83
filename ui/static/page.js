// What concerns the page as a whole.
() => {
    // On a phone the result is below what fits: pressing the button goes there.
    document.addEventListener("click", (event) => {
        const pressed = event.target.closest(":is(#actions, #prompt-actions) button.primary");
        if (!event.isTrusted || !pressed || window.innerWidth > 640) return;
        const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
        const result = pressed.closest("[role=tabpanel]").querySelector(".problem-place").parentElement;
        result.scrollIntoView({ behavior: calm ? "auto" : "smooth" });
    });

    // What was said of a link is done with once a run begins.
    document.addEventListener("click", (event) => {
        const pressed = event.target.closest(".run-bar button.run");
        pressed?.closest("[role=tabpanel]").querySelectorAll(".link-note").forEach((note) => note.remove());
    });

    // A list of models is searched by typing over what is chosen; gradio would insert it there.
    document.addEventListener("focusin", ({ target }) => {
        if (target.matches("#all-models input")) setTimeout(() => target.select());
    });

    // In a frame: what grows without a change to the document, as a line that wraps, is told to the post as well.
    new ResizeObserver(() => window.parentIFrame?.size()).observe(document.body);
}
