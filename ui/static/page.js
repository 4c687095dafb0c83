// What concerns the page as a whole.
() => {
    // What a run gives, or why it fails, comes into sight: on a phone, where it is below what fits, as the button is
    // pressed, and anywhere at the end. What is in sight by then stays where it is.
    const SHOWN = 400; // px of a result, from its top, of which half is in sight enough
    const goTo = (place) => {
        const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
        place.scrollIntoView({ behavior: calm ? "auto" : "smooth" });
    };
    const inSight = (place) => {
        const covered = getComputedStyle(watch.bar).position === "fixed" ? watch.bar.offsetHeight : 0;
        const { top, height } = place.getBoundingClientRect();
        const least = Math.min(height, SHOWN);
        return Math.min(top + least, window.innerHeight - covered) - Math.max(top, 0) >= least / 2;
    };
    const watch = new MutationObserver(() => {
        const runs = Boolean(watch.bar.querySelector("[role=progressbar]"));
        watch.began ||= runs;
        if (!watch.began || runs) return;
        watch.disconnect();
        setTimeout(() => {
            const place = watch.bar.closest("[role=tabpanel]").querySelector(".problem-place");
            const came = place.querySelector(".problem") ?? place.parentElement;
            if (came.checkVisibility() && !inSight(came)) goTo(came.matches(".problem") ? place : came);
        }, 200); // the page needs a moment to draw it
    });
    document.addEventListener("click", (event) => {
        const pressed = event.target.closest(".run-bar button");
        if (!event.isTrusted || !pressed) return;
        watch.disconnect();
        if (!pressed.matches(".run")) return; // who cancels stays where they are
        const bar = pressed.closest(".run-bar");
        // The line may show already that it starts.
        Object.assign(watch, { bar, began: Boolean(bar.querySelector("[role=progressbar]")) });
        watch.observe(watch.bar, { subtree: true, childList: true, characterData: true, attributes: true });
        const result = pressed.closest("[role=tabpanel]").querySelector(".problem-place").parentElement;
        if (window.innerWidth <= 640) goTo(result);
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
