"""Where networks run, and how: device, precision, engine. Chosen once for a process, by what is there.

torch is imported where the choice is made.
"""

import logging
import multiprocessing
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal

from pipelines import environment, machine
from pipelines.phrasing import printable

if TYPE_CHECKING:
    from pipelines.networks.network import Network

NO_OPENVINO = "OpenVINO is not installed, which would be quicker here: torch ran the network"
GPU_BATCHES = {"cuda": 4, "mps": 1}  # tiles that run at once
# How many kernels oneDNN keeps, which it makes anew for each size of a tile: left at 1024, memory grows with each size.
KEPT_KERNELS = 64
# oneDNN's names for what a processor can do that include arithmetic with bfloat16.
WITH_BF16 = re.compile(r"BF16|FP16|AMX|AVX10|DEFAULT|ALL")

_sharing = [1]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Device:
    """How networks are run.

    `dtype` is the precision of all but a network's first and last convolution, which are always in float32: what they
    round is seen in every pixel. `batch` is how many tiles run at once.
    """

    name: Literal["cuda", "mps", "cpu"]
    dtype: Literal["float16", "bfloat16", "float32"] = "float32"
    engine: Literal["torch", "openvino"] = "torch"
    batch: int = 1
    note: str | None = None  # what would be better, where something would
    gpu_note: str | None = None  # why a GPU that is there is not used

    @property
    def notes(self) -> tuple[str, ...]:
        """Returns what `details` should say of the choice."""
        return tuple(each for each in (self.gpu_note, self.note) if each is not None)

    @property
    def label(self) -> str:
        """The device's name as `details` has it, with the engine where it is not torch."""
        return self.name if self.engine == "torch" else f"{self.name} (OpenVINO)"


def choose_device(light: bool = False) -> Device:
    """The device of this process: CUDA, else Apple's, else the processor. float32 where UPSCALE_PRECISION is exact.

    A GPU on which torch can compute nothing is passed over, with a note. For a `light` model no GPU is borrowed: it
    takes one only where that is there anyhow.
    """
    # On ZeroGPU a forked process has a GPU. Its parent has none, although torch says that it had.
    to_lend = environment.zero_gpu() and multiprocessing.parent_process() is None
    environment.bound_kernel_cache(KEPT_KERNELS)
    make_torch_safe()
    return _choose_once(environment.exact(), not (light and to_lend), not to_lend, os.getpid())


def count_threads() -> int:
    """Returns how many threads a network on the processor uses."""
    import torch

    choose_device()
    return torch.get_num_threads()


def count_sharing() -> int:
    """Returns how many runs share the processor at once: 1 but within `sharing`."""
    return _sharing[-1]


@contextmanager
def sharing(lanes: int) -> Iterator[None]:
    """Gives each of so many runs at once a share of the processor's threads, for what is loaded and computed meanwhile.

    It is the process's: no other run may begin meanwhile. Each thread that computes calls `take_share` first, as OpenMP
    counts for each thread by itself.
    """
    import torch

    whole = count_threads()
    _sharing.append(lanes)
    torch.set_num_threads(max(1, whole // lanes))
    try:
        yield
    finally:
        _sharing.pop()
        torch.set_num_threads(whole)


def take_share() -> None:
    """Has this thread compute with its share of the threads."""
    import torch

    torch.set_num_threads(torch.get_num_threads())


def suit(device: Device, network: "Network") -> Device:
    """The device as it can run the network: with torch where no other engine may, in a precision that it works in."""
    from pipelines.networks.network import COMPILES_NOTHING

    if device.dtype not in {"float32", *network.precisions}:
        device = replace(device, dtype="float32")
    # What would be better, OpenVINO, would not be better for this network.
    return replace(device, engine="torch", note=None) if network.compiles == COMPILES_NOTHING else device


@cache
def _choose_once(exact: bool, with_gpu: bool, to_try: bool, process: int) -> Device:
    """The choice. A GPU is only tried where it is `to_try`: of one that is to be lent, torch knows nothing yet."""
    import torch

    # torch counts the processor's cores; threads beyond a container's quota only wait for each other.
    if machine.cores() < torch.get_num_threads():
        torch.set_num_threads(machine.cores())
    there: dict[Literal["cuda", "mps"], bool] = {
        "cuda": with_gpu and torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    gpu_note = None
    for name in [name for name, is_there in there.items() if is_there]:
        why = _why_unusable(name) if to_try else None
        if why is None:
            return Device(name, "float32" if exact else "float16", batch=GPU_BATCHES[name])
        gpu_note = f"the GPU cannot be used ({why}): the CPU is used instead, slower"
        log.warning("%s", gpu_note)
    dtype: Literal["bfloat16", "float32"] = "float32" if exact or not _has_bf16() else "bfloat16"
    if (lacking := _why_no_openvino()) is None:
        return Device("cpu", dtype, engine="openvino", gpu_note=gpu_note)
    # On ZeroGPU the CPU is for light models, which are quick enough without.
    return Device("cpu", dtype, note=lacking if with_gpu else None, gpu_note=gpu_note)


def _why_unusable(name: str) -> str | None:
    """Returns why torch cannot compute on a GPU that it sees: a driver too old, or no kernels for that kind of GPU.

    None if it can, and if only memory is short, which may be free again by the next run.
    """
    import torch

    try:
        with torch.inference_mode():
            ones = torch.ones((1, 3, 3, 3), device=name)
            torch.nn.functional.conv2d(ones, ones).cpu()
    except Exception as error:  # torch and its drivers raise many kinds
        lines = str(error).strip().splitlines() or [type(error).__name__]
        return None if "out of memory" in str(error).lower() else printable(lines[0].rstrip("."))
    return None


def _why_no_openvino() -> str | None:
    """Returns why torch has to run networks on a CPU; None if OpenVINO can."""
    if find_spec("openvino") is None:
        return NO_OPENVINO
    try:
        import openvino  # noqa: F401  # whether it can be
    except ImportError as error:
        return f"OpenVINO cannot be loaded ({error}): torch ran the network, slower"
    return None


def make_torch_safe() -> None:
    """Lets torch compute on the CPU of a forked process: to be called before it computes anything there.

    A forked process lacks the threads that OpenMP had in its parent: what shares work with them would wait for ever. No
    child process is asked how it began. To be called in each thread: OpenMP counts for each by itself.
    """
    if multiprocessing.parent_process() is not None:
        import torch

        torch.set_num_threads(1)


def _has_bf16() -> bool:
    """Returns whether the processor multiplies bfloat16 matrices itself, and oneDNN may use that."""
    allowed = WITH_BF16.search(environment.cpu_instructions())
    return allowed is not None and not machine.features().isdisjoint(machine.BFLOAT16_FEATURES)


def free_device_memory(device: Device) -> int:
    """Memory that is left on the device, about; for a process in a container, what is left to the container."""
    if device.name == "cuda":
        import torch

        free, _ = torch.cuda.mem_get_info()
        # What torch keeps for later is free for the next run: else that one would have smaller tiles than this.
        return free + torch.cuda.memory_reserved() - torch.cuda.memory_allocated()
    return machine.available_memory()
