"""Lanes of output channels against PyTorch in float64: any geometry, any cut, any place in memory."""

from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from convmat import Axis, Geometry, GeometryError
from convmat.kernel import compiled
from convmat.kernel.schedule import Schedule
from convmat.kernel.tiling.boxes import problem_of
from convmat.kernel.tiling.padding import lines_inside, share_inside
from convmat.kernel.tiling.rows import row_tiling_by_channels
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
    by_line=st.booleans(),
)
def test_every_number(call, threads, window, shift, by_line):
    try:
        geometry_of(call.layer)
    except GeometryError:  # cut to few cells, the input is smaller than the kernel
        assume(False)
    plan = plan_for(call.layer, call.batch, call.dtype, threads, window, by_channels=True, by_line=by_line)
    operands = call.tensors()
    with watched_outputs(shift):
        output = computed(plan, *operands, threads)
    assert_right(output, call.layer, *operands)


@pytest.mark.parametrize("by_line", [False, True])
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
def test_all_ways_agree(layer, batch, by_line):
    """The same numbers by cells and by channels, for any number of threads to the same bits."""
    operands = layer.tensors(batch, dtype=torch.float32)
    form = {"by_channels": True, "by_line": by_line}
    plans = [plan_for(layer, batch, torch.float32, threads, **form) for threads in (1, 2, 4)]
    first, *others = (computed(plan, *operands, plan.processor.threads) for plan in plans)
    assert_right(first, layer, *operands)
    assert all(torch.equal(first, other) for other in others)
    by_cells = computed(plan_for(layer, batch, torch.float32), *operands)
    torch.testing.assert_close(first, by_cells, rtol=0, atol=1e-6 * by_cells.abs().max().item())


def test_where_cells_leave_lanes_empty_it_is_taken():
    geometry = Geometry.conv((7, 7), kernel_size=1, in_channels=1024, out_channels=512)
    processor = compiled.processor(torch.float32, 2)
    assert Schedule(geometry, 1, processor).rows.by_channels
    assert not Schedule(geometry, 1, processor, contiguous=False).rows.by_channels


FEW_CELLS = [
    Geometry.conv((6, 5, 7), kernel_size=3, padding=1, in_channels=3, out_channels=16),
    Geometry.conv((5, 9), kernel_size=(4, 3), dilation=(3, 1), padding=(5, 1), in_channels=3, out_channels=16),
    Geometry.conv_transpose((3, 4, 5), kernel_size=4, stride=2, padding=(1, 2, 0), in_channels=3, out_channels=16),
    Geometry.conv_transpose((2, 7), kernel_size=(5, 3), stride=(1, 2), padding=(2, 1), in_channels=3, out_channels=16),
]


@pytest.mark.parametrize("geometry", FEW_CELLS, ids=["3-d", "dilated", "transposed", "far"])
def test_lines_leave_out_all_that_reads_zeros_alone(geometry):
    """How many deltas are left, of each phase and cell, where the geometry says how many taps each output reads."""
    rows = row_tiling_by_channels(geometry, together=16)
    cells = problem_of(rows, geometry, 1, compiled.processor(torch.float32, 1), at_once=False).cells[1:]
    lacking = 3 - geometry.ndim
    read, written = (1,) * lacking + geometry.read, (1,) * lacking + geometry.written
    left = iter(np.diff(lines_inside(rows, read, cells).parts)[:, 0])
    share = 1.0
    for a in range(2):
        of_axis = 0
        for phases, cell in product(rows.classes[a], range(cells[a])):
            count, output = next(left), cell * rows.axes[a].step_out + phases.members[0]
            of_axis += count
            if output < written[a]:
                axis = geometry.axes[a - lacking] if a >= lacking else Axis.conv(1, kernel=1)
                assert count == len((axis.feeds if geometry.transposed else axis.reads)(output))
        share *= of_axis / (cells[a] * sum(len(part.deltas) for part in rows.parts[a]))
    assert share_inside(rows, read, cells) == pytest.approx(share)
    assert next(left, None) is None


def test_where_many_inputs_are_padding_lines_leave_it_out():
    processor = compiled.processor(torch.float32, 2)
    sizes = {"in_channels": 128, "out_channels": 128, "kernel_size": 3, "padding": 1}
    assert Schedule(Geometry.conv((6, 6, 6), **sizes), 1, processor).rows.by_line
    assert not Schedule(Geometry.conv((6, 6, 60), **sizes), 1, processor).rows.by_line


def test_an_image_has_the_same_bits_alone_and_in_a_batch():
    layer = Layer(sizes=(7, 7), kernel=(1, 1), channels=(256, 128))
    input, weight, bias = layer.tensors(5, dtype=torch.float32)
    with torch.no_grad():
        together = layer(input, weight, bias, method="tiles")
        alone = torch.cat([layer(image, weight, bias, method="tiles") for image in input.split(1)])
    assert torch.equal(together, alone)
