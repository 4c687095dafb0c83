"""For how long a GPU is borrowed on ZeroGPU, what that takes of a visitor's quota, and what fits into the rest of it.

A run is refused there if it asks for more than the visitor has left of the day's few minutes. So no more is asked for
than it may take: what is estimated, and a margin that shrinks with each run that was timed here. Where no GPU is
borrowed, all this says nothing.
"""

import re
import warnings
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import NamedTuple

from pipelines import environment, estimates
from pipelines.catalog.rows import Settings, Stage
from pipelines.environment import zero_gpu
from pipelines.errors import BadSetting, UpscaleError
from pipelines.images.door import Picture
from pipelines.phrasing import format_duration
from pipelines.upscalers.loading import Took

STARTING_SECONDS = 10  # that a process on a GPU may take until a network of ours runs: the least that is asked for
LOADING_SECONDS = 20  # seconds that a diffusion model may take until it begins
GPU_SPEEDUP = 20  # times, a GPU than two cores of a processor; by its operations a hundred and more
FLOAT32_SLOWDOWN = 8  # times, a network on a GPU in float32, which images of 16 bits need, than in float16
LONGEST_LOAN = 240  # seconds; who asks for longer waits longer, and few visitors have more left of their day's quota
LENT = "cuda, lent"  # where a run was that was ended: not the device's name, as the next one there counts alone
LEAST_MARGIN = 1.2  # times what is estimated
UNKNOWN_SECONDS = 40  # for each megapixel that a network reads which nobody has timed: a large transformer takes that
FITTING = tuple(share / 20 for share in range(19, 0, -1))  # of an image's sides, that are tried where all is too much

# What the platform says where it refuses a run, or ends one that goes on for longer than it asked for.
OVER_QUOTA = re.compile(r"\((\d+)s requested vs\. (\d+)s left\)(?:\. Try again in ([^.]*))?")
TOO_LONG = re.compile(r"requested GPU duration \((\d+)s\) is larger than the maximum")
ABORTED = "GPU task aborted"


class OverQuota(UpscaleError):
    """The platform refuses to lend a GPU for so long. `left` are seconds that it would lend one for, if it says so."""

    left: float | None = None
    again: str = ""  # after which time there is more, in the platform's words


class TakenBack(UpscaleError):
    """The platform has ended a run that took longer than it had asked for."""


class Time(NamedTuple):
    """Seconds that a run is likely to take on a GPU, and those that it may take."""

    likely: float = 0.0
    most: float = 0.0


def plan_picture_loan(
    stages: Sequence[Stage],
    settings: Settings | None,
    size: tuple[int, int],
    picture: Picture | None = None,
) -> int:
    """Returns for how many seconds to borrow a GPU for a picture of that size, by its tiles and steps in diffusion.

    More for a `picture` with opacity, which networks enlarge too, or of 16 bits, which they compute in float32. Raises
    BadSetting where no GPU can be borrowed for so long, and where this matters: it would end half-way.
    """
    time = estimate_time(stages, settings, *size)
    instead = f"choose a smaller image{', or fewer steps' * any(stage.model.diffusion for stage in stages)}"
    longer = 1 if picture is None else _times_longer(stages, picture)  # too rough a belief to refuse a run by
    return plan_loan(stages, Time(time.likely, longer * time.most), instead)


def plan_loan(stages: Sequence[Stage], time: Time, instead: str) -> int:
    """Returns for how many seconds to borrow a GPU for a job of these models that takes so long.

    Raises as `plan_picture_loan`; `instead` says how the job would be shorter.
    """
    loading = _loading_seconds(stages)
    if borrows(stages) and loading + time.likely > LONGEST_LOAN:
        most = f"a GPU is lent for at most {format_duration(LONGEST_LOAN)}"
        raise BadSetting(
            f"That would take about {format_duration(time.likely)} after {format_duration(loading)} to load, "
            f"and {most}: {instead}."
        )
    return min(LONGEST_LOAN, round(loading + time.most))


def borrows(stages: Sequence[Stage]) -> bool:
    """Returns whether a GPU is borrowed to run these models."""
    return zero_gpu() and can_use_gpu(stages)


def can_use_gpu(stages: Sequence[Stage]) -> bool:
    """Returns whether one of these models can use a GPU."""
    return any(stage.model.gpu for stage in stages)


def check_loan(stages: Sequence[Stage], settings: Settings | None, size: tuple[int, int]) -> None:
    """Raises BadSetting where a run would take longer than a GPU can be borrowed, as `plan_picture_loan` does."""
    plan_picture_loan(stages, settings, size)


def estimate_seconds(stages: Sequence[Stage], settings: Settings | None, width: int, height: int) -> float | None:
    """Returns the seconds of all stages together on a picture of that size; None if one of them was never measured.

    Where a GPU is borrowed, networks that were measured on a processor alone are quicker.
    """
    times = [each for each, _ in _estimate_each(stages, settings, width, height)]
    return None if None in times else sum(each for each in times if each is not None)


def estimate_time(stages: Sequence[Stage], settings: Settings | None, width: int, height: int) -> Time:
    """Returns what all stages together take on a picture of that size, if they run on a GPU.

    A network that nobody has timed is taken for a large one.
    """
    likely = most = 0.0
    for stage, (seconds, runs) in zip(stages, _estimate_each(stages, settings, width, height), strict=True):
        if seconds is None:
            seconds = UNKNOWN_SECONDS * width * height / environment.MEGA
        likely, most = likely + seconds, most + seconds * find_margin(runs)
        width, height = width * stage.scale, height * stage.scale
    return Time(likely, most)


def find_margin(runs: int) -> float:
    """Returns how many times as long as estimated a run may take of a model that was timed in so many runs here."""
    return max(LEAST_MARGIN, 1 + 1 / (1 + runs))


def learn(took: Iterable[Took], settings: Settings | None) -> None:
    """Takes into account for later estimates how long the stages of a run took."""
    for each in took:
        estimates.learn(*each.stage, *each.size, each.seconds, each.tiling, each.where, settings)


def learn_cut_short(stages: Sequence[Stage], settings: Settings | None, size: tuple[int, int], seconds: float) -> None:
    """Takes into account that these stages took so long on a picture of that size, and had not ended then.

    As nobody knows which of them took longer than estimated, all are believed to.
    """
    width, height = size
    known = [seconds for seconds, _ in _estimate_each(stages, settings, width, height)]
    parts = []
    for stage, part in zip(stages, known, strict=True):
        parts.append(UNKNOWN_SECONDS * width * height / environment.MEGA if part is None else part)
        width, height = width * stage.scale, height * stage.scale
    longer = seconds / sum(parts)
    for stage, part in zip(stages, parts, strict=True):
        estimates.learn(*stage, *size, longer * part, None, LENT, settings)
        size = size[0] * stage.scale, size[1] * stage.scale


def ask_again(error: TakenBack) -> TakenBack:
    """Returns the error with what can be done, once it was learned from."""
    return TakenBack(f"{error} Run it again: it will ask for more time.")


def describe_cost(stages: Sequence[Stage], time: Time, asked: int) -> str:
    """Returns what a run takes of the visitor's quota, and what has to be left of it; "" where no GPU is borrowed."""
    if not borrows(stages):
        return ""
    factor = quota_factor()
    used = factor * (_loading_seconds(stages) + time.likely)
    return f"about {used:.0f} s of your daily GPU quota ({factor * asked:.0f} s must be left)"


def describe_picture_cost(stages: Sequence[Stage], settings: Settings | None, size: tuple[int, int]) -> str:
    """Does as `describe_cost`, for a picture of that size."""
    asked = plan_picture_loan(stages, settings, size)
    return describe_cost(stages, estimate_time(stages, settings, *size), asked)


def quota_factor() -> float:
    """Returns how many seconds of the quota the platform takes for one on the GPU that it has now."""
    with suppress(ImportError, LookupError, TypeError), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it cannot tell which GPU it has, so it is the first that it knows
        from spaces.zero.config import get_config

        return float(get_config()["duration_factor"])
    return 1.0


def read_refusal(said: str) -> UpscaleError | None:
    """Returns what the platform's refusal means for a visitor; None for a message that is none of those."""
    if found := OVER_QUOTA.search(said):
        error = OverQuota(f"The run asks for {found[1]} s of GPU time, and {found[2]} s of your daily quota are left.")
        error.left, error.again = float(found[2]) / quota_factor(), (found[3] or "").strip()
        return error
    if found := TOO_LONG.search(said):
        return OverQuota(f"The run asks for {found[1]} s of GPU time, which is longer than a GPU is lent to you.")
    if ABORTED in said:
        return TakenBack("The GPU was taken back before the run had ended, because it took longer than expected.")
    return None


def offer_what_fits(error: OverQuota, fits: Callable[[float], str], instead: str) -> OverQuota:
    """Returns the refusal with what could be done, in one sentence.

    `fits` says of seconds what they are enough for, or nothing; `instead` is what is to be done else.
    """
    small = fits(error.left) if error.left else ""
    later = f", or try again in {error.again}" if error.again else ""
    return OverQuota(
        f"{str(error).removesuffix('.')}: {f'{small} would fit, or {instead}' if small else instead}{later}."
    )


def find_fitting_size(
    stages: Sequence[Stage], settings: Settings | None, size: tuple[int, int], picture: Picture | None, left: float
) -> str:
    """Returns the largest image in words, of the shape of this one, that a GPU is asked for no longer than that."""
    for share in FITTING:
        smaller = max(1, round(size[0] * share)), max(1, round(size[1] * share))
        with suppress(BadSetting):
            if plan_picture_loan(stages, settings, smaller, picture) <= left:
                return f"an image of {smaller[0]} × {smaller[1]}"
    return ""


def _loading_seconds(stages: Sequence[Stage]) -> int:
    return LOADING_SECONDS * len({stage for stage in stages if stage.model.diffusion}) or STARTING_SECONDS


def _times_longer(stages: Sequence[Stage], picture: Picture) -> int:
    """Returns how many times longer than an opaque one of 8 bits a picture takes the networks on a GPU."""
    if any(stage.model.diffusion for stage in stages):
        return 1
    opacity = picture.alpha is not None and picture.alpha.min() < picture.alpha.max()
    return (1 + opacity) * (FLOAT32_SLOWDOWN if picture.depth == 16 else 1)


def _estimate_each(
    stages: Sequence[Stage], settings: Settings | None, width: int, height: int
) -> list[tuple[float | None, int]]:
    """Returns the seconds of each stage, and how many runs here they were learned from."""
    found = []
    for stage, each in zip(stages, estimates.estimate_each(stages, width, height, settings), strict=True):
        row = stage.model
        by_gpu = zero_gpu() and row.gpu and not row.diffusion and each.on_cpu
        seconds = None if each.seconds is None else each.seconds / (GPU_SPEEDUP if by_gpu else 1)
        found.append((seconds, 0 if by_gpu else each.runs))
    return found
