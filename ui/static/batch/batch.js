// The images of a batch, each of which turns to done or failed. What a browser shows of them, the field has already.
const [list, empty] = ["ul", ".empty"].map((selector) => element.querySelector(selector));
const WORDS = { waiting: "waiting", done: "done", failed: "failed" };
const MARKS = { waiting: "", done: "✓", failed: "✕" };

const shownOf = ({ file }) => {
    const known = [...document.querySelectorAll(".image-field .thumbs img")].find((each) => each.dataset.path === file.path);
    return known?.getAttribute("src") ?? file.url;
};
const make = (item) => {
    const tags = ["li", "button", "img", "span", "span", "span"];
    const [row, button, image, mark, name, told] = tags.map((tag) => document.createElement(tag));
    [mark.className, name.className, told.className] = ["mark", "name", "told"];
    Object.assign(button, { type: "button", disabled: true });
    button.setAttribute("aria-label", `Look at ${item.name}`);
    Object.assign(image, { loading: "lazy", alt: "", src: shownOf(item) });
    image.addEventListener("error", () => (image.style.visibility = "hidden"));
    name.textContent = item.name;
    mark.setAttribute("role", "img");
    button.append(image);
    row.append(button, mark, name, told);
    return row;
};
const draw = () => {
    const items = props.value?.items ?? [];
    const paths = JSON.stringify(items.map((item) => [item.file.path, item.name]));
    if (list.dataset.paths !== paths) {
        list.dataset.paths = paths;
        list.replaceChildren(...items.map(make));
    }
    empty.hidden = items.length > 0;
    list.hidden = items.length === 0;
    items.forEach(({ state, told }, number) => {
        const row = list.children[number];
        row.querySelector("button").disabled = state !== "done" || !props.value.ended;
        if (row.dataset.state === state) return;
        row.dataset.state = state;
        const mark = row.querySelector(".mark");
        mark.textContent = MARKS[state];
        mark.setAttribute("aria-label", WORDS[state]);
        row.querySelector(".told").textContent = told;
    });
};
list.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    const row = button.closest("li");
    [...list.children].forEach((each) => each.classList.toggle("looked-at", each === row));
    trigger("click", { number: [...list.children].indexOf(row) });
});
watch("value", draw);
draw();
