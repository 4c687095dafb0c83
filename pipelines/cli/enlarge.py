"""The commands `upscale` and `chain`: a picture in, an enlarged picture out."""

import argparse
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.catalog import rows as catalog
from pipelines.catalog.rows import Stage
from pipelines.cli import arguments
from pipelines.cli.progress import progress

if TYPE_CHECKING:
    from pipelines.catalog.settings import Settings
    from pipelines.enlarge import Details

NOTHING_WRITTEN = "Cancelled; nothing was written."


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add both commands."""
    shared = _shared_options()
    upscale = commands.add_parser("upscale", parents=[shared], help="enlarge a picture")
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

    chain = commands.add_parser("chain", parents=[shared], help="enlarge by several models, one after another")
    chain.add_argument("--stages", type=arguments.stages, metavar="KEY:SCALE,KEY:SCALE", required=True)
    chain.set_defaults(command=_chain, cancelled=NOTHING_WRITTEN)


def _shared_options() -> argparse.ArgumentParser:
    """The two files and the settings."""
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("input", type=Path, metavar="IN", help="a PNG, JPEG, WebP, TIFF, BMP, GIF or AVIF file")
    shared.add_argument("output", type=Path, metavar="OUT", help="a .png, .webp (both lossless) or .jpg file")
    settings = shared.add_argument_group("settings (a model refuses those that it cannot use)")
    settings.add_argument("--tile", type=int, metavar="N", help="side of a tile, in pixels of the input")
    settings.add_argument("--seed", type=int, metavar="N")
    settings.add_argument("--denoise", type=float, metavar="X", help="0 keeps noise, 1 removes it")
    settings.add_argument("--prompt", metavar="TEXT")
    settings.add_argument("--negative", metavar="TEXT", dest="negative_prompt")
    settings.add_argument("--steps", type=int, metavar="N")
    settings.add_argument("--guidance", type=float, metavar="X")
    settings.add_argument("--noise-level", type=int, metavar="N")
    settings.add_argument("--colour-fix", choices=catalog.COLOUR_FIXES, help="how the picture's colours are kept")
    return shared


def _upscale(options: argparse.Namespace) -> None:
    _enlarge(options, [Stage(options.model, options.scale)], options.weights)


def _chain(options: argparse.Namespace) -> None:
    _enlarge(options, options.stages, None)


def _enlarge(options: argparse.Namespace, stages: Sequence[Stage], own: Path | None) -> None:
    """Picture in, enlarged picture out. What can be refused is refused before the long part."""
    from pipelines.enlarge import enlarge_fetched
    from pipelines.images import door as images
    from pipelines.phrasing import describe_settings
    from pipelines.runs import finish
    from pipelines.upscalers.loading import fetch

    settings = _settings(options)
    format_ = images.check_output(options.output)
    catalog.check_stages(stages, settings)
    picture = images.read(options.input, math.prod(stage.scale for stage in stages))
    with progress() as show:
        done = finish(enlarge_fetched(picture, finish(fetch(stages, settings, own), show), settings), show)
    images.write(done.picture, options.output)
    print(f"{options.output}: {_summary(done.details)}")
    if done.details.settings:
        print(f"  {describe_settings(done.details.settings)}")
    for note in (*done.details.notes, *images.list_losses(done.picture, format_)):
        print(f"  {note}")


def _summary(details: "Details") -> str:
    width, height = details.size
    tiles = f", {details.tiles} tiles" if details.tiles > 1 else ""
    return f"{width} x {height}, {details.model} x{details.scale}, {details.seconds:.2f} s on {details.device}{tiles}"


def _settings(options: argparse.Namespace) -> "Settings":
    from dataclasses import fields

    from pipelines.catalog.settings import Settings

    return Settings(**{field.name: getattr(options, field.name, None) for field in fields(Settings)})
