"""Where networks run: by what is there, and by what is said to be there."""

import importlib.util
import multiprocessing
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.machinery import ModuleSpec

import pytest
import torch

from pipelines import machine
from pipelines.errors import BadSetting
from pipelines.networks import devices
from pipelines.networks.devices import NO_OPENVINO, Device, choose_device
from tests.support import networks

GIGA = 1 << 30
Have = Callable[..., None]


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test has its own choice, and leaves none behind."""
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    devices._choose_once.cache_clear()
    yield
    devices._choose_once.cache_clear()


@pytest.fixture
def have(monkeypatch: pytest.MonkeyPatch) -> Have:
    """Makes the machine one that has these things and no others."""

    def have(
        *features: str, cuda: bool = False, mps: bool = False, openvino: bool = True, unusable: str | None = None
    ) -> None:
        def found(name: str) -> ModuleSpec | None:
            assert name == "openvino"
            return importlib.util.spec_from_loader(name, None) if openvino else None

        monkeypatch.setattr(machine, "features", lambda: frozenset(features))
        monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
        monkeypatch.setattr(devices, "_why_unusable", lambda name: unusable)
        monkeypatch.setattr(devices, "find_spec", found)

    return have


def test_this_machine() -> None:
    """Whatever it has: a choice that is made once, and in float32 if it has to be exact."""
    device = choose_device()
    assert device is choose_device() and device.batch >= 1
    if device.name == "cpu" and not machine.features() & {"amx_bf16", "avx512_bf16"}:
        assert device.dtype == "float32"


@pytest.mark.parametrize("feature", ["amx_bf16", "avx512_bf16"])
def test_a_processor_with_bfloat16_uses_it(feature: str, have: Have) -> None:
    have("avx2", feature)
    assert choose_device() == Device("cpu", "bfloat16", "openvino")


def test_a_processor_without_bfloat16_computes_in_float32(have: Have) -> None:
    have("avx2", "avx512f", "avx512_vnni", "amx_int8")
    assert choose_device() == Device("cpu", "float32", "openvino")


@pytest.mark.parametrize(
    ("isa", "dtype"),
    [
        ("AVX512_CORE", "float32"),
        ("AVX512_CORE_VNNI", "float32"),
        ("avx2", "float32"),
        ("AVX512_CORE_BF16", "bfloat16"),
        ("AVX512_CORE_FP16", "bfloat16"),
        ("avx512_core_amx", "bfloat16"),
        ("AVX10_1_512", "bfloat16"),
        ("DEFAULT", "bfloat16"),
        ("", "bfloat16"),
    ],
)
def test_what_onednn_may_not_use_is_not_chosen(
    isa: str, dtype: str, have: Have, monkeypatch: pytest.MonkeyPatch
) -> None:
    have("amx_bf16", "avx512_bf16")
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", isa)
    assert choose_device().dtype == dtype


def test_onednn_cannot_give_what_the_processor_lacks(have: Have, monkeypatch: pytest.MonkeyPatch) -> None:
    have("avx2")
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX512_CORE_AMX")
    assert choose_device().dtype == "float32"


def test_without_openvino_torch_runs_it_and_says_so(have: Have) -> None:
    have("amx_bf16", openvino=False)
    assert choose_device() == Device("cpu", "bfloat16", "torch", note=NO_OPENVINO)
    assert choose_device().label == "cpu"


def test_cuda_comes_first(have: Have) -> None:
    have("amx_bf16", cuda=True, mps=True)
    assert choose_device() == Device("cuda", "float16", batch=4)


NO_KERNEL = "CUDA error: no kernel image is available for execution on the device"


def test_a_gpu_that_can_compute_nothing_is_passed_over_and_told(have: Have) -> None:
    have("avx2", cuda=True, unusable=NO_KERNEL)
    device = choose_device()
    assert (device.name, device.engine) == ("cpu", "openvino")
    assert device.notes == (f"the GPU cannot be used ({NO_KERNEL}): the CPU is used instead, slower",)


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (RuntimeError(f"{NO_KERNEL}\nCUDA kernel errors might be asynchronously reported."), NO_KERNEL),
        (
            RuntimeError("The NVIDIA driver on your system is too old (found version 9000)."),
            "The NVIDIA driver on your",
        ),
        (AssertionError("Torch not compiled with CUDA enabled"), "Torch not compiled with CUDA enabled"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 MiB"), None),
        (RuntimeError("CUDA error: out of memory"), None),
    ],
    ids=["kernel", "driver", "build", "memory", "memory of others"],
)
def test_one_kernel_is_tried(error: Exception, why: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lack of memory may be over by the next run: loading says so where it is not."""

    def fail(*_: object, **__: object) -> None:
        raise error

    assert devices._why_unusable("cpu") is None
    monkeypatch.setattr(torch.nn.functional, "conv2d", fail)
    said = devices._why_unusable("cpu")
    assert said == why if why is None else said is not None and said.startswith(why) and not said.endswith(".")


def test_a_gpu_that_is_to_be_lent_is_not_tried(have: Have, monkeypatch: pytest.MonkeyPatch) -> None:
    have(cuda=True, unusable="No CUDA GPUs are available")
    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    assert choose_device().name == "cuda"
    monkeypatch.setattr(torch, "set_num_threads", lambda count: None)
    monkeypatch.setattr(multiprocessing, "parent_process", multiprocessing.current_process)
    assert choose_device().name == "cpu"


def test_a_light_model_borrows_no_gpu(have: Have, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where GPUs are lent, torch says that the page's own process had one; the forked process really has it."""
    have(cuda=True)
    assert choose_device(light=True).name == "cuda", "one that is there anyhow"
    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    assert (choose_device(light=True).name, choose_device().name) == ("cpu", "cuda")
    monkeypatch.setattr(torch, "set_num_threads", lambda count: None)
    monkeypatch.setattr(multiprocessing, "parent_process", multiprocessing.current_process)
    assert choose_device(light=True).name == "cuda"


def test_apples_comes_before_the_processor(have: Have) -> None:
    have(mps=True)
    assert choose_device() == Device("mps", "float16")


@pytest.mark.parametrize("there", [{"cuda": True}, {"mps": True}, {"openvino": True}, {"openvino": False}], ids=str)
def test_exact_is_float32_anywhere(there: dict[str, bool], have: Have, monkeypatch: pytest.MonkeyPatch) -> None:
    have("amx_bf16", **there)
    usual = choose_device()
    monkeypatch.setenv("UPSCALE_PRECISION", "exact")
    assert (usual.dtype != "float32", choose_device().dtype, choose_device().name) == (True, "float32", usual.name)
    monkeypatch.setenv("UPSCALE_PRECISION", "auto")
    assert choose_device() == usual


def test_a_precision_that_does_not_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSCALE_PRECISION", "half")
    with pytest.raises(BadSetting, match=r"^UPSCALE_PRECISION must be auto or exact, not 'half'\.$"):
        choose_device()


def test_the_label_names_openvino() -> None:
    assert Device("cpu", engine="openvino").label == "cpu (OpenVINO)"


def test_a_process_started_by_another_uses_no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """See test_network.py for why."""
    asked: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", asked.append)
    choose_device()
    assert asked == []
    devices._choose_once.cache_clear()
    monkeypatch.setattr(multiprocessing, "parent_process", multiprocessing.current_process)
    choose_device()
    choose_device()
    assert asked == [1, 1], "each thread that calls it has a count of its own"


def test_no_more_threads_than_a_quota_gives_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", asked.append)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    for allowed, expected in ((2, [2]), (8, [])):
        asked.clear()
        devices._choose_once.cache_clear()
        monkeypatch.setattr(machine, "cores", lambda allowed=allowed: allowed)
        choose_device()
        assert asked == expected


def test_free_memory_is_the_smaller_of_both(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "free_memory", lambda: 2 * GIGA)
    for left, free in ((GIGA, GIGA), (3 * GIGA, 2 * GIGA)):
        monkeypatch.setattr(machine, "container_memory", lambda left=left: left)
        assert devices.free_device_memory(Device("cpu")) == free


def test_what_torch_keeps_on_a_gpu_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the second run would find less than the first, and make smaller tiles."""
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (2 * GIGA, 16 * GIGA))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda: 5 * GIGA)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda: GIGA)
    assert devices.free_device_memory(Device("cuda")) == 6 * GIGA


def test_a_network_is_run_as_it_can_be() -> None:
    """In a precision that it works in, and by torch where no other engine may run it."""
    gpu, cpu = Device("cuda", "float16", batch=4), Device("cpu", "bfloat16", "openvino", note="there is better")
    assert devices.suit(cpu, networks.compact(4)) == cpu
    assert devices.suit(gpu, networks.span()) == gpu
    assert devices.suit(cpu, networks.span()) == replace(cpu, dtype="float32")
    assert devices.suit(gpu, networks.haesr()) == replace(gpu, dtype="float32")
    assert devices.suit(cpu, networks.haesr()) == Device("cpu")
