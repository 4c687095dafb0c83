"""OpenVINO computes what torch does, for any size, from several threads, and what it gave stays."""

import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - as everybody calls it

from pipelines.networks.archs.edsr_opencv import OpenCvEdsr
from pipelines.networks.archs.espcn import Espcn
from pipelines.networks.archs.fsrcnn import Fsrcnn
from pipelines.networks.archs.lapsrn import LapSrn
from pipelines.networks.archs.rrdbnet import RRDBNet
from pipelines.networks.devices import Device
from pipelines.networks.network import COMPILES_WHOLE, Blocks, Network
from tests.support import networks
from tests.support.networks import compact, fill, rrdb, srcnn, swift

pytest.importorskip("openvino")
from pipelines.networks import openvino
from pipelines.networks.forward import Forward
from pipelines.networks.openvino import KEPT_SIZES, Compiled, NotTranslated, compile_model, trace, translate

Planes = npt.NDArray[np.float32]


def filled(network: nn.Module) -> nn.Module:
    fill(network)
    return network


NETWORKS = {f"rrdb x{s}": lambda s=s: rrdb(s) for s in (1, 2, 4, 8)}
NETWORKS |= {f"compact x{s}": lambda s=s: compact(s) for s in (1, 2, 3, 4)}
NETWORKS |= {"span": networks.span, "disp": networks.disp, "edsr x3": lambda: networks.edsr(3)}
NETWORKS |= {"edsr x4": lambda: networks.edsr(4), "srgan x2": lambda: networks.srgan(2)}
NETWORKS |= {f"swift x{s}": lambda s=s: swift(s) for s in (2, 3, 4)} | {"srcnn x3": lambda: srcnn(3)}
NETWORKS |= {"espcn": lambda: filled(Espcn(3, 8, 6)), "fsrcnn": lambda: filled(Fsrcnn(2, 8, 4, 2))}
NETWORKS |= {"lapsrn": lambda: filled(LapSrn(3, 4, 1)), "opencv's edsr": lambda: filled(OpenCvEdsr(2, 8, 2))}
ROOT = Path(__file__).parents[3]
SIZES = [(2, 9, 14), (1, 1, 1), (1, 7, 1), (3, 5, 4)]  # batch, height, width, before they are made multiples


def planes(*shape: int, seed: int = 3) -> Planes:
    return np.random.default_rng(seed).random(shape, dtype=np.float32)


def by_torch(part: nn.Module, given: Planes) -> Planes:
    with torch.inference_mode():
        made: Tensor = part(torch.from_numpy(given).permute(0, 3, 1, 2))
    return made.permute(0, 2, 3, 1).numpy()


def assert_near(made: Planes, expected: Planes) -> None:
    assert made.shape == expected.shape and made.dtype == np.float32
    assert np.abs(made - expected).max() <= 1e-4 * np.abs(expected).max()


@pytest.fixture(params=NETWORKS)
def network(request: pytest.FixtureRequest) -> Network:
    made: Network = NETWORKS[request.param]()
    return made


def test_the_whole_network(network: Network) -> None:
    if network.compiles != COMPILES_WHOLE:
        pytest.skip("only its trunk is ever compiled")
    compiled = Compiled(network, network.forward, 3, "float32")
    for number, height, width in SIZES:
        given = planes(number, height * network.multiple, width * network.multiple, 3)
        assert_near(compiled(given), by_torch(network, given))


def test_the_trunk_alone(network: Network) -> None:
    compiled = Compiled(network, network.trunk, network.width, "float32")
    for number, height, width in SIZES:
        given = planes(number, height, width, network.width)
        assert_near(compiled(given), by_torch(network.trunk, given))


def test_bfloat16_is_near_or_not_done() -> None:
    """A processor without bfloat16 computes in float32 instead; `devices` asks for it on no such processor."""
    network = rrdb(4)
    compiled = Compiled(network, network.trunk, network.width, "bfloat16")
    given = planes(1, 12, 16, network.width)
    made, expected = compiled(given), by_torch(network.trunk, given)
    assert made.dtype == np.float32 and made.flags.writeable
    assert np.abs(made - expected).max() < 0.05 * np.abs(expected).max()
    if compiled._any_size.get_property("INFERENCE_PRECISION_HINT").to_string() == "f32":
        assert np.abs(made - expected).max() < 0.004 * np.abs(expected).max(), "it is rounded in the end"


@pytest.fixture(scope="module")
def compiled() -> Compiled:
    network = compact(4)
    return Compiled(network, network.forward, 3, "float32")


def test_two_threads_give_what_each_alone_gives(compiled: Compiled) -> None:
    given = [planes(1, 20 + 7 * n, 31 - 3 * n, 3, seed=n) for n in range(4)]
    alone = [compiled(each).copy() for each in given]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(compiled, given * 6))
    for index, made in enumerate(together):
        np.testing.assert_array_equal(made, alone[index % 4])


def test_what_it_gave_stays(compiled: Compiled) -> None:
    """The result is OpenVINO's own memory: neither further calls nor giving memory back may touch it."""
    first = compiled(planes(1, 16, 16, 3))
    kept = first.copy()
    for seed in range(4):
        compiled(planes(1, 16, 16, 3, seed=seed))
    compiled.release()
    others = [compiled(planes(1, 16 + n, 16, 3, seed=n)) for n in range(3)]
    np.testing.assert_array_equal(first, kept)
    assert not any(np.shares_memory(first, other) for other in others)


def test_what_it_gave_outlives_it() -> None:
    network, given = compact(3), planes(1, 9, 9, 3)
    made = Compiled(network, network.forward, 3, "float32")(given)
    assert_near(made, by_torch(network, given))


def test_the_result_may_be_written_and_the_input_is_not(compiled: Compiled) -> None:
    given = planes(2, 8, 8, 3)
    before = given.copy()
    made = compiled(given)
    expected = made.copy()
    made[:] = 0
    np.testing.assert_array_equal(given, before)
    given.flags.writeable = False
    np.testing.assert_array_equal(compiled(given), expected)


def test_planes_need_not_lie_in_one_piece(compiled: Compiled) -> None:
    given = planes(1, 20, 24, 3)[:, ::2, 1::3]
    np.testing.assert_array_equal(compiled(given), compiled(given.copy()))


def test_planes_that_are_only_added_are_not_copied_to_other_places() -> None:
    """The third dense block of three adds the planes that the first one read."""
    network = RRDBNet(2, width=16, depth=1, growth=16)
    assert isinstance(network.in_blocks, Blocks)
    block = network.in_blocks.blocks[2]
    model = translate(trace(block.module, block.run, 2), network.width, "bfloat16", "bfloat16", [])
    model.reshape({place: [1, 40, 40, network.width] for place in range(2)})
    layers = compile_model(model, "bfloat16").get_runtime_model().get_ordered_ops()
    assert "Transpose" not in {str(layer.get_rt_info()["layerType"].value) for layer in layers}


def test_memory_is_given_back_while_others_run(compiled: Compiled) -> None:
    given = planes(1, 40, 40, 3)
    alone = compiled(given).copy()
    done = threading.Event()

    def releasing() -> None:
        while not done.is_set():
            compiled.release()

    thread = threading.Thread(target=releasing)
    thread.start()
    try:
        for _ in range(40):
            np.testing.assert_array_equal(compiled(given), alone)
    finally:
        done.set()
        thread.join()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_large_planes_are_computed_by_models_of_their_size(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    network = swift(2)
    compiled = Compiled(network, network.trunk, network.width, dtype)
    given = [planes(1, 12 + number, 20, network.width) for number in range(4)]
    given[1] = np.concatenate([given[1][:, :6]] * 2)  # two at once, as many places together
    expected = [compiled(each) for each in given]
    assert not compiled._sized._compiled
    monkeypatch.setattr(openvino, "LARGE", 12 * 20)
    made = [compiled(each) for each in given]
    for one, other in zip(made, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=0.02 if dtype == "bfloat16" else 1e-6)
    assert len(compiled._sized._compiled) == KEPT_SIZES
    with ThreadPoolExecutor(4) as pool:  # which have each other's sizes dropped
        for one, other in zip(pool.map(compiled, given * 3), made * 3, strict=True):
            np.testing.assert_array_equal(one, other)
    compiled.release()
    np.testing.assert_array_equal(compiled(given[0]), made[0])


def test_a_size_that_cannot_be_compiled_for_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or memory would never be given back again: where it is short a smaller tile is tried next."""
    network = swift(2)
    compiled = Compiled(network, network.trunk, network.width, "float32")
    monkeypatch.setattr(openvino, "LARGE", 1)
    with monkeypatch.context() as patch, pytest.raises(MemoryError):
        patch.setattr(openvino, "compile_model", Mock(side_effect=MemoryError))
        compiled(planes(1, 9, 9, network.width))
    compiled(planes(1, 9, 8, network.width))
    assert compiled._running == 0


GROWTH = """
import sys
import numpy as np, psutil
from pipelines.networks import openvino
from pipelines.networks.devices import choose_device
from pipelines.networks.forward import Forward
from tests.support.networks import compact

if sys.argv[1:]:
    openvino.LARGE = 0
run = Forward(compact(4), choose_device())
taken = []
for side in [96, *range(16, 96)]:
    run(np.zeros((1, side, 112 - side, 3), np.float32) if side < 96 else np.zeros((1, side, side, 3), np.float32))
    run.release()
    taken.append(psutil.Process().memory_info().rss)
print(taken[-1] - taken[0])
"""


@pytest.mark.parametrize("how", [[], ["compiled for each"]])
def test_memory_does_not_grow_with_each_size(how: list[str]) -> None:
    """In a process of its own, where nothing else allocates. OpenVINO left to itself takes a megabyte for each."""
    done = subprocess.run([sys.executable, "-c", GROWTH, *how], capture_output=True, text=True, check=True, cwd=ROOT)
    assert int(done.stdout) < 40_000_000, "96 MB where nothing bounds it"


class Foreign(nn.Module):
    """A network with one thing that the engine does not know."""

    def __init__(self, layer: nn.Module | None = None) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, pixels: Tensor) -> Tensor:
        return torch.softmax(pixels, dim=1) if self.layer is None else self.layer(pixels)


@pytest.mark.parametrize(
    ("layer", "name"),
    [
        (None, "softmax"),
        (nn.BatchNorm2d(3), "BatchNorm2d"),
        (nn.Conv2d(3, 3, 3, padding=1, bias=False), "Conv2d"),
        (nn.Conv2d(3, 3, 3, padding=1, padding_mode="reflect"), "Conv2d"),
        (nn.Conv2d(3, 3, 3, padding=1, stride=2), "Conv2d"),
        (nn.Conv2d(3, 3, 3, padding=1, dilation=2), "Conv2d"),
        (nn.Conv2d(3, 3, 3, padding=1, groups=3), "Conv2d"),
    ],
    ids=str,
)
def test_what_is_not_known_is_refused(layer: nn.Module | None, name: str) -> None:
    network = Foreign(layer)
    with pytest.raises(ValueError, match=f"{name}.* is not known here"):
        Compiled(network, network.forward, 3, "float32")


@pytest.mark.parametrize("name", ["factor", "factor_"])
def test_a_parameter_on_its_own_is_refused(name: str) -> None:
    """Whatever it is called: an operation of a name that ends in "_" would overwrite something."""

    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_parameter(name, nn.Parameter(torch.ones(1)))

        def forward(self, pixels: Tensor) -> Tensor:
            return pixels + getattr(self, name)

    network = Scaled()
    with pytest.raises(NotTranslated, match=f"^module.{name} is not known here$"):
        Compiled(network, network.forward, 3, "float32")


@pytest.mark.parametrize(("raised", "told"), [(RuntimeError, NotTranslated), (MemoryError, MemoryError)])
def test_what_openvino_cannot_run_is_refused(
    raised: type[Exception], told: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    """But a lack of memory is said as what it is."""

    class Core:
        def compile_model(self, *_: object) -> None:
            raise raised("no such instruction")

    monkeypatch.setattr("openvino.Core", Core)
    network = compact(4)
    with pytest.raises(told, match=r"how to run SRVGGNetCompact is not known here|no such instruction"):
        Compiled(network, network.forward, 3, "float32")


def test_a_lack_of_memory_while_tracing_is_said_as_what_it_is() -> None:
    def compute(pixels: Tensor) -> Tensor:
        raise MemoryError

    network = Computing(compute)
    with pytest.raises(MemoryError):
        Compiled(network, network.forward, 3, "float32")


class Computing(nn.Module):
    """A network that computes this."""

    def __init__(self, compute: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.compute = compute

    def forward(self, pixels: Tensor) -> Tensor:
        return self.compute(pixels)


def relu_and_what_it_overwrote(pixels: Tensor) -> Tensor:
    more = pixels + pixels
    return F.relu(more, inplace=True) + more


@pytest.mark.parametrize(
    ("compute", "unknown"),
    [
        (lambda pixels: F.interpolate(pixels, scale_factor=2, mode="bicubic"), "interpolate"),
        (lambda pixels: F.interpolate(pixels, (4, 4), mode="nearest"), "interpolate"),
        (lambda pixels: F.pad(pixels, (1, 1), mode="replicate"), "pad"),
        (lambda pixels: F.pixel_shuffle(pixels, upscale_factor=1), "pixel_shuffle"),
        (lambda pixels: torch.cat((pixels, pixels), 1), "cat"),
        (lambda pixels: torch.sin(pixels), "sin"),
        (lambda pixels: pixels.mean(dim=1, keepdim=True), "mean"),
        (lambda pixels: pixels if pixels.sum() > 0 else -pixels, "the flow of Computing"),
        (lambda pixels: torch.stack([pixels for _ in range(pixels.shape[1])]), "the flow of Computing"),
        (lambda pixels: (pixels, pixels), "the flow of Computing"),
        (lambda pixels: None, "the flow of Computing"),
        (relu_and_what_it_overwrote, "relu of what is used again"),
    ],
)
def test_whatever_cannot_be_written_is_named(compute: Callable[[Tensor], Tensor], unknown: str) -> None:
    """A known operation in another form, one that is not known, and steps that only numbers decide."""
    network = Computing(compute)
    with pytest.raises(NotTranslated) as caught:
        Compiled(network, network.forward, 3, "float32")
    assert caught.value.unknown == unknown


def test_the_network_stays_as_it_was() -> None:
    network = rrdb(4)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    Compiled(network, network.forward, 3, "float32")(planes(1, 8, 8, 3))
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    fill(network)  # may be changed, once compiled: what was compiled has its own


def test_what_is_kept_for_sizes_counts_as_held() -> None:
    """By it other models make way. The parameters count twice: as they were read, and packed in two arrangements."""
    network = compact(4)
    parameters = sum(each.nbytes for each in network.parameters())
    made = Forward(network, Device("cpu", "float32", "openvino"))
    assert made.nbytes == 2 * parameters + openvino.SIZES_BYTES
    assert Forward(network, Device("cpu")).nbytes == 0
