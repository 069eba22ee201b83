"""One axis as a table: which input each output reads through each tap, and who meets whom by it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from convmat.geometry.borders import Border
from convmat.geometry.errors import GeometryError, Sentence
from convmat.geometry.memory import WORTH_ASKING, check_fits, free_memory
from convmat.geometry.per_axis import an_int
from convmat.geometry.sizes import check_padding, check_positive

IntArray: TypeAlias = npt.NDArray[np.int64]
Table = TypeVar("Table", bound="TapTable")


@dataclass(frozen=True)
class TapTable:
    """Both sizes of an axis, and the table of integers that everything else is read off; see :class:`convmat.Axis`."""

    inputs: int
    outputs: int
    kernel: int
    stride: int = 1
    dilation: int = 1
    lo: int = 0
    hi: int = 0
    padding_mode: str = "zeros"

    def __post_init__(self) -> None:
        for name in ("inputs", "outputs", "kernel", "stride", "dilation", "lo", "hi"):
            an_int(getattr(self, name), name)
        check_positive(kernel_size=self.kernel, stride=self.stride, dilation=self.dilation)
        check_positive(inputs=self.inputs, outputs=self.outputs)
        check_padding(self.lo, self.hi, self.padding_mode, self.inputs)
        limit = max(self.stride, self.dilation)
        if not 0 <= self.slack < limit:
            raise GeometryError(
                f"{self.inputs} inputs and {self.outputs} outputs do not belong together: inputs must lie in "
                f"{self.inputs - self.slack}..{self.inputs - self.slack + limit - 1} "
                "((outputs-1)*stride - lo - hi + dilation*(kernel-1) + 1, and up to max(stride, dilation)-1 more)"
            )

    # -- sizes ---------------------------------------------------------------------------------------------------------

    @property
    def extent(self) -> int:
        """Cells from a window's first to its last tap: ``dilation*(kernel-1) + 1``."""
        return self.dilation * (self.kernel - 1) + 1

    @property
    def padded(self) -> int:
        """Cells of the padded inputs: ``lo + inputs + hi``."""
        return self.lo + self.inputs + self.hi

    @property
    def slack(self) -> int:
        """Padded cells after the last window: what ``output_padding`` is to a transposed convolution."""
        return self.padded - (self.outputs - 1) * self.stride - self.extent

    def unpadded(self: Table) -> Table:
        """The axis of Z in ``C = Z P``: no padding, reading what P has extended. Zeros stay, for methods know them."""
        if self.padding_mode == "zeros":
            return self
        return replace(self, inputs=self.padded, lo=0, hi=0, padding_mode="zeros")

    # -- the table -----------------------------------------------------------------------------------------------------

    def source(self) -> IntArray:
        """The tap table, of shape (outputs, kernel): the input that output o reads through tap t, or -1 for a zero."""
        _check_table(self.outputs * self.kernel, "table")
        outputs, taps = np.arange(self.outputs, dtype=np.int64), np.arange(self.kernel, dtype=np.int64)
        return np.asarray(self.source_of(outputs[:, None], taps[None, :]), dtype=np.int64)

    def source_of(self, output: Any, tap: Any) -> Any:
        """The entry of the table at ``[output, tap]``, by formula; integers or arrays of them."""
        return self._cell(output * self.stride + tap * self.dilation)

    def padding_source(self) -> IntArray:
        """P as a table: the input (or -1) that each of the ``padded`` cells is a copy of."""
        _check_table(self.padded, "padding's table")
        return np.asarray(self._cell(np.arange(self.padded, dtype=np.int64)), dtype=np.int64)

    def borders(self) -> tuple[Border, Border]:
        """P without its table: what stands before and after the axis, for a padding mode that reads its cells.

        >>> from convmat import Axis
        >>> Axis.conv(5, kernel=3, padding=2, padding_mode="reflect").borders()
        (Border(start=2, step=-1, count=2), Border(start=3, step=-1, count=2))
        """
        if self.padding_mode == "circular":
            return Border(self.inputs - self.lo, 1, self.lo), Border(0, 1, self.hi)
        if self.padding_mode == "reflect":
            return Border(self.lo, -1, self.lo), Border(self.inputs - 2, -1, self.hi)
        return Border(0, 0, self.lo), Border(self.inputs - 1, 0, self.hi)

    def _cell(self, padded_index: Any) -> Any:
        """The input at an index into the padded inputs."""
        i, last = padded_index - self.lo, self.inputs - 1
        if self.padding_mode == "circular":
            return i % self.inputs
        if self.padding_mode == "replicate":
            return np.clip(i, 0, last)
        if self.padding_mode == "reflect":
            return last - abs(last - abs(i))
        return np.where((i >= 0) & (i <= last), i, -1)

    def reads(self, output: int) -> list[tuple[int, int]]:
        """The ``(tap, input)`` pairs that one output is summed from.

        >>> from convmat import Axis
        >>> Axis.conv(4, kernel=3, stride=2, padding=1).reads(0)
        [(1, 0), (2, 1)]
        """
        sources = self.source_of(_in_range(output, self.outputs, "output"), np.arange(self.kernel))
        return [(t, i) for t, i in enumerate(sources.tolist()) if i >= 0]

    def feeds(self, input: int) -> list[tuple[int, int]]:
        """The ``(tap, output)`` pairs that one input goes into: what an output of Cᵀ is summed from.

        >>> from convmat import Axis
        >>> Axis.conv(4, kernel=3, stride=2, padding=1).feeds(1)
        [(2, 0), (0, 1)]
        """
        _in_range(input, self.inputs, "input")
        cells = self._copies(input)[:, None] - np.arange(self.kernel)[None, :] * self.dilation
        hits = (cells % self.stride == 0) & (cells >= 0) & (cells // self.stride < self.outputs)
        taps = np.nonzero(hits)[1]
        return sorted(
            zip(taps.tolist(), (cells[hits] // self.stride).tolist(), strict=True), key=lambda pair: pair[::-1]
        )

    def _copies(self, input: int) -> IntArray:
        """The padded cells that are copies of one input."""
        last = self.inputs - 1
        if self.padding_mode == "circular":
            cells = np.arange((self.lo + input) % self.inputs, self.padded, self.inputs)
        elif self.padding_mode == "replicate":
            start = 0 if input == 0 else self.lo + input
            cells = np.arange(start, self.padded if input == last else self.lo + input + 1)
        elif self.padding_mode == "reflect":
            cells = np.unique(self.lo + np.array([-input, input, 2 * last - input]))
            cells = cells[(cells >= 0) & (cells < self.padded)]
        else:
            cells = np.array([self.lo + input])
        return cells.astype(np.int64)

    # -- ranges of cells -----------------------------------------------------------------------------------------------

    def reads_range(self, start: int, stop: int) -> tuple[int, int]:
        """The padded cells, end excluded, that the windows of the outputs ``start`` to ``stop`` lie on.

        Of a dilated kernel they hold cells that no tap reads.

        >>> from convmat import Axis
        >>> Axis.conv(8, kernel=3, stride=2, padding=1).reads_range(1, 3)
        (2, 7)
        """
        return start * self.stride, (stop - 1) * self.stride + self.extent

    def feeds_range(self, start: int, stop: int) -> tuple[int, int]:
        """The outputs, end excluded, whose windows reach the padded cells ``start`` to ``stop``; maybe none.

        >>> from convmat import Axis
        >>> Axis.conv(8, kernel=3, stride=2, padding=1).feeds_range(2, 5)
        (0, 3)
        """
        first = max(-(-(start - self.extent + 1) // self.stride), 0)
        return first, max(min((stop - 1) // self.stride + 1, self.outputs), first)

    def copied(self, start: int, stop: int) -> tuple[Border, ...]:
        """The inputs that the padded cells ``start`` to ``stop`` are copies of, run by run; zeros are none.

        >>> from convmat import Axis
        >>> Axis.conv(5, kernel=3, padding=2, padding_mode="circular").copied(0, 4)
        (Border(start=3, step=1, count=2), Border(start=0, step=1, count=2))
        """
        clipped = ((run, max(start - at, 0), min(stop - at, run.count)) for at, run in self._runs())
        return tuple(run.part(first, end) for run, first, end in clipped if first < end)

    def copies(self, start: int, stop: int) -> tuple[tuple[int, tuple[Border, ...]], ...]:
        """The padded cells that are copies of the inputs ``start`` to ``stop``: up to three ranges of them.

        Returns:
            Of each range its first cell, and the inputs that its cells are copies of, counted from ``start``.

        >>> from convmat import Axis
        >>> Axis.conv(5, kernel=3, padding=2, padding_mode="circular").copies(3, 5)
        ((0, (Border(start=0, step=1, count=2),)), (5, (Border(start=0, step=1, count=2),)))
        """
        found: list[tuple[int, tuple[Border, ...]]] = []
        for at, run in self._runs():
            first, end = run.within(start, stop)
            if first >= end:
                continue
            cells = run.part(first, end)
            cells = Border(cells.start - start, cells.step, cells.count)
            if found and found[-1][0] + sum(before.count for before in found[-1][1]) == at + first:
                found[-1] = found[-1][0], (*found[-1][1], cells)
            else:
                found.append((at + first, (cells,)))
        return tuple(found)

    def _runs(self) -> list[tuple[int, Border]]:
        """What the padded cells are copies of, from the padded cell on that each run begins at; zeros are none."""
        inner = self.lo, Border(0, 1, self.inputs)
        if self.padding_mode == "zeros":
            return [inner]
        before, after = self.borders()
        return [(0, before), inner, (self.lo + self.inputs, after)]

    def hits(self, transposed: bool = False) -> IntArray:
        """How often each input is read through each tap, of shape (inputs, kernel): what is summed in Cᵀ1.

        ``transposed``: whether each output reads a cell through each tap, of shape (outputs, kernel): as in C1.

        >>> from convmat import Axis
        >>> Axis.conv(3, kernel=3, padding=1).hits()
        array([[1, 1, 0],
               [1, 1, 1],
               [0, 1, 1]])
        """
        sources = self.source()
        if transposed:
            return (sources >= 0).astype(np.int64)
        outputs, taps = np.nonzero(sources >= 0)
        hits = np.zeros((self.inputs, self.kernel), dtype=np.int64)
        np.add.at(hits, (sources[outputs, taps], taps), 1)
        return hits

    def overlap(self) -> IntArray:
        """How often each input is read, of shape (inputs,): how many terms each output of Cᵀ sums (checkerboards).

        >>> from convmat import Axis
        >>> Axis.conv_transpose(4, kernel=3, stride=2).overlap()
        array([1, 1, 2, 1, 2, 1, 2, 1, 1])
        """
        sources = self.source()
        return np.bincount(sources[sources >= 0], minlength=self.inputs).astype(np.int64)

    def readers(self, tap: int) -> tuple[int, int]:
        """The range of outputs, end excluded, that read an input and not a zero through a tap (zero padding)."""
        before = self.lo - tap * self.dilation
        start = max(-(-before // self.stride), 0)
        return start, min((self.inputs - 1 + before) // self.stride + 1, self.outputs)

    def around_tap(self, tap: int) -> tuple[int, int]:
        """How many of the padded inputs lie before the first and after the last that one tap reads."""
        before = tap * self.dilation
        return before, self.padded - before - (self.outputs - 1) * self.stride - 1


def _check_table(cells: int, what: str) -> None:
    """Refuse a table that would not fit, with what building it takes."""
    size = 3 * 8 * cells
    if size > WORTH_ASKING:
        what = Sentence("the axis' {what} of {cells} cells", what=Sentence(what), cells=cells)
        check_fits(what, size, free_memory(), "a smaller axis, or its closed forms")


def _in_range(index: int, size: int, name: str) -> int:
    if not 0 <= an_int(index, name) < size:
        raise GeometryError(f"{name}={index} is out of range: need 0 <= {name} < {size}")
    return index
