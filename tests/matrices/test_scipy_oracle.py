"""SciPy as a second oracle, which knows nothing of PyTorch."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import convolution_matrix
from scipy.signal import convolve, correlate, upfirdn

import convmat
from tests.cases import LAYERS
from tests.layers import METHODS, Layer
from tests.strategies import layers

NUMPY_MODES = {"zeros": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}
CLOSE = {"rtol": 1e-9, "atol": 1e-9}


def spread(array, steps):
    """Zeros between neighbours."""
    result = np.zeros([(n - 1) * step + 1 for n, step in zip(array.shape, steps, strict=True)], dtype=array.dtype)
    result[tuple(slice(None, None, step) for step in steps)] = array
    return result


def by_scipy(layer: Layer, x, weight):
    """Channel by channel, from dilated kernels and strided results; x unbatched, with zero padding if transposed."""
    in_channels, out_channels = layer.channels
    ins, outs = in_channels // layer.groups, out_channels // layer.groups
    result = np.zeros((out_channels, *layer.out_sizes), dtype=x.dtype)
    for co in range(out_channels):
        for ci in range(co // outs * ins, (co // outs + 1) * ins):
            tap = weight[ci, co % outs] if layer.transposed else weight[co, ci % ins]
            kernel = spread(tap, layer.per_axis(layer.dilation))
            result[co] += (_transposed if layer.transposed else _direct)(layer, x[ci], kernel)
    return result


def _direct(layer, x, kernel):
    padding = [(lo, hi) for lo, hi, *_ in layer.numbers()]
    everywhere = correlate(np.pad(x, padding, mode=NUMPY_MODES[layer.padding_mode]), kernel.conj(), "valid", "direct")
    return everywhere[tuple(slice(None, None, step) for step in layer.per_axis(layer.stride))]


def _transposed(layer, x, kernel):
    numbers = layer.numbers()
    full = convolve(spread(x, layer.per_axis(layer.stride)), kernel, "full", "direct")
    full = np.pad(full, [(0, more) for _, _, more, *_ in numbers])
    return full[tuple(slice(lo, lo + m) for lo, _, _, m, _ in numbers)]


def assert_is_scipys(layer, method, dtype=torch.float64):
    x, weight, _ = layer.tensors(dtype=dtype)
    expected = by_scipy(layer, x.numpy(), weight.numpy())
    np.testing.assert_allclose(layer(x, weight, method=method).numpy(), expected, **CLOSE)
    np.testing.assert_allclose((layer.matrix(weight) @ x.flatten()).numpy(), expected.reshape(-1), **CLOSE)


KNOWN = {name: layer for name, layer in LAYERS.items() if not layer.transposed or layer.padding_mode == "zeros"}


@pytest.mark.parametrize("layer", KNOWN.values(), ids=KNOWN.keys())
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128], ids=str)
def test_each_case(layer, method, dtype):
    assert_is_scipys(layer, method, dtype)


@given(layers(transposed=False), st.sampled_from(METHODS))
def test_direct(layer, method):
    assert_is_scipys(layer, method)


@given(layers(transposed=True, padding_mode="zeros"), st.sampled_from(METHODS))
def test_transposed(layer, method):
    assert_is_scipys(layer, method)


kernels = st.integers(1, 6)
lengths = st.integers(6, 12)


def numbers(size):
    return np.random.default_rng(size).standard_normal(size)


def tensor(array):
    return torch.from_numpy(array.copy())[None, None]


@given(kernels, lengths)
def test_full_convolution_matrix(kernel, length):
    h = numbers(kernel)
    ours = convmat.conv_transpose_matrix(tensor(h), (length,)).numpy()
    np.testing.assert_array_equal(ours, convolution_matrix(h, length, mode="full"))


@given(kernels, lengths)
def test_valid_convolution_matrix(kernel, length):
    """A convolution of deep learning is a correlation: the kernel flipped."""
    h = numbers(kernel)
    ours = convmat.conv_matrix(tensor(h[::-1]), (length,)).numpy()
    np.testing.assert_array_equal(ours, convolution_matrix(h, length, mode="valid"))


@given(kernels, lengths)
def test_same_convolution_matrix(kernel, length):
    """SciPy crops an odd cell at the end of the transposed one: pads it at the front of the direct one."""
    h, lo = numbers(kernel), (kernel - 1) // 2
    expected = convolution_matrix(h, length, mode="same")
    transposed = convmat.conv_transpose_matrix(tensor(h), (length,), padding=((lo, kernel - 1 - lo),))
    direct = convmat.conv_matrix(tensor(h[::-1]), (length,), padding=((kernel - 1 - lo, lo),))
    np.testing.assert_array_equal(transposed.numpy(), expected)
    np.testing.assert_array_equal(direct.numpy(), expected)
    if kernel % 2:
        same = convmat.conv_transpose_matrix(tensor(h), (length,), padding="same")
        np.testing.assert_array_equal(same.numpy(), expected)


@pytest.mark.parametrize("method", METHODS)
@given(kernel=kernels, length=lengths, stride=st.integers(1, 4))
def test_upsampling_filter(method, kernel, length, stride):
    """``upfirdn(h, x, up)`` is a transposed convolution."""
    h, x = numbers(kernel), numbers(length + 20)[:length]
    ours = convmat.conv_transpose1d(tensor(x)[0], tensor(h), stride=stride, method=method)
    np.testing.assert_allclose(ours[0].numpy(), upfirdn(h, x, up=stride), **CLOSE)


@pytest.mark.parametrize("method", METHODS)
@given(kernel=kernels, length=lengths, stride=st.integers(1, 4))
def test_downsampling_filter(method, kernel, length, stride):
    """``upfirdn(h, x, down=stride)`` is a direct one, padded to reach every overlap."""
    h, x = numbers(kernel), numbers(length + 20)[:length]
    ours = convmat.conv1d(tensor(x)[0], tensor(h[::-1]), stride=stride, padding=kernel - 1, method=method)
    np.testing.assert_allclose(ours[0].numpy(), upfirdn(h, x, down=stride), **CLOSE)
