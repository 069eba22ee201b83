"""The geometry of a convolution: the tap table of each axis, and their product.

Along one spatial axis, a (direct) convolution from ``inputs`` cells to ``outputs`` cells is a table of integers::

    source[o, t] = o*stride - lo + t*dilation

the input cell that output ``o`` reads through kernel tap ``t``, or -1 where it reads a zero. Everything else in convmat
is read off that table. A transposed convolution has the same table, read the other way round.

An :class:`~convmat.Axis` is that table (``table.py``) with the questions that are answered by it: which entries its
matrix has (``entries.py``), which phases it falls into (``phases.py``), and whether it closes to a circle
(``torus.py``). A :class:`~convmat.Geometry` (``product.py``) is the product of the axes, with channels and groups
(``shapes.py``).

This package imports no torch and is the one place with index arithmetic. Where a table would be too large or too slow
to build, closed forms stand beside it; the tests hold the two together.
"""

from convmat.geometry.axis import Axis
from convmat.geometry.borders import Border
from convmat.geometry.errors import (
    GeometryError,
    Sentence,
    as_sentence,
    kind_of,
    own_message,
    shortened,
    shown,
    unknown,
)
from convmat.geometry.layers import layer_arguments
from convmat.geometry.parts import ChunkSlice, chunk_slices, regular_chunk_slices
from convmat.geometry.per_axis import Padding, PerAxis, an_int, ints, per_axis_ints, per_axis_padding
from convmat.geometry.phases import Phase, PhaseWindow
from convmat.geometry.product import Geometry, Part, geometry_of
from convmat.geometry.sizes import PADDING_MODES, check_padding_mode, check_positive, kept_range, middle_start
from convmat.geometry.table import IntArray
from convmat.geometry.torus import Cycle

__all__ = [
    "PADDING_MODES",
    "Axis",
    "Border",
    "ChunkSlice",
    "Cycle",
    "Geometry",
    "GeometryError",
    "IntArray",
    "Padding",
    "Part",
    "PerAxis",
    "Phase",
    "PhaseWindow",
    "Sentence",
    "an_int",
    "as_sentence",
    "check_padding_mode",
    "check_positive",
    "chunk_slices",
    "geometry_of",
    "ints",
    "kept_range",
    "kind_of",
    "layer_arguments",
    "middle_start",
    "own_message",
    "per_axis_ints",
    "per_axis_padding",
    "regular_chunk_slices",
    "shortened",
    "shown",
    "unknown",
]
