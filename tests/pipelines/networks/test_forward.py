"""A network on a device gives what the network gives; low precision is kept off its two ends."""

import copy

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - as everybody calls it

from pipelines.networks import forward
from pipelines.networks.archs.srcnn import Srcnn
from pipelines.networks.devices import Device
from pipelines.networks.forward import Forward
from pipelines.networks.network import COMPILES_WHOLE, EVERY_PRECISION, Network
from tests.support.networks import compact, fill, rrdb, srcnn, swift

Batch = npt.NDArray[np.float32]
NETWORKS = {f"rrdb x{s}": lambda s=s: rrdb(s) for s in (2, 4, 8)}
NETWORKS |= {f"compact x{s}": lambda s=s: compact(s) for s in (2, 4)}
NETWORKS |= {"swift x3": lambda: swift(3), "srcnn x2": lambda: srcnn(2)}
CPU, LOW = Device("cpu"), Device("cpu", "bfloat16")
OPENVINO = [Device("cpu", "float32", "openvino"), Device("cpu", "bfloat16", "openvino")]


def pixels(*shape: int, seed: int = 4) -> Batch:
    return np.random.default_rng(seed).random(shape, dtype=np.float32)


def given_by(network: nn.Module, batch: Batch, dtype: torch.dtype = torch.float32) -> Batch:
    """The network itself, all of it in one precision."""
    with torch.inference_mode():
        made: Tensor = network(torch.from_numpy(batch).permute(0, 3, 1, 2).to(dtype))
    return made.float().permute(0, 2, 3, 1).numpy()


def rms(error: Batch) -> float:
    return float(np.sqrt(np.mean(np.square(error, dtype=np.float64))))


@pytest.fixture(params=NETWORKS)
def network(request: pytest.FixtureRequest) -> Network:
    made: Network = NETWORKS[request.param]()
    return made


@pytest.mark.parametrize("shape", [(1, 4, 4, 3), (2, 8, 12, 3), (3, 16, 4, 3)])
def test_torch_in_float32_is_the_network(network: Network, shape: tuple[int, ...]) -> None:
    batch = pixels(*shape)
    made = Forward(network, CPU)(batch)
    assert made.dtype == np.float32 and made.flags.c_contiguous and made.flags.writeable
    np.testing.assert_allclose(made, given_by(network, batch), atol=1e-5)


@pytest.mark.parametrize("said", ["CUDA out of memory. Tried to allocate 2 GiB", "CUDA error: out of memory"])
def test_too_little_memory_to_place_a_network_is_a_memory_error(said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError(said)

    monkeypatch.setattr(nn.Module, "to", fail)
    with pytest.raises(MemoryError):
        Forward(compact(4), Device("cuda", "float16"))


def test_low_precision_is_near_and_nearer_than_all_in_it(network: Network) -> None:
    """The two convolutions at the ends stay in float32: what they round would be seen in every pixel."""
    if isinstance(network, Srcnn):
        pytest.skip("what it begins with, torch does in float32 alone")
    batch = pixels(2, 16, 20, 3)
    exact = given_by(network, batch)
    throughout = given_by(copy.deepcopy(network).bfloat16(), batch, torch.bfloat16)
    error = rms(Forward(network, LOW)(batch) - exact)
    assert 0 < error < 0.01 and error < 0.9 * rms(throughout - exact)


@pytest.mark.parametrize("device", OPENVINO, ids=lambda device: device.dtype)
def test_openvino_is_the_network(network: Network, device: Device) -> None:
    """In bfloat16 where the processor has it; on another one OpenVINO computes the trunk in float32."""
    pytest.importorskip("openvino")
    run, batch = Forward(network, device), pixels(2, 8, 12, 3)
    near = 1e-5 if device.dtype == "float32" else 0.05
    np.testing.assert_allclose(run(batch), given_by(network, batch), atol=near)
    run.release()
    np.testing.assert_allclose(run(batch), given_by(network, batch), atol=near)


@pytest.mark.parametrize("device", [CPU, LOW, *OPENVINO], ids=str)
def test_neither_network_nor_input_is_changed(device: Device) -> None:
    if device.engine == "openvino":
        pytest.importorskip("openvino")
    for network in (rrdb(2), compact(3)):
        before, batch = copy.deepcopy(network.state_dict()), pixels(1, 6, 6, 3)
        kept = batch.copy()
        batch.flags.writeable = False
        made = Forward(network, device)(batch)
        made[:] = 0
        np.testing.assert_array_equal(batch, kept)
        for key, value in network.state_dict().items():
            assert value.dtype == torch.float32 and torch.equal(value, before[key])


@pytest.mark.parametrize("device", [CPU, LOW, *OPENVINO], ids=str)
def test_the_same_again(device: Device) -> None:
    if device.engine == "openvino":
        pytest.importorskip("openvino")
    run, batch = Forward(rrdb(4), device), pixels(1, 20, 20, 3)
    first = run(batch).copy()
    run(pixels(2, 7, 9, 3))
    run.release()
    np.testing.assert_array_equal(run(batch), first)


class Odd(nn.Module):
    """A network of two colours a feature with operations that OpenVINO's translation lacks, where `odd` says."""

    scale, multiple, radius, floats_per_pixel, width, arch = 2, 1, 2, 30, 6, "made"
    precisions, compiles = EVERY_PRECISION, COMPILES_WHOLE

    def __init__(self, odd: str) -> None:
        super().__init__()
        self.odd = odd
        self.first, self.norm = nn.Conv2d(3, 6, 3, padding=1), nn.GroupNorm(2, 6)
        self.body, self.last = nn.Conv2d(6, 6, 3, padding=1), nn.Conv2d(6, 12, 3, padding=1)
        fill(self)

    @property
    def inner(self) -> list[nn.Module]:
        return [self.norm, self.body]

    def forward(self, pixels: Tensor) -> Tensor:
        return self.tail(self.trunk(self.head(pixels)), pixels)

    def head(self, pixels: Tensor) -> Tensor:
        features = self.first(pixels)
        return torch.sin(features) if "head" in self.odd else features

    def trunk(self, features: Tensor) -> Tensor:
        return self.body(self.norm(features) if "trunk" in self.odd else features)

    def tail(self, features: Tensor, pixels: Tensor) -> Tensor:
        return F.pixel_shuffle(self.last(features), self.scale)


def lacks(name: str) -> str:
    return f"OpenVINO does not know {name}: torch ran that part"


@pytest.mark.parametrize("device", OPENVINO, ids=lambda device: device.dtype)
@pytest.mark.parametrize(
    ("odd", "engine", "notes"),
    [
        ("", "openvino", {"float32": (), "bfloat16": ()}),
        ("head", "openvino", {"float32": (lacks("sin"),), "bfloat16": ()}),
        ("trunk", "torch", {"float32": (lacks("GroupNorm"),), "bfloat16": (lacks("GroupNorm"),)}),
        ("head, trunk", "torch", {"float32": (lacks("sin"), lacks("GroupNorm")), "bfloat16": (lacks("GroupNorm"),)}),
    ],
)
def test_what_openvino_does_not_know_torch_runs(
    odd: str, engine: str, notes: dict[str, tuple[str, ...]], device: Device
) -> None:
    pytest.importorskip("openvino")
    network, batch = Odd(odd), pixels(2, 8, 12, 3)
    run = Forward(network, device)
    assert (run.device.engine, run.device.dtype, run.notes) == (engine, device.dtype, notes[device.dtype])
    near = 1e-5 if device.dtype == "float32" else 0.05
    np.testing.assert_allclose(run(batch), given_by(network, batch), atol=near)
    run.release()
    np.testing.assert_allclose(run(batch), given_by(network, batch), atol=near)
    assert all(value.dtype == torch.float32 for value in network.parameters())
    assert (run.nbytes > 0) == (engine == "openvino" or device.dtype == "bfloat16")


NO_MEMORY = [
    RuntimeError("[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory: you tried"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:121] data. DefaultCPUAllocator: not enough memory: you tried to"),
    RuntimeError("Exception from src/inference/src/cpp/infer_request.cpp:224:\nstd::bad_alloc\n"),
    RuntimeError("Exception from src/inference/src/cpp/infer_request.cpp:224:\nFailed to allocate 8589934592 bytes"),
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has a total capacity of 15 GiB"),
    RuntimeError("MPS backend out of memory (MPS allocated: 18.00 GB, other allocations: 1 MB, max allowed: 18.13 GB)"),
    MemoryError(),
]


@pytest.mark.parametrize("device", [CPU, *OPENVINO[:1]], ids=str)
@pytest.mark.parametrize("error", NO_MEMORY, ids=lambda error: str(error)[:12])
def test_too_little_memory_is_a_memory_error(error: Exception, device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    if device.engine == "openvino":
        pytest.importorskip("openvino")
    run = Forward(compact(2), device)

    def short(*args: object) -> None:
        raise error

    monkeypatch.setattr(run, "_whole" if device.engine == "openvino" else "_in_parts", short)
    with pytest.raises(MemoryError):
        run(pixels(1, 4, 4, 3))


def test_torch_says_so_in_these_words() -> None:
    """What is really asked for is too much for any machine."""
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 55, dtype=torch.uint8)
    assert forward._NO_MEMORY.search(str(caught.value))


def test_another_error_stays_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Forward(compact(2), CPU)
    with pytest.raises(RuntimeError, match="channels"):
        run(pixels(1, 4, 4, 5))


def test_the_heap_is_trimmed_after_a_run_on_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Torch's tensors of ever other sizes leave gaps in it, which glibc keeps."""
    trimmed = list[str]()
    monkeypatch.setattr(forward.machine, "trim_after_run", lambda: trimmed.append("once"))
    run = Forward(compact(4), CPU)
    run(pixels(1, 4, 4, 3))
    assert trimmed == []
    run.release()
    assert trimmed == ["once"]
