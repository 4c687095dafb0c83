// Files that are dropped or pasted anywhere go to the image field in sight; a drop never leaves the page.
() => {
    const NO_FILE = "Only files can be dropped here. Save the image first, then choose its file.";
    const target = () => [...document.querySelectorAll(".image-field")].find((field) => field.offsetParent !== null);
    const give = (files) => target()?.dispatchEvent(new CustomEvent("give-files", { detail: files }));
    const aim = (on) => target()?.classList.toggle("aimed", on);

    document.addEventListener("dragover", (event) => {
        event.preventDefault();
        aim(true);
    });
    document.addEventListener("dragleave", (event) => event.relatedTarget === null && aim(false));
    document.addEventListener(
        "drop",
        (event) => {
            event.preventDefault();
            event.stopPropagation();
            aim(false);
            const files = [...event.dataTransfer.files];
            if (files.length) give(files);
            else if (target() && !event.dataTransfer.types.includes("text/plain")) target().querySelector(".said").textContent = NO_FILE;
        },
        true,
    );
    document.addEventListener("paste", (event) => {
        const files = [...(event.clipboardData?.files ?? [])].filter((file) => file.type.startsWith("image/"));
        if (!files.length) return; // words go where words are written
        event.preventDefault();
        give(files);
    });
}
