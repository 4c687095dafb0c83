"""How a TIFF picture's samples are laid out, checked as a whole before anything is decoded."""

from collections.abc import Callable
from dataclasses import dataclass

from pipelines.images.tiff import codecs
from pipelines.images.tiff.directories import (
    BITS,
    COMPRESSION,
    HEIGHT,
    PHOTOMETRIC,
    WIDTH,
    Directory,
    Unreadable,
)

FILL_ORDER, STRIP_OFFSETS, SAMPLES, STRIP_ROWS, STRIP_COUNTS, PLANAR = 266, 273, 277, 278, 279, 284
PREDICTOR, TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_COUNTS = 317, 322, 323, 324, 325
EXTRA_SAMPLES, SAMPLE_FORMAT, SUBSAMPLING, INK_SET = 338, 339, 530, 332

WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, CMYK, YCBCR, CIELAB, ICCLAB = 0, 1, 2, 3, 5, 6, 8, 9
CONVERTED = (CMYK, CIELAB, ICCLAB)  # to sRGB
_CHANNELS = {WHITE_IS_ZERO: 1, BLACK_IS_ZERO: 1, RGB: 3, PALETTE: 1, CMYK: 4, YCBCR: 3, CIELAB: 3, ICCLAB: 3}
_OTHERS = {4: "a transparency mask", 10: "ITU L*a*b*", 32844: "logarithmic luminance", 32845: "logarithmic colours"}

_MOST_CHANNELS = 8
_MOST_PIECES = 100_000
_MOST_PICTURES = 10_000  # pieces that are JPEG or WebP themselves, each of which takes as long as a hundred others
_TILE_ALLOWANCE = 1 << 24  # pixels that tiles may have in all, however small the picture

_TOO_DEEP = "keeps signed, floating-point or more than 16-bit numbers, which cannot be read as an image"


@dataclass(frozen=True, slots=True)
class Layout:
    """Size, samples and pieces of a picture; `pieces` are strips or tiles of `piece_rows` by `piece_width` pixels.

    `channels` counts all samples of a pixel, `colours` those of its colour, which come first. `alpha` is the place of
    the opacity among all, or None; `is_premultiplied` tells whether colour was multiplied by it. `subsampling` is how
    many pixels across and down share one pair of colour differences.
    """

    width: int
    height: int
    photometric: int
    channels: int
    colours: int
    bits: int
    alpha: int | None
    is_premultiplied: bool
    is_planar: bool
    compression: int
    predictor: bool
    is_tiled: bool
    piece_width: int
    piece_rows: int
    subsampling: tuple[int, int]

    @property
    def across(self) -> int:
        return -(-self.width // self.piece_width)

    @property
    def down(self) -> int:
        return -(-self.height // self.piece_rows)


def read_layout(directory: Directory, check_size: Callable[[int, int], None]) -> Layout:
    """The layout of a directory's picture. `check_size` gets width and height as soon as they are known.

    Raises Unreadable, which names what it is, for every kind of TIFF that is not read right.
    """
    width, height = read_size(directory)
    check_size(width, height)
    photometric, compression = _known_kind(directory)
    channels, bits = _samples(directory)
    colours = _CHANNELS[photometric]
    if photometric == CMYK and directory.number(INK_SET, 1) != 1:
        raise Unreadable("keeps inks other than cyan, magenta, yellow and black")
    if channels < colours:
        raise Unreadable(f"is damaged: it has {channels} channels, and its colours need {colours}")
    is_planar = directory.number(PLANAR, 1) == 2 and channels > 1
    is_jpeg = compression == codecs.JPEG
    subsampling = _subsampling(directory) if photometric == YCBCR and compression not in codecs.WHOLE else (1, 1)
    if photometric == YCBCR and (is_planar or bits != 8 or (subsampling != (1, 1) and channels > colours)):
        raise Unreadable("keeps YCbCr one channel after another, in more than 8 bits or with further channels")
    if compression in codecs.FAXES and (bits != 1 or channels > 1):
        raise Unreadable("is damaged: it is compressed as a fax and does not have one bit a pixel")
    if compression in codecs.WHOLE and (bits != 8 or channels > 4 or (is_planar and not is_jpeg)):
        raise Unreadable("is compressed as JPEG or WebP and does not have up to four channels of 8 bits")
    is_tiled = TILE_WIDTH in directory.entries["tag"]
    piece_width, piece_rows = _piece_size(directory, width, height, is_tiled)
    alpha, is_premultiplied = _alpha(directory, channels, colours)
    layout = Layout(
        width, height, photometric, channels, colours, bits, alpha, is_premultiplied, is_planar, compression,
        _has_predictor(directory, compression, bits, subsampling), is_tiled, piece_width, piece_rows, subsampling,
    )  # fmt: skip
    most = _MOST_PICTURES if compression in (*codecs.WHOLE, *codecs.FAXES) else _MOST_PIECES
    if (number := layout.across * layout.down * (channels if is_planar else 1)) > most:
        raise Unreadable(f"is kept in {number} strips or tiles, and at most {most} can be read")
    return layout


def read_size(directory: Directory) -> tuple[int, int]:
    width, height = directory.number(WIDTH), directory.number(HEIGHT)
    if not (0 < width < 1 << 31 and 0 < height < 1 << 31):
        raise Unreadable("is damaged: it names no width or no height")
    return width, height


def _known_kind(directory: Directory) -> tuple[int, int]:
    photometric, compression = directory.number(PHOTOMETRIC, -1), directory.number(COMPRESSION, 1)
    if compression not in codecs.READ:
        name = codecs.NAMES.get(compression, f"number {compression}")
        raise Unreadable(f"is compressed by a method that cannot be read here: {name}")
    if photometric == -1:
        # Some writers of one channel leave it out; a fax without it is black on white.
        photometric = WHITE_IS_ZERO if compression in codecs.FAXES else BLACK_IS_ZERO
    if photometric not in _CHANNELS:
        name = _OTHERS.get(photometric, f"number {photometric}")
        raise Unreadable(f"keeps its colours in a way that cannot be read here: {name}")
    return photometric, compression


def _samples(directory: Directory) -> tuple[int, int]:
    """How many samples a pixel has and the bits of each: unsigned, 1 to 16, all the same."""
    channels = directory.number(SAMPLES, 1)
    if not 1 <= channels <= _MOST_CHANNELS:
        raise Unreadable(f"has {channels} channels, and at most {_MOST_CHANNELS} can be read")
    depths = {int(each) for each in directory.numbers(BITS)[:channels]} or {1}
    formats = {int(each) for each in directory.numbers(SAMPLE_FORMAT)[:channels]} or {1}
    if not formats <= {1, 4} or max(depths) > 16:
        raise Unreadable(_TOO_DEEP)
    if len(depths) > 1:
        raise Unreadable("keeps its channels in different numbers of bits")
    bits = depths.pop()
    if bits < 1:
        raise Unreadable("is damaged: its samples have no bits")
    return channels, bits


def _subsampling(directory: Directory) -> tuple[int, int]:
    found = [int(each) for each in directory.numbers(SUBSAMPLING)[:2]] or [2, 2]
    if len(found) < 2 or not set(found) <= {1, 2, 4}:
        raise Unreadable("is damaged: its colour differences are spread over no number of pixels")
    return found[0], found[1]


def _has_predictor(directory: Directory, compression: int, bits: int, subsampling: tuple[int, int]) -> bool:
    predictor = directory.number(PREDICTOR, 1)
    if predictor == 1 or compression not in (codecs.LZW, codecs.ZSTD, codecs.LZMA, *codecs.DEFLATE):
        return False
    if predictor != 2 or bits not in (8, 16) or subsampling != (1, 1):
        raise Unreadable(f"keeps differences of a kind that cannot be read here: predictor {predictor} of {bits} bits")
    return True


def _piece_size(directory: Directory, width: int, height: int, is_tiled: bool) -> tuple[int, int]:
    if not is_tiled:
        rows = min(directory.number(STRIP_ROWS, height) or -1, height)
        if rows < 1:
            raise Unreadable("is damaged: its strips have no rows")
        return width, rows
    across, down = directory.number(TILE_WIDTH), directory.number(TILE_HEIGHT)
    if not (0 < across < 1 << 31 and 0 < down < 1 << 31):
        raise Unreadable("is damaged: its tiles have no size")
    if -(-width // across) * across * (-(-height // down) * down) > max(4 * width * height, _TILE_ALLOWANCE):
        raise Unreadable(f"has tiles of {across} by {down} pixels, which are far larger than the image")
    return across, down


def _alpha(directory: Directory, channels: int, colours: int) -> tuple[int | None, bool]:
    """Which channel is the opacity, if any, and whether the colours were multiplied by it.

    Where the tag is missing, a single further channel is taken for one that was not, as other programs do. So is one of
    a number that the specification does not have, as CorelDRAW writes it.
    """
    meanings = [int(each) for each in directory.numbers(EXTRA_SAMPLES)[: channels - colours]]
    if not meanings and channels == colours + 1:
        meanings = [2]
    for place, meaning in enumerate(meanings, colours):
        if meaning != 0:
            return place, meaning == 1
    return None, False
