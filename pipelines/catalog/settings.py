"""What a caller may choose beyond model and scale, in which ranges, and what refuses the rest.

A caller of the API may have sent anything: each value is checked here. Plain data and plain tests: importing this
module loads no network library.
"""

import math
from collections.abc import Sequence, Set
from dataclasses import dataclass, fields, replace
from typing import cast

from pipelines.catalog.schema import ARTIFACTS, COLOUR_FIXES, CREATIVITY, START_POINTS, Model
from pipelines.environment import accepted_licences
from pipelines.errors import BadSetting
from pipelines.phrasing import printable

STEPS_RANGE = (1, 200)
GUIDANCE_RANGE = (1, 30)
NOISE_LEVEL_RANGE = (0, 350)  # more than 350 was never seen in training (the model's max_noise_level)
SEED_RANGE = (0, 2**32 - 1)
CLEANUP_RANGE = (0, 1)
STRENGTH_RANGE = (0, 2)
SMALLEST_LATENT_TILE = 32  # latents that a tile reads, whether it was asked for or memory made it so small
LONGEST_NUMBER, LONGEST_SHOWN = 40, 20  # digits of a number, and characters of anything else, that a message repeats
QUALITY_RANGE, USUAL_QUALITY = (1, 100), 95  # of JPEG; of WebP the range alone, which is lossless unless one is given
LONGEST_PROMPT = 2000  # characters; about the first 75 words of it are read


@dataclass(frozen=True, slots=True)
class Settings:
    """What a caller may choose beyond model and scale. None leaves it to the model."""

    tile: int | None = None  # side of what a network reads at once, in low-resolution pixels
    seed: int | None = None
    prompt: str | None = None
    negative_prompt: str | None = None
    steps: int | None = None
    guidance: float | None = None
    noise_level: int | None = None
    colour_fix: str | None = None  # one of COLOUR_FIXES
    denoise: float | None = None
    artifacts: str | None = None  # one of ARTIFACTS
    strength: float | None = None  # how strongly a cleaned image holds what is denoised
    start_point: str | None = None  # one of START_POINTS
    accept_licence: bool | None = None  # whether who asks accepts the licence of a model that wants it
    creativity: str | None = None  # one of CREATIVITY: several settings at once, where they are not given themselves
    cleanup: float | None = None  # how strongly an x1 model cleans up; None leaves it to what it finds

    def given(self) -> frozenset[str]:
        """The names of the settings that were chosen."""
        return frozenset(each.name for each in fields(self) if getattr(self, each.name) is not None)

    def only(self, names: Set[str]) -> "Settings":
        """The same settings without those not named."""
        return replace(self, **dict.fromkeys(self.given() - names))


def check_settings(models: Sequence[Model], settings: Settings) -> None:
    """Raises BadSetting for a setting that none of the models can use, or that is out of its range."""
    usable = frozenset[str]().union(*(model.takes for model in models))
    for name in sorted(settings.given() - usable):
        names = " and ".join(dict.fromkeys(model.name for model in models))
        raise BadSetting(f"{names} cannot use the setting {name.replace('_', ' ')}.")
    strength = settings.denoise
    # Whatever a caller of the API sent: not always a number, and true is one for Python.
    if strength is not None and (type(strength) not in (int, float) or not 0 <= strength <= 1):
        raise BadSetting(f"Denoise is a number from 0 (keeps noise) to 1, not {_quoted(strength)}.")
    check_ranges(settings)
    check_accepted(models, settings)
    for model in models:
        if model.tiles is not None:
            check_tile(model, settings, *model.tiles)


def check_accepted(models: Sequence[Model], settings: Settings) -> None:
    """Raises BadSetting for a model whose licence neither the owner nor who asks has accepted."""
    for model in models:
        if model.terms and settings.accept_licence is not True and model.terms not in accepted_licences():
            bound = f"{model.name} is not for commercial use, and its licence"
            raise BadSetting(
                f"{f'The licence of {model.name}' if model.commercial else bound} must be accepted first: tick the box "
                f"on the page, or use --accept-licence, accept_licence=True or UPSCALE_ACCEPT={model.terms}."
            )


def check_tile(model: Model, settings: Settings, least: int, most: int) -> None:
    """Raises BadSetting for a tile that is not a whole number in that range."""
    tile = settings.tile
    if tile is not None and (type(tile) is not int or not least <= tile <= most):
        raise BadSetting(f"A tile for {model.name} has {least} to {most} pixels a side, not {_quoted(tile)}.")


def check_ranges(settings: Settings) -> None:
    """Raises BadSetting for the first value that is out of its range or of another type."""
    _whole("Steps are", settings.steps, STEPS_RANGE)
    _number("Guidance is", settings.guidance, GUIDANCE_RANGE)
    _whole("The noise level is", settings.noise_level, NOISE_LEVEL_RANGE)
    _whole("The seed is", settings.seed, SEED_RANGE)
    _number("The strength of the clean-up is", settings.cleanup, CLEANUP_RANGE)
    _text("The prompt", settings.prompt)
    _text("The negative prompt", settings.negative_prompt)
    _one_of("The colour fix is", settings.colour_fix, COLOUR_FIXES)
    _number("The strength is", settings.strength, STRENGTH_RANGE)
    _one_of("The start point is", settings.start_point, START_POINTS)
    _one_of("Creativity is", settings.creativity, CREATIVITY)
    if settings.accept_licence not in (None, False, True):
        raise BadSetting(f"Accept licence is true or false, not {_quoted(settings.accept_licence)}.")
    _one_of("The setting artifacts is", settings.artifacts, ARTIFACTS)


def _whole(what: str, value: object, ends: tuple[int, int]) -> None:
    least, most = ends
    # By type: for Python true is a number.
    if value is not None and not (type(value) is int and least <= value <= most):
        raise BadSetting(f"{what} a whole number from {least} to {most}, not {_quoted(value)}.")


def _number(what: str, value: object, ends: tuple[int, int]) -> None:
    least, most = ends
    if value is not None and not (type(value) in (int, float) and least <= cast(float, value) <= most):
        raise BadSetting(f"{what} a number from {least} to {most}, not {_quoted(value)}.")


def _one_of(what: str, value: object, names: Sequence[str]) -> None:
    if value is not None and value not in names:
        raise BadSetting(f"{what} {', '.join(names[:-1])} or {names[-1]}, not {_quoted(value)}.")


def _text(what: str, value: object) -> None:
    if value is None:
        return
    if not isinstance(value, str):
        raise BadSetting(f"{what} is text, not {_quoted(value)}.")
    if len(value) > LONGEST_PROMPT:
        raise BadSetting(f"{what} has at most {LONGEST_PROMPT} characters, not {len(value)}.")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise BadSetting(f"{what} contains half a character, such as part of a cut emoji.") from error


def _quoted(value: object) -> str:
    """Returns a value of any type, fit for one line: a number whole, a text in quotes, the start of what is long."""
    if isinstance(value, int) and abs(value) >= 10**LONGEST_NUMBER:
        return f"a number of about {round(value.bit_length() * math.log10(2))} digits"
    if isinstance(value, int | float):
        return str(value)
    shown = printable(text if len(text := str(value)) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…")
    return (f'"{shown}"' if shown else "nothing") if isinstance(value, str) else shown
