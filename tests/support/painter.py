"""A diffusion model for tests of what is around one: it repeats pixels, step by step, and shows what it has so far."""

import os
import sys
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from pipelines import estimates
from pipelines.catalog import rows as catalog
from pipelines.catalog.schema import Model
from pipelines.catalog.settings import Settings
from pipelines.images.picture import Depth, Pixels
from pipelines.runs import Preview, Run, Step
from pipelines.upscalers import loading, rates
from pipelines.upscalers.base import Upscaled

PAINTED = Model(
    key="painted",
    name="Painted x4",
    family="diffusion",
    engine="painter",
    scales={4: None},
    licence="none needed",
    commercial=True,
    note="Made for tests.",
    arch="sd-x4",
    takes=frozenset({"prompt", "negative_prompt", "steps", "guidance", "noise_level", "creativity"})
    | {"seed", "colour_fix", "tile"},
    tiles=(32, 512),
)


@dataclass(frozen=True)
class Painter:
    """Tells in its notes which process loaded it, which ran it, and with what settings."""

    model: Model
    scale: int
    loaded_by: int
    weights_sha256: tuple[str, ...] = ()
    weights_bytes: int = 0
    nbytes: int = 1 << 40  # more than is kept

    def run(self, pixels: Pixels, settings: Settings, depth: Depth = 8) -> Run[Upscaled]:
        """Two tiles a step, and a preview after every second one."""
        steps = settings.steps or catalog.find_specification(self.model).options.steps
        for step in range(steps):
            for tile in range(2):
                yield Step(2 * step + tile, 2 * steps, f"step {step + 1} of {steps}, tile {tile + 1} of 2")
            if step % 2:
                grey = np.full(pixels.shape, 255 * (step + 1) // steps, np.uint8)
                yield Preview(2 * step + 2, 2 * steps, "preview", grey)
        notes = f"loaded by {self.loaded_by}", f"run by {os.getpid()}", f"with {settings}"
        used = {"seed": settings.seed or 0, "prompt": settings.prompt or "", "steps": steps}
        return Upscaled(pixels.repeat(self.scale, 0).repeat(self.scale, 1), notes=notes, settings=used)


def build(model: Model, scale: int, files: Any) -> Painter:
    """As an engine has it."""
    return Painter(model, scale, os.getpid())


def use(monkeypatch: pytest.MonkeyPatch, *rows: Model, engine: str = "painter") -> None:
    """Put the rows, or the painter's alone, into the catalog, and the engine where it is looked for.

    It is known to take a second for each pass over 100 by 100 pixels.
    """
    made = ModuleType(engine)
    made.build = build  # type: ignore[attr-defined]
    monkeypatch.setitem(loading.ENGINES, engine, f"painted.{engine}")
    monkeypatch.setitem(sys.modules, f"painted.{engine}", made)
    rows = rows or (PAINTED,)
    others = (row for row in catalog.MODELS if row.key not in {each.key for each in rows})
    monkeypatch.setattr(catalog, "MODELS", (*others, *rows))
    monkeypatch.setattr(rates, "_learned", None)
    estimates.learn("painted", 4, 100, 100, 7.0, settings=Settings(steps=4))
