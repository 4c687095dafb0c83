// The link of a shared page: copied, opened, and deleted by who made it, whose browser alone knows what deletes it.
() => {
    const keyOf = (id) => `upscale-share-${id}`;
    window.sharing = {
        remember(made) {
            try {
                const { id, secret } = JSON.parse(made);
                if (secret) localStorage.setItem(keyOf(id), secret);
            } catch {} // a browser that keeps nothing, or nothing was shared
        },
        // A page that is loaded anew is told the link, and not what deletes it.
        addSecret(made) {
            try {
                const { id, secret } = JSON.parse(made);
                return JSON.stringify({ id, secret: secret ?? localStorage.getItem(keyOf(id)) ?? "" });
            } catch {
                return made;
            }
        },
    };
    const secretOf = (link) => {
        try {
            return localStorage.getItem(keyOf(link.split("/").pop())) ?? "";
        } catch {
            return "";
        }
    };
    const acts = {
        async copy(button, link) {
            await links.copy(link);
            button.textContent = "Copied";
            setTimeout(() => (button.textContent = "Copy"), 2000);
        },
        // Behind the address, where no server sees it: a page in a frame keeps what it knows apart from its own window.
        open: (_, link) => window.open(`${link}#${secretOf(link)}`, "_blank", "noopener"),
        press: (_, id) => document.getElementById(id).click(),
    };
    document.addEventListener("click", ({ target }) => {
        const button = target.closest?.(".shared-link button");
        for (const [name, act] of Object.entries(acts)) if (button?.dataset[name]) act(button, button.dataset[name]);
    });
}
