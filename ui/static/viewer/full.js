// The full view: the viewer over the whole window, left by Esc, as is one image made larger.

const KEEPS = ["overflow"];
let before = {};

const showFull = (full) => {
    if (view.full === full) return;
    view.full = full;
    const page = document.documentElement;
    for (const name of KEEPS) {
        if (full) before[name] = page.style[name];
        page.style[name] = full ? "hidden" : before[name];
    }
    root.classList.toggle("full", full);
    find("[data-full]").setAttribute("aria-pressed", full);
    if (full) panesBox.focus();
    else find("[data-full]").focus();
    measure();
};

// All images again; the focus goes back to the button of the one that was larger.
const showAll = () => {
    const { only } = panes[view.chosen];
    view.larger = false;
    layOut("grid");
    only.focus();
};

find("[data-full]").addEventListener("click", () => showFull(!view.full));
document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !root.isConnected) return;
    const help = find(".help");
    if (!help.hidden) {
        if (!root.contains(document.activeElement) && !view.full) return;
        showHelp(false);
    } else if (view.full) showFull(false);
    else if (view.larger && root.contains(document.activeElement)) showAll();
    else if (root.contains(document.activeElement)) document.activeElement.blur();
    else return;
    event.stopPropagation();
}, { capture: true });

// What is behind it is out of sight, and out of the way of the keyboard.
root.addEventListener("focusout", (event) => {
    if (view.full && event.relatedTarget && !root.contains(event.relatedTarget)) find("button").focus();
});

const showHelp = (shown) => {
    find(".help").hidden = !shown;
    find("[data-help]").setAttribute("aria-expanded", shown);
};
find("[data-help]").addEventListener("click", () => showHelp(find(".help").hidden));
