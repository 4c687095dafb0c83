"""A network on a device: a function from a batch of pixels to a batch of enlarged pixels.

In low precision the first and the last convolution stay in float32, in torch; what is between them runs in the device's
precision, by torch or by OpenVINO.
"""

import copy
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pipelines import machine
from pipelines.networks.devices import Device
from pipelines.networks.network import COMPILES_NOTHING, COMPILES_WHOLE, Network
from pipelines.networks.shapes import COLOUR_CHANNELS

if TYPE_CHECKING:
    from pipelines.networks.openvino import Compiled

Batch: TypeAlias = npt.NDArray[np.float32]

_NO_MEMORY = re.compile(
    r"(can't|cannot|failed to) allocate|not enough memory|out of memory|bad_alloc|_alloc_failed", re.IGNORECASE
)
BY_TORCH = "OpenVINO does not know {}: torch ran that part"
DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


class Forward:
    """The network as a function: (N, h, w, 3) float32 in [0, 1] to (N, s*h, s*w, 3) float32, not clamped.

    h and w must be multiples of the network's `multiple`. The network is given in float32 on the CPU, and must not
    change afterwards. Raises MemoryError where the device has too little. Several threads may call it.

    `device` is where it runs in fact: with torch as its engine where OpenVINO can run no part of the network. `notes`
    say what torch ran in OpenVINO's place.
    """

    def __init__(self, network: Network, device: Device) -> None:
        with raising_memory_error():
            self._network = place(network, device)
            self._whole, self._trunk, self.notes = _compile(network, device)
            self.device = device
            if device.engine == "openvino" and self._whole is None and self._trunk is None:
                self.device = replace(device, engine="torch")
                self._network = place(network, self.device)
        self._copied = self._network is not network

    def __call__(self, batch: Batch) -> Batch:
        with computing_on(self.device):
            return self._in_parts(batch) if self._whole is None else self._whole(batch)

    @property
    def nbytes(self) -> int:
        """Memory of its own that it holds between calls, in bytes, about.

        That is OpenVINO's and a GPU's copy of parameters, and what OpenVINO keeps for the sizes that it has seen.
        """
        parameters = sum(parameter.nbytes for parameter in self._network.parameters())
        if self.device.engine == "openvino":
            from pipelines.networks.openvino import SIZES_BYTES

            return 2 * parameters + SIZES_BYTES
        return parameters if self._copied else 0

    def release(self) -> None:
        """Gives back memory that is kept from one call to the next; a GPU's is left to torch.

        The heap too, see `machine.trim_after_run`: torch's tensors of ever other sizes leave gaps in it, hundreds of
        megabytes in a server's life.
        """
        for part in (self._whole, self._trunk):
            if part is not None:
                part.release()
        if self.device.name == "cpu":
            machine.trim_after_run()

    def _in_parts(self, batch: Batch) -> Batch:
        # Permuted, not copied: channels come last, which every engine here prefers. torch asks for an array that may be
        # written, though nothing here does.
        pixels = torch.from_numpy(np.require(batch, requirements="W")).to(self.device.name).permute(0, 3, 1, 2)
        features = self._network.head(pixels)
        if self._trunk is None:
            features = self._network.trunk(features.to(DTYPES[self.device.dtype])).float()
        else:
            features = torch.from_numpy(self._trunk(as_array(features))).permute(0, 3, 1, 2)
        return as_array(self._network.tail(features, pixels).cpu())


@contextmanager
def computing_on(device: Device) -> Iterator[None]:
    """Runs torch without gradients, repeatable on a GPU. Raises MemoryError where the device has too little memory."""
    with raising_memory_error(), torch.inference_mode(), _repeatable() if device.name == "cuda" else nullcontext():
        yield


@contextmanager
def raising_memory_error() -> Iterator[None]:
    """Raises MemoryError where torch says, in one of its ways, that there is too little memory."""
    try:
        yield
    except RuntimeError as error:
        if _NO_MEMORY.search(str(error)):
            raise MemoryError from error
        raise


def _repeatable() -> AbstractContextManager[None]:
    """Sets cuDNN as it has to be for the same result each time, and for float32 that is not TensorFloat-32."""
    flags: AbstractContextManager[None] = torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False)
    return flags


def _compile(network: Network, device: Device) -> tuple["Compiled | None", "Compiled | None", tuple[str, ...]]:
    """Returns what OpenVINO runs, the whole network or its trunk alone, and notes of what torch has to run instead."""
    if device.engine != "openvino":
        return None, None, ()
    from pipelines.networks.openvino import Compiled, NotTranslated

    notes = []
    if device.dtype == "float32" and network.compiles == COMPILES_WHOLE:
        try:
            return Compiled(network, network.forward, COLOUR_CHANNELS, device.dtype), None, ()
        except NotTranslated as error:
            notes.append(BY_TORCH.format(error.unknown))
    try:
        return None, Compiled(network, network.trunk, network.width, device.dtype), tuple(notes)
    except NotTranslated as error:
        notes.append(BY_TORCH.format(error.unknown))
    return None, None, tuple(dict.fromkeys(notes))


def place(network: Network, device: Device) -> Network:
    """Returns the network on the device, its trunk in the device's precision; itself where that changes nothing."""
    here = device.name == "cpu" and (device.engine == "openvino" or device.dtype == "float32")
    placed = network if here else copy.deepcopy(network).to(device.name)
    # What is no stack of plain layers may take torch's usual order for given.
    for parameter in () if network.compiles == COMPILES_NOTHING else placed.parameters():
        if parameter.ndim == 4:  # what Module.to(memory_format=...) does, which its types do not know
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    if not here:
        for module in placed.inner:
            module.to(DTYPES[device.dtype])
    return placed


def as_array(tensor: Tensor) -> Batch:
    """Returns (N, C, h, w) as (N, h, w, C), a copy only where the channels did not come last already."""
    array: Batch = tensor.permute(0, 2, 3, 1).contiguous().numpy()
    return array
