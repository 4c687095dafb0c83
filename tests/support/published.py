"""The page with Stable Diffusion x4 taken to be a tiny one: `python -m tests.support.published FOLDER`.

Its row is the real one, but for the sizes and hashes of what the folder holds: downloading and verifying are as for the
published files.
"""

import hashlib
import runpy
import sys
from dataclasses import replace
from pathlib import Path

from pipelines.catalog import rows as catalog
from pipelines.catalog.schema import File, Hub, Model
from tests.support.hub import Behaviour, LoopbackHub

KEY, SCALE = "sd-x4", 4


def row(folder: Path) -> Model:
    """The row for the files in a folder that diffusers saved."""
    model = catalog.find(KEY)
    weights = model.scales[SCALE]
    assert weights is not None
    files = tuple(as_in(folder, file) for file in weights.files)
    return replace(model, scales={SCALE: replace(weights, files=files)})


def publish(hub: LoopbackHub, folder: Path, behaviour: Behaviour = "ok") -> None:
    """Put the folder's files where the row looks first; `behaviour` is that of the network's file."""
    weights = catalog.find(KEY).scales[SCALE]
    assert weights is not None
    source = weights.sources[0]
    assert isinstance(source, Hub)
    for file in weights.files:
        content = (folder / file.path).read_bytes()
        told = behaviour if file.path.startswith("unet/") and file.sha256 else "ok"
        hub.serve(f"/{source.repo}/resolve/{source.revision}/{file.path}", content, told)


def as_in(folder: Path, file: File) -> File:
    """The row of a file with the size and the hash of the one that lies in the folder."""
    path = folder / file.path
    if not path.exists():
        return file
    content = path.read_bytes()
    return replace(file, size=len(content), sha256=file.sha256 and hashlib.sha256(content).hexdigest())


if __name__ == "__main__":
    tiny = row(Path(sys.argv.pop()))
    catalog.MODELS = tuple(tiny if each.key == KEY else each for each in catalog.MODELS)
    runpy.run_path("app.py", run_name="__main__")
