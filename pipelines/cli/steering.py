"""The settings of a model as options of the commands `upscale` and `chain`."""

import argparse
from typing import TYPE_CHECKING

from pipelines.catalog import rows as catalog
from pipelines.catalog.rows import CREATIVITY, Options
from pipelines.catalog.schema import ARTIFACTS, START_POINTS
from pipelines.catalog.settings import STRENGTH_RANGE
from pipelines.cli import arguments

if TYPE_CHECKING:
    from pipelines.catalog.settings import Settings


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds all but the strength of the clean-up, which is told with what cleans up."""
    add = parser.add_argument_group("settings (a model refuses those that it cannot use)").add_argument
    add(
        "--tile",
        type=arguments.parse_whole,
        metavar="N",
        help="side of a tile, in pixels of the input; smaller tiles need less memory; range and default depend on the "
        "model",
    )
    add(
        "--seed",
        type=arguments.parse_whole,
        metavar="N",
        help=f"the same seed gives the same result; {format_range(catalog.SEED_RANGE)}, default {Options().seed}",
    )
    add(
        "--denoise",
        type=arguments.parse_number,
        metavar="X",
        help="how much noise to remove: 0 keeps it, 1 removes it; default 1",
    )
    add(
        "--artifacts",
        choices=ARTIFACTS,
        help="whether swift removes JPEG artifacts and jagged edges: auto decides from the image, none never does, "
        "remove always does; default auto",
    )
    most = f"at most {catalog.LONGEST_PROMPT} characters, default none"
    add("--prompt", metavar="TEXT", help=f"what the image shows, in words; {most}")
    add("--negative", metavar="TEXT", dest="negative_prompt", help=f"what to avoid, in words; {most}")
    add(
        "--steps",
        type=arguments.parse_whole,
        metavar="N",
        help="steps of denoising; more steps are slower and rarely look better; "
        f"{format_range(catalog.STEPS_RANGE)}, default {_format_defaults('steps')}",
    )
    add(
        "--guidance",
        type=arguments.parse_number,
        metavar="X",
        help="how strongly the prompt is followed: 1 ignores it and is twice as fast; "
        f"{format_range(catalog.GUIDANCE_RANGE)}, default {_format_defaults('guidance')}",
    )
    add(
        "--creativity",
        choices=CREATIVITY,
        help="how much the model may invent: sets the noise level of sd-x4 and diffbir, and the guidance, strength and "
        f"added noise of supir, unless those are given; default {CREATIVITY[0]}",
    )
    add(
        "--noise-level",
        type=arguments.parse_whole,
        metavar="N",
        help="how far the model may depart from the image; "
        f"{format_range(catalog.NOISE_LEVEL_RANGE)}, default {_format_defaults('noise_level')}",
    )
    add(
        "--strength",
        type=arguments.parse_number,
        metavar="X",
        help="how closely DiffBIR and SUPIR follow the cleaned image; "
        f"{format_range(STRENGTH_RANGE)}, default {_format_defaults('strength')}",
    )
    add(
        "--start-point",
        choices=START_POINTS,
        help="what denoising starts from: noise alone, or the image under noise, which invents less; "
        f"default {_format_defaults('start_point')}",
    )
    add(
        "--colour-fix",
        "--color-fix",
        choices=catalog.COLOUR_FIXES,
        help="where the colours come from: wavelet keeps the image's own, adain matches its average, none leaves them "
        f"to the model; default {_format_defaults('colour_fix')}",
    )


def read_settings(options: argparse.Namespace) -> "Settings":
    """Returns the settings that were given, and how strongly to clean up first."""
    from dataclasses import fields

    from pipelines.catalog.settings import Settings

    given = {field.name: getattr(options, field.name, None) for field in fields(Settings)}
    return Settings(**given | {"cleanup": options.first.strength})


def format_range(ends: tuple[int, int]) -> str:
    """Returns a range to read: "0 to 1"."""
    return f"{ends[0]} to {ends[1]}"


def _format_defaults(setting: str) -> str:
    """Returns the default of the setting, or each default with the models that have it."""
    rows = [row for row in catalog.MODELS if row.diffusion and setting in row.takes]
    values = {row.key: getattr(catalog.find_specification(row).options, setting) for row in rows}
    keys: dict[str, list[str]] = {}
    for key, value in values.items():
        keys.setdefault(value if isinstance(value, str) else f"{value:g}", []).append(key)
    return next(iter(keys)) if len(keys) == 1 else "; ".join(f"{each} for {', '.join(keys[each])}" for each in keys)
