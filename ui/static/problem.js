// An error goes when something else is chosen on its tab.
() => {
    const dismiss = ({ target }) => {
        if (target.closest?.(".run-bar, .problem-place")) return;
        target.closest?.("[role=tabpanel]")?.querySelectorAll(".problem").forEach((problem) => problem.remove());
    };
    for (const kind of ["input", "change", "image-chosen"]) document.addEventListener(kind, dismiss, true);
    document.addEventListener("click", (event) => event.target.closest?.("[data-example], .choices button") && dismiss(event), true);
}
