"""Operators on dask arrays: the same as in memory, whatever the chunks."""

import dask
import dask.array as da
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import convmat
from convmat import ConvOperator, GeometryError
from tests.layers import PADDING_MODES
from tests.operators.test_spectra import operator_of
from tests.strategies import layers

CHUNKS = (1, 3, 7)  # one cell, and primes that divide nothing


@pytest.fixture(autouse=True)
def one_thread():
    with dask.config.set(scheduler="synchronous"):
        yield


def lazy(x, ndim, chunks):
    """A dask array, whole along the batch and the channels."""
    return da.from_array(x.numpy(), chunks=(-1,) * (x.ndim - ndim) + (chunks,) * ndim)


def equal(found, expected):
    """To rounding: 1e-12 of the largest value in double, 1e-5 in single precision."""
    tolerance = {torch.float32: 1e-5, torch.float64: 1e-12, torch.complex128: 1e-12}[expected.dtype]
    assert found.shape == tuple(expected.shape)
    found = found.compute()
    assert found.dtype == expected.numpy().dtype
    assert np.abs(found - expected.numpy()).max(initial=0) <= tolerance * expected.abs().max()


# -- equal to the map in memory ----------------------------------------------------------------------------------------


@settings(max_examples=80)
@given(layers(strings=False), st.sampled_from(CHUNKS), st.sampled_from([torch.float64, torch.complex128]))
def test_any_layer_in_any_chunks(layer, chunks, dtype):
    """Every direction, padding mode, stride, dilation and group."""
    x, weight, _ = layer.tensors(2, dtype=dtype)
    op = ConvOperator.of(operator_of(layer).geometry, weight)
    array = lazy(x, op.geometry.ndim, chunks)
    found = op @ array
    assert found.chunks == op.chunks(array.chunks)
    equal(found, op @ x)


@pytest.mark.parametrize("chunks", CHUNKS)
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("mode", PADDING_MODES)
@pytest.mark.parametrize("method", ["auto", "fft"])
def test_single_precision(mode, transposed, chunks, method):
    weight = torch.randn(4, 1 if transposed else 2, 3, 2)
    options = {"stride": (2, 1), "padding": ((2, 1), (0, 1)), "groups": 2, "dilation": (1, 2), "padding_mode": mode}
    make = ConvOperator.transposed if transposed else ConvOperator
    op = make(weight, (9, 8), method=method, **options)
    x = torch.randn(3, *op.in_shape)
    equal(op @ lazy(x, 2, chunks), op @ x)
    y = torch.randn(*op.out_shape)
    equal(op.T @ lazy(y, 2, chunks), op.T @ y)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("sizes", [(16, 13, 11), (7, 20, 5)])
def test_large_kernels_by_spectra(dtype, sizes):
    op = convmat.blur_operator(torch.rand(7, 5, 3, dtype=dtype), (31, 29, 23))
    assert op.products().rounds_globally
    x, y = torch.rand(op.in_shape, dtype=dtype), torch.rand(op.out_shape, dtype=dtype)
    for each, cells in ((op, x), (op.T, y)):
        equal(each @ da.from_array(cells.numpy(), chunks=(1, *sizes)), each @ cells)


def test_irregular_chunks_and_a_batch_in_chunks():
    op = ConvOperator(torch.randn(6, 2, 3, dtype=torch.float64), (20,), padding=1, groups=2)
    x = torch.randn(5, 4, 20, dtype=torch.float64)
    array = da.from_array(x.numpy(), chunks=((2, 1, 2), (2, 2), (1, 11, 2, 6)))
    assert op.chunks(array.chunks) == ((2, 1, 2), (3, 3), (1, 11, 2, 6))
    equal(op @ array, op @ x)


def test_no_seams():
    """What little differs from the map in memory is rounding, no larger beside a bound between chunks."""
    op = ConvOperator(torch.rand(1, 1, 9, 7), (80, 70), padding=(4, 3))
    x = torch.rand(1, 80, 70)
    error = np.abs((op @ lazy(x, 2, 16)).compute() - (op @ x).numpy())[0]
    rows = np.arange(80) % 16
    beside, inside = error[(rows == 0) | (rows == 15)], error[(rows > 4) & (rows < 11)]
    assert beside.mean() <= 2 * inside.mean() + 1e-7
    assert error.max() <= 1e-5 * float((op @ x).max())


# -- the rest of the algebra -------------------------------------------------------------------------------------------


def test_products_sums_and_multiples():
    first = ConvOperator(torch.randn(3, 2, 3, dtype=torch.float64), (17,), stride=2, padding=1)
    second = ConvOperator(torch.randn(2, 3, 4, dtype=torch.float64), first.out_shape[1:], padding=2)
    third = ConvOperator(torch.randn(2, 2, 4, dtype=torch.float64), (17,), stride=2, padding=((2, 3),))
    op = second @ first + 2 * third
    x = torch.randn(2, 17, dtype=torch.float64)
    for chunks in CHUNKS:
        array = lazy(x, 1, chunks)
        assert (op @ array).chunks == op.chunks(array.chunks)
        equal(op @ array, op @ x)


@pytest.mark.parametrize("chunks", CHUNKS)
@pytest.mark.parametrize("mode", PADDING_MODES)
def test_dot_test_on_dask_arrays(mode, chunks):
    op = ConvOperator(torch.randn(4, 2, 3, 3), (8, 9), stride=2, padding=1, groups=2, padding_mode=mode)
    assert convmat.dot_test(op, chunks=chunks)
    assert convmat.dot_test(op.T, chunks=(chunks, 4))
    x = da.random.random(op.in_shape, chunks=(4, chunks, chunks)).astype("float32")
    y = da.random.random(op.out_shape, chunks=(4, chunks, chunks)).astype("float32")
    assert np.isclose(*dask.compute((y * (op @ x)).sum(), (x * (op.T @ y)).sum()), rtol=1e-4)


def test_a_wrong_adjoint_is_found():
    class Wrong(ConvOperator):
        @property
        def T(self):  # noqa: N802
            return ConvOperator.of(self.geometry.transpose(), 2 * self.weight)

    assert not convmat.dot_test(Wrong.of(convmat.Geometry.conv((9,), 3), torch.ones(1, 1, 3)), chunks=4)


def test_layers_over_volumes():
    layer = torch.nn.Conv3d(2, 4, 3, stride=2, padding=1, padding_mode="circular")
    x = torch.randn(2, 9, 8, 7)
    op = ConvOperator.from_module(layer, x.shape)
    found = op @ da.from_array(x.numpy(), chunks=(2, 4, 3, 5)) + layer.bias.detach().numpy()[:, None, None, None]
    np.testing.assert_allclose(found.compute(), layer(x).detach().numpy(), rtol=1e-5, atol=1e-5)


# -- lazy, and no more than needed -------------------------------------------------------------------------------------


def test_it_is_lazy_and_reads_what_it_needs():
    read = []

    def load(block_info=None):
        (first, end), *_ = block_info[None]["array-location"][1:]
        read.append(first // 10)
        return np.ones((1, end - first))

    x = da.map_blocks(load, chunks=((1,), (10,) * 20), dtype=float, meta=np.empty((0, 0)))
    y = ConvOperator(torch.ones(1, 1, 5, dtype=torch.float64), (200,), padding=2) @ x
    assert read == []
    assert y[0, 95] == 5
    assert sorted(read) == [8, 9, 10]
    assert ConvOperator(torch.ones(1, 1, 5, dtype=torch.float64), (200,), padding=2).map_lazily(x).name == y.name


def test_the_threads_scheduler_gives_the_same():
    op = ConvOperator(torch.randn(1, 1, 5, 5), (40, 40), padding=2)
    x = torch.randn(1, 40, 40)
    before = torch.get_num_threads()
    with dask.config.set(scheduler="threads", num_workers=3):
        equal(op @ lazy(x, 2, 7), op @ x)
    assert torch.get_num_threads() == before


# -- what does not go together -----------------------------------------------------------------------------------------


def test_bad_input():
    op = ConvOperator(torch.ones(4, 2, 3), (10,), groups=2)
    x = da.ones((4, 10), dtype="float32")
    with pytest.raises(GeometryError, match=r"x.chunks\[0\]=\(1, 3\) split the 2 channels of a group.*rechunk"):
        op @ x.rechunk(((1, 3), 10))
    with pytest.raises(GeometryError, match=r"shape \(4, 9\) does not go with an operator from \(4, 10\)"):
        op @ x[:, :9]
    with pytest.raises(GeometryError, match="shape"):
        op @ x[0]
    with pytest.raises(GeometryError, match=r"float32 and x float64.*astype"):
        op @ x.astype(float)
    with pytest.raises(GeometryError, match="unknown"):
        op @ x[:, x[0] > 0]
    with pytest.raises(GeometryError, match="bfloat16"):
        op.to(torch.bfloat16) @ x
