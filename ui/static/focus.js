// Gradio's lists let go of the keyboard's focus after a choice. It stays beside the field, so that Tab goes on from there.
() => {
    document.addEventListener("focusout", ({ target, relatedTarget }) => {
        const block = target.matches?.("input[role=combobox]") && target.closest(".block");
        if (!block || relatedTarget) return;
        requestAnimationFrame(() => {
            if (document.activeElement !== document.body || !block.isConnected) return;
            const place = block.querySelector(":scope > .resting") ?? block.appendChild(document.createElement("span"));
            Object.assign(place, { className: "resting", tabIndex: -1 });
            place.focus({ preventScroll: true });
        });
    });

    // Of the buttons that start and cancel a run one is always disabled; the focus goes to the other one.
    let last = null;
    document.addEventListener("focusin", ({ target }) => {
        last = target;
    });
    const follow = ({ target }) => {
        const bar = target.closest(".run-bar");
        if (!bar?.contains(last) || !last.disabled) return;
        requestAnimationFrame(() => {
            const other = bar.querySelector(".run:enabled, .cancel:enabled");
            if (other && [document.body, last].includes(document.activeElement)) other.focus({ preventScroll: true });
        });
    };
    const watcher = new MutationObserver((changes) => changes.forEach(follow));
    watcher.observe(document.body, { subtree: true, attributeFilter: ["disabled"] });
}
