"""Builds the page and launches it: `python app.py`, on 127.0.0.1 and the port in PORT (7860)."""

from ui import page

demo = page.build()

if __name__ == "__main__":
    demo.launch(**page.launch_options())
