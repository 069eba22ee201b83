"""A convolution of given sizes as a task for the kernel."""

from __future__ import annotations

from functools import cached_property, lru_cache
from itertools import product
from math import prod
from typing import Any

import numpy as np
from torch import Tensor

from convmat.geometry import Geometry
from convmat.geometry.notes import Bounded
from convmat.kernel import task
from convmat.kernel.compiled import Kernel
from convmat.kernel.epilogue import Epilogue
from convmat.kernel.pages import empty, scratch
from convmat.kernel.task import run
from convmat.kernel.threads import outside_the_pool, thread_number_address
from convmat.kernel.tiling.boxes import BoxTiling
from convmat.kernel.tiling.choosing import Wanted, tiling_of, weight_cycles
from convmat.kernel.tiling.padding import lines_inside
from convmat.kernel.tiling.places import Places
from convmat.kernel.tiling.processor import AXES, LINE, Processor
from convmat.kernel.tiling.rows import RowTiling
from convmat.kernel.tiling.winograd import kinds_of, transformed_weight
from convmat.tensors.strides import output_format_of

_CHUNKS = 4  # chunks that a thread packs at a time: their weights are neighbours in memory
_MOST_TASKS = 16  # of a schedule, one for each combination of strides
_CYCLES_AT_ONCE = 20_000  # of work that a thread takes at a time, beside which counting it costs nothing
_TURNS = 4  # that each thread takes at least, so that all of them end at about the same time
_STREAMED = 4 << 20  # bytes: an output this large does not stay in any cache, so it is written by non-temporal stores


class Schedule:
    """What the kernel does for a geometry, a batch size and a number of threads.

    Args:
        geometry: direct or transposed, padded with zeros.
        batch: number of inputs.
        processor: what it runs on.
        contiguous: whether inputs are; only then can it have Winograd's form. Default: ``True``
        keep: whether packed weights are kept; if not, packing them is part of each call. Default: ``True``

    Attributes:
        rows: how its rows are cut into tiles; a weight packed for one such tiling serves inputs of many sizes.
        cells: how its cells are cut.
        packing: all that the order of packed weights depends on.
        out_shape: batch, channels and sizes of the output.
        scratch_bytes: memory for the window and the results of a thread.
    """

    def __init__(
        self, geometry: Geometry, batch: int, processor: Processor, contiguous: bool = True, keep: bool = True
    ) -> None:
        self.geometry, self.batch, self.processor = geometry, batch, processor
        self._wanted = Wanted(batch, processor, contiguous, keep)
        self.rows, self.cells = self._cut()
        self.packing = self.rows, geometry.groups, geometry.in_channels
        self.out_shape = (batch, *geometry.out_shape)
        self.scratch_bytes = self._count_scratch()
        self._tasks: Bounded[tuple[bytes, dict[str, Any]]] = Bounded(_MOST_TASKS)

    def _cut(self) -> tuple[RowTiling, BoxTiling]:
        return tiling_of(self.geometry, self._wanted)

    @property
    def cycles(self) -> float:
        """About how many cycles a call takes of each thread."""
        return self.cells.cycles + weight_cycles(self.geometry, self._wanted, self.rows)

    def _count_scratch(self) -> int:
        rows, cells, channels = self.rows, self.cells, self.geometry.in_channels // self.geometry.groups
        stripes_of_part = -(-(len(rows.tables.stripes) - 1) // cells.parts)
        numbers = channels * cells.channel_pitch + cells.sums_of_stripe(rows)
        numbers += self._kept * (stripes_of_part - 1)
        starts_of_rows = 16 * prod(cells.window[:-1]) * cells.planes // cells.copies
        return -(-(numbers * self.processor.itemsize + starts_of_rows + task.TABLE_BYTES) // LINE) * LINE

    @property
    def _kept(self) -> int:
        """The distance between the sums of two stripes, where the sums of all stripes are kept at once."""
        return self.cells.sums_of_stripe(self.rows) if self.cells.blocks > 1 else 0

    @cached_property
    def _known(self) -> tuple[list[int], dict[str, Any]]:
        """The task, but for the addresses of the tensors and how these lie in memory, and the tables it points to.

        The task holds the tables' addresses only. So whoever runs it must keep the tables alive until it has run, for
        another thread may replace what is cached here.
        """
        geometry, cells, itemsize = self.geometry, self.cells, self.processor.itemsize
        known, tables = _of_places(*self.packing, geometry.out_channels, geometry.transposed, cells.places, itemsize)
        read, written = _three(geometry.read), _three(geometry.written)
        out_bytes = self.batch * prod(geometry.out_shape) * itemsize
        chunks, boxes = known[task.CHUNKS], cells.boxes
        units = cells.undivided + (prod(boxes) * geometry.groups - cells.undivided) * cells.parts
        values: dict[str, Any] = {
            "READ": (self.batch, *read),
            "CELLS": cells.cells,
            "BOX": cells.box,
            "BOXES": boxes,
            "REACH": cells.reach,
            "WINDOW": cells.window,
            "PITCH": cells.pitches,
            "AT_ONCE": cells.at_once,
            "BY_LINE": self.rows.by_line,
            "SUMS_PITCH": cells.sums_pitch or cells.pitches,
            "WRITTEN": written,
            "USED": cells.used,
            "BATCH_INNER": cells.batch_inner,
            "LOOPED": cells.looped,
            "BLOCKS": cells.blocks,
            "KEPT": self._kept,
            "PARTS": cells.parts,
            "UNDIVIDED": cells.undivided,
            "UNITS": units,
            "UNITS_AT_ONCE": self._units_at_once(units),
            "THREAD_NUMBER": thread_number_address(),
            "PACK_UNITS": min(chunks, max(chunks // _CHUNKS, 4 * self.processor.threads)),
            "STREAM": out_bytes >= _STREAMED,
            "SCRATCH_BYTES": self.scratch_bytes,
        }
        numbers = known.copy()
        if self.rows.by_line:
            parts, products = lines_inside(self.rows, read, cells.cells[1:])
            numbers, inside = _pointing_to({"INSIDE_PARTS": parts, "INSIDE_PRODUCTS": products}, known)
            tables = tables | inside
        _put(numbers, values)
        return numbers, tables

    def _units_at_once(self, units: int) -> int:
        """How many units of work a thread takes at a time: counting small ones, threads would wait for each other."""
        shares = units // self.processor.threads
        wanted = _CYCLES_AT_ONCE * shares // max(int(self.cells.cycles), 1)
        return max(min(wanted, shares // _TURNS), 1)

    @cached_property
    def _contiguous_strides(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The strides of input and output, where both are contiguous."""
        in_shape, out_shape = self.geometry.in_shape, self.geometry.out_shape
        return tuple(tuple(prod(shape[a:]) for a in range(len(shape) + 1)) for shape in (in_shape, out_shape))  # type: ignore[return-value]

    def _task(self, input_strides: tuple[int, ...], output_strides: tuple[int, ...]) -> tuple[bytes, dict[str, Any]]:
        """The task, but for the addresses of the tensors; made once for each way in which these lie in memory."""

        def make() -> tuple[bytes, dict[str, Any]]:
            known, tables = self._known
            numbers = known.copy()
            _put(numbers, {"INPUT_STRIDE": _five(input_strides), "OUTPUT_STRIDE": _five(output_strides)})
            return task.as_bytes(numbers), tables

        return self._tasks.get_or_make((input_strides, output_strides), make)

    def pack(self, kernel: Kernel, weight: Tensor, threads: int) -> Tensor:
        """Pack a weight: sort it into the order in which the kernel reads it."""
        geometry, transformed = self.geometry, self.rows.transformed
        channels = geometry.in_channels  # of all groups, as each packs the factors of its own
        packed = empty((channels * len(self.rows.tables.taps),), weight)
        known, tables = self._known
        numbers = known.copy()
        _put(numbers, {"UNITS_AT_ONCE": max(geometry.groups * known[task.PACK_UNITS] // (_TURNS * threads), 1)})
        with outside_the_pool():
            weight = weight.detach().reshape(geometry.weight_shape)
            if transformed:
                parts = transformed_weight(weight, self.rows.axes[-transformed:], geometry)
            else:
                parts = iter([(0, channels, weight.contiguous())])
            for first, last, part in parts:
                _put(numbers, {"PACKED_CHANNELS": (first, last)})
                place = part.data_ptr() - first * part[0].nbytes  # of the first channel of all
                run(kernel.pack, task.as_bytes(numbers), threads, weight=place, packed=packed.data_ptr())
        del tables  # kept alive until here: the task holds their addresses
        return packed

    def convolve(
        self,
        kernel: Kernel,
        input: Tensor,
        packed: Tensor,
        epilogue: Epilogue,
        threads: int,
        out_shape: tuple[int, ...] | None = None,
    ) -> Tensor:
        """Compute the output from an input and a packed weight; the output has the memory format of the input.

        With an ``out_shape``, input and output are contiguous and may have more axes than the geometry, which merges
        them.
        """
        if out_shape is None:
            output = empty(self.out_shape, input, output_format_of(input))
            strides = input.stride(), output.stride()
        else:
            output, strides = empty(out_shape, input), self._contiguous_strides
        work = scratch(self.scratch_bytes * threads + LINE)
        epilogue = epilogue.contiguous()
        known, tables = self._task(*strides)
        run(
            kernel.convolve,
            known,
            threads,
            input=input.data_ptr(),
            packed=packed.data_ptr(),
            bias=epilogue.bias_address,
            activation=epilogue.activation_address,
            output=output.data_ptr(),
            scratch=-(-work.data_ptr() // LINE) * LINE,
        )
        del tables, epilogue  # kept alive until here: the task holds their addresses
        return output


@lru_cache(maxsize=256)
def _of_places(
    rows: RowTiling,
    groups: int,
    in_channels: int,
    out_channels: int,
    transposed: bool,
    places: Places,
    itemsize: int,
) -> tuple[list[int], dict[str, Any]]:
    """What all schedules with the same rows and the same places have in common; see :func:`_of_rows`."""
    known, tables = _of_rows(rows, groups, in_channels, out_channels, transposed)
    offsets, begins = places.offsets(rows, in_channels // groups)
    of_places = {"PLACES": places.of_lines(rows), "OFFSETS": offsets, "BEGINS": begins}
    if rows.by_channels:
        of_places["CELL_PLACES"] = places.of_cells() * itemsize
    pair_counts = (0, 0, 0)
    if rows.is_single(in_channels // groups):
        of_places["PAIRS"], pair_counts = places.pairs(rows, in_channels // groups)
    numbers, of_places = _pointing_to(of_places, known)
    names = "before", "plane", "channel_pitch", "planes", "copies", "results"
    of_window = {name.upper(): getattr(places, name) for name in names}
    _put(numbers, {"PAIR_COUNTS": pair_counts, **of_window})
    return numbers, tables | of_places


@lru_cache(maxsize=256)
def _of_rows(
    rows: RowTiling, groups: int, in_channels: int, out_channels: int, transposed: bool
) -> tuple[list[int], dict[str, Any]]:
    """What all schedules with the same rows have in common: a task without the rest, and the tables it points to."""
    channels, out_channels = in_channels // groups, out_channels // groups
    taps = prod(axis.kernel for axis in rows.axes)
    tables = {
        "STRIPES": rows.tables.stripes,
        "TILES": rows.tables.tiles,
        "LINES": rows.tables.lines,
        "TAP_PLACES": rows.tables.taps,
        "PHASES_IN": np.array(list(product(*rows.phases_in)), dtype=np.int64),
    }
    values = {
        "STRIPE_COUNT": len(rows.tables.stripes) - 1,
        "TILE_COUNT": len(rows.tables.tiles),
        "LINE_COUNT": len(rows.tables.lines),
        "GROUPS": groups,
        "CHANNELS": channels,
        "OUT_CHANNELS": out_channels,
        "TAPS": out_channels * taps,
        "FACTORS": len(rows.tables.taps),
        "PHASES_OUT": rows.places_of_line,
        "CHANNEL_STEP": taps * (out_channels if transposed or rows.transformed else 1),
        "STEP_IN": tuple(axis.step_in for axis in rows.axes),
        "TRANSFORMED": rows.transformed,
        "FORM_KINDS": kinds_of(rows.axes[-rows.transformed :]) if rows.transformed else (0, 0),
        "BY_CHANNELS": rows.by_channels,
        "SINGLE": rows.is_single(channels),
        "TOGETHER": tuple(axis.together for axis in rows.axes),
        "PACKED_TOGETHER": rows.packed_together,
        "ORIGIN": tuple(axis.origin for axis in rows.axes),
        "STEP_OUT": tuple(axis.step_out for axis in rows.axes),
        "CHUNKS": -(-out_channels // rows.together),
    }
    numbers = [0] * task.FIELDS
    _put(numbers, values)
    return _pointing_to(tables, numbers)


def _pointing_to(tables: dict[str, Any], numbers: list[int]) -> tuple[list[int], dict[str, Any]]:
    """A task with the addresses of tables, and the tables as they lie there."""
    tables = {name: np.ascontiguousarray(table) for name, table in tables.items()}
    numbers = numbers.copy()
    _put(numbers, {name: table.ctypes.data for name, table in tables.items()})
    return numbers, tables


def _put(numbers: list[int], values: dict[str, Any]) -> None:
    """Write values, by name, to their places in a task."""
    for name, value in values.items():
        place = getattr(task, name)
        if isinstance(value, tuple):
            numbers[place : place + len(value)] = value
        else:
            numbers[place] = value


def _three(sizes: tuple[int, ...]) -> tuple[int, ...]:
    return (1,) * (AXES - len(sizes)) + sizes


def _five(strides: tuple[int, ...]) -> tuple[int, ...]:
    """The strides of batch, channels, depth, height and width."""
    return (*strides[:2], *(0,) * (AXES + 2 - len(strides)), *strides[2:])
