"""The matrix is the Jacobian of PyTorch's own function."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.cases import LAYERS
from tests.layers import Layer, jacobian, reference
from tests.strategies import layers

SPARSE = [
    {"layout": torch.sparse_coo},
    {"layout": torch.sparse_csr},
    {"layout": torch.sparse_csr, "index_dtype": torch.int64},
    {"layout": torch.sparse_csr, "index_dtype": torch.int32},
]


def assert_is_the_jacobian(layer: Layer, dtype=torch.float64):
    _, weight, _ = layer.tensors(dtype=dtype)
    expected = jacobian(layer, weight)
    torch.testing.assert_close(layer.matrix(weight), expected, rtol=1e-12, atol=1e-12)
    for layout in SPARSE:
        torch.testing.assert_close(layer.matrix(weight, **layout).to_dense(), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS.keys())
@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128], ids=str)
def test_of_each_case(layer, dtype):
    assert_is_the_jacobian(layer, dtype)


@given(layers(transposed=False, padding_mode="zeros"))
def test_direct(layer):
    assert_is_the_jacobian(layer)


@given(layers(transposed=False, padding_mode=None))
def test_direct_with_any_padding_mode(layer):
    assert_is_the_jacobian(layer)


@given(layers(transposed=True, padding_mode="zeros"))
def test_transposed(layer):
    assert_is_the_jacobian(layer)


@given(layers(transposed=True))
def test_transposed_with_any_padding_mode(layer):
    assert_is_the_jacobian(layer)


@given(layers())
def test_its_transpose_is_the_gradient_with_respect_to_the_input(layer):
    x, weight, _ = layer.tensors()
    x.requires_grad_()
    y = reference(layer, x, weight)
    cotangent = torch.randn(y.shape, dtype=y.dtype, generator=torch.Generator().manual_seed(1))
    (gradient,) = torch.autograd.grad(y, x, cotangent)
    torch.testing.assert_close(layer.matrix(weight).T @ cotangent.flatten(), gradient.flatten())


@given(layers())
def test_coo_is_coalesced_and_sorted(layer):
    _, weight, _ = layer.tensors()
    matrix = layer.matrix(weight, layout=torch.sparse_coo)
    assert matrix.is_coalesced()
    rows, columns = matrix.indices()
    flat = rows * matrix.shape[1] + columns
    assert bool((flat.diff() > 0).all())


@given(layers(), st.sampled_from([torch.int32, torch.int64]))
def test_csr_keeps_the_invariants(layer, index_dtype):
    _, weight, _ = layer.tensors()
    matrix = layer.matrix(weight, layout=torch.sparse_csr, index_dtype=index_dtype)
    assert matrix.crow_indices().dtype == matrix.col_indices().dtype == index_dtype
    with torch.sparse.check_sparse_tensor_invariants():
        torch.sparse_csr_tensor(matrix.crow_indices(), matrix.col_indices(), matrix.values(), matrix.shape)


@given(layers())
def test_sparse_layouts_store_the_same_entries(layer):
    """One stored entry for each place where a tap of the kernel meets an input, and no other."""
    _, weight, _ = layer.tensors()
    reached = jacobian(layer, torch.ones_like(weight)) != 0
    coo, csr = (layer.matrix(weight, layout=layout) for layout in (torch.sparse_coo, torch.sparse_csr))
    assert coo.values().numel() == csr.values().numel() == int(reached.sum())
    assert bool(reached[tuple(coo.indices())].all())
