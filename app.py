"""Builds the page and launches it: `python app.py`, on 127.0.0.1 and the port in PORT (7860)."""

import signal
import sys

if __name__ == "__main__":
    # While the page is not open yet, Ctrl-C ends the program without a word.
    signal.signal(signal.SIGINT, signal.SIG_DFL)

import ui.jobs.gpu  # first, because on a Space it brings in what must come before gradio and torch
from pipelines.errors import UpscaleError
from ui import page

if __name__ == "__main__":
    try:
        ui.jobs.gpu.preload()
        demo = page.build()
        page.warm_up(demo)
        for number in (signal.SIGINT, signal.SIGTERM):  # both end it in order: visitors' files are deleted
            signal.signal(number, signal.default_int_handler)
        demo.launch(**page.launch_options())
    except UpscaleError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(1)  # who read the output is gone, and so is the wish for a page
    except OSError as error:
        sys.exit(f"The page cannot be opened: {error}")
