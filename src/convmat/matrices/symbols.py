"""The matrix in symbols: which tap stands in which entry."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
from torch import nn

from convmat.geometry import Geometry, GeometryError, geometry_of

_MOST_ENTRIES = 100_000


def symbolic_matrix(geometry: Geometry | nn.Module, in_shape: Sequence[int] | None = None) -> list[list[str]]:
    """The matrix of a geometry with the names of the taps in place of numbers.

    ``"w12"`` is the tap ``weight[0, 0, 1, 2]``; with several channels or sizes over 10 the index is spelled out, as in
    ``"w[0,1,1,12]"``. Where several taps meet (padding modes that read the input twice) the entry is their sum, where
    there is none it is ``"0"``.

    Args:
        geometry: direct or transposed, of a matrix with at most 100 000 entries, zeros included; or a
            convolution layer.
        in_shape: with a layer, channels and spatial sizes of its input.

    Returns:
        The rows of the matrix.

    >>> for row in symbolic_matrix(Geometry.conv((4,), 3, padding=1, padding_mode="replicate")):
    ...     print(row)
    ['w0+w1', 'w2', '0', '0']
    ['w0', 'w1', 'w2', '0']
    ['0', 'w0', 'w1', 'w2']
    ['0', '0', 'w0', 'w1+w2']
    """
    geometry = geometry_of(geometry, in_shape)
    rows, columns = geometry.matrix_shape
    if rows * columns > _MOST_ENTRIES:
        raise GeometryError(
            f"the {rows} x {columns} matrix has {rows * columns} entries, too many to spell out: need at most "
            f"{_MOST_ENTRIES}; convmat.conv_matrix(..., layout=torch.sparse_csr) has their values"
        )
    symbols = np.full((rows, columns), "0", dtype=object)
    for channel in range(geometry.out_channels):
        row, column, taps = geometry.channel_entries(channel)
        symbols[row, column] = [_entry_name(geometry, channel, tap) for tap in taps.tolist()]
    return [list(row) for row in symbols.tolist()]


def _entry_name(geometry: Geometry, channel: int, tap: int) -> str:
    """The sum of the taps that meet in an entry of one output channel."""
    sets = geometry.tap_sets()
    other, *numbers = np.unravel_index(tap, (geometry.in_channels // geometry.groups, *map(len, sets)))
    channels = (channel, int(other))
    if geometry.transposed:  # the weight's first axis is the map's input
        per_group = geometry.out_channels // geometry.groups
        inputs = geometry.in_channels // geometry.groups
        channels = (channel // per_group * inputs + int(other), channel % per_group)
    meeting = product(*(tap_sets[number] for tap_sets, number in zip(sets, numbers, strict=True)))
    return "+".join(tap_name(geometry, (*channels, *taps)) for taps in meeting)


def tap_name(geometry: Geometry, index: Sequence[int]) -> str:
    """What a tap is called, by its index in the weight."""
    if geometry.weight_shape[:2] == (1, 1) and max(geometry.kernel_size) <= 10:
        return "w" + "".join(map(str, index[2:]))
    return f"w[{','.join(map(str, index))}]"
