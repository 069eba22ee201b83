"""What a tiling must know of the processor, and how long it takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

AXES = 3  # depth, height, width; a geometry with fewer axes gets leading axes of one cell
RUN = 128  # factors are summed in registers before the sum is added to the one in memory
MOST_VECTORS = 3  # of a tile whose lanes are output channels
# Where lanes are output channels, and lines leave out deltas: vectors of a tile; input channels whose factors lie delta
# by delta.
VECTORS_BY_LINE, TOGETHER = 2, 16
MOST_TAKEN = 8  # steps along the width up to which a window is packed by whole vectors

# Vectors that are multiplied, and loaded, per cycle. Also where a processor does one, or far caches would seem to cost
# nothing beside the arithmetic.
UNITS = 2
LINE = 64  # bytes of a cache line; non-temporal stores should fill whole ones
LONG = 64  # bytes of the longest vectors, whose processors have 32 registers and store some numbers of one like all
# Cycles, measured on such processors; only their ratios matter.
_START = 40.0  # to start a tile
_STORE = 2.0  # to store a vector of results
_SUM = 2.0  # to add a vector of sums to the sums in memory
_FACTOR = 1.5  # of each factor, beyond what overlaps
# Bytes per cycle from the second-level cache, and from the third, in long vectors and in shorter ones.
NEAR, _FAR, _FAR_SHORTER = 22.0, 14.0, 7.0
# With shorter vectors, bytes per cycle of weights that do not stay in the second-level cache, and of so many that they
# do not stay in the third; the products do not overlap with that.
_WEIGHTS, _WEIGHTS_FARTHER, _FARTHER = 12.0, 5.0, 16 << 20


def most_rows(vectors: int, widest: Sequence[int]) -> int:
    """The most rows of a tile of so many vectors; ``widest`` are the most vectors of a tile of 1, 2, ... rows."""
    return sum(most >= vectors for most in widest)


@dataclass(frozen=True)
class Processor:
    """A processor.

    Args:
        lanes: numbers of a vector.
        widest: the most vectors of a tile of 1, 2, ... rows.
        threads: how many compute.
        window: the most bytes of a window that the second cache should hold.
        itemsize: bytes of a number.
    """

    lanes: int
    widest: tuple[int, ...]
    threads: int
    window: int
    itemsize: int

    @property
    def is_long(self) -> bool:
        """Whether its vectors are the longest that there are, of 64 bytes."""
        return self.lanes * self.itemsize == LONG

    @property
    def far(self) -> float:
        """Bytes per cycle from the third-level cache."""
        return _FAR if self.is_long else _FAR_SHORTER

    def weight_cycles(self, numbers: int) -> float:
        """Cycles to read so many weights for one box, beyond those that overlap with its products."""
        size = numbers * self.itemsize
        if self.is_long or size <= self.window:
            return 0.0
        return size / (_WEIGHTS if size <= _FARTHER else _WEIGHTS_FARTHER)

    def factor_cycles(self, rows: int, columns: int, traffic: float = NEAR) -> float:
        """Cycles for one factor of a tile: the longest of its arithmetic, its loads, and the traffic from the cache."""
        arithmetic = max(rows * columns / UNITS, 4)
        loads = (2 * columns + rows + 1) / UNITS
        return _FACTOR + max(arithmetic, loads, (self.lanes * columns + rows) * self.itemsize / traffic)

    def run_cycles(self, rows: int, vectors: int, factors: int, fits: bool) -> float:
        """Cycles for a tile of rows over a run of cells, whose window fits the cache or not."""
        parts = -(-vectors // self.widest[rows - 1])
        columns, wider = divmod(vectors, parts)
        traffic = NEAR if fits else self.far
        cycles = (parts - wider) * self.factor_cycles(rows, columns, traffic)
        if wider:
            cycles += wider * self.factor_cycles(rows, columns + 1, traffic)
        return factors * cycles + parts * _START + vectors * rows * (_STORE + _SUM * factors / RUN)
