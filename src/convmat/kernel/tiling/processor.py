"""What a tiling must know of the processor, and how long it takes."""

from __future__ import annotations

from dataclasses import dataclass

RUN = 128  # factors that are summed in registers, before their sum is added to those in memory

# Cycles, found by measurement on processors with two units each for arithmetic and for loads; ratios are what matters.
_START = 40.0  # of a tile
_STORE = 2.0  # of a vector of results
_SUM = 2.0  # of adding a vector of sums to those in memory
_FACTOR = 1.5  # of a factor, besides what can be done at the same time
NEAR, FAR = 22.0, 14.0  # bytes per cycle from the second cache, and from the next


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

    def factor_cycles(self, rows: int, columns: int, traffic: float = NEAR) -> float:
        """Cycles for one factor of a tile: what takes longest of arithmetic, loads and the traffic from a cache."""
        arithmetic = max(rows * columns / 2, 4)
        loads = (2 * columns + rows + 1) / 2
        return _FACTOR + max(arithmetic, loads, (self.lanes * columns + rows) * self.itemsize / traffic)

    def run_cycles(self, rows: int, vectors: int, factors: int, fits: bool) -> float:
        """Cycles for a tile of rows over a run of cells, whose window fits the cache or not."""
        parts = -(-vectors // self.widest[rows - 1])
        columns, wider = divmod(vectors, parts)
        traffic = NEAR if fits else FAR
        cycles = (parts - wider) * self.factor_cycles(rows, columns, traffic)
        if wider:
            cycles += wider * self.factor_cycles(rows, columns + 1, traffic)
        return factors * cycles + parts * _START + vectors * rows * (_STORE + _SUM * factors / RUN)
