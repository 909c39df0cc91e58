"""dlib's weights file, read without dlib: made here layer by layer as dlib's own serialisation writes it."""

# ruff: noqa: E402 (what can be skipped is asked for before it is imported)
from __future__ import annotations

import struct

import pytest

np = pytest.importorskip("numpy", reason="NO FACE CODE TESTED: the extra 'face' (numpy) is not installed")

from hypothesis import given
from hypothesis import strategies as st

from menwei_face import dlibnet
from menwei_face.dlibnet import LEVELS, NotThisNetwork


def integer(value):
    """dlib/serialize.h: one byte with sign and length, then the bytes, low first."""
    body = abs(value).to_bytes(max(1, (abs(value).bit_length() + 7) // 8), "little")
    return bytes([len(body) | (0x80 if value < 0 else 0)]) + body


def tensor(values):
    dims = [*values.shape, *[1] * (4 - values.ndim)]
    return integer(2) + b"".join(integer(one) for one in dims) + values.astype("<f4").tobytes()


def name(text):
    return integer(len(text)) + text


def shapes():
    """(filters, channels, size, stride, padding) of each convolution."""
    yield 32, 3, 7, 2, 0
    depth = 32
    for filters, blocks, halves in LEVELS:
        for block in range(blocks):
            down = halves and block == 0
            yield filters, depth, 3, 2 if down else 1, 0 if down else 1
            yield filters, filters, 3, 1, 1
            depth = filters


def weights_file(random, *, projection=(256, 128)):
    out = [integer(1), name(b"loss_metric_2"), b"\x00" * 40, name(b"input_rgb_image_sized")]
    for filters, channels, size, stride, padding in shapes():
        count = filters * channels * size * size
        out += [
            name(b"con_4"),
            tensor(random.normal(0, 1 / np.sqrt(channels * size * size), count + filters)),
        ]
        out += [integer(one) for one in (filters, size, size, stride, stride, padding, padding)]
        out += [
            name(b"affine_"),
            tensor(np.concatenate([random.uniform(0.5, 1.5, filters), random.normal(0, 0.1, filters)])),
        ]
        out += [integer(0), name(b"relu_")]
    out += [
        name(b"fc_2"),
        integer(projection[1]),
        integer(projection[0]),
        tensor(random.normal(0, 0.1, projection)),
        integer(1),
    ]
    return b"".join(out)


def test_every_weight_is_found_and_the_affine_layer_is_folded_in():
    data = weights_file(np.random.default_rng(1))
    network = dlibnet.read(data)
    assert [
        (c.weights.shape[0], c.weights.shape[1], c.weights.shape[2], c.stride, c.padding)
        for c in network.convolutions
    ] == list(shapes())
    assert network.projection.shape == (256, 128)
    random = np.random.default_rng(1)
    raw = random.normal(0, 1 / np.sqrt(3 * 49), 32 * 3 * 49 + 32).astype(np.float32)
    gamma, beta = (
        random.uniform(0.5, 1.5, 32).astype(np.float32),
        random.normal(0, 0.1, 32).astype(np.float32),
    )
    first = network.convolutions[0]
    assert np.allclose(first.weights[5], raw[: 32 * 147].reshape(32, 3, 7, 7)[5] * gamma[5])
    assert np.allclose(first.bias, raw[32 * 147 :] * gamma + beta, atol=1e-6)


@pytest.mark.parametrize("length", [0, 1, 100, 5_000, 60_000])
def test_a_file_that_ends_early_is_not_this_network(length):
    with pytest.raises(NotThisNetwork):
        dlibnet.read(weights_file(np.random.default_rng(2))[:length])


def test_a_network_of_another_shape_is_not_this_network():
    with pytest.raises(NotThisNetwork):
        dlibnet.read(weights_file(np.random.default_rng(3), projection=(256, 64)))


@given(st.binary(max_size=300), st.binary(max_size=60))
def test_no_bytes_do_more_than_be_refused(head, tail):
    for mark in (b"\x01\x05con_4", b"\x01\x07affine_", b"\x01\x04fc_2", b""):
        with pytest.raises(NotThisNetwork):
            dlibnet.read(head + mark + tail)


@given(st.integers(-(2**63) + 1, 2**63 - 1))
def test_packed_integers_are_read_as_they_are_written(value):
    assert dlibnet._Reader(integer(value), 0).integer() == value


def test_the_graph_is_protobuf_with_every_layer():
    graph = dlibnet.onnx(dlibnet.read(weights_file(np.random.default_rng(4))))
    assert graph.count(b"\x22\x04Conv") == 29
    assert graph.count(b"\x22\x0bAveragePool") == 4
    assert struct.pack("<f", 0.0) in graph


@pytest.mark.e2e
def test_the_graph_computes_what_the_layers_say():
    """Against a second implementation of the network, in numpy, on a random network."""
    pytest.importorskip("onnxruntime", reason="THE ONNX GRAPH WAS NOT RUN: the extra 'face' is not installed")
    from menwei_face.dlibclient import session

    network = dlibnet.read(weights_file(np.random.default_rng(5)))
    faces = np.random.default_rng(6).random((2, 150, 150, 3)).astype(np.float32)
    got = session(dlibnet.onnx(network)).run(None, {"faces": faces})[0]
    for face, vector in zip(faces, got, strict=True):
        expected = by_hand(network, face)
        assert np.linalg.norm(vector - expected) < 1e-3 * np.linalg.norm(expected)


def by_hand(network, face):
    """dlib's network as its header reads: add_prev goes on with zeros where one side is smaller."""
    x = (face[:, :, ::-1].transpose(2, 0, 1) * 255 - np.array(dlibnet.MEAN_RGB)[:, None, None]) / 256
    layers = iter(network.convolutions)
    x = pool(np.maximum(convolve(x, next(layers)), 0), 3, np.max)
    for _, blocks, halves in LEVELS:
        for block in range(blocks):
            inner = convolve(np.maximum(convolve(x, next(layers)), 0), next(layers))
            side = pool(x, 2, np.mean) if halves and block == 0 else x
            total = np.zeros(np.maximum(inner.shape, side.shape))
            for part in (inner, side):
                total[: part.shape[0], : part.shape[1], : part.shape[2]] += part
            x = np.maximum(total, 0)
    return x.mean((1, 2)) @ network.projection


def convolve(x, layer):
    x = np.pad(x, ((0, 0), (layer.padding,) * 2, (layer.padding,) * 2))
    size = layer.weights.shape[2]
    windows = np.lib.stride_tricks.sliding_window_view(x, (size, size), (1, 2))[
        :, :: layer.stride, :: layer.stride
    ]
    return np.einsum("cyxij,fcij->fyx", windows, layer.weights, optimize=True) + layer.bias[:, None, None]


def pool(x, size, how):
    windows = np.lib.stride_tricks.sliding_window_view(x, (size, size), (1, 2))[:, ::2, ::2]
    return how(windows, axis=(3, 4))
