"""A tiny network in TensorFlow's frozen-graph format, so that the OpenCV engine is tested on a real file.

One 3x3 convolution of the luma to s*s channels, then depth-to-space: an ESPCN of a single layer, receptive radius 1.
The few protocol-buffer messages it needs are written here (tensorflow/core/framework: graph, node_def, attr_value,
tensor).
"""

import struct

import numpy as np
import numpy.typing as npt

FLOAT = 1  # TensorFlow's DataType


def espcn_like(scale: int, seed: int = 0) -> bytes:
    """The bytes of a .pb that enlarges by `scale`: the centre pixel plus a random edge term."""
    kernel = np.random.default_rng(seed).normal(0, 0.05, (3, 3, 1, scale * scale)).astype(np.float32)
    kernel[1, 1] += 1 - kernel.sum(axis=(0, 1))
    nodes = [
        _node("input", "Placeholder", [], dtype=_type(FLOAT)),
        _node("kernel", "Const", [], dtype=_type(FLOAT), value=_tensor(kernel)),
        _node(
            "features",
            "Conv2D",
            ["input", "kernel"],
            T=_type(FLOAT),
            strides=_ints([1, 1, 1, 1]),
            padding=_bytes(2, b"SAME"),
            data_format=_bytes(2, b"NHWC"),
        ),
        _node(
            "output",
            "DepthToSpace",
            ["features"],
            T=_type(FLOAT),
            block_size=_varint(3, scale),
            data_format=_bytes(2, b"NHWC"),
        ),
    ]
    return b"".join(_bytes(1, node) for node in nodes)


def _node(name: str, operation: str, inputs: list[str], **attributes: bytes) -> bytes:
    fields = [_bytes(1, name.encode()), _bytes(2, operation.encode()), *(_bytes(3, each.encode()) for each in inputs)]
    fields += [_bytes(5, _bytes(1, key.encode()) + _bytes(2, value)) for key, value in attributes.items()]
    return b"".join(fields)


def _type(kind: int) -> bytes:
    return _varint(6, kind)


def _ints(values: list[int]) -> bytes:
    return _bytes(1, b"".join(_varint(3, value) for value in values))


def _tensor(array: npt.NDArray[np.float32]) -> bytes:
    shape = b"".join(_bytes(2, _varint(1, size)) for size in array.shape)
    return _bytes(8, _varint(1, FLOAT) + _bytes(2, shape) + _bytes(4, struct.pack(f"<{array.size}f", *array.flat)))


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
