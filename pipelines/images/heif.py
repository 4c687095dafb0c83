"""HEIC and HEIF, as phones write them (ISO/IEC 23008-12): boxes are read here, pixels by libheif.

libheif turns, mirrors and crops as the boxes say. By the standard they alone count: EXIF's orientation, which phones
write as well, is for information, and applied too it would turn the picture twice.
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pipelines.errors import BadPicture
from pipelines.images import avif, xmp
from pipelines.images.boxes import Box, list_boxes
from pipelines.images.inventory import Inventory, Part, describe_first_of, describe_left_out
from pipelines.images.picture import Extras
from pipelines.images.samples import Samples
from pipelines.phrasing import printable

if TYPE_CHECKING:
    from pi_heif import HeifFile

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
_MOST_COPIED = 200_000_000  # bytes of profiles, which pi-heif copies for each picture


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


def read_heif(data: bytes, name: str, check_size: Callable[[int, int], None]) -> Heif:
    """Decodes the main picture of a file. `name` and `check_size` as in `decode.decode`. Raises BadPicture."""
    inventory, file = _survey(data, name, check_size)
    image = file[file.primary_index]
    size = image.size
    array = _trying(lambda: np.array(image), name)  # a copy: the memory is libheif's, and gone with `image`
    if array.shape[:2] != size[::-1]:
        raise BadPicture(f"{name} is damaged: its pixels are not as many as it says.")
    bits = int(image.info["bit_depth"])
    icc, extras = image.info.get("icc_profile"), inventory.extras
    if icc:
        extras = replace(extras, colour=tuple(each for each in extras.colour if each[0] != "cICP"))
    across = inventory.size is not None and (inventory.size[0] > inventory.size[1]) != (size[0] > size[1])
    return Heif(
        _split(array, 2**bits - 1, image.premultiplied_alpha),
        icc,
        inventory.exif,
        extras,
        6 if across else 1,
        (*_first_of(file), *describe_left_out(inventory.parts)),
    )


def read_heif_size(data: bytes, name: str, check_size: Callable[[int, int], None]) -> tuple[int, int]:
    """Width and height of what `read_heif` gives, from the header alone. Raises BadPicture."""
    _, file = _survey(data, name, check_size)
    width, height = file.size
    return width, height


def _survey(data: bytes, name: str, check_size: Callable[[int, int], None]) -> "tuple[Inventory, HeifFile]":
    """Takes the inventory of a file, checks all sizes that it claims, and has libheif read its header.

    libheif takes no more memory for a part of the picture than its box claims.
    """
    try:
        inventory = avif.take_inventory(data)
        inside = _look_inside(inventory.data)
    except (struct.error, ValueError, IndexError) as error:
        raise BadPicture(f"{name} is damaged or cut short.") from error
    for size in (inventory.size, *inside.sizes):
        if size is not None:
            check_size(*size)
    if inside.profiles * inside.pictures > max(_MOST_COPIED, 4 * len(data)):
        raise BadPicture(f"{name} says more beside its pixels than can be read.")
    told = [part for part in inventory.parts if _place(part) not in _CODING]
    known = tuple(part._replace(what=printable(part.what)) for part in told)
    file = _open(inside.data, name)
    check_size(*_trying(lambda: file.size, name))  # which fails where there is no picture at all
    extras = replace(inventory.extras, xmp=inside.xmp and xmp.turn_upright(inside.xmp))
    return replace(inventory, parts=known + inside.parts, extras=extras), file


def _place(part: Part) -> str:
    return part.place if part.place.startswith("item ") else f"box {part.place}"


class _Inside(NamedTuple):
    """What stands in a file's lists of items and of their properties, and the file as libheif is given it."""

    data: bytes
    sizes: tuple[tuple[int, int], ...]  # of all pictures and of what they are put together from
    parts: tuple[Part, ...]
    pictures: int  # at the most
    profiles: int  # bytes of all together
    xmp: bytes | None


def _look_inside(data: bytes) -> _Inside:
    """Walks the lists. What belongs to a picture but is none, such as texts, is hidden from libheif by its references.

    Its Python package copies them for every picture, and ends the program at a type that is no text (pi-heif 1.4).
    """
    sizes, parts, pictures, profiles, hidden = [], [], 0, 0, bytearray(data)
    places: dict[int, tuple[int, int]] = {}
    packets: list[int] = []
    for box in _list_inner(data):
        block = data[box.start : box.end]
        if box.name == "iloc":
            places = avif.read_places(block)
        elif box.name == "ispe" and len(block) >= 12:
            sizes.append((int.from_bytes(block[4:8]), int.from_bytes(block[8:12])))
        elif box.name == "auxC":
            parts += [Part("auxC", "left out", what) for urn, what in _BESIDE.items() if urn in block]
        elif box.name == "colr":
            profiles += len(block)
        elif box.name == "cdsc":
            hidden[box.start - 4 : box.start] = b"skip"
        elif box.name == "infe":
            wide = 4 if block[:1] == b"\3" else 2
            kind = block[6 + wide : 10 + wide]
            pictures += kind not in (b"mime", b"Exif", b"skip")
            if kind == b"mime" and b"application/rdf+xml" in block:
                packets.append(int.from_bytes(block[4 : 4 + wide]))
    start, length = next((places[item] for item in packets if item in places), (0, 0))
    return _Inside(bytes(hidden), tuple(sizes), tuple(parts), pictures, profiles, data[start : start + length] or None)


def _list_inner(data: bytes) -> Iterator[Box]:
    """Yields where items lie, their references, and the entries of the lists of items and of their properties."""
    for meta in list_boxes(data, 0, len(data)):
        for box in list_boxes(data, meta.start + 4, meta.end) if meta.name == "meta" else ():
            if box.name == "iloc":
                yield box
            elif box.name == "iref":
                yield from list_boxes(data, box.start + 4, box.end)
            elif box.name == "iinf":
                yield from list_boxes(data, box.start + (6 if data[box.start : box.start + 1] == b"\0" else 8), box.end)
            elif box.name == "iprp":
                for inner in list_boxes(data, box.start, box.end):
                    yield from list_boxes(data, inner.start, inner.end) if inner.name == "ipco" else ()


def _open(data: bytes, name: str) -> "HeifFile":
    """Has libheif read the header. It is imported here, because few pictures need it."""
    try:
        import pi_heif
    except ImportError:
        raise BadPicture(f"{name} is a HEIC image, which cannot be read here: install the package pi-heif.") from None
    # Of what lies beside the picture nothing is used, and its names need not be text.
    pi_heif.options.THUMBNAILS = pi_heif.options.DEPTH_IMAGES = pi_heif.options.AUX_IMAGES = False
    # As many bits as the file has, from 0 on: what scales 10 bits to 16 leaves white short of it.
    return _trying(lambda: pi_heif.open_heif(data, convert_hdr_to_8bit=False, hdr_to_16bit=False), name)


def _trying(step: Callable[[], Any], name: str) -> Any:
    try:
        return step()
    except MemoryError:
        raise
    except Exception as error:  # given hostile bytes, libheif's reader raises what it likes
        raise BadPicture(f"{name} is damaged, cut short, or a kind of HEIF that cannot be read here.") from error


def _split(array: npt.NDArray[Any], white: int, premultiplied: bool) -> Samples:
    """Colour and alpha of (H, W) or (H, W, 1 to 4) samples."""
    if array.ndim == 2 or array.shape[2] == 1:
        return Samples(array.reshape(array.shape[:2]), None, white)
    if array.shape[2] == 3:
        return Samples(array, None, white)
    colour, alpha = array[..., :-1], array[..., -1]
    if premultiplied:
        whole = colour.astype(np.uint32) * white // np.maximum(alpha, 1)[..., None]
        colour = np.minimum(whole, white).astype(array.dtype)
    return Samples(colour[..., 0] if colour.shape[2] == 1 else colour, alpha, white)


def _first_of(file: "HeifFile") -> tuple[str, ...]:
    """The note for a file of several pictures, such as a burst."""
    if file.primary_index == 0:
        return describe_first_of(len(file), "images")
    return (f"the main one of {len(file)} images",)
