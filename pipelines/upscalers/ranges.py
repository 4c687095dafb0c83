"""The ranges of what steers diffusion models. A caller of the API may have sent anything: each value is checked here.

Plain data and plain tests: importing this module loads no network library.
"""

from typing import TYPE_CHECKING, cast

from pipelines.catalog import COLOUR_FIXES
from pipelines.errors import BadSetting

if TYPE_CHECKING:
    from pipelines.upscalers.base import Settings

STEPS = (1, 200)
GUIDANCE = (1, 30)
NOISE_LEVEL = (0, 350)  # more than 350 was never seen in training (the model's max_noise_level)
SEED = (0, 2**32 - 1)
SMALLEST_SIDE = 32  # latents that a tile reads, whether it was asked for or memory made it so small
LONGEST_PROMPT = 2000  # characters; about the first 75 words of it are read


def check_ranges(settings: "Settings") -> None:
    """Raise BadSetting, in one sentence, for the first value that is out of its range or of another type."""
    _whole("Steps are", settings.steps, STEPS)
    _number("Guidance is", settings.guidance, GUIDANCE)
    _whole("The noise level is", settings.noise_level, NOISE_LEVEL)
    _whole("The seed is", settings.seed, SEED)
    _text("The prompt", settings.prompt)
    _text("The negative prompt", settings.negative_prompt)
    if settings.colour_fix is not None and settings.colour_fix not in COLOUR_FIXES:
        names = f"{', '.join(COLOUR_FIXES[:-1])} or {COLOUR_FIXES[-1]}"
        raise BadSetting(f"The colour fix is {names}, not {_shown(settings.colour_fix)}.")


def _whole(what: str, value: object, ends: tuple[int, int]) -> None:
    least, most = ends
    # By type: for Python true is a number.
    if value is not None and not (type(value) is int and least <= value <= most):
        raise BadSetting(f"{what} a whole number from {least} to {most}, not {_shown(value)}.")


def _number(what: str, value: object, ends: tuple[int, int]) -> None:
    least, most = ends
    if value is not None and not (type(value) in (int, float) and least <= cast(float, value) <= most):
        raise BadSetting(f"{what} a number from {least} to {most}, not {_shown(value)}.")


def _text(what: str, value: object) -> None:
    if value is None:
        return
    if not isinstance(value, str):
        raise BadSetting(f"{what} is text, not {_shown(value)}.")
    if len(value) > LONGEST_PROMPT:
        raise BadSetting(f"{what} has at most {LONGEST_PROMPT} characters, not {len(value)}.")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise BadSetting(f"{what} has half a sign in it, as a cut emoji leaves one.") from error


def _shown(value: object) -> str:
    """A value of any type, fit for one line."""
    signs = (sign if sign.isprintable() else "?" for sign in str(value)[:20])
    return "".join(signs) or "nothing"
