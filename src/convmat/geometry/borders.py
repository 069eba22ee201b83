"""What padding puts at the ends of an axis: runs of copies of its cells."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Border:
    """What P puts at one end of an axis: copies of ``count`` of its cells, ``start, start+step, ...``.

    ``step`` is 1, -1 (mirrored) or 0 (one cell again and again).
    """

    start: int
    step: int
    count: int

    @property
    def lowest(self) -> int:
        """The first of these cells on the axis."""
        return self.start if self.step >= 0 else self.start - self.count + 1

    @property
    def distinct(self) -> int:
        """How many cells these are copies of."""
        return self.count if self.step else min(self.count, 1)

    def part(self, first: int, end: int) -> Border:
        """The copies ``first`` to ``end``, end excluded."""
        return Border(self.start + self.step * first, self.step, end - first)

    def within(self, start: int, stop: int) -> tuple[int, int]:
        """Which of the copies, end excluded, are of the cells ``start`` to ``stop``."""
        if self.step == 0:
            return (0, self.count) if start <= self.start < stop else (0, 0)
        first, end = (
            (start - self.start, stop - self.start)
            if self.step > 0
            else (self.start - stop + 1, self.start - start + 1)
        )
        return max(first, 0), min(end, self.count)
