// Gradio 6.31 counts the seconds of its loading screen in every frame, for as long as a page is open: the screen is long
// gone, and the page would never rest. Nothing here shows those seconds, so whoever asks to count them asks in vain.
(() => {
    const ask = window.requestAnimationFrame.bind(window);
    const counts = /performance\.now\(\)\s*-.*\/\s*1e3/;
    window.requestAnimationFrame = (draw) => (counts.test(draw) ? 0 : ask(draw));
})();
