"""Files of weights: reads one safely, in any of the ways such files are written, and builds the network it is of.

Knows the networks of `archs` that enlarge. All about one is taken from the names and shapes in its file, but for the
scale of SRCNN, which is a number there.
Imports torch: import it where a model is loaded.
"""

import io
import re
import zipfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from torch import Tensor, nn

from pipelines.errors import BadWeights
from pipelines.files import shown
from pipelines.networks.archs.rrdbnet import RRDBNet
from pipelines.networks.archs.srcnn import Srcnn
from pipelines.networks.archs.srvgg import SRVGGNetCompact
from pipelines.networks.archs.swift import Swift

Network = RRDBNet | SRVGGNetCompact | Swift | Srcnn
State = dict[str, Tensor]

LARGEST_FILE = 1 << 30  # bytes; the largest RRDB network in use takes 67 MB
DEEPEST = 256  # blocks or convolutions
SCALES = (1, 2, 3, 4, 8, 16)
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
WRAPPINGS = ("params_ema", "params", "state_dict")  # the averaged parameters are those that the authors run
PREFIXES = ("module.", "_orig_mod.")  # of DataParallel and of torch.compile
KEYS = "conv_first.weight, body.0.rdb1.conv1.weight … (RRDB) or body.0.weight, body.1.weight … (compact)"
_NAMED, _LONGEST_NAME = 3, 60  # parameters in one sentence, and signs of each

# github.com/xinntao/ESRGAN renamed the parameters twice: before BasicSR's names there were these, and before these
# the positions in a row of layers, as `_by_position` reads them.
_ESRGAN = (
    (re.compile(r"^RRDB_trunk\.(\d+)\.RDB([123])\."), r"body.\1.rdb\2."),
    (re.compile(r"^trunk_conv\."), "conv_body."),
    (re.compile(r"^upconv(\d)\."), r"conv_up\1."),
    (re.compile(r"^HRconv\."), "conv_hr."),
)


def read(path: Path) -> Network:
    """The network that the file holds: float32, on the CPU, frozen, ready to run.

    Raises BadWeights, with the file's name, for whatever is wrong with it.
    """
    return network_of(state_of(path), shown(path))


def state_of(path: Path) -> State:
    """The file's parameters: float32 on the CPU, finite, in memory of their own, named as in BasicSR.

    They need not be of one network yet: `network_of` checks that. Raises BadWeights, with the file's name.
    """
    name = shown(path)
    size = _size(path, name)
    tensors = _tensors(_loaded(path, name), name)
    # Else a file of a few bytes could ask for any memory: shapes that repeat one number, or names that share numbers.
    if sum(tensor.numel() * tensor.element_size() for tensor in tensors.values()) > size:
        raise BadWeights(f"{name} is damaged: it claims more numbers than it holds.")
    state = _canonical(tensors, name)
    state = {key: tensor.detach().to(torch.float32, copy=True).contiguous() for key, tensor in state.items()}
    # By NumPy: on a busy machine torch's threads wait for each other at each of 700 tensors, ten seconds in all.
    broken = [key for key, tensor in state.items() if not np.isfinite(tensor.numpy()).all()]
    if broken:
        raise BadWeights(f"{name} holds values that are no numbers or too large, in {_few(broken)}.")
    return state


def network_of(state: Mapping[str, Tensor], name: str) -> Network:
    """The network with these parameters, which are float32 and named as in BasicSR; they are not copied.

    `name` stands for them in the sentence of the BadWeights that is raised where they are not those of one network.
    """
    with torch.device("meta"):
        network = _built(state, name)
    expected = network.state_dict()
    lacking, surplus = expected.keys() - state.keys(), state.keys() - expected.keys()
    if lacking:
        raise BadWeights(f"{name} is not a whole network: it lacks {_few(lacking)}.")
    if surplus:
        raise BadWeights(f"{name} is of another network: it has {_few(surplus)} beyond {type(network).__name__}'s.")
    for key, tensor in expected.items():
        if tensor.shape != state[key].shape:
            raise BadWeights(
                f"{name} does not fit together: {_few([key])} is {_shape(state[key])} and should be {_shape(tensor)}."
            )
    network.load_state_dict(state, assign=True)
    return network.eval().requires_grad_(False)


def _built(state: Mapping[str, Tensor], name: str) -> Network:
    """An empty network of the state's kind and sizes."""
    if "conv_first.weight" in state:
        return _rrdb(state, name)
    if "first.weight" in state:
        return _swift(state, name)
    return _srcnn(state, name) if "extract.weight" in state else _compact(state, name)


def _size(path: Path, name: str) -> int:
    try:
        is_file, size = path.is_file(), path.stat().st_size
    except (OSError, ValueError) as error:
        raise BadWeights(f"{name} cannot be read.") from error
    if not is_file:
        raise BadWeights(f"{name} is not a file.")
    if not size:
        raise BadWeights(f"{name} is empty.")
    if size > LARGEST_FILE:
        raise BadWeights(f"{name} is of another network: it is larger than any file that could be used here.")
    return size


def _loaded(path: Path, name: str) -> Any:
    """Whatever object the file holds, made without running anything that is in it."""
    with _damage(name):
        with path.open("rb") as file:
            beginning = file.read(512)
        # A safetensors file may begin with this sign too: its first eight bytes are a length, with zeros in it.
        if beginning.lstrip(b"\xef\xbb\xbf\t\r\n ").startswith(b"<") and b"\0" not in beginning:
            raise BadWeights(f"{name} is a web page, not a file of weights.")
        # By what it holds, not by its name: a blob in a cache has no suffix.
        if beginning[8:9] == b"{" or (path.suffix.lower() == ".safetensors" and not beginning.startswith(b"PK")):
            with safe_open(path, framework="pt") as tensors:
                return {key: tensors.get_tensor(key) for key in tensors.keys()}  # noqa: SIM118 - it is no mapping
        if beginning.startswith(b"PK"):
            _check_zip(path, name)
            # Mapped, because torch believes what a zip says of the size of its parts, and would read beyond their end.
            return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        # From memory, because a file sets aside as many bytes as are asked for, and a broken length asks for any.
        return torch.load(io.BytesIO(path.read_bytes()), map_location="cpu", weights_only=True)


def _check_zip(path: Path, name: str) -> None:
    """Refuse a zip that holds a program, or more than its own size: torch stores and never compresses."""
    with zipfile.ZipFile(path) as archive:
        parts = archive.infolist()
    if any(part.filename.endswith("/constants.pkl") for part in parts):
        raise _code(name)
    if any(part.compress_type != zipfile.ZIP_STORED for part in parts):
        raise BadWeights(f"{name} is damaged or not a file of weights.")
    if sum(part.file_size for part in parts) > path.stat().st_size:
        raise BadWeights(f"{name} is damaged: it claims more numbers than it holds.")


@contextmanager
def _damage(name: str) -> Iterator[None]:
    """Turn what broken bytes lead to, which is errors of many kinds, into BadWeights."""
    try:
        yield
    except (MemoryError, BadWeights):
        raise
    except OSError as error:
        raise BadWeights(f"{name} cannot be read.") from error
    except Exception as error:
        if "unsupported global" in str(error).lower():
            raise _code(name) from error
        raise BadWeights(f"{name} is damaged or not a file of weights.") from error


def _code(name: str) -> BadWeights:
    return BadWeights(f"{name} holds code, not only numbers: it is refused, because loading it could run anything.")


def _tensors(loaded: Any, name: str) -> State:
    """The tensors of a state dict, whatever it is wrapped in, without the prefixes that all their names have."""
    state = loaded
    if isinstance(loaded, Mapping):
        state = next((loaded[key] for key in WRAPPINGS if isinstance(loaded.get(key), Mapping)), loaded)
    if not isinstance(state, Mapping) or not state or not all(isinstance(key, str) for key in state):
        raise BadWeights(f"{name} holds no parameters of a network.")
    for prefix in PREFIXES * 2:  # in either order
        if all(key.startswith(prefix) for key in state):
            state = {key.removeprefix(prefix): value for key, value in state.items()}
    wrong = [key for key, value in state.items() if not _plain(value)]
    if wrong:
        raise BadWeights(
            f"{name} is of another network: {_few(wrong)} is no table of decimal numbers; expected {KEYS}."
        )
    return dict(state)


def _plain(value: Any) -> bool:
    """Whether it is an ordinary tensor with numbers in it."""
    return (
        type(value) in (Tensor, nn.Parameter)
        and value.layout == torch.strided
        and value.device.type == "cpu"
        and value.dtype in FLOATS
        and value.numel() > 0
    )


def _canonical(tensors: State, name: str) -> State:
    """The same tensors under BasicSR's names. Raises BadWeights where they are of no network here."""
    if "model.0.weight" in tensors:
        names = _by_position(tensors)
    elif "conv_first.weight" in tensors:
        names = {key: _renamed(key) for key in tensors}
    elif not tensors.keys().isdisjoint(("body.0.weight", "extract.weight")):
        return tensors
    else:
        raise BadWeights(f"{name} is of another network: expected {KEYS}, found {_few(tensors)}.")
    state = {names[key]: tensor for key, tensor in tensors.items()}
    if len(state) < len(tensors):
        raise BadWeights(f"{name} is not one network: it has the same parameter under two names.")
    return state


def _renamed(key: str) -> str:
    for pattern, replacement in _ESRGAN:
        key = pattern.sub(replacement, key)
    return key


def _by_position(keys: Iterable[str]) -> dict[str, str]:
    """BasicSR's names for ESRGAN's first ones, which count all layers: `model.0` is the first convolution.

    `model.1.sub` are the blocks and then the convolution behind them. Each upsampling is three layers, of which the
    last but one is the convolution; the two last convolutions follow, each with one layer before it. What is not
    understood keeps its name.
    """
    keys = list(keys)
    blocks, last = _largest(r"model\.1\.sub\.(\d+)\.weight", keys), _largest(r"model\.(\d+)\.weight", keys)
    layers = {"0": "conv_first", f"1.sub.{blocks}": "conv_body", str(last - 2): "conv_hr", str(last): "conv_last"}
    layers |= {str(place): f"conv_up{place // 3}" for place in range(3, last - 2, 3)}
    names = {}
    for key in keys:
        block = re.fullmatch(r"model\.1\.sub\.(\d+)\.RDB([123])\.(conv[1-5])\.0\.(weight|bias)", key)
        layer = re.fullmatch(r"model\.(.+)\.(weight|bias)", key)
        if block:
            names[key] = "body.{}.rdb{}.{}.{}".format(*block.groups())
        elif layer and layer[1] in layers:
            names[key] = f"{layers[layer[1]]}.{layer[2]}"
        else:
            names[key] = key
    return names


def _rrdb(state: Mapping[str, Tensor], name: str) -> RRDBNet:
    """An RRDB network of the state's sizes, as far as a few of its parameters tell them."""
    width, channels = _kernel(state, "conv_first.weight", name)
    growth, _ = _kernel(state, "body.0.rdb1.conv1.weight", name, channels=width)
    depth = 1 + _largest(r"body\.(\d+)\..+", state)
    upsamplings = _largest(r"conv_up(\d)\.weight", state)
    unshuffle = {3: 1, 12: 2, 48: 4}.get(channels)
    if unshuffle is None:
        raise BadWeights(f"{name} cannot be used: it reads {channels} channels, not the three of a colour picture.")
    _check(2**upsamplings / unshuffle, depth, name)
    return RRDBNet(upsamplings, unshuffle, width, depth, growth)


def _compact(state: Mapping[str, Tensor], name: str) -> SRVGGNetCompact:
    """A compact network of the state's sizes, as far as its first and last parameters tell them."""
    width, channels = _kernel(state, "body.0.weight", name)
    last = _largest(r"body\.(\d+)\.weight", state)
    if "body.1.weight" not in state:
        raise BadWeights(f"{name} cannot be used: it is a compact network without PReLU, which is not known here.")
    if channels != 3:
        raise BadWeights(f"{name} cannot be used: it reads {channels} channels, not the three of a colour picture.")
    outputs, _ = _kernel(state, f"body.{last}.weight", name, channels=width)
    scale = (outputs / 3) ** 0.5
    _check(scale, (last - 2) // 2, name)
    return SRVGGNetCompact(int(scale), width, (last - 2) // 2)


def _swift(state: Mapping[str, Tensor], name: str) -> Swift:
    """A network of swift's kind, of the state's sizes."""
    depth = 1 + _largest(r"body\.(\d+)\.weight", state)
    width, _ = _kernel(state, "body.0.weight", name)
    outputs, _ = _kernel(state, "last.weight", name, channels=width)
    scale = (outputs / 3) ** 0.5
    _check(scale, depth, name)
    return Swift(int(scale), width, depth)


def _srcnn(state: Mapping[str, Tensor], name: str) -> Srcnn:
    """SRCNN, whose sizes are always the same; what it enlarges by stands in the file."""
    scale = float(state["enlarges"].sum()) if "enlarges" in state else 0.0
    _check(scale, 1, name)
    return Srcnn(int(scale))


def _kernel(state: Mapping[str, Tensor], key: str, name: str, channels: int | None = None) -> tuple[int, int]:
    """How many channels a 3x3 convolution gives and reads."""
    if key not in state:
        raise BadWeights(f"{name} is not a whole network: it lacks {key}.")
    shape = state[key].shape
    if len(shape) != 4 or shape[2:] != (3, 3) or (channels and shape[1] != channels):
        raise BadWeights(
            f"{name} does not fit together: {key} is {_shape(state[key])} and should be that of a 3x3 convolution"
            f"{f' of {channels} channels' if channels else ''}."
        )
    return shape[0], shape[1]


def _check(scale: float, depth: int, name: str) -> None:
    if scale not in SCALES:
        raise BadWeights(f"{name} cannot be used: it enlarges {scale:.4g} times.")
    if not 1 <= depth <= DEEPEST:
        raise BadWeights(f"{name} cannot be used: it is {depth} blocks deep.")


def _largest(pattern: str, keys: Iterable[str]) -> int:
    """The largest number that the pattern's group finds in a name, 0 without one. Longer ones are no layer's."""
    found = (re.fullmatch(pattern, key) for key in keys)
    return max((int(match[1]) for match in found if match and len(match[1]) < 5), default=0)


def _few(keys: Collection[str]) -> str:
    """Some names, fit for one line."""
    signs = ((sign if sign.isprintable() else "?" for sign in key[:_LONGEST_NAME]) for key in sorted(keys)[:_NAMED])
    named = ", ".join(map("".join, signs))
    return f"{named} and {len(keys) - _NAMED} more" if len(keys) > _NAMED else named


def _shape(tensor: Tensor) -> str:
    return "×".join(map(str, tensor.shape)) or "one number"
