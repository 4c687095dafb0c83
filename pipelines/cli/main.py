"""The command line: `python -m pipelines models | upscale | chain | benchmark | weights`.

Exit code 0; 2 for bad usage; 1 with one line on stderr for anything the caller can mend; 130 when interrupted. No
traceback unless it is asked for by --debug or UPSCALE_DEBUG=1, never a half-written output.
"""

import argparse
import json
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from types import FrameType
from typing import NoReturn, TypeAlias

from pipelines import environment, machine
from pipelines.catalog import openmodeldb
from pipelines.catalog import rows as catalog
from pipelines.cli import arguments, benchmark, enlarge, weights
from pipelines.cli.arguments import add_command as add_command
from pipelines.cli.progress import show_progress
from pipelines.errors import UpscaleError

PROGRAM = "python -m pipelines"
# Windows has no SIGHUP.
SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
LOGGERS = ("pipelines", "ui")

# Adds commands to those of this module.
Commands: TypeAlias = Callable[["argparse._SubParsersAction[argparse.ArgumentParser]"], None]

log = logging.getLogger(__name__)


def main(given: Sequence[str] | None = None, program: str = PROGRAM, more: Sequence[Commands] = ()) -> int:
    """Runs one command and returns its exit code; `more` adds commands to those that are here."""
    options = _parser(program, more).parse_args(given)
    before = {number: signal.signal(number, _interrupt) for number in SIGNALS}
    accepted = environment.accepted_licences()
    try:
        set_up_logging(options.debug)
        if options.accepts:
            environment.accept_licences(accepted | catalog.LICENCES)
        options.command(options)
        sys.stdout.flush()
    except UpscaleError as error:
        log.debug("refused", exc_info=True)
        return _fail(str(error))
    except MemoryError:
        log.debug("out of memory", exc_info=True)
        return _fail("There is not enough memory for that.")
    except KeyboardInterrupt:
        _fail(options.cancelled)
        return 130
    except BrokenPipeError:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115  # the reader went away, as in `models | head`
        return 1
    except OSError as error:
        log.debug("cannot be printed", exc_info=True)
        return _fail(f"The output cannot be written: {error.strerror}.")
    except Exception as error:
        log.exception("failed as it should not")
        return _fail(f"Something unexpected went wrong: {type(error).__name__}: {error}")
    finally:
        if options.accepts:
            environment.accept_licences(accepted)
        for number, handler in before.items():
            signal.signal(number, handler)
    return 0


def run(program: str = PROGRAM, more: Sequence[Commands] = ()) -> NoReturn:
    """Runs the command that the arguments of this process name, and exits with its code."""
    _make_printable()
    environment.let_threads_sleep()
    machine.keep_heap()
    code = main(program=program, more=more)
    try:
        sys.stdout.close()  # or the interpreter does, with a traceback where that fails
    except OSError:
        code = code or _fail("Part of the output could not be printed.")
    sys.exit(code)


def set_up_logging(debug: bool = False, usual: int | None = None) -> None:
    """Shows on stderr what the project logs: all of it where that is asked for, here or by UPSCALE_DEBUG.

    Else it shows what is of the level `usual` or above; nothing where that is None. What other libraries log stays as
    it is. Raises BadSetting as `environment.debug` does.
    """
    level = logging.DEBUG if debug or environment.debug() else usual
    for name in LOGGERS:
        logger = logging.getLogger(name)
        # With no handler at all, logging would print what is grave on stderr by itself.
        logger.handlers = [logging.NullHandler() if level is None else logging.StreamHandler()]
        logger.setLevel(logging.NOTSET if level is None else level)


def _fail(sentence: str) -> int:
    print(" ".join(sentence.split()), file=sys.stderr)
    return 1


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    """Ends by any of SIGNALS alike: temporary files are removed on the way out."""
    raise KeyboardInterrupt


def _parser(program: str, more: Sequence[Commands]) -> argparse.ArgumentParser:
    about = "Upscale images with many models, and measure which one is best."
    parser: argparse.ArgumentParser = arguments.Parser(
        prog=program,
        description=about,
        epilog=f"example:\n  {program} upscale in.jpg out.png",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(cancelled="Cancelled.", debug=False, accepts=False)
    arguments.add_debug(parser)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    models = add_command(commands, "models", "list the models", ("", "--json", "--search sharp"))
    models.add_argument("--json", action="store_true", help="as JSON, with every field; default: one line each")
    models.add_argument(
        "--search",
        metavar="WORDS",
        help="search OpenModelDB for these words instead, which downloads its list; default none",
    )
    models.set_defaults(command=_list_models)
    enlarge.add_to(commands)
    benchmark.add_to(commands, show_progress)
    weights.add_to(commands)
    for add in more:
        add(commands)
    return parser


def _search(words: str) -> None:
    """Prints what OpenModelDB has, from its list, which is brought where it is not here or a day old."""
    from pipelines.phrasing import format_bytes
    from pipelines.runs import finish
    from pipelines.weights.openmodeldb import refresh_list

    finish(refresh_list())
    found = openmodeldb.search(words)
    for entry in found:
        use = "commercial use" if entry.commercial else "no commercial use"
        how = (
            format_bytes(entry.size)
            if entry.loadable(environment.model_hosts())
            else f"download in a browser: {entry.page}"
        )
        about = f"x{entry.scale:<3} {entry.architecture:<10} {entry.licence or 'no licence named'} ({use})"
        print(f"{openmodeldb.PREFIX + entry.name:<40} {about}, {how}")
    if not found:
        print(f"OpenModelDB has no model with {words!r} in its name or description.")


def _list_models(options: argparse.Namespace) -> None:
    if options.search is not None:
        _search(options.search)
        return
    if options.json:
        print(json.dumps([catalog.as_dict(model) for model in catalog.MODELS], indent=2))
        return
    for model in catalog.MODELS:
        scales = " ".join(f"x{scale}" for scale in model.scales)
        use = "commercial use" if model.commercial else "no commercial use"
        print(f"{model.key:<25} {model.family:<10} {scales:<12} {model.licence} ({use}). {model.note}")


def _make_printable() -> None:
    """Makes streams printable: closed ones lead nowhere, and characters that they cannot hold are spelled out."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115  # it lives as long as the program
        else:
            stream.reconfigure(errors="backslashreplace")
