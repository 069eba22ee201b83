"""A task: where each of its numbers stands, and running it.

Addresses are those of the first byte, lengths are numbers of the array's type.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable, Sequence

# Addresses of tensors, of memory to work in, and of counters (see COUNTS).
INPUT, WEIGHT, PACKED, BIAS, OUTPUT, SCRATCH, COUNTERS = range(7)
# Addresses of tables; see RowTables and BoxTiling in convmat.kernel.tiling.
STRIPES, TILES, LINES, PLACES, OFFSETS, BEGINS, TAP_PLACES = range(7, 14)
# How many stripes, tiles, lines, chunks (stripes of the same output channels) and units of packing there are.
STRIPE_COUNT, TILE_COUNT, LINE_COUNT, CHUNKS, PACK_UNITS = range(14, 19)
# Groups; of a group: input channels, output channels, output channels times taps; phases out along width.
GROUPS, CHANNELS, OUT_CHANNELS, TAPS, PHASES_OUT = range(19, 24)
# How windows and results lie, and how the work is cut; see BoxTiling.
USED, PLANE, COPIES, BATCH_INNER, LOOPED, RESULTS, UNITS, UNDIVIDED, PARTS, STREAM, SCRATCH_BYTES = range(24, 35)
# Of batch, depth, height and width: the sizes that are read, and again BoxTiling.
READ, CELLS, BOX, BOXES, REACH, WINDOW, BEFORE, PITCH = range(35, 67, 4)
# Of depth, height and width: outputs from one cell of a phase to the next, and the sizes that are written.
STEP_OUT, WRITTEN = range(67, 73, 3)
# The strides of the input and of the output: of batch, channels, depth, height and width.
INPUT_STRIDE, OUTPUT_STRIDE = range(73, 83, 5)
# For a digest: how many numbers the weight has, and in how many pieces they are read.
NUMBERS, PIECES = range(83, 85)
# Into how many blocks the channels are divided, and how far apart the sums of stripes then lie; see BoxTiling.
BLOCKS, KEPT = range(85, 87)
# The table of the phases in, three numbers for each; planes of a window for each channel; how far apart the weights of
# two input channels lie; of depth, height and width: inputs from one cell of a phase to the next.
PHASES_IN, PLANES, CHANNEL_STEP, STEP_IN = range(87, 91)
# Along how many of the last axes it has Winograd's form; of depth, height and width: the first input of cell 0.
TRANSFORMED, ORIGIN = range(93, 95)
# Factors that are packed for an input channel of a group: its taps, or what stands in their place.
FACTORS = 97
# Of depth, height and width: how many neighbouring cells have neighbouring outputs.
TOGETHER = 98
# Whether lines are stored at once, and no results are kept.
AT_ONCE = 101
# Of batch, depth, height and width: how far apart the sums of neighbouring cells lie.
SUMS_PITCH = 102
# Whether lanes are output channels; where cells then lie in the window, in bytes.
BY_CHANNELS, CELL_PLACES = range(106, 108)
# The address of the slope of each output channel and of two limits, 0 where no activation follows.
ACTIVATION = 108
# In Winograd's form: the kinds of code that read and write it.
FORM_KINDS = 109
# Whether each line is one product of few factors by itself. Then the table of the factors of two neighbouring rows, and
# how many of these the first row has alone, both have, and the second has alone; see Places.
SINGLE, PAIRS, PAIR_COUNTS = range(111, 114)
# Which input channels of all groups are packed: the first, and the one after the last.
PACKED_CHANNELS = 116
# How many phases in along the width are packed together: all where none is missing, else 1.
PACKED_TOGETHER = 118
# How many units of work a thread takes at a time.
UNITS_AT_ONCE = 119
# How far apart the channels of a window lie; see BoxTiling.
CHANNEL_PITCH = 120
# How many threads work on it; the address of a function that says which of them one is, 0 where there is none.
THREADS, THREAD_NUMBER = range(121, 123)
# Where lanes are output channels: whether tiles end where a line of cells does. Then the tables of the deltas through
# which lines read the input; see LinesInside.
BY_LINE, INSIDE_PARTS, INSIDE_PRODUCTS = range(123, 126)
# The counters, which threads write, share no cache line with each other, nor with what all of them read. The first one
# counts threads, or units of work; then there are two for each of the shares that a convolution is divided into.
APART, MOST_SHARES = 8, 16
COUNTS = 126 + APART
FIELDS = COUNTS + APART * (1 + MOST_SHARES)

TABLE_BYTES = 768  # at the end of a thread's memory: a small table of 32 integers, and two of as many numbers

_Task = ctypes.c_int64 * FIELDS
_NUMBERS = struct.Struct(f"={FIELDS}q")
_ADDRESSES = struct.Struct(f"={COUNTERS + 1}q")


def as_bytes(numbers: Sequence[int]) -> bytes:
    """The numbers of a task, as :func:`run` takes them."""
    return _NUMBERS.pack(*numbers)


def run(
    function: Callable[[int, int], None],
    known: bytes,
    threads: int,
    input: int = 0,
    weight: int = 0,
    packed: int = 0,
    bias: int = 0,
    activation: int = 0,
    output: int = 0,
    scratch: int = 0,
) -> None:
    """Let a compiled function work on a task.

    Args:
        function: of the :class:`~convmat.kernel.compiled.Kernel`.
        known: the task without the addresses that follow.
        threads: how many work on it.
    """
    numbers = _Task.from_buffer_copy(known)
    numbers[ACTIVATION], numbers[THREADS] = activation, threads
    place = ctypes.addressof(numbers)
    _ADDRESSES.pack_into(numbers, 0, input, weight, packed, bias, output, scratch, place + 8 * COUNTS)
    function(place, threads)
