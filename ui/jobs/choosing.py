"""What the server says of an image as soon as it is chosen, and that it stays for as long as a page shows it.

A field's script calls these functions; what it sends may be anything, so only files that visitors sent are looked at.
"""

import logging
import os
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from gradio.utils import get_upload_folder

from pipelines import environment
from pipelines.batch import run as batch
from pipelines.batch.run import Bounds, PassedOver, Source
from pipelines.errors import BadPicture, CannotWrite, UpscaleError
from pipelines.files import free_bytes
from pipelines.images import door as images
from pipelines.images.door import ImageSource, Picture
from pipelines.machine import available_memory
from pipelines.phrasing import printable
from pipelines.runs import finish
from ui.jobs.lanes import TooBusy
from ui.jobs.results import new_folder
from ui.jobs.running import FULL
from ui.jobs.sweeping import measure_held

PREVIEW_SIDE = 1600  # pixels of the longest side of what is drawn here because a browser cannot
DECODING_BYTES = 28  # of memory for each pixel, while an image is decoded
WAIT_SECONDS = 5  # for another image's decoding; after that the run will tell what is wrong
UNPACKING_SECONDS = 30  # for other zips to be unpacked
RESERVE = 200_000_000  # bytes of the disk that no zip takes: results need them
MOST_TOLD = 3  # sentences of what is in a zip and left out
OTHERS = "other calls' zips are using all the space for unpacking. Try again in a few minutes."
GONE = "The image is no longer on the server. Choose it again."

_unpacking = threading.Lock()  # one zip at a time: each may take hundreds of megabytes of the disk
# Of a zip that was sent, its images' folder and what the page was told: who asks again gets the same.
_unpacked: dict[Path, tuple[Path, dict[str, Any]]] = {}
_in_calls: dict[Path, int] = {}  # bytes of the images that a call of the API unpacked, by their folder
_decoding = threading.Lock()  # one image at a time: each may take more than a gigabyte

log = logging.getLogger(__name__)


def look_at_image(data: Any) -> dict[str, str]:
    """Returns the image's size to read as "about", or what is wrong with the file as "problem", by its header alone."""
    path = _find_own(data)
    if path is None:
        return {"problem": GONE}
    try:
        return {"about": describe_size(path)}
    except UpscaleError as error:
        return {"problem": str(error)}


def inspect_image(data: Any) -> dict[str, str]:
    """Decodes the image; returns what is wrong with it as "problem" or what to know of it as "note".

    Where "preview" is asked for, a file that any browser shows is made, and its path returned under that name. Returns
    nothing where there is no time or no memory to decode it now.
    """
    path = _find_own(data)
    if path is None:
        return {"problem": GONE}
    if not _decoding.acquire(timeout=WAIT_SECONDS):
        return {}
    try:
        width, height = images.read_size(path)
        if width * height * DECODING_BYTES > available_memory():
            return {}
        picture = images.read(path)
        told = {"note": f"Note: {'; '.join(picture.notes)}."} if picture.notes else {}
        return told | ({"preview": str(_write_preview(picture))} if data.get("preview") else {})
    except BadPicture as error:
        return {"problem": str(error)}
    except Exception:  # what it is, a run will say
        log.debug("an image cannot be inspected", exc_info=True)
        return {}
    finally:
        _decoding.release()


def keep_images(data: Any) -> dict[str, list[str]]:
    """Has these images stay for their whole time anew; returns under "missing" the paths of those that are gone."""
    paths = data.get("paths") if isinstance(data, dict) else None
    missing = []
    for name in paths if isinstance(paths, list) else []:
        path = _find_own({"path": name})
        if path is None:
            missing.append(str(name))
            continue
        folder = _folder()
        with suppress(OSError):
            os.utime(folder / path.relative_to(folder).parts[0])  # what the sweeping looks at
    return {"missing": missing}


def unpack_archive(data: Any) -> dict[str, Any]:
    """Unpacks the images of a zip; returns them under "images", each with path, name and size to read.

    What else is in it, or cannot be read, is told under "note"; what is wrong with the zip under "problem".
    """
    path = _find_own(data)
    if path is None:
        return {"problem": GONE}
    try:
        with _one_unpacking():
            folder, answer = _unpacked.get(path, (None, {}))
            if folder is None or not folder.is_dir():
                folder, answer = _unpack_for_page(path, str(data.get("name") or path.name))
            os.utime(folder)  # it is kept for its whole time anew
            return answer
    except UpscaleError as error:
        return {"problem": str(error)}
    except Exception:
        log.exception("a zip cannot be unpacked")
        return {"problem": "The zip cannot be unpacked."}


def _unpack_for_page(path: Path, name: str) -> tuple[Path, dict[str, Any]]:
    """The folder of the images in a zip, and what the page is told of them. Raises as `unpack`."""
    folder = new_folder("sent")
    found: list[dict[str, str]] = []
    try:
        sources, others = _unpack(path, name, folder, 0, 0, sys.maxsize)
        told = batch.describe_passed_over(others)
        for source in sources:
            try:
                about = describe_size(source.path)
            except BadPicture as error:
                told.append(f"{printable(str(source.relative))} is left out. {error}")
                continue
            found.append({"path": str(source.path), "name": str(source.relative), "about": about})
        if not found:
            raise BadPicture(told[0])
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    for gone in [each for each, (where, _) in _unpacked.items() if not where.is_dir()]:
        del _unpacked[gone]
    _unpacked[path] = folder, {"images": found, "note": " ".join(told[:MOST_TOLD])}
    return _unpacked[path]


def unpack(path: Path, name: str, folder: Path, other_images: int, other_bytes: int) -> list[Source]:
    """Unpacks the images of a zip into the folder, with which so much else was sent.

    What it holds counts for as long as its folder is there: calls of the API may come in any number at once. Raises
    BadPicture as `batch.unpack_images`, CannotWrite where there is no room, and TooBusy.
    """
    with _one_unpacking():
        for gone in [each for each in _in_calls if not each.is_dir()]:
            del _in_calls[gone]
        most = max(environment.most_unpacked_in_calls(), environment.most_unpacked_bytes())
        room = most - sum(_in_calls.values())
        sources, _ = _unpack(path, name, folder, other_images, other_bytes, room)
        _in_calls[folder] = sum(each.path.stat().st_size for each in sources)
        return sources


@contextmanager
def _one_unpacking() -> Iterator[None]:
    if not _unpacking.acquire(timeout=UNPACKING_SECONDS):
        raise TooBusy("Other zips are being unpacked. Try again in a minute.")
    try:
        yield
    finally:
        _unpacking.release()


def _unpack(
    path: Path, name: str, folder: Path, other_images: int, other_bytes: int, room: int
) -> tuple[list[Source], list[PassedOver]]:
    if measure_held(_folder()) > environment.most_held_bytes():
        raise CannotWrite(FULL)  # the sweeping makes room for others within a minute
    on_disk = free_bytes(folder) - RESERVE
    bounds = Bounds(
        environment.most_pictures(),
        environment.limits().file_bytes,
        environment.most_unpacked_bytes(),
        other_images,
        other_bytes,
        room=min(on_disk, room),
        **({"no_room": OTHERS} if room < on_disk else {}),
    )
    return batch.unpack_images(path, name, folder, bounds)


def check_here(source: ImageSource) -> None:
    """Raises BadPicture where the image was sent so long ago that the server has deleted it."""
    if isinstance(source, Path) and not source.exists():
        raise BadPicture(GONE)


def describe_size(path: Path) -> str:
    """Returns the image's width and height to read. Raises BadPicture as `images.read_size`."""
    width, height = images.read_size(path)
    return f"{width} × {height}"


def _find_own(data: Any) -> Path | None:
    """Returns the file that the data name, if it is one of those that visitors sent and still here."""
    name = data.get("path") if isinstance(data, dict) else None
    if not isinstance(name, str) or "\0" in name:
        return None
    path = Path(name).resolve()
    return path if path.is_relative_to(_folder()) and path.is_file() else None


def _folder() -> Path:
    return Path(get_upload_folder()).resolve()


def _write_preview(picture: Picture) -> Path:
    """The image as a PNG of at most PREVIEW_SIDE pixels a side: shrunk by a whole number, the rest cut off."""
    height, width, _ = picture.pixels.shape
    by = -(-max(height, width) // PREVIEW_SIDE)
    by = min(by, height, width)
    if by > 1:
        inner = slice(0, height - height % by), slice(0, width - width % by)
        alpha = None if picture.alpha is None else finish(images.shrink(picture.alpha[inner][..., None], by, "area"))
        pixels = finish(images.shrink(picture.pixels[inner], by, "area"))
        picture = replace(picture, pixels=pixels, alpha=None if alpha is None else alpha[..., 0], depth=8)
    path = new_folder("preview") / "preview.png"
    images.write(picture, path, metadata=False)
    return path
