"""Enlarging a visitor's picture by one or several models, for the page and the API: read, run, and saved."""

import math
from collections.abc import Sequence
from pathlib import Path

from pipelines import estimates
from pipelines.catalog import rows as catalog
from pipelines.catalog.settings import Settings, check
from pipelines.enlarge import Enlarged, enlarge_by
from pipelines.errors import BadPicture
from pipelines.images import door as images
from pipelines.images.door import Source
from pipelines.images.picture import Picture
from pipelines.phrasing import file_name
from pipelines.runs import Run
from ui.jobs import gpu

LONGEST = 200  # bytes of a result's name before its scale, of which a file may have 255 in all


def opened(source: Source | None, stages: Sequence[tuple[str, int]], settings: Settings | None = None) -> Picture:
    """The picture read, once it is known that the stages (key, scale) exist, can use the settings, and give no more
    than is made here.
    """
    if source is None:
        raise BadPicture("Choose a picture first.")
    for key, scale in stages:
        catalog.weights_for(catalog.find(key), scale)
    check([catalog.find(key) for key, _ in stages], settings or Settings())
    return images.read(source, math.prod(scale for _, scale in stages))


def enlarged(picture: Picture, stages: Sequence[tuple[str, int]], settings: Settings | None = None) -> Run[Enlarged]:
    """The picture enlarged by each stage in turn; how long each took is learned for later estimates."""
    height, width, _ = picture.pixels.shape
    done = yield from gpu.run(stages, settings, (width, height), enlarge_by, picture, stages, settings)
    for (key, scale), stage in zip(stages, done.stages, strict=True):
        on = f"{stage.device}, {stage.dtype}"
        estimates.learn(key, scale, width, height, stage.seconds, stage.tiling, on, settings)
        width, height = width * scale, height * scale
    return done


def saved(done: Enlarged, source: Source | None, folder: Path) -> Path:
    """The result as a PNG, named after the picture, the models and the scale."""
    stem = source.stem if isinstance(source, Path) else "picture"
    name = f"{stem}_{file_name(done.details.model)}".encode()[:LONGEST].decode(errors="ignore")
    path = folder / f"{name}_x{done.details.scale}.png"
    images.write(done.picture, path)
    return path
