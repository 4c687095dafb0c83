"""Networks of OpenCV's in TensorFlow's frozen-graph format, tiny or as large as they are, with drawn parameters.

The few protocol-buffer messages that it takes are written here (tensorflow/core/framework: graph, node_def, attr_value,
tensor), and the nodes as the published files have them.
"""

import struct
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt

FLOAT, INTEGER, QUANTISED = 1, 3, 12  # TensorFlow's DataType
SLOPE = 0.2
# Where a broken line that follows the inverse of tanh bends, and what it is there: ESPCN ends with a tanh.
BENDS = np.array([0, 0.5, 0.8, 0.95])
HEIGHTS = np.arctanh([*BENDS, 0.995])


class Writer:
    """Writes nodes in the order in which they are asked for; each method returns the name of its own."""

    def __init__(self, seed: int = 0, quantised: bool = False) -> None:
        self.random, self.quantised = np.random.default_rng(seed), quantised
        self.nodes = [_node("input", "Placeholder", [], dtype=_type(FLOAT))]

    def write(self, source: str) -> bytes:
        """The whole file, which ends with the channels in OpenCV's order."""
        order = self._add("Const", dtype=_type(INTEGER), value=_tensor(np.array([0, 3, 1, 2], np.int32), INTEGER))
        self._add("Transpose", source, order, T=_type(FLOAT), Tperm=_type(INTEGER))
        return b"".join(_bytes(1, node) for node in self.nodes)

    def constant(self, values: npt.ArrayLike) -> str:
        array = np.asarray(values, np.float32)
        if not self.quantised or array.size == 1:
            return self._add("Const", dtype=_type(FLOAT), value=_tensor(array))
        low, high = float(array.min()), float(array.max())
        levels = np.rint((array - low) / (high - low) * 255).astype(np.uint8)
        parts = [self._add("Const", dtype=_type(QUANTISED), value=_tensor(levels, QUANTISED))]
        parts += [self._add("Const", dtype=_type(FLOAT), value=_tensor(np.float32(end))) for end in (low, high)]
        return self._add("Dequantize", *parts, T=_type(QUANTISED), mode=_bytes(2, b"MIN_FIRST"))

    def convolve(self, source: str, kernel: npt.ArrayLike, bias: npt.ArrayLike | None = None) -> str:
        made = self._add(
            "Conv2D",
            source,
            self.constant(kernel),
            T=_type(FLOAT),
            strides=_ints([1, 1, 1, 1]),
            dilations=_ints([1, 1, 1, 1]),
            padding=_bytes(2, b"SAME"),
            data_format=_bytes(2, b"NHWC"),
        )
        return made if bias is None else self.plain("Add", made, self.constant(bias))

    def draw(self, source: str, side: int, inputs: int, outputs: int, biases: int = 0) -> str:
        """A convolution with drawn numbers, whose signals keep their size; `biases` are none, one, or one a channel."""
        kernel = self.random.normal(0, (1.5 / (side * side * inputs)) ** 0.5, (side, side, inputs, outputs))
        return self.convolve(source, kernel, self.random.normal(0, 0.05, biases) if biases else None)

    def plain(self, operation: str, *inputs: str) -> str:
        return self._add(operation, *inputs, T=_type(FLOAT))

    def prelu(self, source: str, channels: int) -> str:
        below = self.plain("Sub", source, self.plain("Abs", source))
        sloped = self.plain("Mul", self.constant(self.random.uniform(0, 0.4, channels)), below)
        halved = self.plain("Mul", sloped, self.constant(0.5))
        return self.plain("Add", self.plain("Relu", source), halved)

    def leak(self, source: str) -> str:
        below = self.plain("Relu", self.plain("Mul", self.constant(-1), source))
        return self.plain("Sub", self.plain("Relu", source), self.plain("Mul", self.constant(SLOPE), below))

    def shuffle(self, source: str, by: int) -> str:
        block, order = _varint(3, by), _bytes(2, b"NHWC")
        return self._add("DepthToSpace", source, T=_type(FLOAT), block_size=block, data_format=order)

    def _add(self, operation: str, *inputs: str, **attributes: bytes) -> str:
        name = f"{operation.lower()}_{len(self.nodes)}"
        self.nodes.append(_node(name, operation, list(inputs), **attributes))
        return name


def espcn_like(scale: int, seed: int = 0) -> bytes:
    """An ESPCN that gives about the pixel itself plus a random edge term; its receptive radius is 1."""
    writer, bends = Writer(seed), len(BENDS)
    ahead = np.zeros((5, 5, 1, bends))
    ahead[2, 2] = 1
    through = np.zeros((3, 3, bends, bends))
    through[1, 1] = np.eye(bends)
    edges = writer.random.normal(0, 0.05, (3, 3, scale * scale))
    last = np.zeros((3, 3, bends, scale * scale))
    last[..., 0, :] = edges
    slopes = np.diff(HEIGHTS) / np.diff([*BENDS, 1])
    last[1, 1] += np.diff(slopes, prepend=0)[:, None]
    last[1, 1, 0] -= edges.sum(axis=(0, 1))
    made = writer.plain("Relu", writer.convolve("input", ahead, -BENDS))
    made = writer.plain("Relu", writer.convolve(made, through, np.zeros(bends)))
    made = writer.convolve(made, last, np.zeros(scale * scale))
    return writer.write(writer.plain("Tanh", writer.shuffle(made, scale)))


def espcn(scale: int, width: int = 6, inner: int = 4, seed: int = 0) -> bytes:
    """An ESPCN with drawn parameters."""
    writer = Writer(seed)
    made = writer.plain("Relu", writer.draw("input", 5, 1, width, width))
    made = writer.plain("Relu", writer.draw(made, 3, width, inner, inner))
    made = writer.draw(made, 3, inner, scale**2, scale**2)
    return writer.write(writer.plain("Tanh", writer.shuffle(made, scale)))


def fsrcnn(scale: int, width: int = 6, inner: int = 4, depth: int = 2, seed: int = 0) -> bytes:
    """An FSRCNN with drawn parameters."""
    writer = Writer(seed)
    made = writer.prelu(writer.draw("input", 5, 1, width, width), width)
    made = writer.prelu(writer.draw(made, 1, width, inner, inner), inner)
    for _ in range(depth):
        made = writer.prelu(writer.draw(made, 3, inner, inner, inner), inner)
    made = writer.prelu(writer.draw(made, 1, inner, width, width), width)
    made = writer.shuffle(writer.draw(made, 1, width, scale**2), scale)
    return writer.write(writer.plain("BiasAdd", made, writer.constant([0.4])))


def lapsrn(levels: int, width: int = 6, depth: int = 2, seed: int = 0) -> bytes:
    """A LapSRN with drawn parameters; its first convolutions have one bias for all channels, as the published ones."""
    writer = Writer(seed)
    luma = source = "input"
    for _ in range(levels):
        made = writer.leak(writer.draw(source, 3, 1, width, 1))
        for _ in range(depth):
            made = writer.leak(writer.draw(made, 3, width, width, width))
        base = writer.shuffle(writer.draw(luma, 4, 1, 4), 2)
        source = writer.leak(writer.shuffle(writer.draw(made, 4, width, 4), 2))
        luma = writer.leak(writer.plain("Add", base, source))
    return writer.write(luma)


def edsr(scale: int, width: int = 6, depth: int = 2, seed: int = 0, quantised: bool = False) -> bytes:
    """An EDSR with drawn parameters, of levels around the mean, which `cv2.dnn_superres` takes away and adds."""
    writer = Writer(seed, quantised)
    start = inner = writer.draw("input", 3, 3, width, width)
    for _ in range(depth):
        made = writer.plain("Relu", writer.draw(inner, 3, width, width, width))
        made = writer.plain("Mul", writer.draw(made, 3, width, width, width), writer.constant(0.1))
        inner = writer.plain("Add", inner, made)
    inner = writer.plain("Add", writer.draw(inner, 3, width, width, width), start)
    return writer.write(writer.shuffle(writer.draw(inner, 3, width, 3 * scale**2, 3 * scale**2), scale))


def _node(name: str, operation: str, inputs: list[str], **attributes: bytes) -> bytes:
    fields = [_bytes(1, name.encode()), _bytes(2, operation.encode()), *(_bytes(3, each.encode()) for each in inputs)]
    fields += [_bytes(5, _bytes(1, key.encode()) + _bytes(2, value)) for key, value in attributes.items()]
    return b"".join(fields)


def _type(kind: int) -> bytes:
    return _varint(6, kind)


def _ints(values: list[int]) -> bytes:
    return _bytes(1, _bytes(3, b"".join(map(_number, values))))


def _tensor(array: npt.NDArray[np.generic] | np.float32, kind: int = FLOAT) -> bytes:
    """Packed; a single float by itself, as TensorFlow writes those."""
    shape = b"".join(_bytes(2, _varint(1, size)) for size in np.shape(array))
    numbers = _number(5 << 3 | 5) + struct.pack("<f", array.item()) if array.size == 1 else _bytes(4, array.tobytes())
    return _bytes(8, _varint(1, kind) + _bytes(2, shape) + numbers)


def _varint(field: int, value: int) -> bytes:
    return _number(field << 3) + _number(value)


def _bytes(field: int, content: bytes) -> bytes:
    return _number(field << 3 | 2) + _number(len(content)) + content


def _number(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


if __name__ == "__main__":
    Path(sys.argv[1]).write_bytes(edsr(2, width=256, depth=32, quantised=True))
