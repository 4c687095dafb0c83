"""Networks that the library spandrel knows: forty architectures, for files of none of our own.

It is given parameters that were read here, safely, and asked what they are of; nothing of its own opens a file. It is
optional, and imported only for such a file. Imports torch.
"""

import copy
import itertools
import math
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from pipelines.errors import BadWeights
from pipelines.networks.network import COMPILES_NOTHING
from pipelines.networks.shapes import COLOUR_CHANNELS, NETWORK_SCALES, State
from pipelines.networks.tiling import UNBOUNDED, UNKNOWN

if TYPE_CHECKING:
    from spandrel import ImageModelDescriptor

HOW_TO_INSTALL = "install the extra any (pip install 'upscale-bench[any]')"
RGBA = 4  # channels
# Numbers that a tensor may have which an architecture makes of a file, beside those in the file: tables of places grow
# with the fourth power of a window's side, and a broken table may claim any.
MOST_BESIDE = 1 << 26
PROBED = 64  # pixels a side of the picture by which memory is measured
BELIEVED_FLOATS = 12_000  # a pixel, where it cannot be measured
LIVE = 3  # times the largest operation's numbers are held together: residuals beside it

# What two architectures of spandrel import of torchvision, and call in no upscaler: LaMa and RestoreFormer.
_STAND_IN = "torchvision.transforms.functional"
_NAMES = ("InterpolationMode", "rotate", "normalize")
_importing = threading.Lock()


class Foreign(nn.Module):
    """A network as spandrel describes it: (N, 3, H, W) in [0, 1] to (N, 3, scale*H, scale*W) in [0, 1].

    One of grey pictures is run for each channel, once where all are equal; one of four channels is told that nothing
    is transparent. `trunk` is all of it: where its ends are is not known.
    """

    compiles = COMPILES_NOTHING
    in_blocks = None

    def __init__(self, descriptor: "ImageModelDescriptor[nn.Module]") -> None:
        super().__init__()
        from spandrel import ModelTiling

        self.model = descriptor.model
        self.descriptor = descriptor
        self.arch: str = descriptor.architecture.name
        self.scale: int = descriptor.scale
        self.width: int = descriptor.input_channels
        self.multiple: int = descriptor.size_requirements.multiple_of
        # On a processor it runs in float32: in bfloat16 the picture itself would be rounded, because what comes first
        # and last in it cannot be told from the rest.
        self.precisions = frozenset({"float16"} if descriptor.supports_half else ())
        self.radius = UNKNOWN if descriptor.tiling == ModelTiling.SUPPORTED else UNBOUNDED
        self.floats_per_pixel = _measure(self)

    @property
    def inner(self) -> list[nn.Module]:
        """The modules that `trunk` runs."""
        return [self.model]

    def forward(self, pixels: Tensor) -> Tensor:
        return self.tail(self.trunk(self.head(pixels)), pixels)

    def head(self, pixels: Tensor) -> Tensor:
        """The pixels in as many channels as it reads, in torch's usual order, which some architectures take for given.

        Of one that reads grey (3*N, 1, H, W), or (N, 1, H, W) where all channels are equal.
        """
        if self.width == RGBA:
            return torch.cat((pixels, torch.ones_like(pixels[:, :1])), dim=1)
        if self.width == 1:
            return pixels[:, :1].contiguous() if _is_grey(pixels) else pixels.reshape(-1, 1, *pixels.shape[2:])
        return pixels.contiguous()

    def trunk(self, features: Tensor) -> Tensor:
        """The network itself, with what spandrel does around it: padding to sizes that it can read.

        One that draws noise draws the same each time.
        """
        with torch.random.fork_rng([features.device] if features.is_cuda else []):
            torch.manual_seed(0)
            made: Tensor = self.descriptor(features)
        return made

    def tail(self, features: Tensor, pixels: Tensor) -> Tensor:
        """(N, 3, scale*H, scale*W) of what the network gave."""
        if self.width == 1:
            grey = len(features) == len(pixels)
            size = features.shape[2:]
            return features.expand(-1, COLOUR_CHANNELS, *size) if grey else features.reshape(-1, COLOUR_CHANNELS, *size)
        return features[:, :COLOUR_CHANNELS]


def is_installed() -> bool:
    """Returns whether spandrel can be asked."""
    return find_spec("spandrel") is not None


def knows(state: State) -> bool:
    """Returns whether spandrel has an architecture whose files have such parameters."""
    return _find(dict(state)) is not None


def build(state: Mapping[str, Tensor], name: str) -> Foreign:
    """The network with these parameters. Raises BadWeights, with the file's name, where it is none that can be used."""
    _find(dict(state))  # imports it before sizes are watched
    from spandrel import MAIN_REGISTRY, ImageModelDescriptor

    arch = _find(dict(state))
    assert arch is not None, "it was known"
    most = MOST_BESIDE + max(tensor.numel() for tensor in state.values())
    try:
        # No graph: parameters need no gradients, and none of what is made on the way is kept.
        with torch.no_grad(), _Bounded(most):
            described = MAIN_REGISTRY[arch].architecture.load(dict(state))
    except MemoryError:
        raise
    except Exception as error:  # spandrel's architectures raise many kinds
        raise BadWeights(f"{name} is damaged, or of a kind of {arch} that is not known.") from error
    if not isinstance(described, ImageModelDescriptor):
        raise BadWeights(f"{name} ({arch}) cannot be used: it reads two inputs, an image and a mask.")
    if described.purpose == "FaceSR":
        raise BadWeights(f"{name} ({arch}) cannot be used: it restores cropped faces, not whole images.")
    channels = (described.input_channels, described.output_channels)
    if channels not in {(each, each) for each in (1, COLOUR_CHANNELS, RGBA)}:
        raise BadWeights(f"{name} ({arch}) cannot be used: it reads {channels[0]} channels and gives {channels[1]}.")
    if described.scale not in NETWORK_SCALES:
        raise BadWeights(f"{name} ({arch}) cannot be used: it upscales {described.scale} times.")
    return Foreign(described).eval().requires_grad_(False)


def _find(state: dict[str, Any]) -> str | None:
    """The id of the architecture that spandrel takes the parameters for; None where it knows none."""
    with _importing, _torchvision():
        from spandrel import MAIN_REGISTRY
    for each in MAIN_REGISTRY.architectures("detection"):
        try:
            if each.detect(state):
                return str(each.architecture.id)
        except Exception:  # of a table where it expects another shape
            continue
    return None


@contextmanager
def _torchvision() -> Iterator[None]:
    """Lets spandrel be imported where torchvision is not installed, or fails while it is imported.

    Gigabytes need not be installed for three names that no upscaler calls. The stand-in goes again at once: others ask
    whether there is a torchvision.
    """
    if "spandrel" in sys.modules:
        yield
        return
    try:
        import torchvision.transforms.functional  # noqa: F401  # whether it can be
    except Exception:  # one that was built for another torch raises RuntimeError
        pass
    else:
        yield
        return
    parts = _STAND_IN.split(".")
    names = [".".join(parts[:count]) for count in range(1, len(parts) + 1)]
    before = {name: sys.modules.get(name) for name in names}
    made = {name: ModuleType(name) for name in names}
    for each in _NAMES:
        setattr(made[_STAND_IN], each, None)
    sys.modules.update(made)
    try:
        yield
    finally:
        for name, module in before.items():
            sys.modules.pop(name, None)
            if module is not None:
                sys.modules[name] = module


class _Bounded(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's, which has no types
    """Refuses an operation whose tensors, each against each, would have more than `most` numbers.

    It looks before the operation is done: tables of places are made by subtracting all from all.
    """

    def __init__(self, most: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.most = most

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        shapes = [each.shape for each in args if isinstance(each, Tensor)]
        sides = itertools.zip_longest(*(reversed(shape) for shape in shapes), fillvalue=1)
        self._check(math.prod(max(side) for side in sides))
        made = func(*args, **(kwargs or {}))
        if isinstance(made, Tensor):
            self._check(made.numel())
        return made

    def _check(self, numbers: int) -> None:
        if numbers > self.most:
            raise ValueError(f"an architecture makes {numbers} numbers of a file")


class _Largest(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes how many numbers the largest operation reads and gives."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.numbers = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        tensors = [each for each in (*args, made) if isinstance(each, Tensor) and not isinstance(each, nn.Parameter)]
        self.numbers = max(self.numbers, sum(each.numel() for each in tensors))
        return made


def _measure(network: Foreign) -> int:
    """How many numbers are held at once for each pixel of the input, about: by the largest operation on a small one.

    Run on torch's device "meta", which has shapes and no numbers, and so costs next to nothing.
    """
    try:
        with torch.no_grad():
            empty = copy.deepcopy(network.model).to("meta")
            side = PROBED + network.descriptor.size_requirements.get_padding(PROBED, PROBED)[0]
            picture = torch.zeros(1, network.width, side, side, device="meta")
            with _Largest() as largest:
                network.descriptor._call_fn(empty, picture)
    except Exception:  # of what asks for numbers on the way
        return BELIEVED_FLOATS
    return max(1, int(LIVE * largest.numbers // side**2))


def _is_grey(pixels: Tensor) -> bool:
    return bool((pixels[:, :1] == pixels).all())
