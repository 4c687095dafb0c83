"""The page: its tabs, and how it is served."""

from typing import Any

import gradio as gr

from pipelines import settings
from ui import upscale

TITLE = "Upscale Bench"
ABOUT = f"""# {TITLE}
Enlarge a picture with any of many upscalers. OpenCV's networks were trained on pictures shrunk without antialiasing, so
on others they do little better than bicubic."""
KEPT_SECONDS = 3600  # how long a visitor's files stay on the server


def build() -> gr.Blocks:
    """The whole page, ready to be launched."""
    page = gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=(KEPT_SECONDS // 4, KEPT_SECONDS))
    with page:
        gr.Markdown(ABOUT)
        with gr.Tab("Upscale"):
            upscale.build()
    page.queue(max_size=settings.queue_length())
    return page


def launch_options() -> dict[str, Any]:
    """What `launch` needs beyond the page itself."""
    return {
        "server_port": settings.port(),
        # Fonts of the visitor's own: the default theme fetches one from the web, which offline takes its time to fail.
        "theme": gr.themes.Default(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]),
        "max_file_size": settings.limits().file_bytes,
        "footer_links": ["api"],
    }
