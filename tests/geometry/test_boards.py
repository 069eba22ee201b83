"""What pictures show of an axis, against numpy: padded inputs, inputs with zeros inserted, the canvas of stamps."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from convmat.geometry import Axis, Geometry
from convmat.geometry.boards import INSERTED, PADDED, canvas, inserted_board, padded_board
from tests.geometry.test_geometry_axis import axes, copied_cells, matrix_by_definition, some_integers

zero_padded = axes(padding_mode="zeros")


def gathered(board, elements, kernel) -> np.ndarray:
    """What the kernel makes of a board, place by place."""
    cells = [elements[cell] if cell >= 0 else 0 for cell in board.cells]
    places = range(board.places.outputs)
    return np.array([sum(kernel[board.taps[at]] * cells[c] for at, c in board.places.reads(o)) for o in places])


@given(axes())
def test_the_padded_board_holds_what_windows_read(axis):
    board = padded_board(axis)
    assert [cell if cell >= 0 else -1 for cell in board.cells] == copied_cells(axis)
    assert INSERTED not in board.cells
    assert board.cells[slice(*board.own)].tolist() == list(range(axis.inputs))
    kernel, x = some_integers(axis.kernel), some_integers(axis.inputs)
    np.testing.assert_array_equal(gathered(board, x, kernel), matrix_by_definition(axis, kernel) @ x)


@given(zero_padded)
def test_the_board_with_zeros_inserted_makes_the_transpose(axis):
    kernel, y = some_integers(axis.kernel), some_integers(axis.outputs)
    board = inserted_board(axis)
    np.testing.assert_array_equal(gathered(board, y, kernel), matrix_by_definition(axis, kernel).T @ y)


@given(zero_padded)
def test_inserted_zeros_and_padding_are_told_apart(axis):
    pulled = np.full((axis.outputs - 1) * axis.stride + 1, INSERTED)
    pulled[:: axis.stride] = np.arange(axis.outputs)
    reach = axis.dilation * (axis.kernel - 1)
    before, after = reach - axis.lo, reach - axis.hi + axis.slack
    whole = np.pad(pulled, (max(before, 0), max(after, 0)), constant_values=PADDED)
    expected = whole[max(-before, 0) : len(whole) - max(-after, 0)]
    board = inserted_board(axis)
    np.testing.assert_array_equal(board.cells, expected)
    assert PADDED not in board.cells[slice(*board.own)]
    assert set(board.cells[: board.own[0]]) | set(board.cells[board.own[1] :]) <= {PADDED}


@given(axes())
def test_the_frame_crops_the_sum_of_the_stamps(axis):
    """For zeros; other modes add what hangs over back to where P has it from."""
    kernel, y = some_integers(axis.kernel), some_integers(axis.outputs)
    drawn = canvas(axis)
    sums = np.zeros(drawn.size, dtype=np.int64)
    for cell, value in enumerate(y):
        stamp = [(tap, cell * axis.stride + tap * axis.dilation) for tap in range(axis.kernel)]
        assert drawn.stamps.reads(cell) == stamp
        for tap, at in stamp:
            sums[at] += kernel[tap] * value
    assert drawn.frame == (axis.lo, axis.lo + axis.inputs)
    assert drawn.size == max(drawn.stamps.inputs, drawn.frame[1])
    assert drawn.stamps.inputs - drawn.frame[1] == axis.hi - axis.slack
    if axis.padding_mode == "zeros":
        expected = matrix_by_definition(axis, kernel).T @ y
        np.testing.assert_array_equal(sums[slice(*drawn.frame)], expected)


@given(zero_padded)
def test_each_output_has_the_residue_of_its_phase(axis):
    phases = axis.phases()
    for cell, residue in enumerate(axis.residues().tolist()):
        assert {tap for tap, _ in axis.feeds(cell)} <= set(phases[residue].taps)
        assert phases[residue].residue == residue


@given(st.integers(1, 3), st.integers(1, 2), st.integers(1, 2), st.booleans())
def test_weight_channels_are_where_the_matrix_has_them(groups, per_in, per_out, transposed):
    geometry = Geometry((Axis(1, 1, 1),), groups * per_in, groups * per_out, groups, transposed)
    numbers = np.arange(1, np.prod(geometry.weight_shape) + 1).reshape(geometry.weight_shape)
    matrix = np.zeros(geometry.matrix_shape, dtype=int)
    for channel in range(geometry.out_channels):
        rows, columns, taps = geometry.channel_entries(channel)
        for row, column, tap in zip(rows, columns, taps, strict=True):
            group, other = channel // per_out, tap
            index = (group * per_in + other, channel % per_out) if transposed else (channel, other)
            matrix[row, column] = numbers[index][0]
    for out, into in np.ndindex(*matrix.shape):
        pair = geometry.weight_channels(out, into)
        assert matrix[out, into] == (0 if pair is None else numbers[pair][0])
