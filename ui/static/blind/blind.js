// The blind test's window: shows a question, tells the page the answer, and is closed by a value of null.
const KEYS = { ArrowLeft: "left", ArrowRight: "right", ArrowDown: "same" };
const SHOWN_AFTER = 150; // milliseconds until the page has drawn an outcome
const ANSWER_WITHIN = 10_000; // milliseconds until it is told that no answer came

const dialog = element.querySelector("dialog");
const find = (selector) => dialog.querySelector(selector);
let begun = false; // whether there was a question since the last outcome
let waiting = 0; // the timer of an answer that is on its way

const rest = () => {
    clearTimeout(waiting);
    waiting = 0;
    dialog.classList.remove("waiting");
    find(".lost").hidden = true;
};

const put = async (selector, url) => {
    const image = find(selector);
    image.src = url ?? "data:,";
    if (url) await image.decode().catch(() => {});
};

const show = async () => {
    const asked = props.value;
    if (!asked) {
        rest();
        if (dialog.open) dialog.close();
        if (begun) setTimeout(() => document.querySelector("#blind-outcome .claims")?.focus(), SHOWN_AFTER);
        begun = false;
        return;
    }
    await Promise.all([put(".left", asked.left), put(".right", asked.right), put(".original", asked.original)]);
    if (props.value !== asked) return;
    rest();
    find(".count").textContent = `${asked.number} of ${asked.total}`;
    find("[data-original]").hidden = !asked.original;
    if (!asked.original) compare(false);
    if (!dialog.open) dialog.showModal();
    begun = true;
    dialog.focus();
};

const compare = (shown) => {
    find("[data-original]").setAttribute("aria-pressed", shown);
    find("figure").hidden = !shown;
};

const answer = (pick) => {
    if (pick === "stop") dialog.close();
    else if (waiting) return;
    rest();
    trigger("click", { number: props.value?.number ?? 0, pick });
    if (pick === "stop") return;
    dialog.classList.add("waiting");
    waiting = setTimeout(() => { find(".lost").hidden = false; }, ANSWER_WITHIN);
};

dialog.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    if (button.dataset.pick) answer(button.dataset.pick);
    else compare(find("figure").hidden);
});
dialog.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    const pick = KEYS[event.key];
    if (pick) answer(pick);
    else if (event.key.toLowerCase() === "o" && !find("[data-original]").hidden) compare(find("figure").hidden);
    else return;
    event.preventDefault();
});
dialog.addEventListener("cancel", (event) => {
    event.preventDefault();
    answer("stop");
});

watch("value", show);
