"""Lanes of output channels against PyTorch in float64: any geometry, any cut, any place in memory."""

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from convmat import Geometry, GeometryError
from convmat.kernel import compiled
from convmat.kernel.schedule import Schedule
from tests.kernel.kernels import (
    BIASES,
    DTYPES,
    INPUTS,
    WEIGHTS,
    Call,
    assert_right,
    computed,
    geometry_of,
    layers_by_channels,
    plan_for,
    watched_outputs,
)
from tests.layers import Layer

pytestmark = pytest.mark.skipif(not compiled.is_installed(), reason="needs Numba")


@st.composite
def calls_by_channels(draw) -> Call:
    dtype = draw(st.sampled_from(DTYPES))
    layer, batch = draw(layers_by_channels(dtype)), draw(st.sampled_from([1, 1, 2, 5, 16]))
    return Call(layer, batch, dtype, draw(INPUTS), draw(WEIGHTS), draw(BIASES))


@settings(derandomize=True, deadline=None)
@given(
    call=calls_by_channels(),
    threads=st.integers(1, 4),
    window=st.sampled_from([None, 1 << 11, 1 << 13, 1 << 15]),
    shift=st.sampled_from([0, 0, 1, 3, 8]),
)
def test_every_number(call, threads, window, shift):
    try:
        geometry_of(call.layer)
    except GeometryError:  # cut to few cells, the input is smaller than the kernel
        assume(False)
    plan = plan_for(call.layer, call.batch, call.dtype, threads, window, by_channels=True)
    operands = call.tensors()
    with watched_outputs(shift):
        output = computed(plan, *operands, threads)
    assert_right(output, call.layer, *operands)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize(
    "layer",
    [
        Layer(sizes=(7, 6), kernel=(3, 3), padding=1, channels=(300, 96)),
        Layer(sizes=(5, 4), kernel=(4, 4), stride=2, padding=1, channels=(140, 80), transposed=True),
        Layer(sizes=(9, 11), kernel=(1, 1), stride=2, channels=(64, 160)),
    ],
    ids=["direct", "transposed", "1x1"],
)
def test_all_ways_agree(layer, batch):
    """The same numbers by cells and by channels, for any number of threads to the same bits."""
    operands = layer.tensors(batch, dtype=torch.float32)
    plans = [plan_for(layer, batch, torch.float32, threads, by_channels=True) for threads in (1, 2, 4)]
    first, *others = (computed(plan, *operands, plan.processor.threads) for plan in plans)
    assert_right(first, layer, *operands)
    assert all(torch.equal(first, other) for other in others)
    torch.testing.assert_close(first, computed(plan_for(layer, batch, torch.float32), *operands))


def test_where_cells_leave_lanes_empty_it_is_taken():
    geometry = Geometry.conv((7, 7), kernel_size=1, in_channels=1024, out_channels=512)
    processor = compiled.processor(torch.float32, 2)
    assert Schedule(geometry, 1, processor).rows.by_channels
    assert not Schedule(geometry, 1, processor, contiguous=False).rows.by_channels


def test_an_image_has_the_same_bits_alone_and_in_a_batch():
    layer = Layer(sizes=(7, 7), kernel=(1, 1), channels=(256, 128))
    input, weight, bias = layer.tensors(5, dtype=torch.float32)
    with torch.no_grad():
        together = layer(input, weight, bias, method="tiles")
        alone = torch.cat([layer(image, weight, bias, method="tiles") for image in input.split(1)])
    assert torch.equal(together, alone)
