// After a run: the verdict in sight, and next for the keyboard and for who listens. The page needs a moment to draw it.
() => {
    setTimeout(() => {
        const claims = document.querySelector("#compare-verdict .claims");
        if (!claims) return;
        const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
        claims.focus({ preventScroll: true });
        claims.scrollIntoView({ behavior: calm ? "auto" : "smooth" });
    }, 150);
}
