// One click chooses an image to look at, by its number.
element.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-number]");
    if (!button) return;
    element.querySelectorAll("button").forEach((each) => each.setAttribute("aria-pressed", each === button));
    trigger("click", { number: Number(button.dataset.number) });
});
