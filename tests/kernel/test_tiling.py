"""How a layer is cut for the kernel: nothing is left out, nothing is done twice, nothing lies outside."""

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from convmat.kernel import compiled
from tests.kernel.kernels import DTYPES, layers, plan_for

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
    offsets, begins = cells.offsets(plan.rows, channels)
    reached = zip(cells.box, cells.reach, cells.pitches, strict=True)
    last_cell = sum((box + reach - 1) * pitch for box, reach, pitch in reached)
    last_of_window = sum((size - 1) * pitch for size, pitch in zip(cells.window, cells.pitches, strict=True))
    assert last_of_window < cells.used
    assert cells.used + plan.processor.lanes <= cells.plane
    for first, last in pairwise(begins):
        of_channels = offsets[first:last].reshape(channels, -1)
        within = of_channels - np.arange(channels)[:, None] * cells.planes * cells.plane
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


def test_tiles_fit_the_registers():
    for dtype in DTYPES:
        processor = compiled.processor(dtype, 1)
        assert processor.lanes * dtype.itemsize in (16, 32, 64)
        for rows, columns in enumerate(processor.widest, 1):
            assert rows * columns + columns + 1 <= 32
