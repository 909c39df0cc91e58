"""dlib's face network read out of its own weights file and written as an ONNX graph, without I/O.

dlib's CPU convolutions take 110-140 ms a face; the same numbers through onnxruntime take about a tenth. The weights
stay those of the pinned file: nothing is trained, rounded or downloaded here. `embed.py` compares the result with
dlib itself at every start and uses dlib where they differ.

Sources: dlib's `dlib/dnn/layers.h` and `tensor.h` (what each layer writes), `dlib/serialize.h` (packed integers) and
the network type of `dlib/examples/dnn_face_recognition_ex.cpp`. ONNX is written as protobuf wire format by hand, a
page of code in the place of a 16 MB dependency.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

INPUT_SIZE = 150
MEAN_RGB = (122.782, 117.001, 104.298)
"""What `input_rgb_image_sized` subtracts, before dividing by 256."""
SPREAD = 256.0

# (filters, residual blocks, first block halves the picture), from the input outwards: alevel4 … alevel0.
LEVELS = ((32, 3, False), (64, 4, True), (128, 3, True), (256, 3, True), (256, 1, True))


class NotThisNetwork(ValueError):
    """The bytes are not dlib's face network of 2017 (`dlib_face_recognition_resnet_model_v1.dat`)."""


@dataclass(frozen=True, slots=True)
class Convolution:
    """One convolution with its affine layer folded in: `weights` (filters, channels, rows, columns), `bias` (filters)."""

    weights: Floats
    bias: Floats
    stride: int
    padding: int


@dataclass(frozen=True, slots=True)
class Network:
    """The convolutions from the input outwards and the last matrix (256, 128)."""

    convolutions: tuple[Convolution, ...]
    projection: Floats


class _Reader:
    """Reads dlib's packed integers and tensors."""

    def __init__(self, data: bytes, at: int) -> None:
        self.data = data
        self.at = at

    def integer(self) -> int:
        """One byte with the sign in bit 7 and the length below it, then that many bytes, low first."""
        if self.at >= len(self.data):
            raise NotThisNetwork("ends inside a number")
        head = self.data[self.at]
        length = head & 0x0F
        end = self.at + 1 + length
        if not 1 <= length <= 8 or end > len(self.data):
            raise NotThisNetwork(f"no number at byte {self.at}")
        value = int.from_bytes(self.data[self.at + 1 : end], "little")
        self.at = end
        return -value if head & 0x80 else value

    def tensor(self) -> Floats:
        if self.integer() != 2:
            raise NotThisNetwork(f"unknown tensor version before byte {self.at}")
        shape = [self.integer() for _ in range(4)]
        count = shape[0] * shape[1] * shape[2] * shape[3]
        end = self.at + 4 * count
        if min(shape) < 0 or end > len(self.data):
            raise NotThisNetwork(f"a tensor of {shape} does not fit")
        values = np.frombuffer(self.data, dtype="<f4", count=count, offset=self.at).astype(np.float32)
        self.at = end
        return values.reshape(shape)


_LAYER = re.compile(rb"\x01(?:\x05(con_4)|\x07(affine_)|\x04(fc_2))")


def read(data: bytes) -> Network:
    """The weights in `data`. Raises `NotThisNetwork` for anything else than the network this module knows.

    Layers write themselves from the input outwards, each beginning with its name; what lies between the tensors
    (learning rates, empty gradients) is passed over by looking for the next name behind the last tensor.
    """
    raw: list[tuple[Floats, list[int]]] = []
    affine: list[Floats] = []
    projection: Floats | None = None
    at = 0
    while (found := _LAYER.search(data, at)) is not None:
        reader = _Reader(data, found.end())
        if found[1]:
            params = reader.tensor()
            raw.append((params.ravel(), [reader.integer() for _ in range(7)]))
        elif found[2]:
            affine.append(reader.tensor().ravel())
        else:
            outputs, inputs = reader.integer(), reader.integer()
            projection = reader.tensor().reshape(-1)
            if projection.size != outputs * inputs:
                raise NotThisNetwork("the last layer has a bias or another size")
            projection = projection.reshape(inputs, outputs)
        at = reader.at
    if projection is None or projection.shape != (256, 128) or len(raw) != len(affine):
        raise NotThisNetwork(f"{len(raw)} convolutions, {len(affine)} affine layers")
    channels = _channels()
    if len(channels) != len(raw):
        raise NotThisNetwork(f"{len(raw)} convolutions instead of {len(channels)}")
    folded = tuple(
        _fold(*pair, scale, depth) for pair, scale, depth in zip(raw, affine, channels, strict=True)
    )
    return Network(folded, projection)


def _channels() -> list[int]:
    """Channels that go into each convolution, in order."""
    counts, depth = [3], 32
    for filters, blocks, _ in LEVELS:
        for _ in range(blocks):
            counts += [depth, filters]
            depth = filters
    return counts


def _fold(params: Floats, shape: list[int], affine: Floats, channels: int) -> Convolution:
    filters, rows, columns, stride_y, stride_x, padding_y, padding_x = shape
    size = filters * channels * rows * columns
    if (
        params.size != size + filters
        or affine.size != 2 * filters
        or stride_y != stride_x
        or padding_y != padding_x
    ):
        raise NotThisNetwork("a convolution has another shape")
    gamma, beta = affine[:filters], affine[filters:]
    weights = params[:size].reshape(filters, channels, rows, columns) * gamma[:, None, None, None]
    return Convolution(weights, params[size:] * gamma + beta, stride_y, padding_y)


# ------------------------------------------------------------------------------------------------- ONNX, by hand


def _varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = bytearray()
    while True:
        low, value = value & 0x7F, value >> 7
        out.append(low | (0x80 if value else 0))
        if not value:
            return bytes(out)


def _field(number: int, value: int | bytes | str) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    if isinstance(value, str):
        value = value.encode()
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _attribute(name: str, value: int | float | list[int]) -> bytes:
    head = _field(1, name)
    if isinstance(value, float):
        return head + _varint(2 << 3 | 5) + struct.pack("<f", value) + _field(20, 1)
    if isinstance(value, int):
        return head + _field(3, value) + _field(20, 2)
    return head + b"".join(_field(8, item) for item in value) + _field(20, 7)


def _tensor(name: str, values: NDArray[np.float32] | NDArray[np.int64]) -> bytes:
    kind = 1 if values.dtype == np.float32 else 7
    dims = b"".join(_field(1, size) for size in values.shape)
    return dims + _field(2, kind) + _field(8, name) + _field(9, np.ascontiguousarray(values).tobytes())


def _value(name: str, shape: Iterable[int | str]) -> bytes:
    dims = b"".join(
        _field(1, _field(2, size) if isinstance(size, str) else _field(1, size)) for size in shape
    )
    return _field(1, name) + _field(2, _field(1, _field(1, 1) + _field(2, dims)))


class _Graph:
    """Collects nodes and their constants; every node has one output, named by its number."""

    def __init__(self) -> None:
        self.nodes: list[bytes] = []
        self.constants: list[bytes] = []

    def constant(self, values: NDArray[np.float32] | NDArray[np.int64]) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(_tensor(name, values))
        return name

    def node(self, kind: str, *inputs: str, **attributes: int | float | list[int]) -> str:
        output = f"n{len(self.nodes)}"
        body = b"".join(_field(1, name) for name in inputs) + _field(2, output) + _field(4, kind)
        body += b"".join(_field(5, _attribute(name, value)) for name, value in attributes.items())
        self.nodes.append(body)
        return output

    def convolution(self, source: str, layer: Convolution) -> str:
        return self.node(
            "Conv",
            source,
            self.constant(layer.weights),
            self.constant(layer.bias),
            kernel_shape=list(layer.weights.shape[2:]),
            strides=[layer.stride] * 2,
            pads=[layer.padding] * 4,
        )


def onnx(network: Network) -> bytes:
    """The network as an ONNX model (opset 13).

    Input `faces`: float32 (n, 150, 150, 3), BGR in 0…1, as `DeepFace.represent` hands its models. Output `embeddings`:
    float32 (n, 128). The scaling and the channel order are folded into the first convolution.
    """
    graph = _Graph()
    layers = iter(network.convolutions)
    first = next(layers)
    mean = np.array(MEAN_RGB)[None, :, None, None] / SPREAD
    bias = first.bias - (first.weights.astype(np.float64) * mean).sum((1, 2, 3))
    weights = first.weights[:, ::-1] * np.float32(255.0 / SPREAD)
    entry = Convolution(weights, bias.astype(np.float32), first.stride, first.padding)
    at = graph.node("Transpose", "faces", perm=[0, 3, 1, 2])
    at = graph.node("Relu", graph.convolution(at, entry))
    at = graph.node("MaxPool", at, kernel_shape=[3, 3], strides=[2, 2])
    depth, size = 32, 35
    for filters, blocks, halves in LEVELS:
        for block in range(blocks):
            inner = graph.node("Relu", graph.convolution(at, next(layers)))
            inner = graph.convolution(inner, next(layers))
            if halves and block == 0:
                at = graph.node("AveragePool", at, kernel_shape=[2, 2], strides=[2, 2])
                convolved, pooled = (size - 3) // 2 + 1, (size - 2) // 2 + 1
                at = _pad(graph, at, filters - depth, 0)
                inner = _pad(graph, inner, 0, pooled - convolved)
                depth, size = filters, pooled
            at = graph.node("Relu", graph.node("Add", inner, at))
    at = graph.node("GlobalAveragePool", at)
    at = graph.node("Flatten", at, axis=1)
    last = graph.node("MatMul", at, graph.constant(network.projection))
    body = b"".join(_field(1, node) for node in graph.nodes) + _field(2, "dlib face network")
    body += b"".join(_field(5, constant) for constant in graph.constants)
    body += _field(11, _value("faces", ["n", INPUT_SIZE, INPUT_SIZE, 3])) + _field(
        12, _value(last, ["n", 128])
    )
    return _field(1, 8) + _field(8, _field(1, "") + _field(2, 13)) + _field(7, body)


def _pad(graph: _Graph, source: str, channels: int, edge: int) -> str:
    """dlib's `add_prev` takes the smaller of two unequal tensors as if it went on with zeros."""
    if channels == 0 and edge == 0:
        return source
    pads = np.array([0, 0, 0, 0, 0, channels, edge, edge], dtype=np.int64)
    return graph.node("Pad", source, graph.constant(pads))
