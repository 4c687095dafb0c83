"""The command line: `python -m pipelines models | upscale | chain | benchmark | weights`.

Exit code 0; 2 for bad usage; 1 with one line on stderr for anything the caller can mend; 130 when interrupted. Never a
traceback, never a half-written output.
"""

import argparse
import json
import math
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

from pipelines.catalog import rows as catalog
from pipelines.catalog.schema import Weights
from pipelines.cli import arguments, benchmark
from pipelines.errors import NobodyOffers, UpscaleError, WeightsUnavailable

if TYPE_CHECKING:
    from pipelines.catalog.settings import Settings
    from pipelines.enlarge import Details
    from pipelines.runs import Step
    from pipelines.weights.local import Found

MEGABYTE = 1_000_000
LABEL = 27  # as wide as the longest name of some weights, "real-esrgan-general denoise"
NOTHING_WRITTEN = "Cancelled; nothing was written."
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main(given: Sequence[str] | None = None) -> int:
    """Run one command and give its exit code."""
    options = _parser().parse_args(given)
    before = {number: signal.signal(number, _interrupt) for number in SIGNALS}
    try:
        options.command(options)
        sys.stdout.flush()
    except UpscaleError as error:
        return _fail(str(error))
    except MemoryError:
        return _fail("There is not enough memory for that.")
    except KeyboardInterrupt:
        _fail(options.cancelled)
        return 130
    except BrokenPipeError:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115  # the reader went away, as in `models | head`
        return 1
    except OSError as error:
        return _fail(f"The terminal or file that this is printed to fails: {error.strerror}.")
    except Exception as error:
        return _fail(f"Something went wrong that should not: {type(error).__name__}: {error}")
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return 0


def _fail(sentence: str) -> int:
    print(" ".join(sentence.split()), file=sys.stderr)
    return 1


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    """End by any of SIGNALS alike: temporary files are removed on the way out."""
    raise KeyboardInterrupt


# --- commands -----------------------------------------------------------------------------------------------------


def _models(options: argparse.Namespace) -> None:
    if options.json:
        print(json.dumps([catalog.as_dict(model) for model in catalog.MODELS], indent=2))
        return
    for model in catalog.MODELS:
        scales = " ".join(f"x{scale}" for scale in model.scales)
        use = "commercial use" if model.commercial else "no commercial use"
        print(f"{model.key:<20} {model.family:<10} {scales:<12} {model.licence} ({use}). {model.note}")


def _upscale(options: argparse.Namespace) -> None:
    _enlarge(options, [(options.model, options.scale)], options.weights)


def _chain(options: argparse.Namespace) -> None:
    _enlarge(options, options.stages, None)


def _enlarge(options: argparse.Namespace, stages: Sequence[tuple[str, int]], own: Path | None) -> None:
    """Picture in, enlarged picture out. What can be refused is refused before the long part."""
    from pipelines.catalog.settings import check
    from pipelines.enlarge import enlarge
    from pipelines.images import door as images
    from pipelines.phrasing import chosen
    from pipelines.runs import finish
    from pipelines.upscalers.loading import prepare

    settings = _settings(options)
    format_ = images.check_output(options.output)
    for key, scale in stages:
        catalog.weights_for(catalog.find(key), scale)
    check([catalog.find(key) for key, _ in stages], settings)
    picture = images.read(options.input, math.prod(scale for _, scale in stages))
    with _progress() as show:
        done = finish(enlarge(picture, finish(prepare(stages, own, settings), show), settings), show)
    images.write(done.picture, options.output)
    print(f"{options.output}: {_summary(done.details)}")
    if done.details.settings:
        print(f"  {chosen(done.details.settings)}")
    for note in (*done.details.notes, *images.losses(done.picture, format_)):
        print(f"  {note}")


def _summary(details: "Details") -> str:
    width, height = details.size
    tiles = f", {details.tiles} tiles" if details.tiles > 1 else ""
    return f"{width} x {height}, {details.model} x{details.scale}, {details.seconds:.2f} s on {details.device}{tiles}"


def _weights_list(options: argparse.Namespace) -> None:
    from pipelines.weights import fetch as weights

    for label, needed in _needed(_all_keys()):
        found = weights.find(needed)
        where = ", ".join(dict.fromkeys(file.origin for file in found)) if found else "not here"
        pins = ", ".join(dict.fromkeys(file.pin for file in needed.files))
        print(f"{label:<{LABEL}} {needed.size / MEGABYTE:8.2f} MB  {where:<14} {pins}")


def _weights_pull(options: argparse.Namespace) -> None:
    from pipelines.runs import finish
    from pipelines.weights import fetch as weights

    with _progress() as show:
        for label, needed in _needed(options.keys):
            _announce(label, needed)
            for file in finish(weights.fetch(needed), show):
                print(f"{label:<{LABEL}} {file.path} ({file.origin}, {file.proof})")


def _weights_verify(options: argparse.Namespace) -> None:
    """Every file of every row, fetched and hashed; a row that fails does not stop the others.

    What nobody offers is no failure: it is hashed where it is in a folder of one's own, and else there is no such file.
    """
    from pipelines.runs import finish
    from pipelines.weights import fetch as weights

    failed = 0
    with _progress() as show:
        for label, needed in _needed(_all_keys()):
            with suppress(UpscaleError):  # which `verify` tells
                _announce(label, needed)
            results = finish(weights.verify(needed), show)
            failed += sum(isinstance(file, UpscaleError) and not isinstance(file, NobodyOffers) for file in results)
            lines = (f"{label:<{LABEL}} {_verified(file, needed)}" for file in results)
            print("\n".join(dict.fromkeys(lines)))  # what a source refuses, it refuses for all files alike
    if failed:
        raise WeightsUnavailable(f"{failed} files could not be verified.")


def _verified(file: "Found | UpscaleError", needed: Weights) -> str:
    if isinstance(file, NobodyOffers):
        return "nowhere to ask: nobody offers these files, and UPSCALE_WEIGHTS_DIR does not have them"
    if isinstance(file, UpscaleError):
        return f"failed: {file}"
    name = file.file.name if len(needed.files) == 1 else file.file.path
    return f"{name:<28} {file.proof:<14} sha256 {file.sha256} ({file.origin})"


def _announce(label: str, needed: Weights) -> None:
    """Say how much is about to be downloaded, before it is."""
    from pipelines.phrasing import download
    from pipelines.weights import fetch as weights

    if needed.sources and weights.find(needed) is None:
        print(f"{label:<{LABEL}} is not here: asking for {download(needed.size)}", flush=True)


def _needed(keys: Iterable[str]) -> Iterator[tuple[str, Weights]]:
    for key in keys:
        yield from catalog.needed_by(key).items()


def _all_keys() -> list[str]:
    return [*(model.key for model in catalog.MODELS), *catalog.METRIC_FILES]


# --- progress -----------------------------------------------------------------------------------------------------


@contextmanager
def _progress() -> Iterator[Callable[["Step"], None]]:
    """A bar with an estimate of the time left, on a terminal; a new one for each total."""
    from tqdm import tqdm

    bar = None

    def show(step: "Step") -> None:
        nonlocal bar
        if bar is None or bar.total != step.total or bar.n > step.done:
            if bar is not None:
                bar.close()
            large = step.total > 10_000  # bytes
            bar = tqdm(total=step.total, leave=False, unit_scale=large, disable=None)
        bar.set_description(step.note, refresh=False)
        bar.update(step.done - bar.n)

    try:
        yield show
    finally:
        if bar is not None:
            bar.close()


# --- arguments ----------------------------------------------------------------------------------------------------


def _parser() -> argparse.ArgumentParser:
    about = "Enlarge pictures with many upscalers, and measure which is best."
    parser = argparse.ArgumentParser(prog="python -m pipelines", description=about)
    parser.set_defaults(cancelled="Cancelled.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    models = commands.add_parser("models", help="list the models")
    models.add_argument("--json", action="store_true", help="as JSON, with every field")
    models.set_defaults(command=_models)

    files = argparse.ArgumentParser(add_help=False)
    files.add_argument("input", type=Path, metavar="IN", help="a PNG, JPEG, WebP, TIFF, BMP, GIF or AVIF file")
    files.add_argument("output", type=Path, metavar="OUT", help="a .png, .webp (both lossless) or .jpg file")
    chosen = files.add_argument_group("settings (a model refuses those that it cannot use)")
    chosen.add_argument("--tile", type=int, metavar="N", help="side of a tile, in pixels of the input")
    chosen.add_argument("--seed", type=int, metavar="N")
    chosen.add_argument("--denoise", type=float, metavar="X", help="0 keeps noise, 1 removes it")
    chosen.add_argument("--prompt", metavar="TEXT")
    chosen.add_argument("--negative", metavar="TEXT", dest="negative_prompt")
    chosen.add_argument("--steps", type=int, metavar="N")
    chosen.add_argument("--guidance", type=float, metavar="X")
    chosen.add_argument("--noise-level", type=int, metavar="N")
    chosen.add_argument("--colour-fix", choices=catalog.COLOUR_FIXES, help="how the picture's colours are kept")

    upscale = commands.add_parser("upscale", parents=[files], help="enlarge a picture")
    upscale.add_argument(
        "--model",
        type=arguments.key,
        metavar="KEY",
        required=True,
        help="see the command models; or owner/name/file.safetensors on the Hugging Face Hub",
    )
    upscale.add_argument("--scale", type=int, choices=catalog.SCALES, required=True)
    upscale.add_argument("--weights", type=Path, metavar="FILE|FOLDER", help="your own file, instead of the model's")
    upscale.set_defaults(command=_upscale, cancelled=NOTHING_WRITTEN)

    chain = commands.add_parser("chain", parents=[files], help="enlarge by several models, one after another")
    chain.add_argument("--stages", type=arguments.stages, metavar="KEY:SCALE,KEY:SCALE", required=True)
    chain.set_defaults(command=_chain, cancelled=NOTHING_WRITTEN)

    benchmark.add_to(commands, _progress)

    store = commands.add_parser("weights", help="list, download or check the models' files")
    actions = store.add_subparsers(required=True, metavar="ACTION")
    listing = actions.add_parser("list", help="each file, its size, where it is and how it is pinned")
    listing.set_defaults(command=_weights_list)
    pull = actions.add_parser("pull", help="download the files of these models, or of the metric lpips")
    pull.add_argument("keys", nargs="+", type=arguments.key_with_files, metavar="KEY")
    pull.set_defaults(command=_weights_pull)
    verify = actions.add_parser("verify", help="fetch and hash every file of every model and metric")
    verify.set_defaults(command=_weights_verify)
    return parser


def _settings(options: argparse.Namespace) -> "Settings":
    from dataclasses import fields

    from pipelines.catalog.settings import Settings

    return Settings(**{field.name: getattr(options, field.name, None) for field in fields(Settings)})


def _printable() -> None:
    """Streams that can be printed to: closed ones lead nowhere, and signs they cannot hold are spelled out."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115  # it lives as long as the program
        else:
            stream.reconfigure(errors="backslashreplace")


def run() -> NoReturn:
    """Be the program: run the command that the arguments name, and exit with its code."""
    _printable()
    code = main()
    try:
        sys.stdout.close()  # or the interpreter does, with a traceback where that fails
    except OSError:
        code = code or _fail("Not all could be printed.")
    sys.exit(code)
