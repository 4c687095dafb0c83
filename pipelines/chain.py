"""Stages one after another: x4 then x2 enlarges by eight."""

from collections.abc import Sequence
from dataclasses import replace

from pipelines.picture import Pixels
from pipelines.runs import Run, noted, timed
from pipelines.upscalers.base import Settings, Upscaled, Upscaler, check


def run_chain(pixels: Pixels, stages: Sequence[Upscaler], settings: Settings) -> Run[list[Upscaled]]:
    """Enlarge by each stage in turn; the total scale is the product of theirs.

    The picture between two stages stays float32: rounding it to 8 bits would throw away what the first stage computed
    before the second one reads it. Each stage is given those of the settings that it can use; one that no stage can
    use is a BadSetting.
    """
    check([stage.model for stage in stages], settings)
    done: list[Upscaled] = []
    for number, stage in enumerate(stages, 1):
        prefix = f"stage {number} of {len(stages)}, " if len(stages) > 1 else ""
        run = stage.run(pixels, settings.only(stage.model.takes))
        upscaled, seconds = yield from timed(noted(run, f"{prefix}{_name(stage)}: "))
        done.append(replace(upscaled, seconds=seconds))
        pixels = upscaled.pixels
    return done


def _name(stage: Upscaler) -> str:
    """The model and its scale, unless its name has that already."""
    name, scale = stage.model.name, f"x{stage.scale}"
    return name if scale in name.split() else f"{name} {scale}"
