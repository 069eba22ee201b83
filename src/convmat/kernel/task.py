"""Where each number of a task stands.

Addresses are those of the first byte, lengths are numbers of the array's type.
"""

from __future__ import annotations

# Addresses of tensors, of memory to work in, and of two counters: of units of work and of threads.
INPUT, WEIGHT, PACKED, BIAS, OUTPUT, SCRATCH, COUNTERS = range(7)
# Addresses of tables; see RowTables and BoxTiling in convmat.geometry.tiling.
STRIPES, TILES, LINES, PLACES, OFFSETS, BEGINS, TAP_PLACES = range(7, 14)
# How many stripes, tiles, lines, chunks (stripes of the same output channels) and units of packing there are.
STRIPE_COUNT, TILE_COUNT, LINE_COUNT, CHUNKS, PACK_UNITS = range(14, 19)
# Groups; of a group: input channels, output channels, output channels times taps; output phases along width.
GROUPS, CHANNELS, ROWS, TAPS, PHASES = range(19, 24)
# How windows and results lie, and how the work is cut; see BoxTiling.
USED, PLANE, COPIES, BATCH_INNER, LOOPED, RESULTS, UNITS, UNDIVIDED, PARTS, STREAM, SCRATCH_BYTES = range(24, 35)
# Of batch, depth, height and width: sizes of the input, and again BoxTiling.
SIZE, CELLS, BOX, BOXES, REACH, WINDOW, BEFORE, PITCH = range(35, 67, 4)
# Of depth, height and width: strides, and sizes of the output.
STEP, OUT_SIZE = range(67, 73, 3)
# Of batch, channels, depth, height and width: steps from one number of a tensor to the next.
INPUT_STRIDE, OUTPUT_STRIDE = range(73, 83, 5)
FIELDS = 83
