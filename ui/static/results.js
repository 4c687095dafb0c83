// Tables sorted by their heads, columns and intervals that can be shown, and explanations of the heads. What was chosen
// outlasts the HTML being replaced as rows come in.
const OPPOSITE = { ascending: "descending", descending: "ascending" };
const EDGE = 8; // px between an explanation and the window's edge

const orders = new Map(); // a table's name to the column that it is sorted by, and the direction
const shown = new Set(); // what of a table is shown that is not at first: "extra" columns, "interval"s
let explained = null; // the head whose explanation is in sight

// --- sorting ---

const read = (row, index) => {
    const cell = row.cells[index];
    if (cell.tagName === "TH") return cell.textContent;
    return cell.dataset.value === undefined ? null : Number(cell.dataset.value);
};

const compare = (a, b) => {
    if (typeof a === "string") return a.localeCompare(b, "en", { numeric: true });
    return a < b ? -1 : Number(a > b);
};

const arrange = (table) => {
    const { column, direction } = orders.get(table.dataset.name) ?? {};
    const heads = [...table.tHead.rows[0].cells];
    const index = heads.findIndex((head) => head.dataset.column === column);
    heads.forEach((head) => head.removeAttribute("aria-sort"));
    const rows = [...table.tBodies[0].rows].sort((a, b) => a.dataset.place - b.dataset.place);
    if (index >= 0) {
        heads[index].setAttribute("aria-sort", direction);
        const sign = direction === "ascending" ? 1 : -1;
        rows.sort((a, b) => {
            const [x, y] = [read(a, index), read(b, index)];
            return x === null || y === null ? (x === null) - (y === null) : sign * compare(x, y);
        });
    }
    table.tBodies[0].append(...rows);
};

// The better values come first, then the worse ones, then all is as it was.
const turn = (head) => {
    const { name } = head.closest("table").dataset;
    const { column, first } = head.dataset;
    const now = head.getAttribute("aria-sort");
    if (!now) orders.set(name, { column, direction: first });
    else if (now === first) orders.set(name, { column, direction: OPPOSITE[first] });
    else orders.delete(name);
    arrange(head.closest("table"));
};

// --- what is shown ---

const applyShown = () => {
    element.querySelectorAll("[data-toggle]").forEach((button) => {
        const { toggle } = button.dataset;
        button.setAttribute("aria-pressed", shown.has(toggle));
        button.closest("section").classList.toggle(`shows-${toggle}`, shown.has(toggle));
    });
};

// --- explaining ---

const tipOf = (head) => head?.querySelector("[role=tooltip]");

const place = () => {
    const tip = tipOf(explained);
    if (!tip) return;
    const { left, top, bottom } = explained.getBoundingClientRect();
    const above = top - tip.offsetHeight;
    tip.style.left = `${Math.max(EDGE, Math.min(left, innerWidth - tip.offsetWidth - EDGE))}px`;
    tip.style.top = `${above >= EDGE ? above : bottom}px`; // the rows below stay in sight where there is room
};

const hide = () => {
    tipOf(explained)?.hidePopover();
    explained = null;
};

const explain = (head) => {
    if (head === explained) return;
    hide();
    if (!tipOf(head)) return;
    explained = head;
    tipOf(head).showPopover();
    place();
};

const headOf = (node) => node?.closest?.("thead th") ?? null;
const byKeys = (head) => head?.querySelector("button").matches(":focus-visible");

element.addEventListener("pointerover", (event) => headOf(event.target) && explain(headOf(event.target)));
element.addEventListener("pointerout", (event) => {
    // A finger leaves as it lifts: what it showed stays until it taps elsewhere.
    if (event.pointerType === "touch" || headOf(event.relatedTarget) === explained || byKeys(explained)) return;
    hide();
});
element.addEventListener("focusin", (event) => byKeys(headOf(event.target)) && explain(headOf(event.target)));
element.addEventListener("focusout", (event) => headOf(event.target) === explained && hide());
document.addEventListener("pointerdown", (event) => headOf(event.target) !== explained && hide());
document.addEventListener("keydown", (event) => event.key === "Escape" && hide());
addEventListener("scroll", place, { capture: true, passive: true });
addEventListener("resize", place);

element.addEventListener("click", (event) => {
    const button = event.target.closest("thead button");
    if (button) turn(button.parentElement);
    const toggle = event.target.closest("[data-toggle]")?.dataset.toggle;
    if (!toggle) return;
    if (!shown.delete(toggle)) shown.add(toggle);
    applyShown();
});

// --- a new value ---

const renew = () => {
    element.querySelectorAll("[role=tooltip]").forEach((tip, index) => {
        tip.id = `${element.id}-about-${index}`;
        tip.previousElementSibling.setAttribute("aria-describedby", tip.id);
    });
    element.querySelectorAll("table[data-name]").forEach(arrange);
    applyShown();
    place();
};

watch("value", renew);
renew();
