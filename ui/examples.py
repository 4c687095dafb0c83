"""The example pictures the page offers; pictures/README.md says where they come from."""

from pathlib import Path
from typing import NamedTuple

STATIC = Path(__file__).with_name("static")
EXAMPLES_FOLDER = Path(__file__).with_name("pictures")


class Example(NamedTuple):
    """One picture: its name in ?example=…, what it is called on the page, and its file."""

    name: str
    title: str

    @property
    def path(self) -> Path:
        return EXAMPLES_FOLDER / f"{self.name}.png"


EXAMPLES = (
    Example("face", "Face"),
    Example("page", "Page"),
    Example("foliage", "Foliage"),
    Example("building", "Building"),
    Example("drawing", "Drawing"),
    Example("night-sky", "Night sky"),
)

FIRST_EYES = (50, 75, 90, 80)  # of the first example: left, top, width and height

# What the page shows before anyone clicks: the first example as the first model enlarges it, and its details as JSON.
FIRST_RESULT = EXAMPLES_FOLDER / "face_swift_x4.png"

# The comparison that the page shows before anyone clicks: of the first example, with what takes part unasked.
READY_COMPARISON = EXAMPLES_FOLDER / "compared"
# The same example by the chain that the Chained tab begins with: its first stage is FIRST_RESULT, and this its second.
# A lossy WebP, because it is only looked at.
FIRST_CHAIN = ("swift:4", "swift:2")
FIRST_CHAIN_RESULT = EXAMPLES_FOLDER / "face_swift_x8.webp"
# Where it differs most from bicubic: left, top, width and height in its pixels.
FIRST_CHAIN_CHANGES = ((24, 1488, 96, 96), (552, 312, 96, 96), (0, 1680, 96, 96))


def find_example(name: str) -> Example | None:
    """The example of that name, if there is one."""
    return next((example for example in EXAMPLES if example.name == name), None)
