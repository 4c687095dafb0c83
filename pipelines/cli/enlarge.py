"""The commands `upscale` and `chain`: an image in, an upscaled image out. Many images are for cli/batch.py."""

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines import USUAL_MODEL, USUAL_SCALE
from pipelines.catalog import rows as catalog
from pipelines.catalog.rows import Cleanup, Size, Stage
from pipelines.cli import arguments, batch, steering
from pipelines.cli.progress import show_progress, summarise
from pipelines.cli.steering import format_range
from pipelines.errors import BadSetting
from pipelines.images.addresses import load, parse_place

if TYPE_CHECKING:
    from pipelines.batch.run import Recipe

NOTHING_WRITTEN = "Cancelled; nothing was written."


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds both commands."""
    shared = _shared_options()
    upscale = arguments.add_command(
        commands,
        "upscale",
        "upscale an image, or many, with one model",
        (
            "in.jpg out.png",
            "in.jpg out.png --model real-esrgan-general --scale 2.5",
            "in.jpg out.png --width 1920",
            'in.jpg out.png --model sd-x4 --scale 4 --prompt "a red fox" --seed 7',
            "photos/ upscaled/ --recursive --format jpg",
        ),
        parents=[shared],
    )
    upscale.add_argument(
        "--model",
        type=arguments.parse_key,
        metavar="KEY",
        help="a key that the command models lists, owner/name/file.safetensors on the Hugging Face Hub, omdb/NAME of "
        f"OpenModelDB, or an https address; default {USUAL_MODEL}, or with --weights FILE the network in that file",
    )
    least, most = catalog.FACTOR_RANGE
    upscale.add_argument(
        "--scale",
        type=arguments.parse_factor,
        metavar="X",
        help="how many times larger the image becomes; if the model does not have that scale, its next larger one runs "
        f"(or the model runs twice) and the result is shrunk; {least} to {most}, default {USUAL_SCALE}",
    )
    upscale.add_argument(
        "--width",
        type=arguments.parse_side,
        metavar="N",
        help=f"width of the result in pixels, instead of --scale; up to {most} times the image's, default none",
    )
    upscale.add_argument(
        "--height",
        type=arguments.parse_side,
        metavar="N",
        help="height of the result in pixels, instead of --scale; with --width, the result fits within both; "
        f"up to {most} times the image's, default none",
    )
    upscale.add_argument(
        "--weights",
        type=Path,
        metavar="FILE|FOLDER",
        help="a file or folder of your own; a file without --model runs at its own scale; default: the model's own "
        "files, included or downloaded on first use",
    )
    upscale.set_defaults(command=_upscale, cancelled=NOTHING_WRITTEN)

    chain = arguments.add_command(
        commands,
        "chain",
        "upscale an image, or many, with several models, one after another",
        ("in.jpg out.png --stages lapsrn:4,espcn:2",),
        parents=[shared],
    )
    chain.add_argument(
        "--stages",
        type=arguments.parse_stages,
        metavar="KEY:SCALE,KEY:SCALE",
        required=True,
        help="the models with their scales, in order; required",
    )
    chain.set_defaults(command=_chain, cancelled=NOTHING_WRITTEN)


def _shared_options() -> argparse.ArgumentParser:
    """The files, the settings, and what is for many images."""
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument(
        "inputs",
        type=parse_place,
        nargs="+",
        metavar="IN",
        help="a PNG, JPEG, WebP, TIFF, BMP, GIF, AVIF or HEIC file; several files or folders if OUT is a folder; by "
        "path, or by an address such as hf://datasets/OWNER/NAME/FOLDER or s3://BUCKET/FOLDER",
    )
    shared.add_argument(
        "output",
        metavar="OUT",
        help="a .png or .webp file (lossless unless --quality is given) or a .jpg file; a folder for many images, by "
        "path or address",
    )
    shared.add_argument(
        "--quality",
        type=arguments.parse_quality,
        metavar="N",
        help="quality of a .jpg or .webp file; makes WebP lossy; "
        f"{format_range(catalog.QUALITY_RANGE)}, default {catalog.USUAL_QUALITY} for JPEG, lossless for WebP",
    )
    shared.add_argument(
        "--cleanup",
        type=arguments.parse_cleanup,
        default=Cleanup(),
        dest="first",
        metavar="auto|none|X|KEY",
        help="how to clean the image up before it is upscaled: auto, as much as the image needs; a strength X, "
        f"{format_range(catalog.CLEANUP_RANGE)}; or the key of a model that keeps the size, such as omdb/1x-NAME; "
        f"default {catalog.NO_CLEANUP}",
    )
    shared.add_argument(
        "--overwrite",
        action="store_true",
        help="let OUT be IN itself, which is then lost; in a folder, replace files that this command did not make; "
        "default: refused",
    )
    arguments.add_licence(shared)
    batch.add_options(shared)
    steering.add_options(shared)
    return shared


def _upscale(options: argparse.Namespace) -> None:
    from pipelines.batch.run import Recipe
    from pipelines.upscalers.loading import identify_own

    size = options.scale or Size(factor=USUAL_SCALE)
    if options.width or options.height:
        if options.scale:
            raise BadSetting("Give either --scale, or --width and --height.")
        size = Size(width=options.width, height=options.height)
    many = batch.is_many(options)
    if not many:
        _check_output(options)
    settings, first, key = steering.read_settings(options), options.first.stages, options.model or USUAL_MODEL
    if options.model is None and options.weights is not None and options.weights.is_file():
        key = identify_own(options.weights)
        (own_scale,) = catalog.find(key).scales
        if not (options.scale or options.width or options.height):
            stages = (*first, Stage(key, own_scale))
            recipe = Recipe(stages, settings=settings, own=options.weights, quality=options.quality)
            return (batch.run if many else _enlarge)(options, recipe)
    catalog.check_settings([*(stage.model for stage in first), catalog.find(key)], settings)
    recipe = Recipe((), key, size, first, settings, options.weights, options.quality)
    (batch.run if many else _enlarge)(options, recipe)


def _chain(options: argparse.Namespace) -> None:
    from pipelines.batch.run import Recipe

    many = batch.is_many(options)
    stages = (*options.first.stages, *options.stages)
    recipe = Recipe(stages, settings=steering.read_settings(options), quality=options.quality)
    (batch.run if many else _enlarge)(options, recipe)


def _check_output(options: argparse.Namespace) -> None:
    from pipelines.images import door as images

    images.check_output(Path(options.output), quality=options.quality)


def _enlarge(options: argparse.Namespace, recipe: "Recipe") -> None:
    """Reads, enlarges and writes a picture. What can be refused or told is so before the long part."""
    from pipelines.enlarge import enlarge_by
    from pipelines.estimates import plan_run
    from pipelines.images import door as images
    from pipelines.phrasing import describe_settings
    from pipelines.runs import finish

    [place], output, settings = options.inputs, Path(options.output), recipe.settings
    _check_output(options)
    source = load(place)
    stages, size = recipe.plan(source)
    catalog.check_stages(stages, settings)
    plan = plan_run(source, stages, output, overwrite=options.overwrite, size=size)
    picture = images.read(source, math.prod(stage.scale for stage in stages))
    assert plan.format is not None, "a file to write was named"
    for loss in images.list_losses(picture, plan.format, quality=recipe.quality):
        print(f"{output}: {loss}", flush=True)
    with show_progress() as show:
        done = finish(enlarge_by(picture, stages, settings, recipe.own, size), show)
    images.write(done.picture, output, quality=recipe.quality)
    print(f"{output}: {summarise(done.details)}")
    if done.details.settings:
        print(f"  {describe_settings(done.details.settings)}")
    for note in done.details.notes:
        print(f"  {note}")
