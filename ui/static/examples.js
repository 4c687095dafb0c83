// One click on an example tells the page its name.
element.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-example]");
    if (button) trigger("click", { example: button.dataset.example });
});
