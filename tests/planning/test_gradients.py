"""Gradients, in every way in which they are computed."""

from dataclasses import replace
from itertools import product

import pytest
import torch
from hypothesis import given
from torch.autograd import gradcheck, gradgradcheck
from torch.testing import assert_close

import convmat
from convmat.methods import native
from convmat.operators import ConvOperator
from convmat.planning import gradients, weight_gradient
from convmat.planning.costs import WeightWay
from tests.cases import LAYERS
from tests.layers import Layer, reference
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


# -- the ways ----------------------------------------------------------------------------------------------------------

WAYS = list(product((False, True), WeightWay))
ZEROS = [name for name, layer in LAYERS.items() if layer.padding_mode == "zeros" and layer.output_size is None]
FORMATS = {3: torch.contiguous_format, 4: torch.channels_last, 5: torch.channels_last_3d}


@pytest.fixture(params=WAYS, ids=lambda way: f"{way[0]}-{way[1].name}")
def way(request, monkeypatch):
    convmat.empty_cache()  # decisions are kept
    monkeypatch.setattr(gradients, "_fastest_ways", lambda geometry, call, threads: request.param)
    yield request.param
    convmat.empty_cache()


@given(layer=layers())
def test_halves_are_the_whole(layer):
    layer = replace(layer, padding_mode="zeros")
    x, weight, _ = layer.tensors(1)
    geometry = operator_of(layer, weight).geometry
    direct = geometry.transpose() if geometry.transposed else geometry
    if native.refuses(direct, x.dtype):
        return
    y = torch.randn(1, *geometry.out_shape, dtype=x.dtype)
    read, written = (y, x) if geometry.transposed else (x, y)
    whole, halved = (native.weight_gradient(read, written, direct, halved=halved) for halved in (False, True))
    assert_close(halved, whole)


@pytest.mark.parametrize("name", ZEROS)
def test_every_way_is_right(name, way):
    layer = replace(LAYERS[name], channels=(4, 4))
    for channels_last in (False, True):
        operands = list(layer.tensors(1))
        if channels_last:
            operands[0] = operands[0].contiguous(memory_format=FORMATS[operands[0].ndim])
        operands = [operand.requires_grad_() for operand in operands]
        output, expected = layer(*operands, method="tiles"), reference(layer, *operands)
        above = torch.randn_like(output)
        for wanted in (operands, operands[:1], operands[1:2], operands[2:]):
            ours = torch.autograd.grad(output, wanted, above, retain_graph=True)
            theirs = torch.autograd.grad(expected, wanted, above, retain_graph=True)
            assert_close(ours, theirs)
        (of_input,) = torch.autograd.grad(output, operands[:1], above)
        assert not way[0] or of_input.stride() == operands[0].stride()


@pytest.mark.parametrize("name", ["grouped", "transposed_uneven"])
def test_derivatives_of_derivatives(name, way):
    layer = LAYERS[name]
    operands = [operand.requires_grad_() for operand in layer.tensors(1)]
    assert gradcheck(lambda *operands: layer(*operands, method="tiles"), operands, fast_mode=True)
    assert gradgradcheck(lambda *operands: layer(*operands, method="tiles"), operands, fast_mode=True)


@pytest.mark.parametrize("name", ["grouped", "transposed_uneven"])
def test_several_gradients_at_once(name, way):
    layer = LAYERS[name]
    operands = [operand.requires_grad_() for operand in layer.tensors(1)]
    output = layer(*operands, method="tiles")
    above = torch.randn(3, *output.shape, dtype=output.dtype)
    batched = torch.autograd.grad(output, operands, above, is_grads_batched=True, retain_graph=True)
    each = [torch.autograd.grad(output, operands, one, retain_graph=True) for one in above]
    assert_close(batched, tuple(map(torch.stack, zip(*each, strict=True))))


def test_a_layer_is_ours_for_the_sake_of_its_gradients():
    """PyTorch computes a volume by itself in two of three steps, slowly."""
    layer = convmat.nn.Conv3d(64, 64, 3, padding=1)
    volume = torch.randn(1, 64, 8, 28, 28, requires_grad=True)
    assert type(layer(volume).grad_fn).__name__ == "_ConvolutionBackward"
    narrow = convmat.nn.Conv2d(2, 2, 3)
    assert type(narrow(torch.randn(1, 2, 6, 7)).grad_fn).__name__ == "ConvolutionBackward0"


def test_gradients_that_are_expanded():
    """As the gradient of a sum is."""
    layer = LAYERS["transposed"]
    operands = [operand.requires_grad_() for operand in layer.tensors(1)]
    ours = torch.autograd.grad(layer(*operands, method="tiles").sum(), operands)
    assert_close(ours, torch.autograd.grad(reference(layer, *operands).sum(), operands))
