"""What every network here is: the members by which it is run, whatever its architecture. Imports torch."""

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, Protocol, Self

from torch import Tensor, nn

from pipelines.images.picture import Pixels
from pipelines.networks.canvas import Canvas, Job
from pipelines.networks.shapes import State

# What another engine than torch may run of a network: all of it where that is in float32, its trunk alone, or nothing.
COMPILES_WHOLE, COMPILES_TRUNK, COMPILES_NOTHING = "whole", "trunk", "nothing"
EVERY_PRECISION = frozenset({"float16", "bfloat16"})


@dataclass(frozen=True, slots=True)
class Block:
    """Part of a trunk: `run` maps features (N, width, h, w) to others of the same size, by parameters of `module`.

    `reads` are what it is given, in their order: 0 for the head's features, n for those of the nth block. Each place
    depends on places at most `reach` away, and on the `means` of features, by the same numbers: `run` is given each
    channel's over the whole picture, (N, width, 1, 1), behind what it reads.
    """

    module: nn.Module
    run: Callable[..., Tensor]
    reach: int
    reads: tuple[int, ...]
    means: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Blocks:
    """A trunk cut into blocks, each of which sees much less far than all of them: the whole picture in exact tiles.

    `end` gives no such features: it is the last part of the trunk, and its reach is that of the tail behind it too.
    `head_reach` is the head's own. All reaches are in places of features, each of which is `multiple` pixels wide.
    """

    head_reach: int
    blocks: tuple[Block, ...]
    end: Block


@dataclass(frozen=True, slots=True)
class Passes:
    """A trunk whose parts need more of the whole picture than means: it goes over its maps by itself, `count` times.

    `run` is given where maps are kept, and the head's features; it gives its jobs one after another, each once the one
    before it is done, and at last the maps that `end` reads. None of them reads more than `reach` places further than
    it writes. About `maps` are held at once, each of the network's width. Tiles of head and end begin at multiples of
    `grid`, to which `pad` brings a picture (H, W, 3) first.
    """

    head_reach: int
    run: Callable[[Canvas, Tensor], Generator[Job, None, list[Tensor]]]
    end: Block
    reach: int
    count: int
    maps: int
    grid: int
    pad: Callable[[Pixels], Pixels]


def group(layers: Sequence[nn.Module], reach: int, size: int) -> tuple[Block, ...]:
    """Groups layers in a row, each of which reaches so far, into blocks of `size` of them."""
    groups = [nn.Sequential(*layers[first : first + size]) for first in range(0, len(layers), size)]
    return tuple(Block(each, each, reach * len(each), (number,)) for number, each in enumerate(groups))


class Network(Protocol):
    """An `nn.Module` that enlarges (N, 3, H, W) in [0, 1] to (N, 3, scale*H, scale*W), which is not clamped.

    `forward` is `head`, `trunk` and `tail` in a row, so that the trunk can work in a lower precision, and in another
    engine than torch: what the two ends round would be seen in every pixel.
    """

    @property
    def arch(self) -> str:
        """The architecture's name, as the catalog's rows have it."""

    @property
    def scale(self) -> int:
        """Returns how many times it enlarges each side."""

    @property
    def multiple(self) -> int:
        """H and W must be multiples of this; more than 1 where squares of pixels are folded into channels."""

    @property
    def radius(self) -> int:
        """Returns how many pixels of the input away from its own place an output pixel reads at most.

        It may be UNKNOWN or UNBOUNDED (tiling.py).
        """

    @property
    def precisions(self) -> Set[str]:
        """The lower precisions that the trunk may work in."""

    @property
    def floats_per_pixel(self) -> int:
        """Returns how many numbers are held at once for each pixel of the input, about.

        Most are held between the two widest layers.
        """

    @property
    def width(self) -> int:
        """Returns how many channels the trunk reads."""

    @property
    def inner(self) -> Sequence[nn.Module]:
        """The modules with parameters that `trunk` runs: those that a lower precision is for."""

    @property
    def in_blocks(self) -> Blocks | Passes | None:
        """Returns the same as `trunk` does, cut into blocks or passes; None for a network that is not cut."""

    @property
    def compiles(self) -> str:
        """Returns what an engine may run: COMPILES_WHOLE, COMPILES_TRUNK, or COMPILES_NOTHING.

        The last is for all that is no stack of plain layers.
        """

    def head(self, pixels: Tensor) -> Tensor:
        """Maps (N, 3, H, W) to features (N, width, h, w), of whatever size: the first convolution."""

    def trunk(self, features: Tensor) -> Tensor:
        """Maps features (N, width, h, w) to features of whatever shape: all that is between."""

    def tail(self, features: Tensor, pixels: Tensor) -> Tensor:
        """Maps the trunk's features, and the network's input (N, 3, H, W), to (N, 3, scale*H, scale*W)."""

    def forward(self, pixels: Tensor) -> Tensor:
        """Maps (N, 3, H, W) to (N, 3, scale*H, scale*W)."""

    # What `nn.Module` gives, as far as it is used here.

    @property
    def __call__(self) -> Callable[..., Any]:
        """`forward`."""

    def parameters(self) -> Iterator[nn.Parameter]: ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state_dict: State, *, assign: bool) -> Any: ...

    def eval(self) -> Self: ...

    def requires_grad_(self, requires_grad: bool) -> Self: ...

    def to(self, device: str) -> Self: ...


@dataclass(frozen=True, slots=True)
class Arch:
    """An architecture: by what its files are recognised, and how the network of one is made.

    `matches` is asked about the names in the file, `build` about the names that the class gives its parameters: it
    makes a network of the state's sizes, whose numbers are not needed yet, and raises Misfit where there is none.
    `name` is for the message that refuses a file of no architecture. `rename` gives the
    class's name for each name of an older kind. `adapt` gives the class's parameters for those of a file, where these
    are not one for one: it folds layers into others, and leaves out what is not used. It raises Misfit.
    """

    matches: Callable[[State], bool]
    build: Callable[[State], Network]
    name: str
    rename: Callable[[Iterable[str]], Mapping[str, str]] | None = None
    adapt: Callable[[State], dict[str, Tensor]] | None = None
