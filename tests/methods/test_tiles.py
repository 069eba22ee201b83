"""The kernel case by case: each way to cut a layer, what it must not touch, and numbers that are none."""

from dataclasses import replace
from functools import cache
from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

import convmat
from convmat.kernel import compiled
from convmat.kernel.epilogue import Epilogue
from tests.kernel.kernels import (
    DTYPES,
    PLACES,
    Call,
    assert_right,
    calls,
    computed,
    has_contiguous_output,
    plan_for,
    random_numbers,
    watched_outputs,
)
from tests.layers import Layer

every_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=str)


def transposed(*arguments, **options):
    return layer(*arguments, transposed=True, **options)


def layer(sizes, kernel, stride=1, padding=0, channels=(4, 4), **options):
    return Layer(sizes=sizes, kernel=kernel, stride=stride, padding=padding, channels=channels, **options)


# -- every way to cut a layer ------------------------------------------------------------------------------------------

LAYERS = {
    "a line": transposed((300,), (4,), 2, 1, (16, 8)),
    "a long line": transposed((5000,), (4,), 2, 1, (16, 8)),
    "an image": transposed((30, 37), (4, 4), 2, 1, (16, 8)),
    "a small image": transposed((4, 5), (4, 4), 2, 1, (16, 8)),
    "a small image of many channels": transposed((4, 4), (4, 4), 2, 1, (256, 256)),
    "phases that start apart": transposed((30, 37), (3, 3), 2, 1, (16, 8)),
    "stride 1": transposed((30, 37), (3, 3), 1, 1, (16, 8)),
    "no overlap": transposed((30, 37), (2, 2), 2, 0, (16, 8)),
    "a point of many channels": transposed((3, 2), (3, 4), (2, 4), 0, (256, 16)),
    "a volume": transposed((6, 7, 20), (3, 3, 3), 2, 1, (6, 5)),
    "a volume without overlap": transposed((6, 7, 20), (2, 2, 2), 2, 0, (6, 5)),
    "dilated": transposed((9, 37), (3, 3), 1, 2, (16, 8), dilation=2),
    "wide steps": transposed((9, 20), (9, 9), 8, 1, (16, 3)),
    "groups": transposed((9, 20), (3, 3), 2, 1, (16, 16), groups=16),
    "direct, a line": layer((300,), (7,), 1, 3, (16, 8)),
    "direct, an image": layer((30, 37), (3, 3), 1, 1, (16, 8)),
    "direct, phases in": layer((30, 37), (3, 5), (2, 3), 1, (16, 8)),
    "direct, patches": layer((16, 40), (4, 8), (4, 8), 0, (3, 20)),
    "direct, phases that no tap reads": layer((11, 37), (1, 1), (2, 3), 0, (16, 8)),
    "direct, a small image of many channels": layer((4, 4), (3, 3), 1, 1, (256, 256)),
    "direct, a volume": layer((6, 7, 20), (3, 3, 3), 1, 1, (6, 5)),
    "direct, a volume with phases in": layer((6, 7, 20), (3, 3, 3), 2, 1, (6, 5)),
    "direct, dilated": layer((9, 37), (3, 3), 1, 2, (16, 8), dilation=2),
    "direct, dilated with phases in": layer((19, 37), (3, 3), 2, 2, (16, 8), dilation=3),
    "direct, groups": layer((9, 20), (3, 3), 1, 1, (16, 16), groups=16),
}
SHAPES = list(product((1, 3, 16), (1, 4), (None, 1 << 13, 1 << 10)))  # batch, threads, window


@cache
def plans():
    return [
        (layer, plan_for(layer, batch, torch.float32, threads, window))
        for layer, (batch, threads, window) in product(LAYERS.values(), SHAPES)
    ]


VARIANTS = {
    "one line at a time": lambda plan: plan.cells.looped == 3,
    "one plane at a time": lambda plan: plan.cells.looped == 2,
    "one image at a time": lambda plan: plan.cells.looped == 1,
    "all at once": lambda plan: plan.cells.looped == 0,
    "lines to the output": lambda plan: plan.cells.at_once,
    "several lines to the output": lambda plan: plan.cells.at_once and plan.cells.looped < 3,
    "images as neighbours": lambda plan: plan.cells.batch_inner,
    "copies": lambda plan: plan.cells.copies > 1,
    "parts": lambda plan: plan.cells.parts > 1,
    "channels block by block": lambda plan: plan.cells.blocks > 1,
    "phases apart": lambda plan: not any(plan.rows.merge),
    "phases along width together": lambda plan: plan.rows.merge[2],
    "phases of the input apart": lambda plan: plan.cells.planes > plan.cells.copies > 0,
    "phases along height together": lambda plan: plan.rows.merge[1],
    "several boxes along the batch": lambda plan: plan.cells.boxes[0] > 1,
    "several boxes along depth": lambda plan: plan.cells.boxes[1] > 1,
    "several boxes along height": lambda plan: plan.cells.boxes[2] > 1,
    "several boxes along width": lambda plan: plan.cells.boxes[3] > 1,
    "one box": lambda plan: max(plan.cells.boxes) == 1,
    "a last box of fewer cells": lambda plan: any(
        cells % box for cells, box in zip(plan.cells.cells, plan.cells.box, strict=True)
    ),
}


@pytest.mark.parametrize("is_so", VARIANTS.values(), ids=VARIANTS.keys())
def test_each_variant_is_chosen_somewhere(is_so):
    assert any(is_so(plan) for _, plan in plans())


@pytest.mark.parametrize("name", LAYERS)
def test_each_variant_is_right(name):
    chosen = [plan for layer, plan in plans() if layer is LAYERS[name]]
    for plan, (batch, threads, _) in zip(chosen, SHAPES, strict=True):
        call = Call(LAYERS[name], batch, torch.float32)
        operands = call.tensors()
        with watched_outputs():
            output = computed(plan, *operands, threads)
        assert_right(output, call.layer, *operands)


def test_how_a_layer_is_cut_changes_no_bit():
    """Each output is summed in the same order, also where channels are added block by block."""
    layer = LAYERS["a small image of many channels"]
    operands = Call(layer, 3, torch.float32).tensors()
    ways = product((1, 3), (None, 1 << 13, 1 << 10), (None, 1, 2, 3, 4))  # threads, window, whim
    cut = [plan_for(layer, 3, torch.float32, *way) for way in ways]
    assert len({plan.cells.blocks for plan in cut}) > 1
    outputs = [computed(plan, *operands, plan.processor.threads) for plan in cut]
    assert all(torch.equal(output, outputs[0]) for output in outputs)


# -- around the caches -------------------------------------------------------------------------------------------------


@every_dtype
@pytest.mark.parametrize("stride", [1, 2, 3, 8, 9])
@pytest.mark.parametrize("shift", [0, 1])
def test_large_outputs(dtype, stride, shift):
    """Of 4 MB and more, in lines that begin at and beside the borders of vectors."""
    width = 16 if shift else 17
    layer = transposed((-(-(1 << 20) // (width * stride * 5)), width), (1, stride + 1), (1, stride), (0, 1), (2, 5))
    operands = Call(layer, 1, dtype).tensors()
    with torch.no_grad(), watched_outputs(shift):
        output = layer(*operands, method="tiles")
    assert_right(output, layer, *operands)


# -- where tensors lie -------------------------------------------------------------------------------------------------


@every_dtype
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("operand", range(3), ids=["input", "weight", "bias"])
def test_each_place(place, operand, dtype):
    layer = transposed((5, 19), (3, 4), 2, ((1, 0), 1), (4, 6), groups=2)
    operands = list(Call(layer, 2, dtype).tensors())
    if operands[operand].ndim == 1 and place in ("one channel", "channels last"):
        pytest.skip("a bias has one axis")
    operands[operand] = PLACES[place](operands[operand])
    with torch.no_grad():
        output = layer(*operands, method="tiles")
    assert_right(output, layer, *operands)


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_the_output_lies_as_the_input(ndim):
    layer = transposed((3, 4, 5)[:ndim], (3, 4, 2)[:ndim], 2, 1, (4, 6))
    input, weight, bias = Call(layer, 2, torch.float32).tensors()
    last = input.movedim(1, -1).contiguous().movedim(-1, 1)
    for placed in (input, last, input.mT.contiguous().mT if ndim > 1 else input[..., ::2]):
        shaped = replace(layer, sizes=tuple(placed.shape[2:]))
        with torch.no_grad():
            output, theirs = (shaped(placed, weight, bias, method=method) for method in ("tiles", "native"))
        assert output.stride() == theirs.stride()
        assert_close(output, theirs, rtol=1e-4, atol=1e-4)


def imaginary_part_of_a_conjugate(tensor):
    return torch.complex(tensor, tensor).conj().imag


@every_dtype
@pytest.mark.parametrize("operand", range(3), ids=["input", "weight", "bias"])
@pytest.mark.parametrize("lazily_negated", [imaginary_part_of_a_conjugate, torch._neg_view])
def test_numbers_that_are_negated_when_read(operand, dtype, lazily_negated):
    layer = transposed((5, 6), (3, 4), 2, 1, (4, 6))
    operands = list(Call(layer, 2, dtype).tensors())
    operands[operand] = lazily_negated(operands[operand])
    with torch.no_grad():
        output = layer(*operands, method="tiles")
    assert operands[operand].is_neg()
    assert_right(output, layer, *operands)


@pytest.mark.filterwarnings("ignore:The given NumPy array is not writable")
def test_memory_of_others(tmp_path):
    """A file, memory shared with other processes, and an array that must not be written."""
    layer = transposed((5, 6), (3, 4), 2, 1, (4, 6))
    input, weight, bias = Call(layer, 2, torch.float64).tensors()
    input.numpy().tofile(tmp_path / "numbers")
    mapped = torch.from_file(str(tmp_path / "numbers"), size=input.numel(), dtype=input.dtype).view(input.shape)
    array = input.numpy().copy()
    array.flags.writeable = False
    for placed in (mapped, input.clone().share_memory_(), torch.from_numpy(array)):
        with torch.no_grad():
            output = layer(placed, weight, bias, method="tiles")
        assert_right(output, layer, placed, weight, bias)


def test_one_image_is_computed_alike_alone_and_among_others():
    for layer in LAYERS.values():
        input, weight, bias = Call(layer, 3, torch.float32).tensors()
        with torch.no_grad():
            outputs = layer(input, weight, bias, method="tiles")
            alone = [layer(image, weight, bias, method="tiles") for image in input]
        assert torch.equal(outputs, torch.stack(alone))


# -- numbers that are none ---------------------------------------------------------------------------------------------


@settings(derandomize=True)
@given(
    call=calls(batches=(1, 2)),
    poison=st.sampled_from([torch.nan, torch.inf, -torch.inf]),
    place=st.integers(0, 1 << 20),
    window=st.sampled_from([None, 1 << 11]),
)
def test_a_poisoned_input_reaches_the_outputs_that_read_it_and_no_others(call, poison, place, window):
    input, weight, bias = call.tensors()
    input = input.clone()
    input[torch.unravel_index(torch.tensor(place % input.numel()), input.shape)] = poison
    layer, contiguous = call.layer, has_contiguous_output(input)
    clean, stained = (
        computed(plan_for(layer, call.batch, call.dtype, 1, window, contiguous=contiguous), x, weight, bias)
        for x in (torch.where(input.isfinite(), input, 0), input)
    )
    expected = layer(input.double(), weight.double(), None if bias is None else bias.double(), method="native")
    assert torch.equal(stained.isnan(), expected.isnan())
    assert torch.equal(stained.isposinf(), expected.isposinf())
    assert torch.equal(stained.isneginf(), expected.isneginf())
    untouched = expected.isfinite()
    assert torch.equal(stained[untouched], clean[untouched])


def test_signed_zeros_and_tiny_numbers():
    """Numbers smaller than normal ones are kept, whatever the processor is told to do with them."""
    tiny = torch.finfo(torch.float32).tiny / 8
    input = torch.full((1, 1, 20), tiny)
    with torch.no_grad():
        output = convmat.conv_transpose1d(input, torch.ones(1, 1, 1), method="tiles")
    assert torch.equal(output, input)


# -- one weight, many sizes --------------------------------------------------------------------------------------------


def test_packed_weights_serve_all_sizes():
    layer = transposed((9, 8), (4, 3), (2, 3), 1, (6, 10), groups=2)
    _, weight, bias = Call(layer, 1, torch.float64).tensors()
    first = plan_for(layer, 1, torch.float64)
    packed = first.pack(compiled.kernel(torch.float64), weight, 1)
    for sizes in ((2, 2), (3, 50), (17, 16), (40, 3)):
        other = replace(layer, sizes=sizes)
        plan = plan_for(other, 2, torch.float64)
        assert plan.rows is first.rows
        input = random_numbers(2, 6, *sizes)
        output = plan.convolve(compiled.kernel(torch.float64), input, packed, Epilogue(bias), 1)
        assert_right(output, other, input, weight, bias)
