// Radio buttons that say what each choice is good for and costs; some may be impossible, and say why.
const first = OPTIONS; // of a component that is out of sight at first, the browser forgets its own properties
const group = element.querySelector("[role=radiogroup]");

const place = (at) => {
    const found = group.children[at];
    if (found) return found;
    const label = document.createElement("label");
    const input = document.createElement("input");
    input.type = "radio";
    input.name = element.id;
    const parts = ["title", "use", "cost"].map((name) => Object.assign(document.createElement("span"), { className: name }));
    label.append(input, ...parts);
    return group.appendChild(label);
};

const draw = () => {
    const options = props.options ?? first;
    while (group.children.length > options.length) group.lastChild.remove();
    options.forEach((option, at) => {
        const label = place(at);
        const [input, ...parts] = label.children;
        Object.assign(input, { value: option.value, checked: option.value === props.value, disabled: Boolean(option.never) });
        parts.forEach((part) => {
            const text = option[part.className];
            if (part.textContent !== text) part.textContent = text;
        });
        label.title = option.never;
    });
};

group.addEventListener("change", ({ target }) => {
    props.value = target.value;
    trigger("input");
});
watch(["options", "value"], draw);
draw();
