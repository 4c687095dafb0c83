"""A frozen graph of TensorFlow's, read from a .pb file.

The messages of protocol buffers that it is made of are read here, because TensorFlow is a gigabyte and OpenCV is about
to drop its reader (tensorflow/core/framework: graph, node_def, attr_value, tensor, types). Nothing in a file is run.
"""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from pipelines.networks.graph import Graph, Node
from pipelines.networks.shapes import Misfit

Message: TypeAlias = dict[int, list[Any]]
"""A message's values by the number of their field, each in the order in which they stand there."""

TYPES: dict[int, str] = {1: "<f4", 12: "u1"}  # DT_FLOAT and DT_QUINT8
LONGEST = 10_000  # nodes; EDSR, the largest in use, has about 1000
SAME_AS = {"AddV2": "Add", "BiasAdd": "Add"}
PASSING = frozenset({"Identity", "Transpose"})  # only OpenCV's order of channels is made by the transposition
PLAIN = {"padding": b"SAME", "data_format": b"NHWC"}  # the only values known here, of whatever node has them


def begins_graph(beginning: bytes) -> bool:
    """Returns whether a file that begins like this is a graph: its first field is a node, whose first is a name."""
    try:
        _, at = _number(beginning, 1)
        length, first = _number(beginning, at + 1)
    except IndexError:
        return False
    name = beginning[first : first + length]
    return beginning[:1] == beginning[at : at + 1] == b"\n" and len(name) == length > 0 and name.isascii()


def read_graph(content: bytes) -> Graph:
    """Reads the graph that a file holds. Raises Misfit for one with anything that is not known here.

    Raises ValueError or the like for broken bytes.
    """
    messages = [_message(each) for each in _message(content)[1]]
    if len(messages) > LONGEST:
        raise Misfit("belongs to another network: it is larger than any that could be used here.")
    constants: dict[str, npt.NDArray[Any]] = {}
    same: dict[str, str] = {}
    nodes: dict[str, Node] = {}
    # Constants first: a file may have its nodes in any order.
    for message in messages:
        if _text(message, 2) == "Const":
            constants[_text(message, 1)] = _tensor(_message(_settings(message)["value"][8][0]))
    for message in messages:
        name, operation, inputs = _text(message, 1), _text(message, 2), [each.decode() for each in message.get(3, [])]
        if operation == "Dequantize":
            constants[name] = _dequantised(*(constants[each] for each in inputs))
        elif operation == "Identity" and inputs[0] in constants:
            constants[name] = constants[inputs[0]]
        elif operation in PASSING:
            same[name] = inputs[0]
    for message in messages:
        name, operation, settings = _text(message, 1), _text(message, 2), _settings(message)
        if name in constants or name in same:
            continue
        inputs = [_followed(each.decode(), same) for each in message.get(3, [])]
        _check_plain(name, settings)
        numbers = tuple(constants[each] for each in inputs if each in constants)
        read = tuple(each for each in inputs if each not in constants)
        block = _whole(settings["block_size"], 3) if "block_size" in settings else 1
        nodes[name] = Node(SAME_AS.get(operation, operation), read, numbers, block)
    starts = [name for name, node in nodes.items() if node.operation == "Placeholder"]
    if len(starts) != 1:
        raise Misfit(f"belongs to another network: it has {len(starts)} inputs.")
    readers: dict[tuple[str, tuple[str, ...]], list[str]] = defaultdict(list)
    for name, node in nodes.items():
        readers[node.operation, tuple(sorted(node.inputs))].append(name)
    return Graph(nodes, starts[0], dict(readers))


def _followed(name: str, same: Mapping[str, str]) -> str:
    for _ in range(len(same) + 1):
        if name not in same:
            return name
        name = same[name]
    raise ValueError("nodes that read themselves")


def _check_plain(name: str, settings: Mapping[str, Message]) -> None:
    for key, wanted in PLAIN.items():
        if key in settings and settings[key][2] != [wanted]:
            raise Misfit(f"belongs to another network: {name} has a {key} that is not known here.")
    for key in ("strides", "dilations"):
        if key in settings and set(_numbers(_message(settings[key][1][0])[3])) != {1}:
            raise Misfit(f"belongs to another network: {name} has {key} that are not known here.")


def _dequantised(
    levels: npt.NDArray[Any], lowest: npt.NDArray[Any], highest: npt.NDArray[Any]
) -> npt.NDArray[np.float32]:
    """Numbers that are stored in 8 bits: steps of the same size, of which one is at 0 (mode "MIN_FIRST")."""
    step = np.float32((highest.item() - lowest.item()) / 255)
    made: npt.NDArray[np.float32] = (levels + np.rint(np.float32(lowest.item()) / step)) * step
    return made


def _tensor(message: Message) -> npt.NDArray[Any]:
    """A TensorProto's numbers: packed, or the few that repeat one."""
    dims = _message(message[2][0]).get(2, []) if 2 in message else []
    shape = [_whole(_message(each), 1) for each in dims]
    if (kind := _whole(message, 1)) not in TYPES:
        return np.zeros(0, np.float32)  # an order of channels, or the like
    if packed := message.get(4):
        packed_values: npt.NDArray[Any] = np.frombuffer(packed[0], TYPES[kind]).reshape(shape)
        return packed_values
    values = np.frombuffer(b"".join(message.get(5, [])), "<f4")
    if math.prod(shape) != len(values):  # a table that repeats a number could be of any size
        raise Misfit("does not fit together: a table has fewer numbers than places.")
    return values.reshape(shape)


def _settings(message: Message) -> dict[str, Message]:
    pairs = (_message(each) for each in message.get(5, []))
    return {_text(pair, 1): _message(pair[2][0]) for pair in pairs}


def _text(message: Message, number: int) -> str:
    return str(message[number][0].decode())


def _whole(message: Message, number: int) -> int:
    return int(message[number][0])


def _numbers(values: list[Any]) -> Iterator[int]:
    """Repeated whole numbers, each by itself or packed into a run of bytes."""
    for value in values:
        if isinstance(value, int):
            yield value
            continue
        at = 0
        while at < len(value):
            number, at = _number(value, at)
            yield number


def _message(content: bytes) -> Message:
    fields: Message = defaultdict(list)
    at = 0
    while at < len(content):
        key, at = _number(content, at)
        if key & 7 == 0:
            value: Any
            value, at = _number(content, at)
        else:
            if key & 7 == 2:
                length, at = _number(content, at)
            else:
                length = {1: 8, 5: 4}[key & 7]
            value, at = content[at : at + length], at + length
            if at > len(content):
                raise ValueError("cut short")
        fields[key >> 3].append(value)
    return dict(fields)


def _number(content: bytes, at: int) -> tuple[int, int]:
    """A whole number from so many bytes on, seven bits in each, and where it ends."""
    value = shift = 0
    while True:
        byte = content[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at
        if shift > 63:
            raise ValueError("a number that does not end")
