"""The classical kernels: rows that need no weights."""

from pipelines.catalog.schema import SCALES, Model


def _classical(key: str, name: str, note: str, paper: str = "") -> Model:
    scales = dict.fromkeys(SCALES, None)
    blends = key != "nearest"
    return Model(key, name, "classical", "classical", scales, "none needed", True, note, paper, blends=blends)


CLASSICAL = (
    _classical("nearest", "Nearest neighbour", "Repeats pixels: for pixel art, and to see what was there."),
    _classical("bilinear", "Bilinear", "The quickest smooth one; soft."),
    _classical("bicubic", "Bicubic", "The usual baseline: what every other method must beat.", "Keys 1981"),
    _classical("lanczos", "Lanczos", "A little sharper than bicubic, with faint halos at edges.", "Duchon 1979"),
)
