"""The page: its tabs, and how it is served."""

from typing import Any

import gradio as gr

from pipelines import settings
from ui import upscale
from ui.examples import FOLDER, STATIC
from ui.theme import THEME

TITLE = "Upscale Bench"
HEAD = f"<h1>{TITLE}</h1><p>Enlarge a picture with any of many upscalers, and see what each one makes of it.</p>"
NOTE = (
    "OpenCV's networks (EDSR, ESPCN, FSRCNN, LapSRN) were trained on pictures shrunk without antialiasing; on properly "
    "shrunk ones they score about as bicubic does."
)
KEPT_SECONDS = 3600  # how long a visitor's files stay on the server


def build() -> gr.Blocks:
    """The whole page, ready to be launched."""
    page = gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=(KEPT_SECONDS // 4, KEPT_SECONDS))
    with page:
        gr.HTML(HEAD, elem_id="head")
        with gr.Tab("Upscale"):
            upscale.build(page)
            gr.Markdown(NOTE)
    page.queue(max_size=settings.queue_length())
    return page


def launch_options() -> dict[str, Any]:
    """What `launch` needs beyond the page itself."""
    return {
        "server_port": settings.port(),
        "max_file_size": settings.limits().file_bytes,
        "allowed_paths": [str(FOLDER)],
        "footer_links": ["api"],
        "theme": THEME,
        "css_paths": [STATIC / "page.css"],
        "js": (STATIC / "compare.js").read_text(),
    }
