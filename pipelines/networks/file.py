"""A file of weights as tensors: read safely, in any of the ways such files are written.

Knows nothing of any network. Nothing in a file is run, and none takes more memory than it has bytes.
Imports torch: import it where a model is loaded.
"""

import io
import threading
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from safetensors import safe_open
from torch import Tensor, nn

from pipelines.errors import BadWeights
from pipelines.networks.graph import Graph
from pipelines.networks.graph_file import begins_graph, read_graph
from pipelines.networks.shapes import Misfit, State
from pipelines.phrasing import list_names, printable_name

LARGEST_FILE = 1 << 30  # bytes; the largest RRDB network in use takes 67 MB
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
# Of counts, and of tables of places, which some networks' files hold beside their parameters.
INTEGERS = (torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)
# By what training code wraps parameters in; averaged ones first, because those are what the authors run.
WRAPPINGS = (
    *("params_ema", "params-ema", "ema", "params", "net_g", "generator"),
    *("state_dict", "model_state_dict", "model", "net"),
)
# Of the generator beside a discriminator: what else such a file has is not needed to run it.
GENERATOR_PREFIXES = ("netG.", "net_g.", "generator.")
# Of DataParallel, of torch.compile, and of classes that hold the network as one of their members.
PREFIXES = ("module.", "_orig_mod.", *GENERATOR_PREFIXES, "model.", "net.")

_BEGINNING = 512  # bytes that show what kind of file it is
_BLANK = b"\xef\xbb\xbf\t\r\n "  # what a web page may begin with, the mark of UTF-8 included
_ZIP = b"PK"
_HEADER = slice(8, 9)  # where the header of safetensors opens, after its length
_DEEPEST = 4  # wrappings within wrappings, and prefixes before prefixes


class _PassedOver:
    """Stands for what training code notes beside the parameters: it takes whatever it is given, and keeps nothing."""

    def __new__(cls, *_: object) -> Self:
        return object.__new__(cls)

    def __init__(self, *_: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass


# What a file may name beside tensors and plain Python values. None of it is looked up: all is passed over.
_HARMLESS = (
    *(f"numpy.{core}.multiarray.{made}" for core in ("core", "_core") for made in ("scalar", "_reconstruct")),
    *("numpy.dtype", "numpy.ndarray", "argparse.Namespace"),
)
_allowing = threading.Lock()  # torch keeps what it allows for the whole process


def read_tensors(path: Path, largest: int = LARGEST_FILE) -> dict[str, Tensor]:
    """The file's tensors of plain numbers on the CPU, without what they are wrapped in.

    The tensors may share the file's memory. Raises BadWeights, with the file's name, where it holds something else or
    more than `largest` bytes.
    """
    name = printable_name(path)
    size = _size(path, name, largest)
    tensors = _unwrapped(_load(path, name), name)
    # Else a file of a few bytes could ask for any memory: shapes that repeat one number, or names that share numbers.
    if sum(tensor.numel() * tensor.element_size() for tensor in tensors.values()) > size:
        raise _claims_too_much(name)
    return tensors


def read_if_graph(path: Path) -> Graph | None:
    """The file's graph where it holds one of TensorFlow's, else None. Raises BadWeights, with the file's name."""
    name = printable_name(path)
    _size(path, name, LARGEST_FILE)
    with _damage(name):
        with path.open("rb") as file:
            beginning = file.read(_BEGINNING)
        if beginning[_HEADER] == b"{" or not begins_graph(beginning):
            return None
        try:
            return read_graph(path.read_bytes())
        except Misfit as error:
            raise BadWeights(f"{name} {error}") from error


def copy_as_float32(tensors: State, name: str) -> dict[str, Tensor]:
    """The same numbers, those with decimals in float32, in memory of their own. Raises BadWeights for infinite ones."""
    state = {}
    for key, tensor in tensors.items():
        dtype = torch.float32 if tensor.is_floating_point() else tensor.dtype
        state[key] = tensor.detach().to(dtype, copy=True).contiguous()
    # By NumPy: on a busy machine torch's threads wait for each other at each of 700 tensors, ten seconds in all.
    broken = [key for key, tensor in state.items() if not np.isfinite(tensor.numpy()).all()]
    if broken:
        raise BadWeights(f"{name} holds values that are no numbers or too large, in {list_names(broken)}.")
    return state


def _size(path: Path, name: str, largest: int) -> int:
    try:
        is_file, size = path.is_file(), path.stat().st_size
    except (OSError, ValueError) as error:
        raise BadWeights(f"{name} cannot be read.") from error
    if not is_file:
        raise BadWeights(f"{name} is not a file.")
    if not size:
        raise BadWeights(f"{name} is empty.")
    if size > largest:
        raise BadWeights(f"{name} belongs to another network: it is larger than any file that could be used here.")
    return size


def _load(path: Path, name: str) -> Any:
    """Returns whatever object the file holds, made without running anything that is in it."""
    with _damage(name):
        with path.open("rb") as file:
            beginning = file.read(_BEGINNING)
        # A safetensors file may begin with "<" too: its first eight bytes are a length, with zeros in it.
        if beginning.lstrip(_BLANK).startswith(b"<") and b"\0" not in beginning:
            raise BadWeights(f"{name} is a web page, not a file of weights.")
        # By what it holds, not by its name: a blob in a cache has no suffix.
        if beginning[_HEADER] == b"{" or (path.suffix.lower() == ".safetensors" and not beginning.startswith(_ZIP)):
            with safe_open(path, framework="pt") as tensors:
                return {key: tensors.get_tensor(key) for key in tensors.keys()}  # noqa: SIM118 - it is no mapping
        if path.suffix.lower() == ".onnx":
            raise BadWeights(f"{name} is an ONNX file, which cannot be read: give the .pth or .safetensors of it.")
        if beginning.startswith(_ZIP):
            _check_zip(path, name)
            # Mapped, because torch believes what a zip says of the size of its parts, and would read beyond their end.
            return _unpickled(path, mmap=True)
        # From memory, because a file sets aside as many bytes as are asked for, and a broken length asks for any.
        return _unpickled(io.BytesIO(path.read_bytes()))


def _unpickled(source: Path | io.BytesIO, mmap: bool = False) -> Any:
    """Returns what torch wrote: tensors and plain values; of what is harmless beside them not even the name is used."""
    stand_ins: list[Any] = [(_PassedOver, each) for each in _HARMLESS]
    with _allowing, torch.serialization.safe_globals(stand_ins):
        return torch.load(source, map_location="cpu", weights_only=True, mmap=mmap)


def _check_zip(path: Path, name: str) -> None:
    """Refuses a zip that holds a program, or more than its own size: torch stores and never compresses."""
    with zipfile.ZipFile(path) as archive:
        parts = archive.infolist()
    if any(part.filename.endswith("/constants.pkl") for part in parts):
        raise _holds_code(name)
    if any(part.compress_type != zipfile.ZIP_STORED for part in parts):
        raise _damaged(name)
    if sum(part.file_size for part in parts) > path.stat().st_size:
        raise _claims_too_much(name)


@contextmanager
def _damage(name: str) -> Iterator[None]:
    """Turns what broken bytes lead to, which is errors of many kinds, into BadWeights."""
    try:
        yield
    except (MemoryError, BadWeights):
        raise
    except OSError as error:
        raise BadWeights(f"{name} cannot be read.") from error
    except Exception as error:
        if "unsupported global" in str(error).lower():
            raise _holds_code(name) from error
        raise _damaged(name) from error


def _damaged(name: str) -> BadWeights:
    return BadWeights(f"{name} is damaged or not a file of weights.")


def _claims_too_much(name: str) -> BadWeights:
    return BadWeights(f"{name} is damaged: it claims more numbers than it holds.")


def _holds_code(name: str) -> BadWeights:
    return BadWeights(f"{name} holds code, not only numbers: it is refused, because loading it could run anything.")


def _unwrapped(loaded: Any, name: str) -> dict[str, Tensor]:
    """The tensors of a state dict, whatever it is wrapped in."""
    state = loaded
    for _ in range(_DEEPEST):
        state = _inner(state)
    if not isinstance(state, Mapping) or not state or not all(isinstance(key, str) for key in state):
        raise BadWeights(f"{name} holds no parameters of a network.")
    # A parameter's name has a dot before its last part, but for a few; a count of steps, or a date, has none. Whole
    # numbers in rows and columns are places, as ATD and HAT have them.
    plain = {key for key, value in state.items() if _is_plain(value) and (value.is_floating_point() or value.ndim > 1)}
    noted = {key for key in state if "." not in key and key not in plain}
    wrong = [key for key, value in state.items() if key not in noted and not _is_plain(value)]
    if wrong:
        raise BadWeights(f"{name} belongs to another network: {list_names(wrong)} is no table of numbers.")
    if len(noted) == len(state):
        raise BadWeights(f"{name} holds no parameters of a network.")
    return {key: value for key, value in state.items() if key not in noted}


def _inner(state: Any) -> Any:
    """What wraps the tensors without its outermost wrapping; itself where there is none, or where it is not clear."""
    if not isinstance(state, Mapping) or any(
        isinstance(value, Tensor) and "." in str(key) for key, value in state.items()
    ):
        return state
    tables = {key: value for key, value in state.items() if _holds_tensors(value, _DEEPEST)}
    named = [tables[key] for key in WRAPPINGS if key in tables]
    return next(iter(named or tables.values())) if named or len(tables) == 1 else state


def _holds_tensors(value: Any, deep: int) -> bool:
    """Returns whether it is a table with tensors in it, or with such a table; it may hold itself."""
    return (
        isinstance(value, Mapping)
        and deep > 0
        and any(isinstance(each, Tensor) or _holds_tensors(each, deep - 1) for each in value.values())
    )


def strip_prefixes(tensors: dict[str, Tensor], known: Callable[[State], bool]) -> dict[str, Tensor] | None:
    """The tensors by the names that make them `known` to be a network's, if prefixes are all that stands before those.

    None where they are not known by any of these names.
    """
    shorter = tensors
    for _ in range(_DEEPEST):
        if known(shorter):
            return shorter
        for prefix in PREFIXES:
            inner = {key.removeprefix(prefix): value for key, value in shorter.items() if key.startswith(prefix)}
            if inner and (len(inner) == len(shorter) or prefix in GENERATOR_PREFIXES):
                shorter = inner
                break
    return shorter if known(shorter) else None


def _is_plain(value: Any) -> bool:
    """Returns whether it is an ordinary tensor with numbers in it."""
    return (
        type(value) in (Tensor, nn.Parameter)
        and value.layout == torch.strided
        and value.device.type == "cpu"
        and value.dtype in (*FLOATS, *INTEGERS)
        and value.numel() > 0
    )
