"""How a layer is cut for the kernel: nothing is left out, nothing is done twice, nothing lies outside."""

from itertools import pairwise

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

import convmat
from convmat import Geometry
from convmat.kernel import compiled, task
from convmat.kernel.schedule import Schedule
from convmat.kernel.tiling import choosing
from convmat.kernel.tiling.choosing import _choices
from convmat.kernel.tiling.phases import AxisPhases, PhaseOut, phase_classes
from convmat.kernel.tiling.rows import _row_tiling, row_tilings
from tests.kernel.kernels import DTYPES, computed, layers, plan_for
from tests.layers import Layer

plans = st.builds(
    plan_for,
    layers(),
    batch=st.sampled_from([1, 2, 3, 16, 17]),
    dtype=st.sampled_from(DTYPES),
    threads=st.integers(1, 7),
    window=st.sampled_from([None, 1 << 9, 1 << 11, 1 << 13, 1 << 15]),
    whim=st.none() | st.integers(0, 99),
)


def span(table, first, last):
    return [tuple(row) for row in table[first:last].tolist()]


@settings(derandomize=True)
@given(plan=plans)
def test_each_line_of_the_output_is_made_once(plan):
    rows = plan.rows
    lines = span(rows.tables.lines, 0, None)
    depth, height, _ = (len(axis.phases) for axis in rows.axes)
    assert sorted(lines) == [(c, d, h) for c in range(rows.channels) for d in range(depth) for h in range(height)]


@settings(derandomize=True)
@given(plan=plans)
def test_each_row_of_a_stripe_is_one_channel_and_phase(plan):
    """Its tiles make each row, before anything is added to it, and each place of its lines is one of them."""
    tables, phases = plan.rows.tables, len(plan.rows.axes[2].phases)
    assert tuple(tables.stripes[-1]) == (len(tables.tiles), len(tables.lines))
    rows_of_places = tables.places[:, 0].reshape(len(tables.lines), phases)
    for (first_tile, first_line), (last_tile, last_line) in pairwise(tables.stripes):
        made = []
        for rows, _, _, first, _, step, is_added in span(tables.tiles, first_tile, last_tile):
            of_tile = range(first, first + rows * step, step)
            assert rows <= plan.rows.most
            if is_added:
                assert set(of_tile) <= set(made)
            else:
                made += of_tile
        written = rows_of_places[first_line:last_line].reshape(-1).tolist()
        assert sorted(made) == sorted(written) == list(range(len(written)))
        assert len(written) <= tables.most_rows


@settings(derandomize=True)
@given(plan=plans)
def test_each_tap_is_packed_once(plan):
    """Those that reach an output at all; where there are as many outputs as phases, these are all of them."""
    taps = plan.rows.tables.taps.tolist()
    assert len(set(taps)) == len(taps)
    geometry = plan.geometry
    of_channel = np.arange(np.prod(geometry.kernel_size))
    all_taps = of_channel + np.arange(plan.rows.channels)[:, None] * plan.rows.apart
    assert set(taps) <= set(all_taps.reshape(-1).tolist())
    if all(len(axis.phases) == axis.step_out for axis in plan.rows.axes):
        assert len(taps) == all_taps.size
    first = 0
    for rows, deltas, _, _, begins, *_ in plan.rows.tables.tiles.tolist():
        assert begins == first
        first += rows * deltas
    assert first == len(taps)


@settings(derandomize=True)
@given(plan=plans)
def test_boxes_hold_all_cells(plan):
    cells, outputs = plan.cells, (1,) * (3 - plan.geometry.ndim) + plan.geometry.written
    assert cells.cells[0] == plan.batch
    for count, axis, size in zip(cells.cells[1:], plan.rows.axes, outputs, strict=True):
        assert (count - 1) * axis.step_out < size <= count * axis.step_out
    for count, box, boxes in zip(cells.cells, cells.box, cells.boxes, strict=True):
        assert 1 <= box <= count
        assert (boxes - 1) * box < count <= boxes * box
    assert 1 <= cells.parts <= max(1, len(plan.rows.tables.stripes) - 1)


@settings(derandomize=True)
@given(plan=plans)
def test_factors_lie_in_the_plane_of_their_channel(plan):
    """From the first cell of a box to the last vector of its last cell."""
    cells, geometry = plan.cells, plan.geometry
    channels = geometry.in_channels // geometry.groups
    offsets, begins = cells.places.offsets(plan.rows, channels)
    reached = zip(cells.box, cells.reach, cells.pitches, strict=True)
    last_cell = sum((box + reach - 1) * pitch for box, reach, pitch in reached)
    last_of_window = sum((size - 1) * pitch for size, pitch in zip(cells.window, cells.pitches, strict=True))
    assert last_of_window < cells.used
    assert cells.used + plan.processor.lanes <= cells.plane
    for first, last in pairwise(begins):
        of_channels = offsets[first:last].reshape(channels, -1)
        within = of_channels - np.arange(channels)[:, None] * cells.channel_pitch
        assert (within >= 0).all()
        assert (within < cells.planes * cells.plane).all()
        assert (within % cells.plane + last_cell < cells.used).all()
        assert (within == within[0]).all()
    assert len(plan.rows.tables.products) == len(begins) - 1


@settings(derandomize=True)
@given(layer=layers(), dtype=st.sampled_from(DTYPES))
def test_rows_are_cut_alike_for_all_sizes_and_threads(layer, dtype):
    """So that packed weights serve them all."""
    first = plan_for(layer, 1, dtype, 1).rows
    assert plan_for(layer, 5, dtype, 1).rows is first
    other = plan_for(layer, 1, dtype, 2).rows
    assert other.merge == first.merge
    assert other.together == first.together
    assert np.array_equal(other.tables.taps, first.tables.taps)


@settings(derandomize=True)
@given(plan=plans)
def test_sizes_that_are_alike_are_cut_alike(plan):
    """By what these sizes are, and not by which of them were met before."""
    geometry, *others = plan.geometry, plan.batch, plan.processor
    own, longest = Schedule(geometry, *others), Schedule(geometry.longest_alike(), *others)
    assert own.rows is longest.rows
    assert all(box <= other for box, other in zip(own.cells.box, longest.cells.box, strict=True))
    _choices.clear()
    assert Schedule(geometry, *others).cells == own.cells


def test_a_new_length_tries_no_forms(monkeypatch):
    """Of those up to the longest that is like it, one is tried; choosing takes longer than a small layer."""
    tried, choose = [], choosing._choose
    monkeypatch.setattr(
        choosing, "_choose", lambda geometry, wanted: tried.append(geometry) or choose(geometry, wanted)
    )
    _choices.clear()
    processor = compiled.processor(torch.float32, 2)
    layers = [
        Geometry.conv_transpose((length,), 16, 8, 4, in_channels=128, out_channels=64) for length in range(257, 321)
    ]
    cells = [Schedule(layer, 1, processor).cells.cells[-1] for layer in layers]
    assert cells == sorted(cells)
    assert len({*cells}) > 16
    assert [layer.read for layer in tried] == [(288,), (320,)]


def test_lengths_that_are_alike_share_the_tables_of_a_task():
    """Which take as long to make as all else that is worked out for a length."""
    processor = compiled.processor(torch.float32, 2)
    of_lengths = [
        Schedule(Geometry.conv((length,), 7, padding=9, dilation=3, in_channels=64, out_channels=64), 1, processor)
        for length in range(3841, 4097, 5)
    ]
    first, *others = (schedule._known for schedule in of_lengths)
    assert all(tables is first[1] for _, tables in others)
    assert len({tuple(numbers) for numbers, _ in (first, *others)}) == len(of_lengths)


class Counted(int):
    """A number that counts how often it is compared with others."""

    compared = 0
    __hash__ = int.__hash__

    def __eq__(self, other):
        Counted.compared += 1
        return int(self) == int(other)


@pytest.mark.parametrize("phases", [1, 3])
def test_planning_a_long_kernel_takes_time_in_proportion_to_it(phases):
    taps = 2000
    shifts = [tuple(map(Counted, range(e, e + taps))) for e in range(phases)]
    axis = AxisPhases(phases, 1, taps, tuple(PhaseOut(e, tuple(range(taps)), shifts[e]) for e in range(phases)))
    Counted.compared = 0
    (phase_class,) = phase_classes(axis, merge=True)
    assert Counted.compared < 20 * phases * taps
    assert sum(len(part.deltas) * len(part.members) for part in phase_class.parts) == phases * taps


def test_the_classes_of_an_axis_are_found_once_for_all_ways_to_cut_its_rows():
    phase_classes.cache_clear()
    _row_tiling.cache_clear()
    geometry = Geometry.conv_transpose((40,), 60, stride=3, in_channels=16, out_channels=16)
    (rows, *_) = row_tilings(geometry, compiled.processor(torch.float64, 1), transforms=False)
    assert rows.classes
    assert phase_classes.cache_info().misses <= 6  # merged or not, of this axis and of two that are single points


def test_tiles_fit_the_registers():
    for dtype in DTYPES:
        processor = compiled.processor(dtype, 1)
        assert processor.lanes * dtype.itemsize in (16, 32, 64)
        for rows, columns in enumerate(processor.widest, 1):
            assert rows * columns + columns + 1 <= 32


AT_ONCE = {
    "3x3": Layer(sizes=(9, 21), kernel=(3, 3), padding=1, groups=6, channels=(6, 6)),
    "steps of two": Layer(sizes=(9, 21), kernel=(5, 3), stride=2, padding=2, groups=6, channels=(6, 6)),
    "no row in common": Layer(sizes=(9, 21), kernel=(3, 3), dilation=(2, 1), groups=6, channels=(6, 6)),
    "volumes": Layer(sizes=(4, 5, 21), kernel=(3, 4, 3), padding=1, groups=6, channels=(6, 6)),
    "one row": Layer(sizes=(3, 21), kernel=(3, 3), groups=6, channels=(6, 6)),
    "two inputs for each output": Layer(sizes=(8, 21), kernel=(3, 3), groups=3, channels=(6, 3)),
    "transposed": Layer(sizes=(8, 21), kernel=(3, 3), groups=6, channels=(6, 6), transposed=True),
}


@pytest.mark.parametrize("layer", AT_ONCE.values(), ids=AT_ONCE.keys())
def test_both_rows_of_a_pair_meet_all_factors(layer):
    plan, channels = plan_for(layer, batch=2, dtype=torch.float32, threads=2), layer.channels[0] // layer.groups
    assert plan.cells.at_once
    table, (alone, both, second) = plan.cells.places.pairs(plan.rows, channels)
    offsets, _ = plan.cells.places.offsets(plan.rows, channels)
    assert len(table) == alone + both + second
    assert len(set(table[:, 0].tolist())) == len(table)  # no input is read twice
    first_row, second_row = table[: alone + both], table[alone:]
    for place, row, further in ((1, first_row, 0), (2, second_row, plan.cells.pitches[2])):
        assert sorted(row[:, place].tolist()) == list(range(len(offsets)))
        assert (row[:, 0] == offsets[row[:, place]] + further).all()
    if len(layer.sizes) == 2 and layer.stride == layer.dilation == channels == 1:
        assert first_row[:, 1].tolist() == second_row[:, 2].tolist()


@pytest.mark.parametrize("height", [1, 2, 3, 8, 9])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_pairs_of_rows_compute_what_pytorch_does(height, dtype):
    torch.manual_seed(height)
    cases = (((3, 3), 1, (1, 1), 70), ((3, 3), 2, (1, 1), 33), ((3, 5), 1, (2, 1), 19), ((1, 3), 1, (1, 1), 140))
    for kernel, stride, dilation, width in cases:
        needed = (height - 1) * stride + (kernel[0] - 1) * dilation[0] + 1
        input, weight = torch.randn(2, 5, needed, width, dtype=dtype), torch.randn(5, 1, *kernel, dtype=dtype)
        arguments = (torch.randn(5, dtype=dtype), stride, 0, dilation, 5)
        output, expected = (
            convmat.conv2d(input, weight, *arguments, method="tiles"),
            F.conv2d(input, weight, *arguments),
        )
        assert output.shape[2] == height
        torch.testing.assert_close(output, expected)


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("groups", [1, 3, 301])
def test_small_units_of_work_are_taken_several_at_a_time(groups, threads):
    """But never so many that a thread would have no turn."""
    layer = Layer(sizes=(4, 5), kernel=(3, 3), padding=1, groups=groups, channels=(groups, groups))
    plan = plan_for(layer, batch=1, dtype=torch.float32, threads=threads)
    numbers, _ = plan._known
    at_once, units = numbers[task.UNITS_AT_ONCE], numbers[task.UNITS]
    assert (at_once > 1) == (groups == 301)
    assert at_once == 1 or units // at_once >= 4 * threads
    tensors = torch.randn(1, groups, 4, 5), torch.randn(groups, 1, 3, 3), torch.randn(groups)
    expected = F.conv2d(*tensors, padding=1, groups=groups)
    torch.testing.assert_close(computed(plan, *tensors, threads), expected)
