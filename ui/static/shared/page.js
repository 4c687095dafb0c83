// A shared page: its viewer, and for who made it the button that deletes it.
(() => {
    const find = (selector) => document.querySelector(`.shared ${selector}`);
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const follow = () => document.documentElement.classList.toggle("dark", dark.matches);
    dark.addEventListener("change", follow);
    follow();

    const views = JSON.parse(find(".shared-views").textContent);
    const props = { value: views[0] };
    const changed = [];
    window.startViewer(find(".shared-viewer"), props, (name, call) => changed.push(call));
    const choices = [...document.querySelectorAll(".shared-images button")];
    for (const choice of choices) {
        choice.addEventListener("click", () => {
            choices.forEach((each) => each.setAttribute("aria-pressed", each === choice));
            props.value = views[choice.dataset.number];
            changed.forEach((call) => call());
        });
    }

    // What deletes the page is known to the browser that made it, or comes once behind the address, where no server
    // sees it. Anybody may write something there: only what the server knows takes the place of what is kept.
    const key = `upscale-share-${location.pathname.replace(/\/$/, "").split("/").pop()}`;
    const given = location.hash.slice(1);
    if (given) history.replaceState(null, "", location.pathname);
    const remember = (work) => {
        try {
            return work(localStorage);
        } catch {
            return null; // a browser that keeps nothing
        }
    };
    let secret = remember((storage) => storage.getItem(key));
    const button = find(".shared-delete");
    const told = find(".shared-told");
    button.hidden = !secret;
    const check = async () => {
        const asked = { method: "HEAD", cache: "no-store", headers: { "X-Delete-Secret": given } };
        const answer = await fetch(location.pathname, asked);
        if (answer.headers.get("X-Delete-Secret") !== "valid") return;
        secret = given;
        remember((storage) => storage.setItem(key, given));
        button.hidden = false;
    };
    if (given && given !== secret) check().catch(() => {}); // without an answer it stays as it is
    button.addEventListener("click", async () => {
        if (!confirm("Delete this page? The link will stop working.")) return;
        button.disabled = true;
        try {
            const answer = await fetch(location.pathname, { method: "DELETE", headers: { "X-Delete-Secret": secret } });
            told.textContent = await answer.text();
            if (answer.ok) {
                remember((storage) => storage.removeItem(key));
                document.querySelectorAll("main > :not(.shared), .shared-viewer, .shared-images").forEach((each) => each.remove());
                button.hidden = true;
            }
        } catch {
            told.textContent = "The server does not answer. Try again later.";
        }
        button.disabled = false;
    });
})();
