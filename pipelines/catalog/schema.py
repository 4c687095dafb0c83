"""What a row of the catalog is: a model, its weights, their files and where to ask for them. Plain data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

Family = Literal["classical", "cnn", "gan", "diffusion"]
Pin = Literal["sha256", "git blob", "sha256 prefix", "unpinned"]
SCALES = (2, 3, 4, 8)
NAMED_SCALES = (1, 2, 3, 4, 8, 16)  # of files that somebody names: what such a file has is known once it is here
CPU_ENGINES = frozenset({"classical"})  # what these do, they do on the CPU
TILED = frozenset({"tile"})  # the one setting that every network in tiles takes
ARTIFACTS = ("auto", "none", "remove")  # by which of its networks a model that has two upscales
COLOUR_FIXES = ("wavelet", "adain", "none")  # how an enlargement may be given back the colours of the picture

CREATIVITY = ("low", "medium", "high")  # how much a diffusion model may invent; the first as it does by itself
START_POINTS = ("noise", "image")  # what denoising begins with: noise alone, or what little it leaves of the image


@dataclass(frozen=True, slots=True)
class File:
    """One file of weights, named by its path in the repository that publishes it.

    At most one of the hashes is given, the strongest that is known; none shows as "unpinned".
    """

    path: str
    size: int  # bytes, to quote before a download; right to some percent; 0 where nobody has said it
    sha256: str | None = None
    git_blob: str | None = None  # SHA-1 of git's blob object, for files known only through a repository's tree
    sha256_prefix: str | None = None  # the published start of the sha256, as torch's model zoo puts into file names
    or_else: str = ""  # the path of what a folder of the user's own may have in its place

    @property
    def name(self) -> str:
        """The base name: what the file is called in a folder of the user's own."""
        return self.path.rpartition("/")[2]

    @property
    def learned(self) -> bool:
        """Returns whether it holds parameters, not settings or a vocabulary."""
        return not self.name.endswith((".json", ".txt"))

    @property
    def pin(self) -> Pin:
        """The kind of the hash by which the content is pinned."""
        if self.sha256:
            return "sha256"
        if self.git_blob:
            return "git blob"
        return "sha256 prefix" if self.sha256_prefix else "unpinned"


@dataclass(frozen=True, slots=True)
class Hub:
    """A repository on the Hugging Face Hub, pinned to a 40-hex revision (None: whatever is newest).

    Where it is `public`, it is asked without HF_TOKEN: whoever opens a page may name such a repository, and shall not
    read by it what only the page's owner may.
    """

    repo: str
    revision: str | None
    public: bool = False


@dataclass(frozen=True, slots=True)
class Url:
    """A web folder; a file's path is appended to it. Pinned by a commit or a release in the URL."""

    base: str


@dataclass(frozen=True, slots=True)
class Direct:
    """One file by its https address, which somebody named: from a public host, kept as what visitors name is."""

    url: str


@dataclass(frozen=True, slots=True)
class OpenModelDb:
    """A model of OpenModelDB by its name there: its list says where the file lies, and what its hash is."""

    name: str


SourceData = Hub | Url | Direct | OpenModelDb


@dataclass(frozen=True, slots=True)
class Weights:
    """The files one model needs at one scale, and where to ask for them, in order."""

    files: tuple[File, ...]
    sources: tuple[SourceData, ...]  # none for files that come with the program, and for those that nobody offers
    anywhere: bool = True  # whether a file of that name in the user's folder, or among the bundled ones, is meant too
    pipeline: str = ""  # of a folder that diffusers saved the class, as its model_index.json names it

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(file.size for file in self.files)

    @property
    def bundled(self) -> bool:
        """Returns whether the files come with the program."""
        return not (self.sources or self.pipeline)


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
    shrunk_from: int | None = None  # the scale that its network enlarges by where that is more than was asked for
    # By scale, what it runs beside its own network: a robust one in its place, where the picture was shrunk or stored
    # without care, and last the one that tells so.
    companions: Mapping[int, Weights] = field(default_factory=dict)
    more: tuple[Weights, ...] = ()  # what it needs of other publishers beside its own, at every scale
    words: Weights | None = None  # what cuts a prompt into words where its own files do not
    noisy_twin: Weights | None = None  # the same network trained to keep noise: the setting denoise mixes the two
    # Least and most low-resolution pixels a side of a tile, where it takes any; None where the network's file has to
    # be read to know them.
    tiles: tuple[int, int] | None = None
    blends: bool = True  # whether a pixel's colour may reach its neighbours', and one channel another
    terms: str = ""  # by what its licence is accepted, where it must be before anything is downloaded or run
    terms_url: str = ""  # where such a licence can be read
    light: bool = False  # so little work that no GPU is borrowed for it
    aliased: bool = False  # whether it learned from images that were shrunk without antialiasing

    @property
    def cleans(self) -> bool:
        """Returns whether it enlarges nothing: it restores an image before another model upscales it."""
        return set(self.scales) == {1}

    def download(self, scale: int) -> int:
        """Bytes of all files that it needs at that scale, but for those that come with the program."""
        own = self.scales[scale]
        return sum(each.size for each in (own, *self.more) if each is not None and not each.bundled)

    @property
    def prompt(self) -> bool:
        """Returns whether a prompt steers the result."""
        return "prompt" in self.takes

    @property
    def diffusion(self) -> bool:
        """Returns whether it denoises in steps: it invents detail, and takes gigabytes and, without a GPU, minutes."""
        return self.family == "diffusion"

    @property
    def from_hub(self) -> bool:
        """Returns whether it is no row of MODELS, but was named by its file on the Hub."""
        return "/" in self.key

    @property
    def gpu(self) -> bool:
        """Returns whether it is worth borrowing a GPU for."""
        return self.engine not in CPU_ENGINES and not self.light


class Tiling(NamedTuple):
    """How a picture was cut: the side that a tile reads at most and its overlap, in low-resolution pixels.

    `held` is how many bytes of memory a tile takes for each pixel that it reads, about; 0 where that is not known.
    `kept` is how many are kept for each pixel of the picture beside it and its result.
    """

    side: int
    overlap: int
    held: int = 0
    kept: int = 0


def github_url(repo: str, commit: str) -> Url:
    """Returns the web folder of a repository on GitHub as it was at a commit."""
    return Url(f"https://raw.githubusercontent.com/{repo}/{commit}")


def as_dict(model: Model) -> dict[str, Any]:
    """A row as JSON has it: what `models --json` and the API's `/models` list. `download` is in bytes, by scale."""
    return {
        "key": model.key,
        "name": model.name,
        "family": model.family,
        "engine": model.engine,
        "arch": model.arch,
        "scales": list(model.scales),
        "shrunk_from": model.shrunk_from,
        "prompt": model.prompt,
        "settings": sorted(model.takes),
        "licence": model.licence,
        "commercial": model.commercial,
        "params": {str(scale): count for scale, count in model.params.items()},
        "download": {str(at): model.download(at) for at, each in model.scales.items() if each},
        "paper": model.paper,
        "note": model.note,
    }
