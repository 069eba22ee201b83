"""One axis: its two sizes, its tap table, and what is read off it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import gcd
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from convmat.geometry.errors import GeometryError
from convmat.geometry.memory import WORTH_ASKING, check_fits, free_memory
from convmat.geometry.per_axis import an_int
from convmat.geometry.sizes import check_padding, check_positive, direct_size, transposed_size

IntArray: TypeAlias = npt.NDArray[np.int64]

_MOST_LISTED = 2**16  # entries that are listed to count them exactly
_CLASS_BITS = 4  # of a number of outputs less one, by which axes are alike: eight classes up to twice as many outputs


@dataclass(frozen=True)
class Phase:
    """The taps that feed one residue class of the outputs of Cᵀ.

    Output ``i`` of Cᵀ with ``(i + lo) % stride == residue`` is the sum, over the taps here, of
    ``kernel[tap] * y[(i + lo) // stride - shift]``. ``taps`` is empty where the phase stays zero.
    """

    residue: int
    taps: tuple[int, ...]
    shifts: tuple[int, ...]


@dataclass(frozen=True)
class PhaseWindow:
    """Where the phases of one axis lie: what a stride-1 convolution must pad, and what to crop after interleaving.

    Cell ``q`` of phase ``r`` is cell ``q*stride + r`` of the padded inputs. ``count`` of these are needed, from the
    cell ``first`` on; ``offset`` cells of the first one lie before the axis. ``coarse_padding`` extends the outputs of
    the direct convolution for Cᵀ; for C, ``whole_padding`` extends its inputs to whole cells of all phases, and
    ``fine_padding`` extends the phases (negative: crop).
    """

    first: int
    count: int
    offset: int
    coarse_padding: tuple[int, int]
    whole_padding: tuple[int, int]
    fine_padding: tuple[int, int]


@dataclass(frozen=True)
class Pieces:
    """The outputs of one axis in pieces of equal size, each with the inputs that it reads.

    After extending the inputs by ``padding`` (negative: crop), piece ``p`` reads those from ``p*step`` on, as many as
    ``axis`` has. ``further`` outputs fill the last piece up; nobody asked for these.
    """

    axis: Axis
    step: int
    padding: tuple[int, int]
    further: int


@dataclass(frozen=True)
class Cycle:
    """An axis on which every output reads what another one reads, some cells on around the axis.

    Output ``o`` reads ``cells[t] + step*order[o]`` (modulo ``size``) through tap ``t``. The ``order`` takes each of
    ``0..count-1`` as often as ``copies`` says, for ``count * step == size``.
    """

    size: int
    step: int
    count: int
    copies: int
    cells: tuple[int, ...]
    order: tuple[int, ...]

    @property
    def is_flat(self) -> bool:
        """Whether each residue of the cells modulo ``step`` holds one cell at most, as in patches that touch."""
        return len({cell % self.step for cell in self.cells}) == len(set(self.cells))


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


@dataclass(frozen=True)
class Axis:
    """One spatial axis of a convolution, holding both of its sizes.

    Args:
        inputs: cells that the direct convolution reads (the columns of its matrix).
        outputs: cells that it writes (the rows).
        kernel: number of taps.
        stride: step between the windows of neighbouring outputs. Default: 1
        dilation: step between neighbouring taps. Default: 1
        lo: cells of padding before the axis. Default: 0
        hi: cells of padding after the axis. Default: 0
        padding_mode: ``"zeros"``, ``"reflect"``, ``"replicate"`` or ``"circular"``. Default: ``"zeros"``

    Use :meth:`conv` or :meth:`conv_transpose` to have the missing size computed.

    >>> Axis.conv(4, kernel=3, stride=2, padding=1).source()
    array([[-1,  0,  1],
           [ 1,  2,  3]])
    """

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

    @classmethod
    def conv(
        cls,
        input_size: int,
        kernel: int,
        stride: int = 1,
        padding: int | tuple[int, int] | Literal["same", "valid"] = 0,
        dilation: int = 1,
        padding_mode: str = "zeros",
    ) -> Axis:
        """The axis of a convolution of ``input_size`` cells.

        With ``"same"``, ``outputs = ceil(input_size / stride)`` and an odd cell of padding goes to the end.
        """
        outputs, lo, hi = direct_size(input_size, kernel, stride, padding, dilation)
        return cls(input_size, outputs, kernel, stride, dilation, lo, hi, padding_mode)

    @classmethod
    def conv_transpose(
        cls,
        input_size: int,
        kernel: int,
        stride: int = 1,
        padding: int | tuple[int, int] | Literal["same", "valid"] = 0,
        output_padding: int = 0,
        dilation: int = 1,
        padding_mode: str = "zeros",
        output_size: int | None = None,
    ) -> Axis:
        """The axis of a transposed convolution of ``input_size`` cells: that of the direct one it transposes.

        The output size is ``(input_size-1)*stride - lo - hi + dilation*(kernel-1) + output_padding + 1``; asking for an
        ``output_size`` sets ``output_padding``. ``"same"`` makes it ``input_size*stride``, or any ``output_size`` that
        as many steps reach, and the padding follows.
        """
        inputs, lo, hi = transposed_size(input_size, kernel, stride, padding, output_padding, dilation, output_size)
        return cls(inputs, input_size, kernel, stride, dilation, lo, hi, padding_mode)

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

    @property
    def passes_on(self) -> bool:
        """Whether every output is one input times the only tap, in order."""
        return self.kernel == self.stride == 1 and self.lo == self.hi == 0 and self.inputs == self.outputs

    @property
    def further_outputs(self) -> int:
        """How many outputs of C more would fit, which PyTorch's own functions compute."""
        return self.slack // self.stride

    def unpadded(self) -> Axis:
        """The axis of Z in ``C = Z P``: no padding, reading what P has extended. Zeros stay, for methods know them."""
        if self.padding_mode == "zeros":
            return self
        return replace(self, inputs=self.padded, lo=0, hi=0, padding_mode="zeros")

    def exchanged(self) -> Axis:
        """The axis on which taps are outputs, and outputs taps: both read the same inputs.

        >>> Axis.conv(9, 3, stride=2).source().T.tolist() == Axis.conv(9, 3, stride=2).exchanged().source().tolist()
        True
        """
        return replace(self, outputs=self.kernel, kernel=self.outputs, stride=self.dilation, dilation=self.stride)

    def longest_alike(self) -> tuple[int, int]:
        """Inputs and outputs of the longest axis that is like this one: at most an eighth longer, all else the same.

        What is chosen for sizes, and not computed with, can be chosen once for all that are alike. Axes of 16 outputs
        and less, and those that hardly hold two windows, are like themselves only.

        >>> [Axis.conv(size, kernel=3, padding=1).longest_alike() for size in (16, 57, 60, 61)]
        [(16, 16), (60, 60), (60, 60), (64, 64)]
        """
        further = -self.outputs % (1 << max((self.outputs - 1).bit_length() - _CLASS_BITS, 0))
        if min(self.inputs - self.stride, self.outputs - 1) < self.dilation:
            further = 0
        return self.inputs + further * self.stride, self.outputs + further

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

        >>> Axis.conv(4, kernel=3, stride=2, padding=1).reads(0)
        [(1, 0), (2, 1)]
        """
        sources = self.source_of(_in_range(output, self.outputs, "output"), np.arange(self.kernel))
        return [(t, i) for t, i in enumerate(sources.tolist()) if i >= 0]

    def feeds(self, input: int) -> list[tuple[int, int]]:
        """The ``(tap, output)`` pairs that one input goes into: what an output of Cᵀ is summed from.

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

        >>> Axis.conv(8, kernel=3, stride=2, padding=1).reads_range(1, 3)
        (2, 7)
        """
        return start * self.stride, (stop - 1) * self.stride + self.extent

    def feeds_range(self, start: int, stop: int) -> tuple[int, int]:
        """The outputs, end excluded, whose windows reach the padded cells ``start`` to ``stop``; maybe none.

        >>> Axis.conv(8, kernel=3, stride=2, padding=1).feeds_range(2, 5)
        (0, 3)
        """
        first = max(-(-(start - self.extent + 1) // self.stride), 0)
        return first, max(min((stop - 1) // self.stride + 1, self.outputs), first)

    def copied(self, start: int, stop: int) -> tuple[Border, ...]:
        """The inputs that the padded cells ``start`` to ``stop`` are copies of, run by run; zeros are none.

        >>> Axis.conv(5, kernel=3, padding=2, padding_mode="circular").copied(0, 4)
        (Border(start=3, step=1, count=2), Border(start=0, step=1, count=2))
        """
        clipped = ((run, max(start - at, 0), min(stop - at, run.count)) for at, run in self._runs())
        return tuple(run.part(first, end) for run, first, end in clipped if first < end)

    def copies(self, start: int, stop: int) -> tuple[tuple[int, tuple[Border, ...]], ...]:
        """The padded cells that are copies of the inputs ``start`` to ``stop``: up to three ranges of them.

        Returns:
            Of each range its first cell, and the inputs that its cells are copies of, counted from ``start``.

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

    def bounds(self, bounds: Sequence[int], transposed: bool = False) -> tuple[int, ...]:
        """Where to cut what is written, if what is read is cut at ``bounds``: these over the stride, or times it.

        >>> Axis.conv(8, kernel=3, stride=2, padding=1).bounds((0, 3, 8))
        (0, 2, 4)
        """
        size = self.inputs if transposed else self.outputs
        cuts = (bound * self.stride if transposed else -(-bound // self.stride) for bound in bounds[1:-1])
        return 0, *sorted({cut for cut in cuts if 0 < cut < size}), size

    def hits(self, transposed: bool = False) -> IntArray:
        """How often each input is read through each tap, of shape (inputs, kernel): what is summed in Cᵀ1.

        ``transposed``: whether each output reads a cell through each tap, of shape (outputs, kernel): as in C1.

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

        >>> Axis.conv_transpose(4, kernel=3, stride=2).overlap()
        array([1, 1, 2, 1, 2, 1, 2, 1, 1])
        """
        sources = self.source()
        return np.bincount(sources[sources >= 0], minlength=self.inputs).astype(np.int64)

    def most_entries(self) -> int:
        """An upper bound on the nonzero entries of this axis' matrix, exact unless padding is very wide."""
        if self.padding_mode == "zeros":
            return sum(max(stop - start, 0) for start, stop in map(self.readers, range(self.kernel)))
        # Windows that lie inside read as many inputs as they have taps.
        first = min(-(-self.lo // self.stride), self.outputs)
        end = min(max((self.lo + self.inputs - self.extent) // self.stride + 1, first), self.outputs)
        of_borders = self._distinct_sources(first, end)
        if of_borders is None:
            return self.outputs * min(self.kernel, self.inputs)
        return (end - first) * self.kernel + len(of_borders)

    def most_in_row(self, transposed: bool = False) -> int:
        """An upper bound on the nonzero entries in a row, exact where cells are many unless padding is very wide."""
        if not transposed:
            return min(self.kernel, self.inputs)
        # The taps that one copy of a cell is fed through lie this far apart.
        apart = self.stride // gcd(self.stride, self.dilation)
        of_one_copy = min(-(-self.kernel // apart), self.outputs)
        if self.padding_mode == "zeros":
            return of_one_copy
        # Only cells near the ends have several copies.
        near = max(self.lo, self.hi)
        first = min((self.lo + near) // self.stride + 1, self.outputs)
        end = min(max(-(-(self.lo + self.inputs - near - self.extent) // self.stride), first), self.outputs)
        of_borders = self._distinct_sources(first, end)
        if of_borders is None:
            return min(-(-self.kernel // apart) * self._most_copies(), self.outputs)
        counts = np.unique(of_borders, return_counts=True)[1]
        return max(of_one_copy, int(counts.max(initial=0)))

    def _distinct_sources(self, first: int, end: int) -> IntArray | None:
        """The inputs that each output but those from ``first`` to ``end`` reads, once each; ``None`` if too many."""
        count = first + self.outputs - end
        if count * self.kernel > _MOST_LISTED:
            return None
        outputs = np.concatenate([np.arange(first), np.arange(end, self.outputs)])
        sources = np.sort(self.source_of(outputs[:, None], np.arange(self.kernel)[None, :]), axis=1)
        is_first = np.ones(sources.shape, dtype=bool)
        is_first[:, 1:] = np.diff(sources, axis=1) != 0
        return np.asarray(sources[is_first], dtype=np.int64)

    def _most_copies(self) -> int:
        """An upper bound on the padded cells that are copies of one input."""
        if self.padding_mode == "circular":
            return -(-self.padded // self.inputs)
        if self.padding_mode == "replicate":
            return max(self.lo, self.hi) + 1 if self.inputs > 1 else self.padded
        return 2 if self.lo + self.hi < self.inputs - 1 else 3

    def readers(self, tap: int) -> tuple[int, int]:
        """The range of outputs, end excluded, that read an input and not a zero through a tap (zero padding)."""
        before = self.lo - tap * self.dilation
        start = max(-(-before // self.stride), 0)
        return start, min((self.inputs - 1 + before) // self.stride + 1, self.outputs)

    def around_tap(self, tap: int) -> tuple[int, int]:
        """How many of the padded inputs lie before the first and after the last that one tap reads."""
        before = tap * self.dilation
        return before, self.padded - before - (self.outputs - 1) * self.stride - 1

    # -- the entries of the matrix -------------------------------------------------------------------------------------

    def _pairs(self) -> tuple[IntArray, IntArray, IntArray]:
        """All (output, input, tap) triples of the table, sorted by output, then input."""
        sources = self.source()
        outputs, taps = np.nonzero(sources >= 0)
        inputs = sources[outputs, taps]
        if self.padding_mode != "zeros":  # with zeros, the sources of an output ascend already
            order = np.lexsort((taps, inputs, outputs))
            outputs, inputs, taps = outputs[order], inputs[order], taps[order]
        return outputs, inputs, taps

    @cached_property
    def _entries(self) -> tuple[IntArray, IntArray, IntArray, tuple[tuple[int, ...], ...]]:
        """The entries (output, input) with the number of the tap set that meets there, and these sets."""
        outputs, inputs, taps = self._pairs()
        if self.padding_mode == "zeros":
            return outputs, inputs, taps, tuple((t,) for t in range(self.kernel))
        first = np.ones(len(taps), dtype=bool)
        first[1:] = (np.diff(outputs) != 0) | (np.diff(inputs) != 0)
        starts = np.flatnonzero(first)
        members = _ragged_rows(taps, np.diff(np.append(starts, len(taps))))
        sets, numbers = np.unique(members, axis=0, return_inverse=True)
        tap_sets = tuple(tuple(t for t in row if t >= 0) for row in sets.tolist())
        return outputs[starts], inputs[starts], numbers.reshape(-1).astype(np.int64), tap_sets

    def tap_sets(self) -> tuple[tuple[int, ...], ...]:
        """The sets of taps that meet in an entry of the matrix: with zero padding, each tap by itself.

        >>> Axis.conv(3, kernel=3, padding=1, padding_mode="replicate").tap_sets()
        ((0,), (0, 1), (1,), (1, 2), (2,))
        """
        return self._entries[3]

    def entries(self, transposed: bool = False) -> tuple[IntArray, IntArray]:
        """The nonzero entries of the axis' matrix, row by row: two arrays of shape (rows, most entries in a row).

        The first holds the columns, ascending, the second the number of the tap set there; both end in -1 where a row
        has fewer entries. Rows are outputs and columns inputs; ``transposed`` exchanges them.
        """
        rows, columns, sets = self._entries[:3]
        if transposed:
            order = np.argsort(columns, kind="stable")
            rows, columns, sets = columns[order], rows[order], sets[order]
        counts = np.bincount(rows, minlength=self.inputs if transposed else self.outputs)
        return _ragged_rows(columns, counts), _ragged_rows(sets, counts)

    # -- on a torus ----------------------------------------------------------------------------------------------------

    def circulant_refusal(self) -> str | None:
        """Why the axis' matrix is not (block-)circulant; ``None`` if it is.

        It is where no output reads a zero and each output reads what the one before it reads, ``stride`` cells on
        around the axis; the first one follows the last one in this. That is asked of the table, so that it holds for
        patches that touch and for kernels of one tap, with any padding mode.

        >>> Axis.conv(6, kernel=3, padding=1).circulant_refusal()
        'output 0 reads a zero through tap 0'
        >>> Axis.conv(6, kernel=2, stride=2).circulant_refusal() is None
        True
        """
        sources = self.source()
        zeros = np.argwhere(sources < 0)
        if len(zeros):
            return f"output {zeros[0, 0]} reads a zero through tap {zeros[0, 1]}"
        following = np.roll(sources, -1, axis=0)
        breaks = np.argwhere(following != (sources + self.stride) % self.inputs)
        if not len(breaks):
            return None
        output, tap = breaks[0].tolist()
        after = (output + 1) % self.outputs
        wanted = (int(sources[output, tap]) + self.stride) % self.inputs
        around = "" if after else ", which follows the last,"
        return f"output {after}{around} reads input {following[output, tap]} through tap {tap}, and not {wanted}"

    def cycle(self) -> Cycle:
        """The axis as a cycle, if :meth:`circulant_refusal` has nothing against it.

        >>> Axis.conv(4, kernel=5, padding=4, padding_mode="circular").cycle()
        Cycle(size=4, step=1, count=4, copies=2, cells=(0, 1, 2, 3, 0), order=(0, 1, 2, 3, 0, 1, 2, 3))
        """
        step = gcd(self.stride, self.inputs)
        count = self.inputs // step
        order = np.arange(self.outputs) * (self.stride // step) % count
        cells = self.source_of(0, np.arange(self.kernel))
        return Cycle(self.inputs, step, count, self.outputs // count, tuple(cells.tolist()), tuple(order.tolist()))

    def on_torus(self) -> Axis:
        """A circulant axis whose matrix has that of the axis, unpadded but for zeros, as a part; itself if it is one.

        So the norm of the larger matrix is no smaller. Its size is the least multiple of the stride on which no window
        reaches around to cells that it does not read.

        >>> Axis.conv(5, kernel=3, padding=1).on_torus().inputs
        6
        """
        if self.circulant_refusal() is None:
            return self
        axis, reach = self.unpadded(), self.extent - 1
        least = max(axis.inputs + max(axis.lo, axis.hi), axis.outputs * self.stride, reach)
        outputs = -(-least // self.stride)
        return Axis(outputs * self.stride, outputs, self.kernel, self.stride, self.dilation, 0, reach, "circular")

    def most_copies(self) -> int:
        """The largest number of padded cells that are copies of one input: the square of the norm of P."""
        sources = self.padding_source()
        return int(np.bincount(sources[sources >= 0]).max())

    # -- views of the same map -----------------------------------------------------------------------------------------

    def phases(self) -> tuple[Phase, ...]:
        """The phases of Cᵀ, by residue: which taps feed the outputs ``i`` with ``(i + lo) % stride == residue``.

        >>> [phase.taps for phase in Axis.conv_transpose(4, kernel=3, stride=2).phases()]
        [(0, 2), (1,)]
        """
        steps = [divmod(t * self.dilation, self.stride) for t in range(self.kernel)]
        return tuple(
            Phase(r, tuple(t for t, s in enumerate(steps) if s[1] == r), tuple(s[0] for s in steps if s[1] == r))
            for r in range(self.stride)
        )

    def residues(self) -> IntArray:
        """The number of the phase that feeds each output of Cᵀ, of shape (inputs,): ``(i + lo) % stride``.

        >>> Axis.conv_transpose(3, kernel=3, stride=2, padding=1).residues()
        array([1, 0, 1, 0, 1])
        """
        return (np.arange(self.inputs, dtype=np.int64) + self.lo) % self.stride

    def phase_table(self) -> IntArray:
        """The phases as an array of shape (stride, longest shift + 1): the tap of each residue and shift, or -1."""
        table = np.full((self.stride, (self.extent - 1) // self.stride + 1), -1, dtype=np.int64)
        taps = np.arange(self.kernel)
        table[taps * self.dilation % self.stride, taps * self.dilation // self.stride] = taps
        return table

    def phase_window(self) -> PhaseWindow:
        """Which cells of the phases are needed (zero padding)."""
        reach = (self.extent - 1) // self.stride
        first, last = self.lo // self.stride, (self.lo + self.inputs - 1) // self.stride
        count, offset = last - first + 1, self.lo - first * self.stride
        return PhaseWindow(
            first=first,
            count=count,
            offset=offset,
            whole_padding=(offset, count * self.stride - offset - self.inputs),
            coarse_padding=(reach - first, last - (self.outputs - 1)),
            fine_padding=(first, self.outputs - 1 + reach - last),
        )

    def zero_insertion_padding(self) -> tuple[int, int]:
        """What Cᵀ pads around its inputs, zeros inserted, as a stride-1 convolution (negative: crop)."""
        reach = self.extent - 1
        return reach - self.lo, reach - self.hi + self.slack

    def pieces(self, count: int) -> Pieces:
        """The outputs of C in ``count`` pieces, for an axis that pads with zeros."""
        outputs = -(-self.outputs // count)
        step, read = outputs * self.stride, (outputs - 1) * self.stride + self.extent
        axis = replace(self, inputs=read, outputs=outputs, lo=0, hi=0)
        return Pieces(
            axis, step, (self.lo, (count - 1) * step + read - self.lo - self.inputs), count * outputs - self.outputs
        )

    def even_padding(self) -> tuple[int, tuple[int, int], int]:
        """The padding that PyTorch's own functions can express, and what remains.

        Returns:
            ``(both, (lo, hi), output_padding)``: the padding on both sides; what C must pad, or Cᵀ crop, beyond it; the
            ``output_padding`` that a transposed convolution so padded needs to reach every output.
        """
        both = min(self.lo, self.hi)
        return both, (self.lo - both, self.hi - both), max(self.slack - (self.hi - both), 0)


def _check_table(cells: int, what: str) -> None:
    """Refuse a table that would not fit, with what building it takes."""
    size = 3 * 8 * cells
    if size > WORTH_ASKING:
        check_fits(f"the axis' {what} of {cells} cells", size, free_memory(), "a smaller axis, or its closed forms")


def _ragged_rows(values: IntArray, counts: IntArray) -> IntArray:
    """Lay consecutive runs of ``counts`` values out as the rows of an array, filled up with -1."""
    rows = np.full((len(counts), int(counts.max(initial=0))), -1, dtype=np.int64)
    rows[np.arange(rows.shape[1]) < np.asarray(counts)[:, None]] = values
    return rows


def _in_range(index: int, size: int, name: str) -> int:
    if not 0 <= an_int(index, name) < size:
        raise GeometryError(f"{name}={index} is out of range: need 0 <= {name} < {size}")
    return index
