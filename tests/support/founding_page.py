"""The page with tiny models of the founding comparison: `python -m tests.support.founding_page FOLDER URL`.

Their rows are the real ones, but for the sizes and hashes of what lies in the folder, and for ResShift's release, which
lies at the URL.
"""

import runpy
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pipelines.catalog import rows as catalog
from pipelines.catalog.resshift import RELEASE
from pipelines.catalog.schema import Hub, Model, Url, Weights
from tests.support.diffbir_parts import save_diffbir
from tests.support.hub import LoopbackHub
from tests.support.published import as_in
from tests.support.released_parts import save_resshift
from tests.support.supir_parts import save_supir

KEYS = ("resshift", "diffbir", "supir")
RELEASED = "/release"


def save_founding(folder: Path) -> Path:
    """Puts the files of all into a folder, by the names that they are published by."""
    save_resshift(folder)
    save_diffbir(folder)
    return save_supir(folder, published=True)


def publish(hub: LoopbackHub, folder: Path) -> None:
    """Puts the folder's files where the rows look for them first."""
    rows = [catalog.find(key) for key in KEYS]
    needed = [each for row in rows for each in (row.scales[4], *row.more, row.words) if each is not None]
    for weights in needed:
        source = weights.sources[0]
        for file in weights.files:
            path = f"/{source.repo}/resolve/{source.revision or 'main'}" if isinstance(source, Hub) else RELEASED
            hub.serve(f"{path}/{file.path}", (folder / file.path).read_bytes())


def as_published(model: Model, folder: Path, url: str) -> Model:
    """The row with the sizes and hashes of what lies in the folder."""
    scales = {scale: each and _as_in(folder, each, url) for scale, each in model.scales.items()}
    return replace(model, scales=scales, more=tuple(_as_in(folder, each, url) for each in model.more))


def _as_in(folder: Path, weights: Weights, url: str) -> Weights:
    sources: Sequence[Hub | Url] = [Url(url + RELEASED) if each == RELEASE else each for each in weights.sources]
    return replace(weights, files=tuple(as_in(folder, file) for file in weights.files), sources=tuple(sources))


if __name__ == "__main__":
    url, parts = sys.argv.pop(), Path(sys.argv.pop())
    catalog.MODELS = tuple(as_published(each, parts, url) if each.key in KEYS else each for each in catalog.MODELS)
    runpy.run_path("app.py", run_name="__main__")
