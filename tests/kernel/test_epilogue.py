"""Activations in the kernel: bit for bit what PyTorch's layers make of the sums, wherever results are written."""

from unittest.mock import patch

import pytest
import torch

from convmat.kernel import compiled
from convmat.kernel import schedule as kernel_schedule
from convmat.kernel.tiling.processor import AXES, RUN
from tests.kernel.kernels import ACTIVATIONS, DTYPES, PLACES, Call, assert_right, computed, plan_for
from tests.layers import Layer

pytestmark = pytest.mark.skipif(not compiled.is_installed(), reason="needs Numba")

# Each is written in another way: see convmat.kernel.stages.writing.
LAYERS = {
    "contiguous": Call(Layer(sizes=(9, 37), kernel=(3, 4), padding=1, channels=(5, 7)), 2, torch.float32),
    "at once": Call(Layer(sizes=(9, 45), kernel=(3, 4), padding=1, channels=(2, 21)), 2, torch.float32),
    "at once, lines without gaps": Call(
        Layer(sizes=(10, 44), kernel=(2, 4), stride=(2, 4), channels=(3, 21)), 2, torch.float32
    ),
    "at once, runs of products": Call(Layer(sizes=(5, 99), kernel=(3, 4), channels=(14, 21)), 2, torch.float32),
    "channels last": Call(Layer(sizes=(9, 21), kernel=(3, 2), channels=(7, 19)), 2, torch.float32, "channels last"),
    "depthwise": Call(Layer(sizes=(11, 45), kernel=(3, 3), padding=1, channels=(6, 6), groups=6), 2, torch.float32),
    "many channels on a small image": Call(Layer(sizes=(5, 7), kernel=(3, 2), channels=(600, 20)), 1, torch.float32),
    "a batch of single cells": Call(Layer(sizes=(3, 2), kernel=(3, 2), channels=(8, 21)), 40, torch.float32),
    "phases": Call(
        Layer(transposed=True, sizes=(5, 23), kernel=(4, 5), stride=(2, 3), channels=(6, 5)), 2, torch.float32
    ),
    "many phases": Call(
        Layer(transposed=True, sizes=(41,), kernel=(17,), stride=11, channels=(4, 3)), 2, torch.float32
    ),
    "phases, channels last": Call(
        Layer(transposed=True, sizes=(4, 9), kernel=(3, 4), stride=2, channels=(6, 18)),
        2,
        torch.float32,
        "channels last",
    ),
}
FORMS = {
    "along the width": (Call(Layer(sizes=(6, 41), kernel=(3, 5), padding=1, channels=(16, 17)), 2, torch.float32), 1),
    "along both": (Call(Layer(sizes=(9, 41), kernel=(3, 3), padding=1, channels=(16, 17)), 2, torch.float32), 2),
    "dilated": (
        Call(Layer(sizes=(9, 41), kernel=(3, 3), padding=2, dilation=2, channels=(16, 17)), 1, torch.float32),
        2,
    ),
}
STORED_AT_ONCE = [call for name, call in LAYERS.items() if name == "depthwise" or "at once" in name]
SMALL = 1 << 15  # bytes of a window, too few for many channels at once
CASES = {**{name: (call, 0) for name, call in LAYERS.items()}, **FORMS}


def assert_same(output, expected):
    """Bit for bit, but for which NaN it is."""
    torch.testing.assert_close(output, expected, rtol=0, atol=0, equal_nan=True)
    numbers = ~expected.isnan()
    assert torch.equal(output.signbit()[numbers], expected.signbit()[numbers])


@pytest.mark.parametrize(("non_temporal", "window"), [(False, None), (True, None), (False, SMALL)])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize(("call", "transformed"), CASES.values(), ids=CASES)
def test_wherever_results_are_written(call, transformed, activation, non_temporal, window):
    dtypes = DTYPES if not transformed else (torch.float32,)
    at_once = call in STORED_AT_ONCE
    for dtype in dtypes:
        operands = Call(call.layer, call.batch, dtype, call.input).tensors()
        form = {"transformed": transformed, "contiguous": at_once, "at_once": at_once}
        plan = plan_for(call.layer, call.batch, dtype, 2, window, **form)
        with patch.object(kernel_schedule, "_STREAMED", 0 if non_temporal else 1 << 60):
            sums, output = computed(plan, *operands, 2), computed(plan, *operands, 2, activation)
        layer, _ = ACTIVATIONS[activation](call.layer.channels[1])
        assert_same(output, layer.to(dtype)(sums))
        assert_right(sums, call.layer, *operands)


def test_the_cases_are_what_they_say():
    """On every processor."""
    plans = {}
    for name, call in LAYERS.items():
        at_once = call in STORED_AT_ONCE
        plans[name] = plan_for(call.layer, call.batch, call.dtype, 2, contiguous=at_once, at_once=at_once)
    cells = {name: plan.cells for name, plan in plans.items()}
    assert [LAYERS[name] for name, each in cells.items() if each.at_once] == STORED_AT_ONCE
    assert [name for name, each in cells.items() if each.at_once and each.looped < AXES] == [
        "at once, lines without gaps"
    ]
    factors = {name: plan.geometry.in_channels * len(plan.rows.tables.deltas) for name, plan in plans.items()}
    assert [name for name, each in cells.items() if each.at_once and factors[name] > RUN] == [
        "at once, runs of products"
    ]
    divided = LAYERS["many channels on a small image"]
    assert plan_for(divided.layer, divided.batch, divided.dtype, 2, SMALL, contiguous=False).cells.blocks > 1
    assert [name for name, each in cells.items() if each.batch_inner] == ["a batch of single cells"]


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_numbers_that_are_not_finite(activation):
    """They pass through a kernel of one tap; its bias of 0 would make a negative zero positive."""
    layer = Layer(sizes=(3, 21), kernel=(1, 1), channels=(1, 3))
    special = [torch.nan, torch.inf, -torch.inf, 0.0, 1e-45, -1e-45, 3e38, -3e38, -1.0]
    input = torch.tensor(special * 7).reshape(1, 1, 3, 21)
    weight, plan = torch.ones(layer.weight_shape), plan_for(layer, 1, torch.float32)
    for place in PLACES.values():
        sums, output = (computed(plan, place(input), weight, None, 1, which) for which in (None, activation))
        assert_same(output, ACTIVATIONS[activation](3)[0](sums))
