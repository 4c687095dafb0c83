"""The program `upscale-bench`: the command line of pipelines/cli, and `upscale-bench page`, which opens the page.

Imports nothing heavy: `upscale-bench models` is there at once.
"""

import argparse
import errno
import gc
import logging
import os
import signal
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from pipelines import environment, machine
from pipelines.cli.main import add_command, run, set_up_logging
from pipelines.errors import BadSetting, UpscaleError

if TYPE_CHECKING:
    from gradio import Blocks

PROGRAM = "upscale-bench"
WATCH_SECONDS = 0.1  # seconds between two looks at whether the page is still open

log = logging.getLogger(__name__)


def main() -> NoReturn:
    """Runs the command that the arguments name, and exits with its code."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # until the command can say it in a message
    run(PROGRAM, [_add_page])


def open_page(debug: bool = False) -> int:
    """Builds the page, serves it until Ctrl-C or SIGTERM, and returns the exit code.

    Errors go to stderr, and so does the log: what went wrong that should not, with `debug` all of it.
    """
    for number in (signal.SIGINT, signal.SIGTERM):  # while nothing is open yet, both end it without a word
        signal.signal(number, signal.SIG_DFL)
    environment.let_threads_sleep()
    machine.keep_heap()
    try:
        set_up_logging(debug, usual=logging.WARNING)  # visitors are told that a failure has been logged
        _serve()
    except UpscaleError as error:
        return _fail(str(error))
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return 1  # who read the output is gone, and so is the wish for a page
    except Exception as error:
        log.debug("the page cannot be opened", exc_info=True)
        return _fail(f"The page cannot be opened: {' '.join(str(error).split()) or type(error).__name__}")
    return 0


def _serve() -> None:
    _check_port(environment.server_name(), environment.port())
    environment.reach_this_machine_directly()
    environment.trust_proxies()
    from ui.jobs.own_folder import open_own_folder

    with open_own_folder() as folder:  # before gradio, which makes one as well, where another user may have one
        with machine.without_collecting():
            import ui.jobs.gpu  # first, because on a Space it brings in what must come before gradio and torch
            from ui import page
            from ui.jobs import metric_files
            from ui.sharing import store

            ui.jobs.gpu.preload()
            metric_files.start_fetching()
            demo = page.build()
            page.warm_up(demo)
            for number in (signal.SIGINT, signal.SIGTERM):  # both end it in order: visitors' files are deleted
                signal.signal(number, signal.default_int_handler)
            _, url, _ = demo.launch(**page.launch_options(), quiet=True, prevent_thread_lock=True)
            gc.freeze()  # all of it stays as long as the page: there is no need to look at it again and again
        print(f"{page.TITLE} is open at {url.rstrip('/')} (Ctrl-C stops it)", flush=True)
        try:
            store.start()
            with suppress(KeyboardInterrupt):
                _keep_open(demo, folder)
        finally:
            if ended := page.end_runs(demo):
                log.warning("stopped with %d runs going on or waiting: who listens to them was told so", ended)
            demo.close(verbose=False)


def _keep_open(demo: "Blocks", folder: Path) -> None:
    """Waits until the page is closed, deletes visitors' files in their time, and gives back memory that is free."""
    from ui.jobs import sweeping
    from ui.sharing import store

    swept = time.monotonic()
    while demo.is_running:
        time.sleep(WATCH_SECONDS)
        machine.trim_after_run()  # what many visitors took at once stays with the process by itself
        if time.monotonic() - swept > sweeping.SWEEP_SECONDS:
            try:
                sweeping.sweep(demo, folder)
                store.sweep()
            except Exception:
                log.exception("visitors' files cannot be deleted in their time")
            swept = time.monotonic()


def _check_port(host: str, port: int) -> None:
    """Raises BadSetting where nobody can listen there: gradio would advise what has no effect here."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as trial:
            if os.name == "posix":  # what a page left behind that has just ended does not count; Windows means another
                trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind(address)
    except OSError as error:
        another = f"choose another with PORT, such as PORT={8000 + (port == 8000)}"
        if error.errno == errno.EADDRINUSE:
            raise BadSetting(f"Port {port} is in use: {another}.") from error
        if error.errno == errno.EACCES:
            raise BadSetting(f"Port {port} may not be used by this user: {another}.") from error
        raise BadSetting(f"The page cannot be opened at {host}, port {port}: {error.strerror or error}.") from error


def _fail(message: str) -> int:
    print(message, file=sys.stderr)
    return 1


def _add_page(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    about = "open the page on this machine (the port is PORT, or 7860)"
    page = add_command(commands, "page", about, ("", "--debug"))
    page.set_defaults(command=lambda options: sys.exit(open_page(options.debug)))
