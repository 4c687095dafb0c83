"""Files of weights: every way they are written gives the same network, and what is wrong with one is said."""

import pickle
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from pipelines.errors import BadWeights
from pipelines.networks import checkpoints
from pipelines.networks.archs.rrdbnet import RRDBNet
from pipelines.networks.archs.srvgg import SRVGGNetCompact
from pipelines.networks.network import Network
from tests.support.networks import fill, noise, same, srcnn, swift

State = dict[str, Tensor]


def rrdb(upsamplings: int = 2, unshuffle: int = 1) -> RRDBNet:
    network = RRDBNet(upsamplings, unshuffle, width=6, depth=2, growth=4)
    fill(network)
    return network


def compact(scale: int = 4) -> SRVGGNetCompact:
    network = SRVGGNetCompact(scale, width=5, depth=3)
    fill(network)
    return network


def prefixed(prefix: str, state: State) -> State:
    return {prefix + key: value for key, value in state.items()}


WRAPPINGS: dict[str, Callable[[State], Any]] = {
    "bare": lambda state: state,
    "params": lambda state: {"params": state},
    "params_ema": lambda state: {"params_ema": state, "params": {key: -value for key, value in state.items()}},
    "state_dict": lambda state: {"epoch": 3, "state_dict": state},
    "params-ema": lambda state: {"params-ema": state, "params": {key: -value for key, value in state.items()}},
    "empty ema": lambda state: {"params_ema": {}, "params": state},
    "model": lambda state: {"model": state, "optimizer": {"state": {0: {"exp_avg": torch.ones(9)}}}},
    "net": lambda state: {"net": state},
    "net_g": lambda state: {"net_g": state, "net_d": {"conv0.weight": torch.ones(2)}},
    "model_state_dict": lambda state: {"model_state_dict": state, "loss": 0.5},
    "generator": lambda state: {"discriminator": {"conv0.weight": torch.ones(2)}, "generator": state},
    "ema": lambda state: {"model": {key: -value for key, value in state.items()}, "ema": state},
    "any name": lambda state: {"epoch": 7, "weights of the 7th": state},
    "within another": lambda state: {"model": {"state_dict": {"ema": state}}},
    "numbers beside": lambda state: {"iter": np.int64(5), "loss": np.float32(0.5), "params": state},
    "arguments beside": lambda state: {"args": Namespace(lr=1e-4), "seen": np.arange(9), "best": {}, "params": state},
    "numbers among": lambda state: state | {"step": 5, "n_averaged": torch.tensor(5), "psnr": np.float64(30)},
    "averaged model": lambda state: {"n_averaged": torch.tensor(5)} | prefixed("module.", state),
    "module": lambda state: prefixed("module.", state),
    "netG": lambda state: prefixed("netG.", state),
    "generator prefix": lambda state: prefixed("generator.", state),
    "model prefix": lambda state: {"state_dict": prefixed("model.", state)},
    "net prefix": lambda state: prefixed("net.", state),
    "three prefixes": lambda state: prefixed("model.netG.module.", state),
    "beside a discriminator": lambda state: prefixed("net_g.", state) | {"net_d.conv0.weight": torch.ones(2)},
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
    loaded = checkpoints.read_network(tmp_path / "x.pth")
    assert same(loaded, network) and not loaded.training
    assert all(not value.requires_grad and value.dtype == torch.float32 for value in loaded.parameters())


def test_names_that_begin_like_a_prefix_stay(tmp_path: Path) -> None:
    """ESRGAN's first files name their layers "model.0" and on: that is no prefix."""
    state = {"model.0.weight": torch.ones(6, 3, 3, 3), "model.1.sub.0.RDB1.conv1.0.weight": torch.ones(4, 6, 3, 3)}
    for wrapped in (state, prefixed("module.", state)):
        torch.save(wrapped, tmp_path / "x.pth")
        assert "conv_first.weight" in checkpoints.read_state(tmp_path / "x.pth")


def test_a_table_that_holds_itself_ends(tmp_path: Path) -> None:
    table: dict[str, Any] = {"params": {}}
    table["params"]["again"] = table
    torch.save(table, tmp_path / "own.pth")
    with pytest.raises(BadWeights, match="holds no parameters of a network"):
        checkpoints.read_network(tmp_path / "own.pth")


def test_a_name_with_tar_behind(tmp_path: Path) -> None:
    torch.save({"epoch": 9, "state_dict": rrdb().state_dict()}, tmp_path / "model_best.pth.tar")
    assert same(checkpoints.read_network(tmp_path / "model_best.pth.tar"), rrdb())


@pytest.mark.parametrize("network", [rrdb(), compact()], ids=["rrdb", "compact"])
def test_safetensors(network: Network, tmp_path: Path) -> None:
    save_file(network.state_dict(), tmp_path / "x.SafeTensors")
    loaded = checkpoints.read_network(tmp_path / "x.SafeTensors")
    assert same(loaded, network)
    assert torch.equal(loaded(noise(2, 3)), network(noise(2, 3)))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", ["x.safetensors", "x.pth"])
def test_half_precision_becomes_float32(name: str, dtype: torch.dtype, tmp_path: Path) -> None:
    network = rrdb()
    half = {key: value.to(dtype) for key, value in network.state_dict().items()}
    (save_file if name.endswith("s") else torch.save)(half, tmp_path / name)
    network.load_state_dict(half)
    assert same(checkpoints.read_network(tmp_path / name), network)


def test_a_published_file_of_another_network(assets: Path) -> None:
    file = assets / "weights" / "span" / "team46_span.pth"
    with pytest.raises(BadWeights, match=rf"^{file.name} (belongs to another network|does not fit together): "):
        checkpoints.read_network(file)


def test_a_mean_of_two_states(tmp_path: Path) -> None:
    one, other = compact(), compact()
    fill(other, seed=1)
    torch.save(one.state_dict(), tmp_path / "one.pth")
    torch.save(other.state_dict(), tmp_path / "other.pth")
    states = [checkpoints.read_state(tmp_path / name) for name in ("one.pth", "other.pth")]
    mean = {key: torch.lerp(states[0][key], states[1][key], 0.25) for key in states[0]}
    network = checkpoints.build_network(mean, "the mean")
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
    "numpy of code": ({"iter": np.array([Program()]), "params": {}}, "holds code, not only numbers"),
    "two tables": (
        {"a": {"x.weight": torch.ones(1)}, "b": {"x.weight": torch.ones(1)}},
        "holds no parameters of a net",
    ),
    "numbers alone": ({"iter": 5, "loss": np.float32(0.5)}, "holds no parameters of a network"),
    "list": ([1, 2, 3], "holds no parameters of a network"),
    "nothing": ({}, "holds no parameters of a network"),
    "numbered": ({1: torch.ones(1)}, "holds no parameters of a network"),
    "no tensor": (
        changed(rrdb(), conv_first__weight="x"),
        "belongs to another network: conv_first.weight is no",
    ),
    "whole numbers": (
        changed(rrdb(), conv_hr__bias=torch.ones(6, dtype=torch.int8)),
        "belongs to another network: conv_hr",
    ),
    "sparse": (
        changed(rrdb(), conv_hr__bias=torch.ones(6).to_sparse()),
        "belongs to another network: conv_hr.bias is no",
    ),
    "no numbers": (
        changed(rrdb(), conv_hr__bias=torch.ones(0)),
        "belongs to another network: conv_hr.bias is no",
    ),
    "repeated": (
        changed(rrdb(), conv_hr__weight=torch.ones(1).expand(10**6, 10**6, 3, 3)),
        "is damaged: it claims more numbers than it holds",
    ),
    "other": (
        {f"block{i}.weight": torch.ones(1) for i in range(9)},
        "belongs to another network: expected RRDB, Swift, .*, EDSR or compact, found block0.weight, block1.weight, "
        "block2.weight and 6 more",
    ),
    # The names of DAT's, and of BasicSR's EDSR: both begin as an RRDB network does.
    "DAT": (
        {f"{name}.weight": torch.ones(6, 3, 3, 3) for name in ("conv_first", "before_RG.1", "layers.0.blocks.0.norm1")},
        "belongs to another network: expected RRDB, .*, found before_RG.1.weight, conv_first.weight, layers.0",
    ),
    "EDSR": (
        {f"{name}.weight": torch.ones(6, 3, 3, 3) for name in ("conv_first", "body.0.conv1", "conv_after_body")},
        "belongs to another network: expected RRDB, .*, found body.0.conv1.weight, conv_after_body.weight",
    ),
    "no scale": (changed(srcnn(2), enlarges=None), "cannot be used: it upscales 0 times"),
    "odd scale": (changed(srcnn(2), enlarges=torch.tensor([2.5])), "cannot be used: it upscales 2.5 times"),
    "no number": (changed(srcnn(2), enlarges=torch.tensor([torch.nan])), "holds values that are no numbers"),
    "two scales": (changed(srcnn(2), enlarges=torch.ones(2)), "does not fit together: enlarges is 2 and should be 1"),
    "half of srcnn": ({"extract.weight": torch.ones(64, 1, 9, 9)}, "cannot be used: it upscales 0 times"),
    "other srcnn": (changed(srcnn(2), map__weight=torch.ones(32, 64, 1, 1)), "does not fit together: map.weight is"),
    "half of swift": ({"first.weight": torch.ones(8, 3, 5, 5)}, "belongs to another network"),
    "odd swift": (
        changed(swift(2), last__weight=torch.ones(7, 8, 3, 3)),
        "belongs to another network: its last convolution gives 7 ",
    ),
    "swift without a bias": (changed(swift(2), last__bias=None), "is not a whole network: it lacks last.bias"),
    "strange name": ({"a\n" + 99 * "b": torch.ones(1)}, rf"belongs to another network: .*, found a\?{58 * 'b'}"),
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
        "belongs to another network: it has attention.weight beyond RRDBNet's",
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
    "smaller": (rrdb(1, 4).state_dict(), "cannot be used: it upscales 0.5 times"),
    "x32": (rrdb(5).state_dict(), "cannot be used: it upscales 32 times"),
    "x5": (compact(5).state_dict(), "cannot be used: it upscales 5 times"),
    "x3.5": (
        changed(compact(), body__8__weight=torch.ones(37, 5, 3, 3), body__8__bias=torch.ones(37)),
        "belongs to another network: its last convolution gives 37 channels, which make no colour image",
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
        checkpoints.read_network(file)
