"""The tap table against the formula, and every closed form against the table."""

from dataclasses import replace
from math import gcd

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from convmat.geometry import Axis, GeometryError, kept_range
from tests.strategies import AxisNumbers, axis_numbers, same_axis_numbers

NUMPY_MODES = {"zeros": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}


def axis_of(numbers: AxisNumbers) -> Axis:
    return Axis(
        numbers.m,
        numbers.n,
        numbers.kernel,
        numbers.stride,
        numbers.dilation,
        numbers.lo,
        numbers.hi,
        numbers.padding_mode,
    )


def axes(**options):
    return axis_numbers(**options).map(axis_of)


def copied_cells(axis: Axis) -> list[int]:
    """Which input each padded cell is a copy of, by numpy; -1 for a zero."""
    fill = {"constant_values": -1} if axis.padding_mode == "zeros" else {}
    cells = np.pad(np.arange(axis.inputs), (axis.lo, axis.hi), mode=NUMPY_MODES[axis.padding_mode], **fill)
    return cells.tolist()


def table_by_definition(axis: Axis) -> list[list[int]]:
    cells = copied_cells(axis)
    return [[cells[o * axis.stride + t * axis.dilation] for t in range(axis.kernel)] for o in range(axis.outputs)]


def triples(axis: Axis) -> list[tuple[int, int, int]]:
    """All (output, tap, input) that meet."""
    return [(o, t, i) for o, row in enumerate(table_by_definition(axis)) for t, i in enumerate(row) if i >= 0]


def matrix_by_definition(axis: Axis, kernel) -> np.ndarray:
    matrix = np.zeros((axis.outputs, axis.inputs), dtype=np.int64)
    for o, t, i in triples(axis):
        matrix[o, i] += kernel[t]
    return matrix


def some_integers(size: int) -> np.ndarray:
    return np.random.default_rng(size).integers(-9, 10, size)


def extended(cells, lo: int, hi: int) -> np.ndarray:
    """Extend cells by zeros, or crop them where an amount is negative."""
    return np.array([cells[i] if 0 <= i < len(cells) else 0 for i in range(-lo, len(cells) + hi)], dtype=np.int64)


# -- the table ---------------------------------------------------------------------------------------------------------


@given(axes())
def test_table_follows_the_definition(axis):
    assert axis.source().tolist() == table_by_definition(axis)


@given(axes(padding_mode="zeros"))
def test_table_is_the_formula_with_zeros(axis):
    for o in range(axis.outputs):
        for t in range(axis.kernel):
            i = o * axis.stride - axis.lo + t * axis.dilation
            assert axis.source()[o, t] == (i if 0 <= i <= axis.inputs - 1 else -1)


@given(axes())
def test_source_of_is_the_table(axis):
    expected = table_by_definition(axis)
    assert [[axis.source_of(o, t) for t in range(axis.kernel)] for o in range(axis.outputs)] == expected
    assert axis.source_of(np.arange(axis.outputs)[:, None], np.arange(axis.kernel)).tolist() == expected


@given(axes())
def test_padding_source_is_what_numpy_pads(axis):
    assert axis.padded == axis.lo + axis.inputs + axis.hi
    assert axis.padding_source().tolist() == copied_cells(axis)


@given(axes())
def test_windows_lie_within_the_padded_inputs(axis):
    last = (axis.outputs - 1) * axis.stride + axis.dilation * (axis.kernel - 1)
    assert axis.extent == axis.dilation * (axis.kernel - 1) + 1
    assert axis.slack == axis.padded - 1 - last
    assert 0 <= axis.slack < max(axis.stride, axis.dilation)


@given(axes(padding_mode="zeros"), st.integers(1, 4))
def test_pieces_read_what_the_whole_axis_reads(axis, count):
    pieces = axis.pieces(count)
    lo, hi = pieces.padding
    cells = np.pad(np.arange(axis.inputs), (lo, max(hi, 0)), constant_values=-1)[: lo + axis.inputs + hi]
    tables = [cells[start * pieces.step :][: pieces.axis.inputs][pieces.axis.source()] for start in range(count)]
    whole = np.concatenate(tables)
    assert pieces.axis.outputs * count == axis.outputs + pieces.further
    assert whole[: axis.outputs].tolist() == axis.source().tolist()


@given(axes())
def test_reads_are_a_row_of_the_table(axis):
    for output in range(axis.outputs):
        assert axis.reads(output) == [(t, i) for o, t, i in triples(axis) if o == output]


@given(axes())
def test_feeds_are_where_an_input_stands_in_the_table(axis):
    for input in range(axis.inputs):
        assert axis.feeds(input) == [(t, o) for o, t, i in triples(axis) if i == input]


@pytest.mark.parametrize("question", ["reads", "feeds"])
@pytest.mark.parametrize("index", [-1, 9])
def test_no_question_beyond_the_axis(question, index):
    with pytest.raises(GeometryError, match=f"={index} is out of range: need 0 <= "):
        getattr(Axis.conv(9, kernel=1), question)(index)


@given(axes())
def test_overlap_counts_the_taps_that_read_an_input(axis):
    expected = [sum(i == input for _, _, i in triples(axis)) for input in range(axis.inputs)]
    assert axis.overlap().tolist() == expected


@given(axes())
def test_most_entries_are_the_entries(axis):
    assert axis.most_entries() == len({(o, i) for o, _, i in triples(axis)})


@given(axes())
def test_without_listing_the_bound_holds(axis):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("convmat.geometry.entries._MOST_LISTED", 0)
        assert axis.most_entries() >= len({(o, i) for o, _, i in triples(axis)})
        for transposed in (False, True):
            assert axis.entries(transposed)[0].shape[1] <= axis.most_in_row(transposed)


@given(axes(padding_mode="zeros"))
def test_readers_are_the_outputs_that_read_through_a_tap(axis):
    for tap in range(axis.kernel):
        assert list(range(*axis.readers(tap))) == [o for o, t, _ in triples(axis) if t == tap]


@given(axes(), st.booleans())
def test_entries_are_the_places_where_taps_meet(axis, transposed):
    columns, sets = axis.entries(transposed)
    rows = axis.inputs if transposed else axis.outputs
    assert columns.shape == sets.shape
    assert len(columns) == rows
    for row in range(rows):
        met: dict[int, list[int]] = {}
        for o, t, i in triples(axis):
            at, column = (i, o) if transposed else (o, i)
            if at == row:
                met.setdefault(column, []).append(t)
        filled = len(met)
        assert columns[row, :filled].tolist() == sorted(met)
        assert [axis.tap_sets()[s] for s in sets[row, :filled]] == [tuple(sorted(met[c])) for c in sorted(met)]
        assert (columns[row, filled:] == -1).all()
        assert (sets[row, filled:] == -1).all()


@given(axes(padding_mode="zeros"))
def test_each_tap_is_alone_with_zeros(axis):
    assert axis.tap_sets() == tuple((t,) for t in range(axis.kernel))


@given(axes())
def test_unpadded_reads_what_padding_extended(axis):
    """C = Z P, as matrices."""
    kernel = some_integers(axis.kernel)
    extend = np.array([[i == cell for i in range(axis.inputs)] for cell in copied_cells(axis)], dtype=np.int64)
    z = axis.unpadded()
    if axis.padding_mode == "zeros":
        assert z == axis
    else:
        assert (z.inputs, z.lo, z.hi, z.padding_mode) == (axis.padded, 0, 0, "zeros")
        assert (matrix_by_definition(z, kernel) @ extend).tolist() == matrix_by_definition(axis, kernel).tolist()


# -- views of the same map ---------------------------------------------------------------------------------------------


@given(
    size=st.integers(1, 5000),
    kernel=st.integers(1, 9),
    stride=st.integers(1, 9),
    dilation=st.integers(1, 5),
    padding=st.integers(0, 9),
)
def test_the_longest_axis_alike_is_a_little_longer_and_like_itself(size, kernel, stride, dilation, padding):
    assume(dilation * (kernel - 1) < size + 2 * padding)
    axis = Axis.conv(size, kernel, stride, padding, dilation)
    inputs, outputs = axis.longest_alike()
    longest = replace(axis, inputs=inputs, outputs=outputs)
    assert axis.outputs <= outputs <= axis.outputs * 9 / 8
    assert longest.slack == axis.slack
    assert longest.longest_alike() == (inputs, outputs)
    assert len({Axis.conv(length, 1).longest_alike() for length in range(1000, 2001)}) <= 10


@given(axes(padding_mode="zeros"))
def test_phases_say_which_taps_feed_an_output_and_from_where(axis):
    phases = axis.phases()
    assert [phase.residue for phase in phases] == list(range(axis.stride))
    for i in range(axis.inputs):
        phase = phases[(i + axis.lo) % axis.stride]
        fed = [(t, (i + axis.lo) // axis.stride - shift) for t, shift in zip(phase.taps, phase.shifts, strict=True)]
        assert sorted((t, o) for t, o in fed if 0 <= o < axis.outputs) == sorted(axis.feeds(i))


@given(axes())
def test_phases_share_out_the_taps(axis):
    taps = [t for phase in axis.phases() for t in phase.taps]
    assert sorted(taps) == list(range(axis.kernel))
    for phase in axis.phases():
        assert phase.taps == tuple(t for t in range(axis.kernel) if t * axis.dilation % axis.stride == phase.residue)
        if phase.residue % gcd(axis.dilation, axis.stride):
            assert phase.taps == ()


@given(axes())
def test_phase_table_places_each_tap_once(axis):
    table = axis.phase_table()
    assert table.shape == (axis.stride, axis.dilation * (axis.kernel - 1) // axis.stride + 1)
    placed = {(t, r + axis.stride * shift) for (r, shift), t in np.ndenumerate(table) if t >= 0}
    assert placed == {(t, t * axis.dilation) for t in range(axis.kernel)}


def phase_kernels(axis: Axis, kernel) -> list[list[int]]:
    return [[int(kernel[t]) if t >= 0 else 0 for t in row] for row in axis.phase_table()]


@given(axes(padding_mode="zeros"))
def test_transposed_by_phases(axis):
    """Convolve each phase with stride 1, interleave, crop: Cᵀ y."""
    kernel, y, window = some_integers(axis.kernel), some_integers(axis.outputs), axis.phase_window()
    extended_y = extended(y, *window.coarse_padding)
    phases = [np.convolve(extended_y, row, mode="valid") for row in phase_kernels(axis, kernel)]
    assert {len(phase) for phase in phases} == {window.count}
    interleaved = np.stack(phases, axis=1).reshape(-1)
    result = interleaved[window.offset : window.offset + axis.inputs]
    assert result.tolist() == (matrix_by_definition(axis, kernel).T @ y).tolist()


@given(axes(padding_mode="zeros"))
def test_direct_by_phases(axis):
    """Split into phases, correlate each with stride 1, sum: C x."""
    kernel, x, window = some_integers(axis.kernel), some_integers(axis.inputs), axis.phase_window()
    whole = extended(x, window.offset, window.count * axis.stride - window.offset - axis.inputs)
    phases = whole.reshape(window.count, axis.stride).T
    terms = [
        np.correlate(extended(phase, *window.fine_padding), row, mode="valid")
        for phase, row in zip(phases, phase_kernels(axis, kernel), strict=True)
    ]
    assert sum(terms).tolist() == (matrix_by_definition(axis, kernel) @ x).tolist()


@given(axes(padding_mode="zeros"))
def test_phase_window_needs_no_cell_in_vain(axis):
    window = axis.phase_window()
    cells = {(axis.lo + i) // axis.stride for i in range(axis.inputs)}
    assert sorted(cells) == list(range(window.first, window.first + window.count))
    assert window.offset == axis.lo - window.first * axis.stride


@given(axes(padding_mode="zeros"))
def test_zero_insertion_padding(axis):
    """Insert zeros, pad, flip the kernel, correlate with stride 1: Cᵀ y."""
    kernel, y = some_integers(axis.kernel), some_integers(axis.outputs)
    spread = np.zeros((axis.outputs - 1) * axis.stride + 1, dtype=np.int64)
    spread[:: axis.stride] = y
    dilated = np.zeros(axis.extent, dtype=np.int64)
    dilated[:: axis.dilation] = kernel
    result = np.correlate(extended(spread, *axis.zero_insertion_padding()), dilated[::-1], mode="valid")
    assert result.tolist() == (matrix_by_definition(axis, kernel).T @ y).tolist()


@given(axes(padding_mode="zeros"))
def test_zero_insertion_padding_is_the_one_of_the_design(axis):
    reach = axis.dilation * (axis.kernel - 1)
    assert axis.zero_insertion_padding() == (reach - axis.lo, reach - axis.hi + axis.slack)


@given(axes(padding_mode="zeros"))
def test_even_padding_is_what_pytorch_can_express(axis):
    both, (lo, hi), output_padding = axis.even_padding()
    assert (both + lo, both + hi) == (axis.lo, axis.hi)
    assert min(lo, hi) == 0
    assert 0 <= output_padding < max(axis.stride, axis.dilation)
    reached = (axis.outputs - 1) * axis.stride - 2 * both + axis.extent + output_padding
    assert reached >= lo + axis.inputs
    assert output_padding == 0 or reached == lo + axis.inputs


@given(st.sampled_from(["reflect", "replicate", "circular"]).flatmap(lambda mode: axes(padding_mode=mode)))
def test_borders_are_what_padding_copies(axis):
    before, after = axis.borders()
    cells = [[border.start + border.step * i for i in range(border.count)] for border in (before, after)]
    assert [*cells[0], *range(axis.inputs), *cells[1]] == copied_cells(axis)
    assert all(border.lowest == min(own) for border, own in zip((before, after), cells, strict=True) if own)


@given(axes())
def test_around_tap_are_the_cells_that_it_does_not_span(axis):
    for tap in range(axis.kernel):
        read = [output * axis.stride + tap * axis.dilation for output in range(axis.outputs)]
        assert axis.around_tap(tap) == (min(read), axis.padded - 1 - max(read))


@given(st.integers(0, 8), st.integers(-9, 9), st.integers(-9, 9))
def test_kept_range_extends_and_crops(size, lo, hi):
    total = size + lo + hi
    if total < 0:
        return
    start, length, before, after = kept_range(size, lo, hi)
    assert min(start, length, before, after) >= 0
    assert start + length <= size
    cells = np.arange(1, size + 1)
    result = [*[0] * before, *cells[start : start + length].tolist(), *[0] * after]
    assert result == extended(cells, lo, hi).tolist()


# -- sizes -------------------------------------------------------------------------------------------------------------


@given(axis_numbers(transposed=False))
def test_direct_size(numbers):
    made = Axis.conv(
        numbers.m,
        numbers.kernel,
        numbers.stride,
        (numbers.lo, numbers.hi),
        numbers.dilation,
        numbers.padding_mode,
    )
    assert made == axis_of(numbers)


@given(axis_numbers(transposed=True))
def test_transposed_size(numbers):
    made = Axis.conv_transpose(
        numbers.n,
        numbers.kernel,
        numbers.stride,
        (numbers.lo, numbers.hi),
        numbers.slack,
        numbers.dilation,
        numbers.padding_mode,
    )
    assert made == axis_of(numbers)


@given(axis_numbers(transposed=True))
def test_every_output_size_in_reach_is_one_output_padding(numbers):
    options = (numbers.n, numbers.kernel, numbers.stride, (numbers.lo, numbers.hi))
    smallest = numbers.m - numbers.slack
    for output_padding in range(max(numbers.stride, numbers.dilation)):
        size = smallest + output_padding
        if size < 1:
            continue
        by_size = Axis.conv_transpose(*options, dilation=numbers.dilation, output_size=size)
        assert by_size == Axis.conv_transpose(*options, output_padding, numbers.dilation)
        assert by_size.inputs == size


@given(axis_numbers(transposed=True), st.integers(1, 9))
def test_output_size_out_of_reach_names_the_range(numbers, distance):
    smallest = numbers.m - numbers.slack
    largest = smallest + max(numbers.stride, numbers.dilation) - 1
    smallest = max(smallest, 1)
    for size, nearest in ((smallest - distance, smallest), (largest + distance, largest)):
        message = f"output_size={size} is out of reach: need {smallest} <= output_size <= {largest}; {nearest} would do"
        with pytest.raises(GeometryError) as error:
            Axis.conv_transpose(
                numbers.n,
                numbers.kernel,
                numbers.stride,
                (numbers.lo, numbers.hi),
                dilation=numbers.dilation,
                output_size=size,
            )
        assert str(error.value) == message


@given(same_axis_numbers(transposed=False), st.integers(1, 12))
def test_same_divides_the_size_by_the_stride(numbers, size):
    _, kernel, stride, dilation, _ = numbers
    axis = Axis.conv(size, kernel, stride, "same", dilation)
    total = max((axis.outputs - 1) * stride + dilation * (kernel - 1) + 1 - size, 0)
    assert axis.outputs == -(-size // stride)
    assert (axis.lo, axis.hi) == (total // 2, -(-total // 2))


@given(same_axis_numbers(transposed=True))
def test_same_multiplies_the_size_by_the_stride(numbers):
    size, kernel, stride, dilation, wanted = numbers
    assert Axis.conv_transpose(size, kernel, stride, "same", dilation=dilation).inputs == size * stride
    sized = Axis.conv_transpose(size, kernel, stride, "same", dilation=dilation, output_size=wanted)
    assert sized == Axis.conv(wanted, kernel, stride, "same", dilation)
    assert (sized.inputs, sized.outputs) == (wanted, size)


@given(same_axis_numbers(transposed=True), st.integers(0, 5))
def test_same_reaches_as_many_sizes_as_the_stride(numbers, distance):
    size, kernel, stride, dilation, _ = numbers
    for wanted in ((size - 1) * stride - distance, size * stride + 1 + distance):
        with pytest.raises(GeometryError, match=f"need {(size - 1) * stride + 1} <= output_size <= {size * stride}"):
            Axis.conv_transpose(size, kernel, stride, "same", dilation=dilation, output_size=wanted)


@given(axis_numbers(), st.integers(1, 9))
def test_sizes_that_do_not_belong_together(numbers, distance):
    limit = max(numbers.stride, numbers.dilation)
    smallest = numbers.m - numbers.slack
    for m in (smallest - distance, smallest + limit - 1 + distance):
        if m < 1:
            continue
        wrong = numbers._replace(m=m, padding_mode="zeros")
        with pytest.raises(GeometryError, match=rf"must lie in {smallest}\.\.{smallest + limit - 1} "):
            axis_of(wrong)


@given(axes())
def test_rows_are_no_longer_than_said(axis):
    for transposed in (False, True):
        columns, _ = axis.entries(transposed)
        assert columns.shape[1] <= axis.most_in_row(transposed)


@pytest.mark.parametrize("padding_mode", ["zeros", "reflect", "replicate", "circular"])
@given(data=st.data())
def test_on_long_axes_rows_are_as_long_as_said(padding_mode, data):
    """Where a memory check would refuse too early if they were not."""
    kernel, stride, dilation = (data.draw(st.integers(1, largest)) for largest in (6, 4, 3))
    lo, hi = (data.draw(st.integers(0, 8)) for _ in range(2))
    size = 4 * (lo + hi + dilation * kernel + stride)
    axis = Axis.conv(size, kernel, stride, (lo, hi), dilation, padding_mode)
    for transposed in (False, True):
        assert axis.most_in_row(transposed) == axis.entries(transposed)[0].shape[1]


def test_wide_padding_takes_no_time_to_bound():
    axis = Axis.conv(2**40, 2**20, 1, 2**39, 1, "reflect")
    assert axis.most_entries() >= axis.outputs
    assert axis.most_in_row(transposed=True) >= 2**20


@given(axes())
def test_copies_are_no_more_than_said(axis):
    counts = np.bincount(axis.padding_source()[axis.padding_source() >= 0], minlength=axis.inputs)
    assert counts.max() <= axis._copies_at_most()
