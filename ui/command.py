"""The program `upscale-bench`: the command line of pipelines/cli, and `upscale-bench page`, which opens the page.

Imports nothing heavy: `upscale-bench models` is there at once.
"""

import argparse
import signal
import sys
import time
from contextlib import suppress
from typing import NoReturn

from pipelines.cli.main import run, set_up_logging
from pipelines.errors import UpscaleError

PROGRAM = "upscale-bench"
WATCH_SECONDS = 0.1  # seconds between two looks at whether the page is still open


def main() -> NoReturn:
    """Runs the command that the arguments name, and exits with its code."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # until the command can say it in a message
    run(PROGRAM, [_add_page])


def open_page() -> int:
    """Builds the page, serves it until Ctrl-C or SIGTERM, and returns the exit code. Errors go to stderr."""
    for number in (signal.SIGINT, signal.SIGTERM):  # while nothing is open yet, both end it without a word
        signal.signal(number, signal.SIG_DFL)
    try:
        set_up_logging()
        _serve()
    except UpscaleError as error:
        return _fail(str(error))
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return 1  # who read the output is gone, and so is the wish for a page
    except OSError as error:
        return _fail(f"The page cannot be opened: {error}")
    return 0


def _serve() -> None:
    import ui.jobs.gpu  # first, because on a Space it brings in what must come before gradio and torch
    from ui import page

    ui.jobs.gpu.preload()
    demo = page.build()
    page.warm_up(demo)
    for number in (signal.SIGINT, signal.SIGTERM):  # both end it in order: visitors' files are deleted
        signal.signal(number, signal.default_int_handler)
    _, url, _ = demo.launch(**page.launch_options(), quiet=True, prevent_thread_lock=True)
    print(f"{page.TITLE} is open at {url.rstrip('/')} (Ctrl-C stops it)", flush=True)
    with suppress(KeyboardInterrupt):
        while demo.is_running:
            time.sleep(WATCH_SECONDS)
    demo.close(verbose=False)


def _fail(message: str) -> int:
    print(message, file=sys.stderr)
    return 1


def _add_page(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    page = commands.add_parser("page", help="open the page on this machine (the port is PORT, or 7860)")
    page.set_defaults(command=lambda options: sys.exit(open_page()))
