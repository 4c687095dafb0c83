"""A network's blocks in OpenVINO: those that are alike but for their numbers share one model, which is given these.

A model is compiled for one size of tile, which all tiles of a picture have. That takes a moment for each kind of block,
where the 69 dense blocks of Real-ESRGAN one by one would take seconds; to pack the numbers anew for each call costs a
few hundredths of its time.
"""

import threading
from collections import Counter
from collections.abc import Sequence
from typing import TypeAlias

import openvino
import torch
from torch import Tensor, fx

from pipelines.networks.network import Block, Network
from pipelines.networks.openvino import Given, SizedModels, as_bfloat16, naming, trace, translate

Kind: TypeAlias = tuple[str, str]
"""What two blocks have in common that are alike: the code and the layers."""


class CompiledBlock:
    """A block on the CPU: from tiles of maps, (N, h, w, channels), and means, to one. Several threads may call it.

    `into` is where its result goes, if it has that shape and precision: new memory for each call costs more than one
    thinks. It holds `nbytes` of its own.
    """

    def __init__(self, model: "_Model", numbers: Sequence[Tensor]) -> None:
        self._model = model
        self._numbers = [_as_openvino(each) for each in numbers]
        self.nbytes = sum(each.nbytes for each in numbers)

    def __call__(self, *tiles: Tensor, into: Tensor | None = None) -> Tensor:
        return self._model([*map(_as_openvino, tiles), *self._numbers], into)

    def release(self) -> None:
        """Gives back the memory that is kept from one call to the next."""
        self._model.release()


class _Model:
    """What one or more blocks are compiled as."""

    def __init__(self, model: openvino.Model, planes: int, dtype: str, gives: torch.dtype) -> None:
        self._sized, self._gives = SizedModels(model, planes, dtype), gives
        self._running = 0
        self._lock = threading.Lock()

    def __call__(self, given: Sequence[openvino.Tensor], into: Tensor | None) -> Tensor:
        with self._lock:
            compiled = self._sized.choose([each.shape for each in given])
            self._running += 1
        try:
            # A request of its own: two threads may not use one, and the next call overwrites it.
            request = compiled.create_infer_request()
            for place, tensor in enumerate(given):
                request.set_input_tensor(place, tensor)
            if into is not None:
                request.set_output_tensor(0, _as_openvino(into))
            request.infer()
            if into is not None:
                return into
            made = request.get_output_tensor(0).data  # a view that keeps the request's memory
            return torch.from_numpy(made) if self._gives == torch.float32 else as_bfloat16(made)
        finally:
            with self._lock:
                self._running -= 1

    def release(self) -> None:
        with self._lock:
            if not self._running:
                self._sized.release()


def compile_blocks(network: Network, blocks: Sequence[Block], dtype: str, gives: str) -> list[CompiledBlock]:
    """Returns blocks that give `dtype`, but for the last one, which gives `gives`; all read maps of `dtype`.

    The network is in float32, and must not change afterwards. Raises NotTranslated.
    """
    name = type(network).__name__
    with naming(f"the flow of {name}"):
        traced = [trace(block.module, block.run, _count_given(block)) for block in blocks]
    kinds = [_find_kind(each) for each in traced]
    alike = Counter(kinds[:-1])
    models = dict[Kind, _Model]()
    compiled = []
    for number, (block, graph, kind) in enumerate(zip(blocks, traced, kinds, strict=True), 1):
        last = number == len(blocks)
        given: Given | None = [] if alike[kind] > 1 and not last else None
        given_as = gives if last else dtype
        with naming(f"the flow of {name}"):
            made = translate(graph, network.width, dtype, given_as, given)
        if given is None or kind not in models:
            models[kind] = _Model(made, _count_given(block), dtype, getattr(torch, given_as))
        numbers = [tensor.to(getattr(torch, dtype)).contiguous() for tensor, _ in given or ()]
        compiled.append(CompiledBlock(models[kind], numbers))
    return compiled


def _count_given(block: Block) -> int:
    return len(block.reads) + len(block.means)


def _find_kind(traced: fx.GraphModule) -> Kind:
    layers = [traced.get_submodule(str(node.target)) for node in traced.graph.nodes if node.op == "call_module"]
    return traced.code, "\n".join(map(repr, layers))


def _as_openvino(tensor: Tensor) -> openvino.Tensor:
    """The same memory, of a tensor in one piece. NumPy, by which OpenVINO takes it, has no bfloat16 but its bits."""
    if tensor.dtype == torch.bfloat16:
        return openvino.Tensor(tensor.view(torch.int16).numpy(), openvino.Shape(tensor.shape), openvino.Type.bf16)
    return openvino.Tensor(tensor.numpy(), shared_memory=True)
