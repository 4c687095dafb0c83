// After a run: the verdict is next for the keyboard and for who listens. The page needs a moment to draw it, and brings
// it into sight itself (page.js).
() => {
    setTimeout(() => document.querySelector("#compare-verdict .claims")?.focus({ preventScroll: true }), 150);
}
