// An error goes when something else is chosen on its tab.
() => {
    const CHOICES = "button:not(.label-wrap), label, [role=option], [role=radio]";
    const dismiss = (target) => {
        if (target.closest?.(".run-bar, .problem-place")) return;
        target.closest?.("[role=tabpanel]")?.querySelectorAll(".problem").forEach((problem) => problem.remove());
    };
    for (const kind of ["input", "change", "image-chosen"]) {
        document.addEventListener(kind, ({ target }) => dismiss(target), true);
    }
    // Gradio's lists choose as the button goes down, and by Enter.
    for (const kind of ["mousedown", "click"]) {
        document.addEventListener(kind, ({ target }) => target.closest?.(CHOICES) && dismiss(target), true);
    }
    document.addEventListener("keydown", ({ key, target }) => key === "Enter" && dismiss(target), true);
}
