"""The table of models: what exists, at which scales, from which files, under which licence.

Plain data: importing this module loads no array, network or page library. Dropdowns, command-line choices, the API's
list and the README's table are all made from these rows.
"""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from pipelines.errors import BadSetting

Family = Literal["classical", "cnn", "gan", "diffusion"]
SCALES = (2, 3, 4, 8)


@dataclass(frozen=True, slots=True)
class File:
    """One file of weights, named by its path in the repository that publishes it.

    At most one of the hashes is given, the strongest that is known; none shows as "unpinned".
    """

    path: str
    size: int  # bytes, to quote before a download; about right where the publisher says only "about"
    sha256: str | None = None
    git_blob: str | None = None  # SHA-1 of git's blob object, for files known only through a repository's tree
    sha256_prefix: str | None = None  # the published start of the sha256, as torch's model zoo puts into file names

    @property
    def name(self) -> str:
        """The base name: what the file is called in a folder of the user's own."""
        return self.path.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class Hub:
    """A repository on the Hugging Face Hub, pinned to a 40-hex revision (None: whatever is newest)."""

    repo: str
    revision: str | None


@dataclass(frozen=True, slots=True)
class Url:
    """A web folder; a file's path is appended to it. Pinned by a commit or a release in the address."""

    base: str


Source = Hub | Url


@dataclass(frozen=True, slots=True)
class Weights:
    """The files one model needs at one scale, and where to ask for them, in order."""

    files: tuple[File, ...]
    sources: tuple[Source, ...]

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(file.size for file in self.files)


@dataclass(frozen=True, slots=True)
class Model:
    """One upscaler. `scales` maps a scale to the weights it needs there, or to None when it needs none."""

    key: str  # API value, CLI choice, benchmark row: never changes
    name: str
    family: Family
    engine: str  # pipelines/upscalers/<engine>.py
    scales: Mapping[int, Weights | None]
    licence: str
    commercial: bool
    note: str  # what it is good at, in one line
    paper: str = ""
    arch: str = ""  # the network, as its engine calls it
    params: Mapping[int, int] = field(default_factory=dict)  # scale -> learned parameters, where counted
    takes: frozenset[str] = frozenset()  # the fields of Settings this model can use
    radius: int = 0  # receptive field's radius in low-resolution pixels; tiles overlap by this much

    @property
    def prompt(self) -> bool:
        """Whether words steer the result."""
        return "prompt" in self.takes


MODELS: tuple[Model, ...] = ()
