"""The only way from Picture to Picture: alpha, greyscale, depth and profile are looked after here, once for all.

`enlarge` takes models that are loaded, as the benchmark does, which runs each many times. `enlarge_by` takes their
names, and downloads and loads them. `enlarge_fetched` is its second half, for where downloads are over: the page's
visitors pay for the time on a GPU.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from pipelines.catalog.rows import Stage, check_stages, describe_cleanup
from pipelines.catalog.settings import Settings, check_settings
from pipelines.catalog.sizes import describe_sizing
from pipelines.images import greyscale, resample, transparency
from pipelines.images.picture import Depth, Picture, Pixels
from pipelines.runs import Run, Step, map_steps, prefix_notes, time_run
from pipelines.upscalers.base import Judging, Upscaled, Upscaler
from pipelines.upscalers.loading import StageFiles, fetch, load_fetched

PLAIN_ALPHA = "transparency was upscaled by bicubic: a diffusion model would invent some"
ROUNDED_GREY = "it is grey but for what its compression rounded: upscaled without colour"


@dataclass(frozen=True, slots=True)
class Details:
    """How an enlarged picture came about, for people and for machines."""

    model: str  # a key, or "first:4,second:2" for a chain
    scale: int
    size: tuple[int, int]  # width, height of the result
    seconds: float  # that it worked; loading the model is not in it
    device: str
    dtype: str
    tiles: int
    seam: float | None  # largest difference of two tiles at their seam, where tiles cannot equal the whole picture's
    weights_sha256: str | None  # of several files, joined by commas
    notes: tuple[str, ...]
    # By name, those that were chosen and those that a diffusion model chose itself: with them the same comes out again.
    # Of a chain by stage: {"sd-x4:4": {"seed": 0}}.
    settings: dict[str, Any] = field(default_factory=dict)
    before_shrinking: tuple[int, int] | None = None  # width, height that the models made, where that was shrunk to size

    def as_dict(self) -> dict[str, Any]:
        """Returns it as data for JSON."""
        lists = {name: value and list(value) for name, value in asdict(self).items() if isinstance(value, tuple)}
        return asdict(self) | lists | {"seconds": round(self.seconds, 3)}

    def about(self) -> str:
        """Returns what it takes to make the picture again, as JSON; nothing that differs from one time to the next."""
        told = {
            "model": self.model,
            "scale": self.scale,
            "settings": self.settings,
            "device": self.device,
            "dtype": self.dtype,
            "weights_sha256": self.weights_sha256,
        }
        if self.before_shrinking:
            told["size"] = self.size
        return json.dumps(told, ensure_ascii=False)

    @classmethod
    def from_dict(cls, details: dict[str, Any]) -> Self:
        """Reads what `as_dict` gave."""
        read: dict[str, Any] = {name: tuple(each) if isinstance(each, list) else each for name, each in details.items()}
        return cls(**read)


@dataclass(frozen=True, slots=True, eq=False)
class Enlarged:
    """The enlarged picture and how it came about; `stages` is what each stage made of its colours, and how long.

    Where the picture was shrunk to a size, the last stage has the shrunk pixels: nobody needs both in memory.
    """

    picture: Picture
    details: Details
    stages: tuple[Upscaled, ...]


def enlarge(
    picture: Picture,
    stages: Sequence[Upscaler],
    settings: Settings | None = None,
    size: tuple[int, int] | None = None,
) -> Run[Enlarged]:
    """Enlarges a picture by each stage in turn, and returns it in kind: depth, alpha, greyscale, ICC and EXIF kept.

    Alpha goes through the stages that enlarge, or where one is of diffusion through bicubic: opacity is not to be
    invented, nor cleaned. Where it is constant it stays exactly that constant. Colour under transparent pixels is first
    replaced by that of the visible ones around, so that it cannot bleed into the edge; where no stage blends pixels,
    all keep theirs. A picture without colour comes back without, whatever its type: see `greyscale`. Each stage gets
    those of the settings that it can use. What the stages make is shrunk to `size`, width and height, by antialiased
    bicubic, alpha too. Raises BadSetting for a setting that no stage can use, or that is out of its range.
    """
    check_settings([stage.model for stage in stages], settings or Settings())
    return (yield from _enlarged(picture, stages, settings or Settings(), size))


def enlarge_by(
    picture: Picture,
    stages: Sequence[Stage],
    settings: Settings | None = None,
    own: Path | None = None,
    size: tuple[int, int] | None = None,
) -> Run[Enlarged]:
    """Does as `enlarge`, by the models that the stages name: checked, downloaded where they are lacking, loaded, run.

    `own` is the user's own file or folder of weights. Raises as `enlarge` and `loading.load` do.
    """
    settings = settings or Settings()
    check_stages(stages, settings)
    return (yield from enlarge_fetched(picture, (yield from fetch(stages, settings, own)), settings, size))


def enlarge_fetched(
    picture: Picture,
    fetched: Sequence[StageFiles],
    settings: Settings | None = None,
    size: tuple[int, int] | None = None,
) -> Run[Enlarged]:
    """Does as `enlarge`, by models loaded here, from files that are here: nothing but plain data goes in or out.

    The settings are those that `check_stages` let through.
    """
    stages = yield from load_fetched(fetched)
    return (yield from _enlarged(picture, stages, settings or Settings(), size))


def _enlarged(
    picture: Picture, stages: Sequence[Upscaler], settings: Settings, size: tuple[int, int] | None
) -> Run[Enlarged]:
    height, width, _ = picture.pixels.shape
    scale = math.prod(stage.scale for stage in stages)
    made = width * scale, height * scale
    (done, colour, runs), seconds = yield from time_run(_run(picture, stages, settings, size or made))
    cleaned = describe_cleanup([Stage(stage.model.key, stage.scale) for stage in stages])
    notes = [*done.notes, *cleaned, *(note for run in runs for note in run.notes)]
    if size is not None:
        grows = [stage for stage in stages if stage.scale > 1] or stages
        names = {stage.model.name for stage in grows}
        notes += describe_sizing(min(names), [stage.scale for stage in grows] if len(names) == 1 else [], made, size)
    done = replace(done, notes=tuple(dict.fromkeys(notes)))
    details = _details(done, stages, settings, colour, seconds - sum(run.preparing for run in runs))
    if details.size != made:
        details = replace(details, before_shrinking=made)
    return Enlarged(replace(done, about=details.about()), details, colour)


def _run(
    picture: Picture, stages: Sequence[Upscaler], settings: Settings, size: tuple[int, int]
) -> Run[tuple[Picture, tuple[Upscaled, ...], list[Upscaled]]]:
    """The enlarged picture, what each stage made of its colours, and all that was run, for alpha as well."""
    pixels, alpha = picture.pixels, picture.alpha
    scale = math.prod(stage.scale for stage in stages)
    shrinks = size != (pixels.shape[1] * scale, pixels.shape[0] * scale)
    blends = shrinks or any(stage.model.blends for stage in stages)
    if alpha is not None and blends:
        yield Step(0, 1, "transparency")
        pixels = transparency.spread_visible(pixels, alpha)
    grey = blends and (picture.grey or greyscale.is_grey(pixels))
    given = greyscale.as_grey(pixels) if grey else pixels
    if given is not pixels:
        picture = replace(picture, notes=(*picture.notes, ROUNDED_GREY))
    colour = yield from run_chain(given, stages, settings, grey, picture.depth, jpeg=picture.jpeg)
    if shrinks:
        colour[-1] = replace(colour[-1], pixels=(yield from _shrunk(colour[-1].pixels, size, "shrinking: ")))
    runs = list(colour)
    if alpha is not None:
        grows = [(stage, run) for stage, run in zip(stages, colour, strict=True) if stage.scale > 1]
        alpha, alpha_runs = yield from _enlarge_alpha(alpha, scale, grows, settings, picture.depth)
        runs += alpha_runs
        if shrinks:
            alpha = (yield from _shrunk(alpha[..., None], size, "transparency, shrinking: "))[..., 0]
    # It is no JPEG any more, whatever it was read from.
    return replace(picture, pixels=colour[-1].pixels, alpha=alpha, jpeg=None), tuple(colour), runs


def _shrunk(pixels: Pixels, size: tuple[int, int], note: str) -> Run[Pixels]:
    """Shrinks (H, W, C) to a width and a height; the steps' notes begin with `note`."""
    return (yield from prefix_notes(resample.shrink_to_size(pixels, size[1], size[0]), note))


def run_chain(
    pixels: Pixels,
    stages: Sequence[Upscaler],
    settings: Settings,
    grey: bool = False,
    depth: Depth = 8,
    jpeg: int | None = None,
    like: Sequence[Upscaled] = (),
) -> Run[list[Upscaled]]:
    """Enlarges by each stage in turn; the total scale is the product of theirs.

    Where the picture is `grey`, each stage's result is made grey again: a network tints it, and the next one would
    take the tint for a colour.

    The picture between two stages stays float32: rounding it to 8 bits would throw away what the first stage computed
    before the second one reads it. Each stage is given those of the settings that it can use; that each is of use to
    one of them, and in its range, was checked before. `jpeg` is the quality of the picture's file, for a first stage
    that judges the picture. With `like`, no stage judges: each takes what the run there found right.
    """
    done: list[Upscaled] = []
    for number, stage in enumerate(stages, 1):
        prefix = f"stage {number} of {len(stages)}, " if len(stages) > 1 else ""
        chosen = settings.only(stage.model.takes)
        chosen = replace(chosen, **like[number - 1].settings) if like else chosen
        run = _start(stage, pixels, chosen, depth, jpeg if number == 1 else None)
        upscaled, seconds = yield from time_run(prefix_notes(run, f"{prefix}{_stage_name(stage)}: "))
        pixels = greyscale.as_grey(upscaled.pixels) if grey else upscaled.pixels
        done.append(replace(upscaled, pixels=pixels, seconds=seconds - upscaled.preparing))
    return done


def _start(stage: Upscaler, pixels: Pixels, settings: Settings, depth: Depth, jpeg: int | None) -> Run[Upscaled]:
    if isinstance(stage, Judging):
        return stage.run_knowing(pixels, settings, depth, jpeg)
    return stage.run(pixels, settings, depth)


def _stage_name(stage: Upscaler) -> str:
    """The model and its scale, unless its name has that already."""
    name, scale = stage.model.name, f"x{stage.scale}"
    return name if scale in name.split() else f"{name} {scale}"


def _details(
    picture: Picture, stages: Sequence[Upscaler], settings: Settings, runs: Sequence[Upscaled], seconds: float
) -> Details:
    seams = [run.seam for run in runs if run.seam is not None]
    parts = zip(stages, runs, strict=True)
    hashes = [sha256 for stage, run in parts for sha256 in (*stage.weights_sha256, *run.more_sha256)]
    # Two stages by the same model are run with the same settings, but for what it found right for each of them.
    used: dict[str, dict[str, Any]] = {}
    for stage, run in zip(stages, runs, strict=True):
        each = _used(stage, settings, run)
        if used.setdefault(_named(stage), each) != each and "artifacts" in each:
            used[_named(stage)] = each | {"artifacts": "auto"}
    height, width, _ = picture.pixels.shape
    return Details(
        model=stages[0].model.key if len(stages) == 1 else ",".join(map(_named, stages)),
        scale=math.prod(stage.scale for stage in stages),
        size=(width, height),
        seconds=seconds,
        device=", ".join(dict.fromkeys(run.device for run in runs)),
        dtype=", ".join(dict.fromkeys(run.dtype for run in runs)),
        tiles=sum(run.tiles for run in runs),
        seam=max(seams) if seams else None,
        weights_sha256=",".join(hashes) or None,
        notes=picture.notes,
        settings=used[_named(stages[0])] if len(stages) == 1 else {name: each for name, each in used.items() if each},
    )


def _used(stage: Upscaler, settings: Settings, run: Upscaled) -> dict[str, Any]:
    """The settings that one stage was run with, in the order of Settings; what is none of those comes last."""
    chosen = settings.only(stage.model.takes - {"accept_licence"})  # who makes it again accepts it anew
    found = {each.name: getattr(chosen, each.name) for each in fields(chosen)} | dict(run.settings)
    return {name: value for name, value in found.items() if value is not None}


def _named(stage: Upscaler) -> str:
    return f"{stage.model.key}:{stage.scale}"


def _enlarge_alpha(
    alpha: Pixels, scale: int, by: Sequence[tuple[Upscaler, Upscaled]], settings: Settings, depth: Depth
) -> Run[tuple[Pixels, list[Upscaled]]]:
    """Enlarges (H, W) alpha by these stages, or by bicubic; it stays exact where it is constant over 5x5 pixels.

    What a stage chose for the colours, which it made into what is beside it, it takes for alpha too.
    """
    import cv2

    height, width = alpha.shape
    stages, like = [stage for stage, _ in by], [run for _, run in by]
    if not stages:
        return alpha, []
    if alpha.min() == alpha.max():
        return np.full((height * scale, width * scale), alpha.flat[0], np.float32), []
    if any(stage.model.diffusion for stage in stages):
        made = yield from prefix_notes(resample.enlarge(alpha[..., None], scale, "bicubic"), "transparency, ")
        runs = [Upscaled(made, notes=(PLAIN_ALPHA,))]
    else:
        run = run_chain(np.repeat(alpha[..., None], 3, axis=2), stages, settings, True, depth, like=like)
        # What there is of it so far is none of the picture's colours.
        runs = yield from map_steps(run, lambda step: Step(step.done, step.total, f"transparency, {step.note}"))
    enlarged = runs[-1].pixels[..., 0].copy()
    around = np.ones((5, 5), np.uint8)
    flat = cv2.dilate(alpha, around) == cv2.erode(alpha, around)
    size = (width * scale, height * scale)
    kept = cv2.resize(flat.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST).astype(bool)
    enlarged[kept] = cv2.resize(alpha, size, interpolation=cv2.INTER_NEAREST)[kept]
    return enlarged, runs
