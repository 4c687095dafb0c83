"""Parameters and pictures for the networks' tests, drawn so that they are the same on every machine."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pipelines.networks.archs.disp import Disp
from pipelines.networks.archs.edsr import Edsr
from pipelines.networks.archs.haesr import Haesr
from pipelines.networks.archs.rcan import Rcan
from pipelines.networks.archs.rrdbnet import RRDBNet
from pipelines.networks.archs.span import Span
from pipelines.networks.archs.srcnn import Srcnn
from pipelines.networks.archs.srgan import Srgan
from pipelines.networks.archs.srvgg import SRVGGNetCompact
from pipelines.networks.archs.swift import Swift
from pipelines.networks.checkpoints import build_network
from pipelines.networks.network import Network
from tests.support import tiny_graph

GOLDEN = Path(__file__).parents[1] / "golden"
UPSAMPLINGS = {1: (2, 4), 2: (2, 2), 4: (2, 1), 8: (3, 1)}  # and unshuffle, by scale


def drawn(shapes: Mapping[str, tuple[int, ...]], seed: int = 0) -> dict[str, Tensor]:
    """Random parameters of these names and shapes, drawn in the order of their names.

    None is left at 0 or 1, and signals keep their size from layer to layer, so that each parameter counts.
    """
    random, state = np.random.default_rng(seed), {}
    for name, shape in sorted(shapes.items()):
        values = random.standard_normal(shape)
        if len(shape) == 4:
            values *= (1.5 / np.prod(shape[1:])) ** 0.5
        else:
            values = 0.2 + 0.1 * values
        state[name] = torch.from_numpy(values.astype(np.float32))
    return state


def fill(network: nn.Module, seed: int = 0) -> dict[str, Tensor]:
    """Load drawn parameters into the network, freeze it, and give them back."""
    state = drawn({name: tuple(value.shape) for name, value in network.state_dict().items()}, seed)
    network.load_state_dict(state)
    network.requires_grad_(False)
    return state


def tiny_rrdb(seed: int = 0) -> dict[str, Tensor]:
    """The parameters of an RRDB network that enlarges by 4."""
    return fill(RRDBNet(upsamplings=2, unshuffle=1, width=6, depth=1, growth=4), seed)


def tiny_compact(seed: int = 0) -> dict[str, Tensor]:
    """The parameters of a compact network that enlarges by 4."""
    return fill(SRVGGNetCompact(scale=4, width=5, depth=2), seed)


def as_pth(state: Any) -> bytes:
    """What torch.save writes."""
    stream = io.BytesIO()
    torch.save(state, stream)
    return stream.getvalue()


def rrdb(scale: int, depth: int = 2, seed: int = 0) -> RRDBNet:
    """A tiny RRDB network, whose outputs are about within [0, 1]. With a depth of 5 its tiles are feathered."""
    network = RRDBNet(*UPSAMPLINGS[scale], width=8, depth=depth, growth=4)
    fill(network, seed)
    network.conv_last.weight.data.mul_(0.2)
    network.conv_last.bias.data.fill_(0.4)
    return network


def compact(scale: int, depth: int = 2, seed: int = 0) -> SRVGGNetCompact:
    """A tiny compact network, whose outputs are about within [0, 1] for most pictures."""
    network = SRVGGNetCompact(scale, width=8, depth=depth)
    fill(network, seed)
    network.body[-1].weight.data.mul_(0.2)
    network.body[-1].bias.data.zero_()
    return network


def swift(scale: int, depth: int = 2, seed: int = 0) -> Swift:
    """A tiny network of swift's kind, whose outputs are about within [0, 1] for most pictures."""
    network = Swift(scale, width=8, depth=depth)
    fill(network, seed)
    network.last.weight.data.mul_(0.2)
    network.last.bias.data.zero_()
    return network


def srcnn(scale: int, seed: int = 0) -> Srcnn:
    """SRCNN with drawn parameters, whose outputs are about within [0, 1] for most pictures."""
    network = Srcnn(scale)
    fill(network, seed)
    network.enlarges.fill_(scale)
    network.rebuild.weight.data.mul_(0.2)
    network.rebuild.bias.data.zero_()
    return network


def toned(network: nn.Module, first: nn.Module, last: nn.Module) -> Any:
    """The network with drawn parameters, whose features are about 1 and whose outputs are about within [0, 1]."""
    fill(network)
    first.weight.data.mul_(0.5)
    last.weight.data.mul_(0.2)
    last.bias.data.fill_(0.4)
    return network


def span() -> Span:
    """A tiny SPAN that enlarges by 4."""
    network = Span(4, width=8, depth=2)
    made: Span = toned(network, network.conv_1.eval_conv, network.upsampler[0])
    network.conv_1.eval_conv.weight.data.mul_(1 / 255)
    return made


def disp() -> Disp:
    """A tiny DISP that enlarges by 4."""
    network = Disp(4, width=8, depth=2)
    made: Disp = toned(network, network.conv_1.eval_conv, network.upsampler[0])
    return made


def srgan(scale: int) -> Srgan:
    """A tiny generator of SRGAN."""
    network = Srgan(scale.bit_length() - 1, width=8, depth=2)
    made: Srgan = toned(network, network.block1[0], list(network.children())[-1][-1])
    return made


def edsr(scale: int) -> Edsr:
    """A tiny EDSR."""
    network = Edsr((3,) if scale == 3 else (2,) * (scale // 2), width=8, depth=2)
    made: Edsr = toned(network, network.head_conv, network.ends[1])
    return made


def rcan(scale: int) -> Rcan:
    """A tiny RCAN of two groups, to each of whose channels the means count."""
    network = Rcan(scale, width=8, depth=2, blocks=2)
    made: Rcan = toned(network, network.first, network.last)
    for name, parameter in network.named_parameters():
        if name.endswith("attention.down.bias"):
            parameter.fill_(1)
    return made


def haesr() -> Haesr:
    """A tiny HAESR that enlarges by 4."""
    network = Haesr(4, width=16)
    made: Haesr = toned(network, network.input, network.up[0])
    return made


def assert_equals_the_authors(key: str, shapes: Mapping[str, tuple[int, ...]], picture: Tensor, arch: Any) -> Network:
    """What the authors' own network gave for parameters of these names, drawn as here, and the network that gives it.

    The variances of batch normalisation are what was drawn without its sign.
    """
    state = {key: value.abs() if key.endswith("running_var") else value for key, value in drawn(shapes).items()}
    network = build_network(arch.adapt(state) if hasattr(arch, "adapt") else state, key)
    expected = np.load(GOLDEN / "published.npz")[key]
    assert expected.std() > 0.1
    np.testing.assert_allclose(network(picture), expected, atol=1e-5 * np.abs(expected).max())
    return network


def spread(network: Network, row: int, column: int, side: int) -> int:
    """How far, in pixels of the input, the outputs are that read this pixel of a picture (side, side).

    The pixel is no number: whatever is made of it is none either.
    """
    picture = noise(side, side)
    picture[..., row, column] = torch.nan
    rows, columns = network(picture)[0, 0].isnan().nonzero().div(network.scale, rounding_mode="floor").unbind(1)
    return int(torch.maximum((rows - row).abs(), (columns - column).abs()).max())


def same(loaded: Network, network: Network) -> bool:
    """Whether it is the network, value for value."""
    ours, theirs = loaded.state_dict(), network.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[key], theirs[key]) for key in theirs)


def assert_every_parameter_counts(network: nn.Module) -> None:
    """Fill it with drawn parameters, and find each of them in what the network gives for a picture of 4 by 4."""
    fill(network)
    network.requires_grad_(True)(noise(4, 4)).square().mean().backward()
    for name, value in network.named_parameters():
        assert value.grad is not None and value.grad.abs().max() > 1e-4, name


def assert_trunk_works_in_half_precision(network: Network, picture: Tensor) -> tuple[Tensor, Tensor]:
    """And its two ends in float32, with what it gives near the whole in float32; the trunk's input and output."""
    whole = network(picture)
    for module in network.inner:
        module.bfloat16()
    features = network.head(picture)
    inner = network.trunk(features.bfloat16())
    assert (features.dtype, inner.dtype) == (torch.float32, torch.bfloat16)
    torch.testing.assert_close(network.tail(inner.float(), picture), whole, atol=0.1, rtol=0)
    return features, inner


def put_tiny(folder: Path) -> None:
    """Put a tiny network under the name of each file that the network engine runs, and that a name is enough for."""
    for name, made in (("team00_SPAN", span()), ("team18_DISP", disp()), ("team06_HAESR", haesr())):
        torch.save(made.state_dict(), folder / f"{name}.pth")
    for scale in (2, 4, 8):
        torch.save(srgan(scale).state_dict(), folder / f"netG_epoch_{scale}_100.pth")
    for name, scale in (("x4plus", 4), ("x4plus_anime_6B", 4), ("x2plus", 2)):
        torch.save(rrdb(scale).state_dict(), folder / f"RealESRGAN_{name}.pth")
    for scale in (2, 4, 8):
        torch.save(rrdb(scale).state_dict(), folder / f"RealESRGAN_x{scale}.pth")
    for seed, name in enumerate(("realesr-general-x4v3", "realesr-general-wdn-x4v3", "realesr-animevideov3")):
        torch.save({"params": compact(4, seed=seed).state_dict()}, folder / f"{name}.pth")
    for scale in (2, 3, 4):
        (folder / f"FSRCNN_x{scale}.pb").write_bytes(tiny_graph.fsrcnn(scale))
        (folder / f"FSRCNN-small_x{scale}.pb").write_bytes(tiny_graph.fsrcnn(scale, depth=1))
        (folder / f"EDSR_x{scale}.pb").write_bytes(tiny_graph.edsr(scale))
        (folder / f"LapSRN_x{2 ** (scale - 1)}.pb").write_bytes(tiny_graph.lapsrn(scale - 1))


def noise(height: int, width: int, seed: int = 1) -> Tensor:
    """A picture (1, 3, height, width) of uniform noise in [0, 1]."""
    return torch.from_numpy(np.random.default_rng(seed).random((1, 3, height, width), dtype=np.float32))


def reach(network: nn.Module, scale: int, side: int, row: int, column: int) -> int:
    """How far, in pixels of the input, the outputs are that read this pixel of a picture (side, side).

    All weights are made positive and all biases 0: then a picture of one bright pixel is bright exactly there.
    """
    for name, value in network.named_parameters():
        value.data = torch.zeros_like(value) if name.endswith("bias") else torch.ones_like(value)
    picture = torch.zeros(1, 3, side, side)
    picture[..., row, column] = 1
    rows, columns = (network(picture)[0, 0] != 0).nonzero().div(scale, rounding_mode="floor").unbind(1)
    distance = torch.maximum((rows - row).abs(), (columns - column).abs()).max()
    return int(distance)
