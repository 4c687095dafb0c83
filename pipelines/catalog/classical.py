"""The classical kernels: rows that need no weights."""

from pipelines.catalog.schema import SCALES, Model


def _classical(key: str, name: str, note: str, paper: str = "") -> Model:
    scales = dict.fromkeys(SCALES, None)
    blends = key != "nearest"
    return Model(key, name, "classical", "classical", scales, "none needed", True, note, paper, blends=blends)


CLASSICAL = (
    _classical("nearest", "Nearest neighbour", "Repeats pixels. For pixel art, and to see what is really there."),
    _classical("bilinear", "Bilinear", "Smooth and soft. The fastest of the smooth methods."),
    _classical("bicubic", "Bicubic", "The usual baseline. Every other model must beat it.", "Keys 1981"),
    _classical("lanczos", "Lanczos", "A little sharper than bicubic. Faint halos at edges.", "Duchon 1979"),
)
