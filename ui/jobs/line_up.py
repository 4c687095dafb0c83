"""What a comparison can be chosen from: who takes part, who does unasked, and how the small image is made."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

from pipelines.catalog import rows as catalog
from pipelines.catalog.rows import Model, Stage
from pipelines.measuring.run import CHAINED_8X, OFFERED_KERNELS, Contender, find_protocol
from pipelines.phrasing import format_bytes
from ui.jobs import comparing
from ui.jobs.offered import list_offered

# Ticked at first, where the files are here: plain methods to compare with, and networks that take a second or less.
# Nearest and bilinear are behind bicubic on every photo; LapSRN takes as long as all these together.
LINE_UP = frozenset({"bicubic", "lanczos", "swift", "srcnn", "espcn", "fsrcnn", "real-esrgan-general"})

KERNEL_TITLES = {
    "bicubic": "Bicubic",
    "area": "Area (block average)",
    "opencv-cubic": "OpenCV cubic (no antialiasing)",
    "lanczos": "Lanczos",
}


class LineUp(NamedTuple):
    """Who can take part: label and key of each, those first that need no download; the keys of those that do unasked,
    and of those that need one.
    """

    choices: list[tuple[str, str]]
    ticked: list[str]
    to_download: frozenset[str]

    def shorten(self, kept: Collection[str]) -> list[tuple[str, str]]:
        """Returns the choices without those that need a download, unless they are `kept`."""
        return [(label, key) for label, key in self.choices if key in kept or key not in self.to_download]


def kernel_choices() -> list[tuple[str, str]]:
    """The ways to make the small image, each in plain words."""
    parts = [(kernel, *kernel.partition("+jpeg")[::2]) for kernel in OFFERED_KERNELS]
    return [
        (KERNEL_TITLES.get(name, name) + (f", then saved as JPEG {quality}" if quality else ""), kernel)
        for kernel, name, quality in parts
    ]


def model_choices(protocol: str, scale: str) -> LineUp:
    """Returns who can take part by a protocol and at a scale. Who needs a download says how large it is."""
    by = find_protocol(protocol).fixed_scale or catalog.parse_scale(scale)
    rows = list_offered(by)
    alone = {row.key: Contender((Stage(row.key, by),)) for row in rows}
    lacking = {key: sum(needed.size for needed in comparing.lacking_weights(each)) for key, each in alone.items()}
    choices = [
        (f"{row.name} · {format_bytes(size)}" if (size := lacking[row.key]) else row.name, row.key)
        for row in sorted(rows, key=lambda row: lacking[row.key] > 0)
    ]
    to_download = frozenset(key for key, size in lacking.items() if size)
    return LineUp(choices, [key for _, key in choices if key in LINE_UP - to_download], to_download)


def list_chains(models: Sequence[Model]) -> list[str]:
    """Returns every chain of an x4 and an x2 model among these."""
    first, second = ([row.key for row in models if scale in row.scales] for scale in CHAINED_8X.chain_scales)
    return [f"{x4}:4,{x2}:2" for x4 in first for x2 in second]
