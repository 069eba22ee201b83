"""Parts of a map, against the table and against the matrix of the whole."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convmat.geometry import Axis, Geometry, GeometryError, chunk_slices
from convmat.geometry.parts import parts_of
from tests.geometry.test_geometry_axis import axes, copied_cells, matrix_by_definition, some_integers, triples


@st.composite
def axes_with_range(draw, transposed):
    axis = draw(axes(largest=5))
    size = axis.inputs if transposed else axis.outputs
    start = draw(st.integers(0, size - 1))
    return axis, start, draw(st.integers(start + 1, size))


def laid(run) -> list[int]:
    return [run.start + run.step * k for k in range(run.count)]


@given(axes_with_range(transposed=False))
def test_reads_range(case):
    """The first and the last padded cell that are read, but for taps of padding."""
    axis, start, stop = case
    first, end = axis.reads_range(start, stop)
    cells = [o * axis.stride + t * axis.dilation for o in range(start, stop) for t in range(axis.kernel)]
    assert (first, end) == (min(cells), max(cells) + 1)
    assert 0 <= first < end <= axis.padded
    assert [i for run in axis.copied(first, end) for i in laid(run)] == [
        cell for cell in copied_cells(axis)[first:end] if cell >= 0
    ]


@given(axes(), st.data())
def test_feeds_range(axis, data):
    """All outputs that have a tap on these padded cells, and with dilation 1 no others."""
    start = data.draw(st.integers(0, axis.padded - 1))
    stop = data.draw(st.integers(start + 1, axis.padded))
    first, end = axis.feeds_range(start, stop)
    reach = [o for o in range(axis.outputs) if o * axis.stride < stop and o * axis.stride + axis.extent > start]
    assert list(range(first, end)) == reach
    taps = [(o, o * axis.stride + t * axis.dilation) for o in range(axis.outputs) for t in range(axis.kernel)]
    fed = {o for o, cell in taps if start <= cell < stop}
    assert fed <= set(reach)
    if axis.dilation == 1:
        assert fed == set(reach)


@given(axes_with_range(transposed=True))
def test_copies(case):
    """The padded cells that are copies of some inputs, once each, in at most three ranges."""
    axis, start, stop = case
    found = axis.copies(start, stop)
    assert len(found) <= 3
    pairs = []
    for first, runs in found:
        cells = [cell for run in runs for cell in laid(run)]
        pairs += [(first + k, start + cell) for k, cell in enumerate(cells)]
    assert pairs == [(at, cell) for at, cell in enumerate(copied_cells(axis)) if start <= cell < stop]


@pytest.mark.parametrize("transposed", [False, True])
@given(data=st.data())
def test_parts_of_an_axis_add_up_to_rows_of_its_matrix(transposed, data):
    axis, start, stop = data.draw(axes_with_range(transposed))
    kernel = some_integers(axis.kernel)
    whole = matrix_by_definition(axis, kernel)
    whole = whole.T if transposed else whole
    found = np.zeros((stop - start, whole.shape[1]), dtype=np.int64)
    parts = parts_of(axis, start, stop, transposed)
    assert len(parts) <= (3 if transposed else 1)
    for part in parts:
        assert part.axis.padding_mode == "zeros"
        matrix = matrix_by_definition(part.axis, kernel)
        read = [cell for run in part.read for cell in laid(run)]
        written = [cell for run in part.written for cell in laid(run)]
        matrix = matrix.T if transposed else matrix
        assert matrix.shape == (len(written), len(read))
        for row, cell in enumerate(written):
            np.add.at(found[cell], read, matrix[row])
    np.testing.assert_array_equal(found, whole[start:stop])


@given(axes_with_range(transposed=False))
def test_a_part_reads_no_more_than_it_needs(case):
    axis, start, stop = case
    read = {i for o, _, i in triples(axis) if start <= o < stop}
    (part,) = parts_of(axis, start, stop, transposed=False) or [None]
    found = [] if part is None else [cell for run in part.read for cell in laid(run)]
    assert read <= set(found)
    if axis.dilation == 1 and axis.stride <= axis.kernel:
        assert read == set(found)


def test_a_halo_is_the_reach_of_the_kernel():
    geometry = Geometry.conv((1000, 1000), (31, 15), padding=(15, 7))
    (part,) = geometry.part([(100, 200), (300, 400)])
    assert part.geometry.inputs == (130, 114)
    assert [runs[0].start for runs in part.read] == [85, 293]
    (back,) = geometry.transpose().part([(100, 200), (300, 400)])
    assert back.geometry.outputs == (130, 114)
    assert back.geometry.transposed


@given(axes(), st.booleans(), st.data())
def test_bounds(axis, transposed, data):
    size, wanted = (axis.outputs, axis.inputs) if transposed else (axis.inputs, axis.outputs)
    inner = data.draw(st.sets(st.integers(1, size - 1) if size > 1 else st.nothing()))
    bounds = axis.bounds((0, *sorted(inner), size), transposed)
    assert (bounds[0], bounds[-1]) == (0, wanted)
    assert list(bounds) == sorted(set(bounds))
    assert all(bound in (0, wanted) or bound // axis.stride in inner or not transposed for bound in bounds)


@given(axes())
def test_hits(axis):
    expected = np.zeros((axis.inputs, axis.kernel), dtype=np.int64)
    for _, tap, cell in triples(axis):
        expected[cell, tap] += 1
    np.testing.assert_array_equal(axis.hits(), expected)
    np.testing.assert_array_equal(axis.hits(transposed=True), axis.source() >= 0)


@given(st.lists(st.integers(1, 5), min_size=1, max_size=6), st.data())
def test_pieces(chunks, data):
    size = sum(chunks)
    first = data.draw(st.integers(0, size - 1))
    end = data.draw(st.integers(first + 1, size))
    starts = np.cumsum([0, *chunks])
    found = []
    for piece in chunk_slices(tuple(chunks), first, end):
        assert piece.end - piece.first == piece.stop - piece.start
        assert piece.first == starts[piece.chunk] + piece.start
        assert 0 <= piece.start < piece.stop <= chunks[piece.chunk]
        found += range(piece.first, piece.end)
    assert found == list(range(first, end))


@pytest.mark.parametrize("ranges", [[(0, 3)], [(0, 3), (2, 2)], [(0, 3), (0, 9)], [(-1, 3), (0, 2)]])
def test_wrong_ranges(ranges):
    with pytest.raises(GeometryError, match="range"):
        Geometry.conv((6, 6), 3).part(ranges)


def test_a_part_of_padding_alone_is_nothing():
    assert Geometry.conv((2,), 2, padding=5).part([(0, 2)]) == ()
    assert parts_of(Axis.conv_transpose(3, 1, stride=4), 1, 3, transposed=True) == ()
