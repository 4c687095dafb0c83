"""Files of weights: every way they are written gives the same network, and what is wrong with one is said."""

import json
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor, nn

from pipelines.errors import BadWeights
from pipelines.networks import checkpoints
from pipelines.networks.archs.rrdbnet import RRDBNet
from pipelines.networks.archs.srvgg import SRVGGNetCompact
from pipelines.networks.file import LARGEST_FILE
from pipelines.networks.network import Network
from tests.support.networks import fill, noise, srcnn, swift

State = dict[str, Tensor]
KINDS = [(1, 1), (2, 1), (3, 1), (2, 2), (2, 4), (3, 2)]  # upsamplings, unshuffle


def rrdb(upsamplings: int = 2, unshuffle: int = 1) -> RRDBNet:
    network = RRDBNet(upsamplings, unshuffle, width=6, depth=2, growth=4)
    fill(network)
    return network


def compact(scale: int = 4) -> SRVGGNetCompact:
    network = SRVGGNetCompact(scale, width=5, depth=3)
    fill(network)
    return network


def released(state: State) -> State:
    """ESRGAN's second names."""
    names = {"conv_body": "trunk_conv", "conv_hr": "HRconv", "conv_up": "upconv", "body": "RRDB_trunk", "rdb": "RDB"}
    renamed = {}
    for key, value in state.items():
        for ours, theirs in names.items():
            key = key if ours == "body" and not key.startswith(ours) else key.replace(ours, theirs)
        renamed[key] = value
    return renamed


def positions(state: State) -> State:
    """ESRGAN's first names: the places of the layers in a row."""
    upsamplings = sum(key.startswith("conv_up") for key in state) // 2
    tops = {"conv_first": "0", "conv_body": "1.sub.2", "conv_up1": "3", "conv_up2": "6", "conv_up3": "9"}
    tops |= {"conv_hr": str(3 * upsamplings + 2), "conv_last": str(3 * upsamplings + 4)}
    renamed = {}
    for key, value in state.items():
        parts = key.split(".")
        if parts[0] == "body":
            renamed[f"model.1.sub.{parts[1]}.{parts[2].upper()}.{parts[3]}.0.{parts[4]}"] = value
        else:
            renamed[f"model.{tops[parts[0]]}.{parts[1]}"] = value
    return renamed


def same(loaded: Network, network: Network) -> bool:
    """Whether it is the network, value for value."""
    ours, theirs = loaded.state_dict(), network.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[key], theirs[key]) for key in theirs)


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("names", [dict, released, positions])
def test_every_naming_of_rrdb(names: Callable[[State], State], kind: tuple[int, int], tmp_path: Path) -> None:
    network = rrdb(*kind)
    torch.save(names(network.state_dict()), tmp_path / "x.pth")
    loaded = checkpoints.read(tmp_path / "x.pth")
    assert isinstance(loaded, RRDBNet) and same(loaded, network)
    assert (loaded.upsamplings, loaded.multiple) == kind and loaded.scale == network.scale
    assert (loaded.width, loaded.depth, loaded.growth) == (6, 2, 4)


@pytest.mark.parametrize("scale", [1, 2, 3, 4, 8])
def test_compact_at_every_scale(scale: int, tmp_path: Path) -> None:
    network = compact(scale)
    torch.save({"params": network.state_dict()}, tmp_path / "x.pth")
    loaded = checkpoints.read(tmp_path / "x.pth")
    assert isinstance(loaded, SRVGGNetCompact) and same(loaded, network)
    assert (loaded.scale, loaded.width, loaded.depth) == (scale, 5, 3)


WRAPPINGS: dict[str, Callable[[State], Any]] = {
    "bare": lambda state: state,
    "params": lambda state: {"params": state},
    "params_ema": lambda state: {"params_ema": state, "params": {key: -value for key, value in state.items()}},
    "state_dict": lambda state: {"epoch": 3, "state_dict": state},
    "module": lambda state: {f"module.{key}": value for key, value in state.items()},
    "both": lambda state: {"params": {f"_orig_mod.module.{key}": value for key, value in state.items()}},
    "parameters": lambda state: {key: nn.Parameter(value) for key, value in state.items()},
    "double": lambda state: {key: value.double() for key, value in state.items()},
    "strided": lambda state: {
        key: value.mT.contiguous().mT if value.ndim == 4 else value for key, value in state.items()
    },
}


@pytest.mark.parametrize("new", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_every_wrapping(wrapping: str, new: bool, tmp_path: Path) -> None:
    network = rrdb()
    torch.save(WRAPPINGS[wrapping](network.state_dict()), tmp_path / "x.pth", _use_new_zipfile_serialization=new)
    loaded = checkpoints.read(tmp_path / "x.pth")
    assert same(loaded, network) and not loaded.training
    assert all(not value.requires_grad and value.dtype == torch.float32 for value in loaded.parameters())


@pytest.mark.parametrize("network", [rrdb(), compact()], ids=["rrdb", "compact"])
def test_safetensors(network: Network, tmp_path: Path) -> None:
    save_file(network.state_dict(), tmp_path / "x.SafeTensors")
    loaded = checkpoints.read(tmp_path / "x.SafeTensors")
    assert same(loaded, network)
    assert torch.equal(loaded(noise(2, 3)), network(noise(2, 3)))


def test_safetensors_that_begin_like_a_page(tmp_path: Path) -> None:
    """The file begins with the length of its header, and spaces may fill that up: here to 0x…3c, which is "<"."""
    network, file = compact(), tmp_path / "x.safetensors"
    save_file(network.state_dict(), file)
    (length,) = struct.unpack("<Q", file.read_bytes()[:8])
    header, numbers = file.read_bytes()[8 : 8 + length], file.read_bytes()[8 + length :]
    longer = length + (ord("<") - length) % 256
    file.write_bytes(struct.pack("<Q", longer) + header.ljust(longer) + numbers)
    assert file.read_bytes().startswith(b"<")
    assert same(checkpoints.read(file), network)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", ["x.safetensors", "x.pth"])
def test_half_precision_becomes_float32(name: str, dtype: torch.dtype, tmp_path: Path) -> None:
    network = rrdb()
    half = {key: value.to(dtype) for key, value in network.state_dict().items()}
    (save_file if name.endswith("s") else torch.save)(half, tmp_path / name)
    network.load_state_dict(half)
    assert same(checkpoints.read(tmp_path / name), network)


@pytest.mark.parametrize("name", ["x.safetensors", "x.pth"])
def test_the_file_may_go_once_it_is_read(name: str, tmp_path: Path) -> None:
    network = rrdb()
    (save_file if name.endswith("s") else torch.save)(network.state_dict(), tmp_path / name)
    loaded = checkpoints.read(tmp_path / name)
    with (tmp_path / name).open("r+b") as file:
        file.write(bytes((tmp_path / name).stat().st_size))
    assert same(loaded, network)


@pytest.mark.parametrize(
    ("name", "depth"), [("realesr-general-x4v3", 32), ("realesr-general-wdn-x4v3", 32), ("realesr-animevideov3", 16)]
)
def test_the_published_compact_networks(name: str, depth: int, assets: Path) -> None:
    network = checkpoints.read(assets / "weights" / "real-esrgan" / f"{name}.pth")
    assert isinstance(network, SRVGGNetCompact)
    assert (network.scale, network.width, network.depth, network.radius) == (4, 64, depth, depth + 2)
    picture = noise(6, 5) * 0.1 + 0.4
    smooth = nn.functional.interpolate(picture, scale_factor=4, mode="nearest")
    assert (network(picture) - smooth).abs().mean() < 0.1  # it enlarges: what it adds is small


@pytest.mark.parametrize("path", ["srgan/netG_epoch_4_100.pth", "srgan/swift_srgan_4x.pth.tar", "span/team46_span.pth"])
def test_published_files_of_other_networks(path: str, assets: Path) -> None:
    file = assets / "weights" / path
    with pytest.raises(BadWeights, match=rf"^{file.name} is of another network: "):
        checkpoints.read(file)


def test_a_mean_of_two_states(tmp_path: Path) -> None:
    one, other = compact(), compact()
    fill(other, seed=1)
    torch.save(one.state_dict(), tmp_path / "one.pth")
    torch.save(other.state_dict(), tmp_path / "other.pth")
    states = [checkpoints.state_of(tmp_path / name) for name in ("one.pth", "other.pth")]
    mean = {key: torch.lerp(states[0][key], states[1][key], 0.25) for key in states[0]}
    network = checkpoints.network_of(mean, "the mean")
    weight = 0.75 * one.body[2].weight + 0.25 * other.body[2].weight
    torch.testing.assert_close(network.body[2].weight, weight)


class Program:
    def __reduce__(self) -> tuple[Any, ...]:
        return eval, ("[].append(1)",)


def changed(network: nn.Module, **values: Any) -> State:
    """The network's state with some parameters in place of its own; None takes one away."""
    named = {key.replace("__", "."): value for key, value in values.items()}
    state = network.state_dict() | named
    return {key: value for key, value in state.items() if value is not None}


def plain_compact() -> State:
    return {key: value for key, value in compact().state_dict().items() if value.ndim != 1 or "bias" in key}


WRONG: dict[str, tuple[Any, str]] = {
    "empty": (b"", "is empty"),
    "page": (b"\n<!DOCTYPE html><title>404</title>", "is a web page, not a file of weights"),
    "text": (b"version https://git-lfs.github.com/spec/v1\n", "is damaged or not a file of weights"),
    "cut zip": (b"PK\x03\x04 cut off", "is damaged or not a file of weights"),
    "bytes": (bytes(range(256)) * 9, "is damaged or not a file of weights"),
    "raw pickle": (pickle.dumps({"a": Program()}, protocol=2), "holds code, not only numbers: it is refused, because"),
    "code": ({"conv_first.weight": Program()}, "holds code, not only numbers"),
    "whole module": (nn.PReLU(), "holds code, not only numbers"),
    "list": ([1, 2, 3], "holds no parameters of a network"),
    "nothing": ({}, "holds no parameters of a network"),
    "numbered": ({1: torch.ones(1)}, "holds no parameters of a network"),
    "no tensor": (changed(rrdb(), conv_first__weight="x"), "is of another network: conv_first.weight is no table of"),
    "whole numbers": (changed(rrdb(), conv_hr__bias=torch.ones(6, dtype=torch.int8)), "is of another network: conv_hr"),
    "sparse": (changed(rrdb(), conv_hr__bias=torch.ones(6).to_sparse()), "is of another network: conv_hr.bias is no"),
    "no numbers": (changed(rrdb(), conv_hr__bias=torch.ones(0)), "is of another network: conv_hr.bias is no table"),
    "repeated": (
        changed(rrdb(), conv_hr__weight=torch.ones(1).expand(10**6, 10**6, 3, 3)),
        "is damaged: it claims more numbers than it holds",
    ),
    "other": (
        {f"block{i}.weight": torch.ones(1) for i in range(9)},
        r"is of another network: expected conv_first.weight, body.0.rdb1.conv1.weight … \(RRDB\) or body.0.weight, "
        r"body.1.weight … \(compact\), found block0.weight, block1.weight, block2.weight and 6 more",
    ),
    "no scale": (changed(srcnn(2), enlarges=None), "cannot be used: it enlarges 0 times"),
    "odd scale": (changed(srcnn(2), enlarges=torch.tensor([2.5])), "cannot be used: it enlarges 2.5 times"),
    "no number": (changed(srcnn(2), enlarges=torch.tensor([torch.nan])), "holds values that are no numbers"),
    "two scales": (changed(srcnn(2), enlarges=torch.ones(2)), "does not fit together: enlarges is 2 and should be 1"),
    "half of srcnn": ({"extract.weight": torch.ones(64, 1, 9, 9)}, "cannot be used: it enlarges 0 times"),
    "other srcnn": (changed(srcnn(2), map__weight=torch.ones(32, 64, 1, 1)), "does not fit together: map.weight is"),
    "half of swift": ({"first.weight": torch.ones(8, 3, 5, 5)}, "is of another network"),
    "odd swift": (changed(swift(2), last__weight=torch.ones(7, 8, 3, 3)), "cannot be used: it enlarges 1.528 times"),
    "swift without a bias": (changed(swift(2), last__bias=None), "is not a whole network: it lacks last.bias"),
    "strange name": ({"a\n" + 99 * "b": torch.ones(1)}, rf"is of another network: .*, found a\?{58 * 'b'}"),
    "lacks one": (changed(rrdb(), conv_hr__bias=None), "is not a whole network: it lacks conv_hr.bias"),
    "lacks its blocks": (
        {key: value for key, value in rrdb().state_dict().items() if not key.startswith("body")},
        "is not a whole network: it lacks body.0.rdb1.conv1.weight",
    ),
    "lacks many": (
        changed(rrdb(), body__9__rdb1__conv1__bias=torch.ones(4)),
        "is not a whole network: it lacks body.2.rdb1.conv1.bias, body.2.rdb1.conv1.weight, body.2.rdb1.conv2.bias and",
    ),
    "too many": (
        changed(rrdb(), attention__weight=torch.ones(4)),
        "is of another network: it has attention.weight beyond RRDBNet's",
    ),
    "twice": (changed(rrdb(), HRconv__bias=torch.ones(6)), "is not one network: it has the same parameter under two"),
    "too deep": (changed(rrdb(), body__300__weight=torch.ones(1)), "cannot be used: it is 301 blocks deep"),
    "a shape": (
        changed(rrdb(), conv_hr__weight=torch.ones(6, 5, 3, 3)),
        "does not fit together: conv_hr.weight is 6×5×3×3 and should be 6×6×3×3",
    ),
    "the first shape": (
        changed(rrdb(), conv_first__weight=torch.ones(6)),
        "does not fit together: conv_first.weight is 6 and should be that of a 3x3 convolution",
    ),
    "the second shape": (
        changed(rrdb(), conv_first__weight=torch.ones(7, 3, 3, 3)),
        "does not fit together: body.0.rdb1.conv1.weight is 4×6×3×3 and should be that of a 3x3 convolution of 7 chann",
    ),
    "grey": (changed(rrdb(), conv_first__weight=torch.ones(6, 1, 3, 3)), "cannot be used: it reads 1 channels"),
    "grey compact": (changed(compact(), body__0__weight=torch.ones(5, 1, 3, 3)), "cannot be used: it reads 1 channels"),
    "smaller": (rrdb(1, 4).state_dict(), "cannot be used: it enlarges 0.5 times"),
    "x32": (rrdb(5).state_dict(), "cannot be used: it enlarges 32 times"),
    "x5": (compact(5).state_dict(), "cannot be used: it enlarges 5 times"),
    "x3.5": (
        changed(compact(), body__8__weight=torch.ones(37, 5, 3, 3), body__8__bias=torch.ones(37)),
        r"cannot be used: it enlarges 3\.512 times",
    ),
    "no PReLU": (plain_compact(), "cannot be used: it is a compact network without PReLU, which is not known here"),
    "one PReLU": (changed(compact(), body__3__weight=None), "is not a whole network: it lacks body.3.weight"),
    "shallow": (changed(compact(), body__8__weight=None), "does not fit together: body.7.weight is 5 and should be"),
    "not finite": (changed(rrdb(), conv_hr__bias=torch.full((6,), torch.nan)), "holds values that are no numbers or"),
    "too large": (
        changed(rrdb(), conv_hr__bias=torch.full((6,), 1e300, dtype=torch.float64)),
        "holds values that are no numbers or too large, in conv_hr.bias",
    ),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_is_wrong_is_said(kind: str, tmp_path: Path) -> None:
    content, sentence = WRONG[kind]
    file = tmp_path / "own.pth"
    file.write_bytes(content) if isinstance(content, bytes) else torch.save(content, file)
    with pytest.raises(BadWeights, match=rf"^own\.pth {sentence}[^\n]*\.$"):
        checkpoints.read(file)


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_a_program_in_place_of_weights(tmp_path: Path) -> None:
    torch.jit.save(torch.jit.trace(compact(), noise(2, 2)), tmp_path / "own.pth")
    with pytest.raises(BadWeights, match=r"^own\.pth holds code"):
        checkpoints.read(tmp_path / "own.pth")


def test_what_is_no_file(tmp_path: Path) -> None:
    for path, sentence in {
        tmp_path: "is not a file",
        tmp_path / "absent": "cannot be read",
        tmp_path / "zero\0": "cannot be read",
    }.items():
        with pytest.raises(BadWeights, match=f"{sentence}\\.$"):
            checkpoints.read(path)


def test_a_file_too_large_is_not_opened(tmp_path: Path) -> None:
    with (tmp_path / "own.pth").open("wb") as file:
        file.truncate(LARGEST_FILE + 1)
    with pytest.raises(BadWeights, match=r"^own\.pth is of another network: it is larger than any"):
        checkpoints.read(tmp_path / "own.pth")


@pytest.mark.parametrize("length", [1 << 62, 99_000_000, None], ids=str)
def test_a_header_that_claims_terabytes(length: int | None, tmp_path: Path) -> None:
    entry = {"dtype": "F32", "shape": [1 << 40], "data_offsets": [0, 1 << 42]}
    header = json.dumps({"conv_first.weight": entry}).encode()
    (tmp_path / "own.safetensors").write_bytes(struct.pack("<Q", length or len(header)) + header + bytes(64))
    with pytest.raises(BadWeights, match=r"^own\.safetensors is damaged or not a file of weights\.$"):
        checkpoints.read(tmp_path / "own.safetensors")


def test_a_zip_that_would_grow(tmp_path: Path) -> None:
    """torch itself would unpack it: a small file that takes all memory."""
    torch.save(compact().state_dict(), tmp_path / "own.pth")
    with zipfile.ZipFile(tmp_path / "own.pth") as stored:
        parts = {name: stored.read(name) for name in stored.namelist()}
    with zipfile.ZipFile(tmp_path / "own.pth", "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in parts.items():
            packed.writestr(name, content)
    with pytest.raises(BadWeights, match=r"^own\.pth is damaged or not a file of weights\.$"):
        checkpoints.read(tmp_path / "own.pth")


def test_a_lack_of_memory_is_not_the_files_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(*_: object, **__: object) -> None:
        raise MemoryError

    torch.save(compact().state_dict(), tmp_path / "own.pth")
    monkeypatch.setattr(torch, "load", load)
    with pytest.raises(MemoryError):
        checkpoints.read(tmp_path / "own.pth")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The smallest networks, in each kind of file."""
    folder, network = tmp_path_factory.mktemp("small"), SRVGGNetCompact(1, width=1, depth=1)
    fill(network)
    torch.save(network.state_dict(), folder / "zip.pth")
    torch.save(network.state_dict(), folder / "legacy.pth", _use_new_zipfile_serialization=False)
    save_file(network.state_dict(), folder / "own.safetensors")
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("name", ["zip.pth", "legacy.pth", "own.safetensors"])
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_broken_bytes(name: str, data: st.DataObject, small: dict[str, bytes], tmp_path: Path) -> None:
    """Whatever a broken disk or a cut download makes of a file, it is read or refused with a sentence."""
    content = bytearray(small[name])
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=4)):
        content[place] = data.draw(st.integers(0, 255))
    (tmp_path / name).write_bytes(content[: data.draw(st.integers(0, 2 * len(content)))])
    try:
        network = checkpoints.read(tmp_path / name)
    except BadWeights as error:
        assert str(error).startswith(f"{name} ") and str(error).endswith(".") and "\n" not in str(error)
    else:
        assert all(value.isfinite().all() for value in network.parameters())
