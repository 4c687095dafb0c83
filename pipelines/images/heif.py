"""HEIC and HEIF, as phones write them (ISO/IEC 23008-12): boxes are read here, pixels by libheif in another process.

libheif turns, mirrors and crops as the boxes say. By the standard they alone count: EXIF's orientation, which phones
write as well, is for information, and applied too it would turn the picture twice.
"""

import importlib.util
import json
import struct
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pipelines.environment import for_child
from pipelines.errors import BadPicture
from pipelines.images import avif, heif_child, xmp
from pipelines.images.boxes import Box, list_boxes, read_associations, strip_essential
from pipelines.images.inventory import Inventory, Part, describe_first_of, describe_left_out
from pipelines.images.picture import Extras
from pipelines.images.samples import Samples
from pipelines.phrasing import printable

LONGEST_DECODING = 120  # seconds; 50 megapixels take some
_CODING = {
    "box hvcC",
    "box lhvC",
    "box oinf",
    "box tols",
    "item hvc1",
    "item lhv1",
    "item iden",
    "box vmhd",
    "box prem",
}
# Pictures beside the main one, by what their property says they are.
_BESIDE = {
    b"hdrgainmap": "a gain map for HDR screens",
    b"hevc:2015:auxid:2": "a depth map",
    b"auxiliary:depth": "a depth map",
    b"matte": "a matte for effects",
}


class Heif(NamedTuple):
    """A picture as libheif gives it, upright and cropped, and what the file says beside.

    `turned` is an EXIF orientation for what the EXIF block says of the picture before it was turned, 1 or 6.
    """

    samples: Samples
    icc: bytes | None
    exif: bytes | None
    extras: Extras
    turned: int
    notes: tuple[str, ...]


class _Surveyed(NamedTuple):
    """What the boxes say; `claimed` is width and height of the largest picture among all, `turns` whether one lies."""

    inventory: Inventory
    claimed: tuple[int, int]
    turns: bool


def read_heif(data: bytes, name: str, check_size: Callable[[int, int], None]) -> Heif:
    """Decodes the main picture of a file. `name` and `check_size` as in `decode.decode`. Raises BadPicture."""
    inventory, claimed, turns = _survey(data, name, check_size)
    told, icc, packet, pixels = _decode(inventory.data, claimed, name)
    width, height = told["size"]
    if (width, height) != _upright_size(inventory, turns):  # by which the run was planned
        raise BadPicture(f"{name} is damaged: its pixels are not as many as it says.")
    extras = replace(inventory.extras, xmp=xmp.turn_upright(packet) if packet else None)
    if icc:
        extras = replace(extras, colour=tuple(each for each in extras.colour if each[0] != "cICP"))
    first = describe_first_of(told["pictures"], "images")
    return Heif(
        _split(pixels, 2 ** told["bits"] - 1, told["mode"].partition(";")[0].endswith("a")),
        icc or None,
        inventory.exif,
        extras,
        6 if turns else 1,
        (
            *(first if told["number"] == 0 else (f"the main one of {told['pictures']} images",)),
            *describe_left_out(inventory.parts),
        ),
    )


def read_heif_size(data: bytes, name: str, check_size: Callable[[int, int], None]) -> tuple[int, int]:
    """Width and height of what `read_heif` gives, from the header alone. Raises BadPicture."""
    inventory, _, turns = _survey(data, name, check_size)
    return _upright_size(inventory, turns)


def _upright_size(inventory: Inventory, turns: bool) -> tuple[int, int]:
    left, top, right, bottom = inventory.crop or (0, 0, *(inventory.size or (0, 0)))
    size = right - left, bottom - top
    return size[::-1] if turns else size


def _survey(data: bytes, name: str, check_size: Callable[[int, int], None]) -> _Surveyed:
    """Takes the inventory of a file and checks all sizes that it claims, those of parts and of other pictures too."""
    if importlib.util.find_spec("pi_heif") is None:
        raise BadPicture(f"{name} is a HEIC image, which cannot be read here: install the package pi-heif.")
    try:
        inventory = avif.take_inventory(data)
        boxes, own = _list_properties(inventory.data)
    except (struct.error, ValueError, IndexError) as error:
        raise BadPicture(f"{name} is damaged or cut short.") from error
    if inventory.size is None:
        raise _refuse(name)
    sizes, parts = [inventory.size], list[Part]()
    for box in boxes:
        block = inventory.data[box.start : box.end]
        if box.name == "ispe" and len(block) >= 12:
            sizes.append((int.from_bytes(block[4:8]), int.from_bytes(block[8:12])))
        elif box.name == "auxC":
            parts += [Part("auxC", "left out", what) for urn, what in _BESIDE.items() if urn in block]
    for size in dict.fromkeys(sizes):
        check_size(*size)
    told = [part for part in inventory.parts if _place(part) not in _CODING]
    known = tuple(part._replace(what=printable(part.what)) for part in told)
    claimed = max(sizes, key=lambda size: size[0] * size[1])
    turns = any(box.name == "irot" and inventory.data[box.start] & 1 for box in own if box.start < box.end)
    return _Surveyed(replace(inventory, parts=(*known, *parts)), claimed, turns)


def _place(part: Part) -> str:
    return part.place if part.place.startswith("item ") else f"box {part.place}"


def _list_properties(data: bytes) -> tuple[list[Box], list[Box]]:
    """Returns the properties of all pictures of a file, and those of the main one."""
    top = {box.name: box for box in list_boxes(data, 0, len(data))}
    meta = top.get("meta", Box("meta", 0, 0))
    lists = {box.name: box for box in list_boxes(data, meta.start + 4, meta.end)}
    within = lists.get("iprp", Box("iprp", 0, 0))
    lists |= {box.name: box for box in list_boxes(data, within.start, within.end)}
    properties, blocks = [], {}
    for name in ("ipco", "ipma", "pitm"):
        box = lists.get(name, Box(name, 0, 0))
        blocks[name] = data[box.start : box.end]
        if name == "ipco":
            properties = list(list_boxes(data, box.start, box.end))
    told = read_associations(blocks["ipma"]).get(int.from_bytes(blocks["pitm"][4:]), [])
    own = strip_essential(blocks["ipma"], told) if told else []
    return properties, [properties[number - 1] for number in own if 0 < number <= len(properties)]


def _decode(data: bytes, claimed: tuple[int, int], name: str) -> tuple[dict[str, Any], bytes, bytes, npt.NDArray[Any]]:
    """Has the child decode: returns what it tells, the colour profile, the XMP packet, and the pixels (H, W, …)."""
    command = [sys.executable, "-sP", heif_child.__file__, str(claimed[0] * claimed[1])]
    try:
        done = subprocess.run(
            command, input=data, capture_output=True, env=for_child(), timeout=LONGEST_DECODING, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise _refuse(name) from error
    line, _, rest = done.stdout.partition(b"\n")
    told = json.loads(line)
    icc, packet, pixels = told["lengths"]
    (width, height), bits = told["size"], told["bits"]
    samples = np.frombuffer(rest, np.uint8 if bits <= 8 else "<u2", offset=icc + packet)
    channels = len(told["mode"].partition(";")[0]) if told["mode"][0] != "I" else 1
    across = told["stride"] // samples.itemsize
    if len(rest) != icc + packet + pixels or samples.size < across * height or across < width * channels:
        raise BadPicture(f"{name} is damaged: its pixels are not as many as it says.")
    rows = samples[: across * height].reshape(height, across)[:, : width * channels]
    return told, rest[:icc], rest[icc : icc + packet], rows.reshape(height, width, channels)


def _refuse(name: str) -> BadPicture:
    return BadPicture(f"{name} is damaged, cut short, or a kind of HEIF that cannot be read here.")


def _split(array: npt.NDArray[Any], white: int, premultiplied: bool) -> Samples:
    """Colour and alpha of (H, W, 1 to 4) samples."""
    channels = array.shape[2]
    if channels in (1, 3):
        return Samples(array[..., 0] if channels == 1 else array, None, white)
    colour, alpha = array[..., :-1], array[..., -1]
    if premultiplied:
        whole = colour.astype(np.uint32) * white // np.maximum(alpha, 1)[..., None]
        colour = np.minimum(whole, white).astype(array.dtype)
    return Samples(colour[..., 0] if channels == 2 else colour, alpha, white)
