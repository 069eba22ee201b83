"""The gradient with respect to the weight by itself."""

import torch
from hypothesis import given
from torch.testing import assert_close

from convmat.operators import ConvOperator
from convmat.planning import weight_gradient
from tests.layers import Layer
from tests.strategies import layers


def operator_of(layer: Layer, weight) -> ConvOperator:
    make = ConvOperator.transposed if layer.transposed else ConvOperator
    return make(weight, layer.sizes, **layer.options)


@given(layer=layers())
def test_it_is_that_of_autograd(layer):
    for dtype in (torch.float64, torch.complex128):
        x, weight, _ = layer.tensors(2, dtype=dtype)
        op = operator_of(layer, weight.requires_grad_())
        y = torch.randn(2, *op.out_shape, dtype=dtype)
        form = (y * op.apply(x)).sum()
        (expected,) = torch.autograd.grad(form, weight, torch.ones_like(form))
        assert_close(weight_gradient(op.geometry, x, y), expected.conj().resolve_conj(), rtol=1e-9, atol=1e-9)


@given(layer=layers())
def test_it_is_differentiable_in_both(layer):
    x, weight, _ = layer.tensors(1)
    op = operator_of(layer, weight)
    y = torch.randn(1, *op.out_shape, dtype=x.dtype)
    gradient = weight_gradient(op.geometry, x.requires_grad_(), y.requires_grad_())
    by_x, by_y = torch.autograd.grad((gradient * weight).sum(), (x, y))  # <y, C(w) x>, once more
    assert_close(by_x, op.T.apply(y), rtol=1e-9, atol=1e-9)
    assert_close(by_y, op.apply(x), rtol=1e-9, atol=1e-9)
