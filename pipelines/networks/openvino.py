"""A network, or its trunk alone, as an OpenVINO model: the same layers and weights, compiled for this processor.

What torch would run is traced with torch.fx, and each of its operations written as OpenVINO's own. OpenVINO's converter
would do it through TorchScript, which torch is giving up, and takes ten times as long. Only the operations of the
networks in `archs` are known here: a part with another one is NotTranslated, and left to torch.
"""

import operator
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import openvino
import torch
from openvino import opset13 as ops
from torch import Tensor, fx, nn
from torch.nn import functional as F  # noqa: N812 - as everybody calls it

from pipelines.networks import devices
from pipelines.networks.network import Network

Planes = npt.NDArray[np.float32]
Given = list[tuple[Tensor, Any]]
"""A layer's numbers, and OpenVINO's node by which the model is given them."""
PRECISIONS = {"float32": "f32", "bfloat16": "bf16"}  # as OpenVINO calls them
_SUMS = (operator.add, "add", "add_")
_TYPES = {"float32": openvino.Type.f32, "bfloat16": openvino.Type.bf16}
# How many layers' machine code OpenVINO keeps, which it makes anew for each size of planes: as many as a network has
# kinds of layers. Left at 5000, each new size of a tile takes 0.9 to 5 MB that never come back.
KEPT_KERNELS = 16
KEPT_SIZES = 2  # of planes, that a part stays compiled for, or as many as run at once
LARGE = 130_000  # places, N * h * w, from which a call gains as much as it takes to compile for its size
# What is held for the sizes that were seen, about, of a small network; of a large one, parameters packed once more too.
SIZES_BYTES = 15_000_000


class NotTranslated(ValueError):
    """A part has an operation or a layer, `unknown` by its name, that cannot be written as OpenVINO's, or be run."""

    def __init__(self, unknown: str) -> None:
        super().__init__(f"{unknown} is not known here")
        self.unknown = unknown


class Compiled:
    """Part of a network on the CPU: planes (N, h, w, channels) float32, of any size, to planes. Several may call it.

    `part` maps a tensor (N, channels, h, w) to one by the network's float32 parameters, which must not change
    afterwards. `dtype`, "float32" or "bfloat16", is the precision it computes in, and what it makes is rounded to;
    planes come and go in float32. Raises NotTranslated.
    """

    def __init__(self, network: Network, part: Callable[[Tensor], Tensor], channels: int, dtype: str) -> None:
        name = type(network).__name__
        with naming(f"the flow of {name}"):  # whatever Python or OpenVINO makes of what neither of them can follow
            model = translate(trace(cast(nn.Module, network), part), channels, gives=dtype)
        with naming(f"how to run {name}"):
            self._any_size = compile_model(model, dtype)
        self._sized = SizedModels(model, 1, dtype)
        self._rounded = dtype == "bfloat16"
        self._running = 0
        self._lock = threading.Lock()

    def __call__(self, planes: Planes) -> Planes:
        with self._lock:
            large = planes.size // planes.shape[-1] >= LARGE
            model = self._sized.choose([planes.shape]) if large else self._any_size
            self._running += 1
        try:
            # A request of its own: two threads may not use one, and the next call overwrites it.
            request = model.create_infer_request()
            result: Planes = request.infer(planes, share_inputs=True, share_outputs=True)[0]
            return as_bfloat16(result).float().numpy() if self._rounded else result
        finally:
            with self._lock:
                self._running -= 1

    def release(self) -> None:
        """Gives back the memory that is kept from one call to the next: as much as a call needs."""
        with self._lock:
            if not self._running:
                self._any_size.release_memory()
                self._sized.release()


class SizedModels:
    """A model of `planes` inputs (N, h, w, channels), compiled for each of the sizes that came last.

    Inputs that follow have one size. Only for one size does OpenVINO take channels that come last as they lie, and does
    not copy all planes twice on each way. To compile takes some hundredths of a second. One thread at a time.
    """

    def __init__(self, model: openvino.Model, planes: int, dtype: str) -> None:
        self._model, self._planes, self._dtype = model, planes, dtype
        self._compiled = OrderedDict[tuple[int, ...], openvino.CompiledModel]()

    def choose(self, shapes: Sequence[Sequence[int]]) -> openvino.CompiledModel:
        """Returns the model for inputs of these shapes, of which the first one's tells the others'."""
        size = tuple(shapes[0])
        if size not in self._compiled:
            model = self._model.clone()
            model.reshape({place: list(shapes[place]) for place in range(self._planes)})
            self._compiled[size] = compile_model(model, self._dtype)
            if len(self._compiled) > max(KEPT_SIZES, devices.count_sharing()):
                self._compiled.popitem(last=False)
        self._compiled.move_to_end(size)
        return self._compiled[size]

    def release(self) -> None:
        """Gives back the memory that is kept from one call to the next."""
        for compiled in self._compiled.values():
            compiled.release_memory()


def as_bfloat16(planes: npt.NDArray[Any]) -> Tensor:
    """What OpenVINO made, sharing memory: NumPy takes bfloat16 for float16, of which only the bits count."""
    return torch.from_numpy(planes).view(torch.bfloat16)


def compile_model(model: openvino.Model, dtype: str) -> openvino.CompiledModel:
    """Compiles for this processor, to compute in "float32" or "bfloat16" in as many requests at a time as share it."""
    lanes = devices.count_sharing()
    hints = {
        "NUM_STREAMS": lanes,
        "INFERENCE_NUM_THREADS": lanes * torch.get_num_threads(),
        "INFERENCE_PRECISION_HINT": PRECISIONS[dtype],
        "CPU_RUNTIME_CACHE_CAPACITY": KEPT_KERNELS,
    }
    return openvino.Core().compile_model(model, "CPU", hints)


class _Part(nn.Module):
    """What fx traces: a module whose forward is the part."""

    def __init__(self, module: nn.Module, part: Callable[..., Tensor]) -> None:
        super().__init__()
        self.module, self.part = module, part

    def forward(self, planes: Tensor) -> Tensor:
        return self.part(planes)


class _PartOfTwo(_Part):
    """The same of a part that reads two tensors: fx counts them by the arguments."""

    def forward(self, planes: Tensor, others: Tensor) -> Tensor:  # type: ignore[override]
        return self.part(planes, others)


class _PartOfThree(_Part):
    """The same of a part that reads three."""

    def forward(self, planes: Tensor, others: Tensor, means: Tensor) -> Tensor:  # type: ignore[override]
        return self.part(planes, others, means)


def trace(module: nn.Module, part: Callable[..., Tensor], reads: int = 1) -> fx.GraphModule:
    """Traces a part of the module's, a function of as many tensors as it `reads`."""
    return fx.symbolic_trace((_Part, _PartOfTwo, _PartOfThree)[reads - 1](module, part))


def translate(
    traced: fx.GraphModule, channels: int, takes: str = "float32", gives: str = "float32", given: Given | None = None
) -> openvino.Model:
    """Translates a part, whose channels come last outside, as torch has them without a copy.

    Inside, OpenVINO arranges them as it likes. `takes` and `gives` are the precisions in which planes come and go. The
    layers' numbers are the model's own; but where `given` is a list, the model reads them after its planes, in what it
    takes, in the order in which the list has them afterwards.
    """
    hold = _constant if given is None else partial(_input, given, takes)
    read: list[Any] = []
    results: dict[fx.Node, Any] = {}
    *nodes, output = traced.graph.nodes
    for node in nodes:
        args = fx.map_arg(node.args, results.__getitem__)
        match node.op:
            case "placeholder":
                read.append(ops.parameter([-1, -1, -1, channels], _TYPES[takes]))
                came = ops.transpose(_as_float32(read[-1]), [0, 3, 1, 2])
                added = bool(node.users) and all(user.target in _SUMS for user in node.users)
                results[node] = _convolve_with_one(came, channels) if added else came
            case "call_module":
                layer = traced.get_submodule(node.target)
                with naming(type(layer).__name__):
                    results[node] = _layer(layer, hold, *args)
            case "call_function" | "call_method":
                name = getattr(node.target, "__name__", node.target)
                with naming(name):  # a known operation may be given what it is not known with
                    if _overwrites(node) and len(node.args[0].users) > 1:
                        raise NotTranslated(f"{name} of what is used again")
                    results[node] = _operation(node.target, args, node.kwargs)
            case _:
                raise NotTranslated(str(node.target))  # a parameter on its own
    made = ops.transpose(results[output.args[0]], [0, 2, 3, 1])
    numbers = [each for _, each in given or ()]
    return openvino.Model([made if gives == "float32" else ops.convert(made, _TYPES[gives])], [*read, *numbers])


def _convolve_with_one(planes: Any, channels: int) -> Any:
    """The same planes, in the order of channels that OpenVINO's convolutions work in.

    It would arrange all that planes are added to as these are, and back, if nothing but the sum read them: in a dense
    block of Real-ESRGAN that takes a third of its time.
    """
    one = np.eye(channels, dtype=np.float32)[..., None, None]
    return ops.convolution(planes, ops.constant(one), [1, 1], [0, 0], [0, 0], [1, 1])


def _overwrites(node: fx.Node) -> bool:
    """Returns whether torch puts the operation's result in place of its first input, which OpenVINO never does."""
    return bool(node.kwargs.get("inplace")) or str(node.target).endswith("_")


@contextmanager
def naming(unknown: str) -> Iterator[None]:
    """Turns whatever goes wrong, but for a lack of memory, into NotTranslated of what this is called."""
    try:
        yield
    except (NotTranslated, MemoryError):
        raise
    except Exception as error:
        raise NotTranslated(unknown) from error


def _layer(layer: nn.Module, hold: Callable[[Tensor], Any], planes: Any) -> Any:
    match layer:
        case nn.Conv2d(
            padding=(int(), int()) as padding,
            padding_mode="zeros",
            stride=(1, 1),
            dilation=(1, 1),
            groups=1,
            bias=Tensor() as bias,
        ):
            border = list(padding)
            convolved = ops.convolution(planes, hold(layer.weight), [1, 1], border, border, [1, 1])
            return ops.add(convolved, hold(bias.reshape(1, -1, 1, 1)))
        case nn.Identity():
            return planes
        case nn.PReLU():
            return ops.prelu(planes, hold(layer.weight))
    raise NotTranslated(type(layer).__name__)


def _operation(target: Any, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
    if target is torch.cat:
        return ops.concat(args[0], options["dim"])
    if target is torch.repeat_interleave:
        channels = args[0].get_output_partial_shape(0)[options["dim"]].get_length()
        return ops.gather(args[0], np.repeat(np.arange(channels), args[1]), options["dim"])
    if target is torch.narrow:
        planes, dim, start, length = args
        return ops.gather(planes, np.arange(start, start + length), dim)
    args = tuple(np.float32(each) if isinstance(each, float) else each for each in args)
    if target in (operator.sub, operator.mul, operator.truediv):
        return {operator.sub: ops.subtract, operator.mul: ops.multiply, operator.truediv: ops.divide}[target](*args)
    if target in (torch.sigmoid, torch.tanh, F.silu):
        return {torch.sigmoid: ops.sigmoid, torch.tanh: ops.tanh, F.silu: ops.swish}[target](args[0])
    if target in _SUMS:
        scaled = ops.multiply(args[1], np.float32(options["alpha"])) if "alpha" in options else args[1]
        return ops.add(args[0], scaled)
    if target == "mean" and options.get("keepdim"):
        return ops.reduce_mean(args[0], np.array(args[1]), keep_dims=True)
    if target is F.leaky_relu:
        return ops.prelu(args[0], np.array([options["negative_slope"]], np.float32))
    if target is F.relu:
        return ops.relu(args[0])
    if target is F.pad and options.get("mode") == "replicate":
        left, right, top, bottom = args[1]
        return ops.pad(args[0], [0, 0, top, left], [0, 0, bottom, right], "edge")
    if target is F.pixel_shuffle:
        return ops.depth_to_space(args[0], "depth_first", args[1])
    if target is F.pixel_unshuffle:
        return ops.space_to_depth(args[0], "depth_first", args[1])
    if target is F.interpolate and options["mode"] == "nearest" and isinstance(options["scale_factor"], int):
        # As torch places pixels: the nearest one above and to the left.
        place = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        scales = np.array([options["scale_factor"]] * 2, np.float32)
        return ops.interpolate(args[0], scales, "nearest", "scales", axes=[2, 3], **place)
    raise NotTranslated(getattr(target, "__name__", target))


def _as_float32(node: Any) -> Any:
    """OpenVINO's operations want one type; what really computes in which precision is the processor's part of it."""
    return node if node.get_element_type() == openvino.Type.f32 else ops.convert(node, openvino.Type.f32)


def _input(given: Given, takes: str, tensor: Tensor) -> Any:
    given.append((tensor, ops.parameter(list(tensor.shape), _TYPES[takes])))
    return _as_float32(given[-1][1])


def _constant(tensor: Tensor) -> Any:
    return ops.constant(tensor.detach().contiguous().numpy(), shared_memory=True)
