"""The product of the axes: a convolution with its channels and groups."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import product
from math import prod
from typing import Any, NamedTuple

import numpy as np

from convmat.geometry.axis import Axis
from convmat.geometry.borders import Border
from convmat.geometry.errors import GeometryError, Sentence, kind_of, shown
from convmat.geometry.layers import layer_arguments
from convmat.geometry.memory import WORTH_ASKING, check_fits, free_memory
from convmat.geometry.notes import Notes
from convmat.geometry.parts import parts_of
from convmat.geometry.per_axis import Padding, PerAxis, an_int, ints, per_axis_ints, per_axis_padding
from convmat.geometry.shapes import Shapes
from convmat.geometry.table import IntArray


class Part(NamedTuple):
    """Some of the cells that a map writes, as a map of its own; see :meth:`Geometry.part`.

    Attributes:
        geometry: padded by zeros, if at all; with the channels and groups of the whole.
        read: for each axis, what it reads: runs of cells of the whole, joined one after the other.
        written: for each axis, the cells of the wanted ranges that its results are added to, run by run.
    """

    geometry: Geometry
    read: tuple[tuple[Border, ...], ...]
    written: tuple[tuple[Border, ...], ...]


class Geometry(Shapes):
    """A convolution, direct or transposed, without its weight: its axes, channels and groups.

    Args:
        axes: the spatial axes; each holds the sizes of the *direct* convolution.
        in_channels: channels of the map's input (of the transposed convolution's, if ``transposed``).
        out_channels: channels of its output.
        groups: blocks of channels that do not see each other. Default: 1
        transposed: whether the map is Cᵀ and not C. Default: ``False``

    Use :meth:`conv` or :meth:`conv_transpose` to build one from PyTorch's arguments.

    >>> geometry = Geometry.conv((4, 5), (3, 3))
    >>> geometry.in_shape, geometry.out_shape, geometry.matrix_shape
    ((1, 4, 5), (1, 2, 3), (6, 20))
    >>> geometry.transpose().matrix_shape
    (20, 6)
    """

    @classmethod
    def conv(
        cls,
        input_size: Sequence[int],
        kernel_size: PerAxis,
        stride: PerAxis = 1,
        padding: Padding = 0,
        dilation: PerAxis = 1,
        groups: int = 1,
        *,
        padding_mode: str = "zeros",
        in_channels: int = 1,
        out_channels: int = 1,
    ) -> Geometry:
        """The geometry of a convolution of ``input_size`` (spatial sizes only). See :func:`convmat.conv2d`."""
        sizes = ints(input_size, "input_size")
        ndim = len(sizes)
        per_axis = zip(
            sizes,
            per_axis_ints(kernel_size, ndim, "kernel_size"),
            per_axis_ints(stride, ndim, "stride"),
            per_axis_padding(padding, ndim),
            per_axis_ints(dilation, ndim, "dilation"),
            (padding_mode,) * ndim,
            strict=True,
        )
        axes = _build_axes(Axis.conv, per_axis, ndim)
        return cls(axes, in_channels, out_channels, an_int(groups, "groups"))

    @classmethod
    def conv_transpose(
        cls,
        input_size: Sequence[int],
        kernel_size: PerAxis,
        stride: PerAxis = 1,
        padding: Padding = 0,
        output_padding: PerAxis = 0,
        groups: int = 1,
        dilation: PerAxis = 1,
        *,
        output_size: PerAxis | None = None,
        padding_mode: str = "zeros",
        in_channels: int = 1,
        out_channels: int = 1,
    ) -> Geometry:
        """The geometry of a transposed convolution of ``input_size`` (spatial sizes only).

        See :func:`convmat.conv_transpose2d`.
        """
        sizes = ints(input_size, "input_size")
        ndim = len(sizes)
        wanted = (None,) * ndim if output_size is None else per_axis_ints(output_size, ndim, "output_size")
        per_axis = zip(
            sizes,
            per_axis_ints(kernel_size, ndim, "kernel_size"),
            per_axis_ints(stride, ndim, "stride"),
            per_axis_padding(padding, ndim),
            per_axis_ints(output_padding, ndim, "output_padding"),
            per_axis_ints(dilation, ndim, "dilation"),
            (padding_mode,) * ndim,
            wanted,
            strict=True,
        )
        axes = _build_axes(Axis.conv_transpose, per_axis, ndim)
        return cls(axes, in_channels, out_channels, an_int(groups, "groups"), transposed=True)

    @classmethod
    def of(cls, layer: Any, in_shape: Sequence[int]) -> Geometry:
        """The geometry of a convolution layer on an input of some shape.

        Args:
            layer: of PyTorch, of :mod:`convmat.nn`, or any that has ``in_channels``, ``out_channels``, ``kernel_size``,
                ``stride``, ``padding``, ``dilation`` and ``groups`` as PyTorch's have, and where they are not the
                defaults ``padding_mode``, ``transposed`` and ``output_padding``. Its weight is not read.
            in_shape: channels and spatial sizes of its input, without the batch.

        Raises:
            GeometryError: if layer and input do not go together.
            TypeError: if the layer lacks an attribute.

        >>> import torch
        >>> Geometry.of(torch.nn.Conv2d(3, 8, kernel_size=3, stride=2, padding=1), (3, 10, 12)).out_shape
        (8, 5, 6)
        """
        read = layer_arguments(layer, in_shape)
        if read.channels != layer.in_channels:
            raise GeometryError(
                f"in_shape={shown(tuple(in_shape))} has {read.channels} channels, but the layer reads "
                f"in_channels={layer.in_channels}"
            )
        of_layer: dict[str, Any] = {
            "stride": read.stride,
            "padding": read.padding,
            "dilation": read.dilation,
            "groups": read.groups,
            "padding_mode": read.padding_mode,
            "in_channels": read.channels,
            "out_channels": layer.out_channels,
        }
        if read.transposed:
            return cls.conv_transpose(read.sizes, read.kernel_size, output_padding=read.output_padding, **of_layer)
        return cls.conv(read.sizes, read.kernel_size, **of_layer)

    @cached_property
    def notes(self) -> Notes:
        """What others have worked out for this geometry."""
        return Notes()

    def __reduce__(self) -> Any:
        """Copied and saved without the notes, which may hold addresses of memory."""
        return Geometry, (self.axes, self.in_channels, self.out_channels, self.groups, self.transposed)

    # -- the same map, otherwise ---------------------------------------------------------------------------------------

    def transpose(self) -> Geometry:
        """The geometry of the transposed map."""
        return replace(
            self, in_channels=self.out_channels, out_channels=self.in_channels, transposed=not self.transposed
        )

    def unpadded(self) -> Geometry:
        """The geometry of Z in ``C = Z P``; see :meth:`Axis.unpadded`."""
        if self.padding_mode == "zeros":
            return self
        return replace(self, axes=tuple(axis.unpadded() for axis in self.axes))

    def merged(self) -> Geometry:
        """The same map over fewer axes: neighbouring ones that pass every cell on are one. Itself, if there are none.

        >>> Geometry.conv((4, 6, 5), (3, 1, 1), padding=(1, 0, 0)).merged().inputs
        (4, 30)
        """
        axes: list[Axis] = []
        for axis in self.axes:
            if axes and axes[-1].passes_on and axis.passes_on:
                cells = axes.pop().inputs * axis.inputs
                axis = Axis(cells, cells, 1)
            axes.append(axis)
        return self if len(axes) == self.ndim else replace(self, axes=tuple(axes))

    @cached_property
    def alike(self) -> tuple[Any, ...]:
        """Equal for geometries that are alike, which are those whose :meth:`longest_alike` has the same sizes."""
        axes = ((axis.longest_alike(), axis.kernel, axis.stride, axis.dilation, axis.lo) for axis in self.axes)
        return (self.in_channels, self.out_channels, self.groups, self.transposed, *axes)

    def longest_alike(self) -> Geometry:
        """The same map of the largest sizes that are like its own; see :meth:`Axis.longest_alike`."""
        sizes = [axis.longest_alike() for axis in self.axes]
        axes = zip(self.axes, sizes, strict=True)
        return replace(self, axes=tuple(replace(axis, inputs=i, outputs=o) for axis, (i, o) in axes))

    def of_weight(self, batch: int) -> Geometry:
        """The convolution that computes the gradient with respect to the weight of this direct one.

        Tap t of the weight gathers ``x[o*stride - lo + t*dilation] * y[o]`` over all outputs o. That is a convolution
        of x with the kernel y; see :meth:`Axis.exchanged`. The images of the batch are its input channels, and the
        input channels of a group are its batch.

        >>> geometry = Geometry.conv((9, 8), (3, 2), stride=(2, 1), in_channels=4, out_channels=6).of_weight(batch=5)
        >>> geometry.kernel_size, geometry.dilation, geometry.in_shape, geometry.out_shape
        ((4, 7), (2, 1), (5, 9, 8), (6, 3, 2))
        """
        axes = tuple(axis.exchanged() for axis in self.axes)
        return replace(self, axes=axes, in_channels=self.groups * batch)

    def part(self, ranges: Sequence[tuple[int, int]]) -> tuple[Part, ...]:
        """The cells in some ranges of what the map writes, as maps of their own, which read no more than they need.

        Args:
            ranges: for each axis the first cell that is wanted, and the one after the last.

        Returns:
            Parts whose results add up to these cells: one, or none where all of them are zeros. Of a transposed map
            with a padding mode that reads cells, there may be up to three for each axis.

        Raises:
            GeometryError: if a range is empty, or leaves the axis.

        >>> (part,) = Geometry.conv((100,), 5, padding=2).part([(0, 10)])
        >>> part.geometry.axes[0].inputs, part.geometry.axes[0].lo, part.geometry.axes[0].hi
        (12, 2, 0)
        """
        if len(ranges) != self.ndim:
            raise GeometryError(f"ranges={shown(list(ranges))}: need one pair for each of {self.ndim} axes")
        per_axis = []
        for a, (axis, size, (start, stop)) in enumerate(zip(self.axes, self.written, ranges, strict=True)):
            if not 0 <= an_int(start, "start") < an_int(stop, "stop") <= size:
                raise GeometryError(
                    f"range ({shown(start)}, {shown(stop)}) of spatial axis {a}: need 0 <= start < stop <= {size}"
                )
            per_axis.append(parts_of(axis, start, stop, self.transposed))
        return tuple(
            Part(
                replace(self, axes=tuple(part.axis for part in parts)),
                tuple(part.read for part in parts),
                tuple(part.written for part in parts),
            )
            for parts in product(*per_axis)
        )

    def circulant_refusal(self) -> str | None:
        """Why the map is not block-circulant: the first axis, and its first output, that breaks it; ``None`` if it is.

        >>> Geometry.conv((4, 6), (2, 3), (2, 1)).circulant_refusal()
        'spatial axis 1: output 0, which follows the last, reads input 0 through tap 0, and not 4'
        """
        for a, axis in enumerate(self.axes):
            refusal = axis.circulant_refusal()
            if refusal is not None:
                return f"spatial axis {a}: {refusal}" if self.ndim > 1 else refusal
        return None

    def on_torus(self) -> tuple[Geometry, float]:
        """A block-circulant geometry, and a factor: the map's norm is at most the factor times the norm there."""
        axes, gain = [], 1
        for axis in self.axes:
            torus = axis.on_torus()
            axes.append(torus)
            if torus is not axis and axis.padding_mode != "zeros":
                gain *= axis.most_copies()
        return replace(self, axes=tuple(axes)), gain**0.5

    # -- who meets whom ------------------------------------------------------------------------------------------------

    def reads(self, output: Sequence[int]) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
        """The ``(tap, input)`` index pairs that one output of the direct convolution is summed from, over all axes."""
        indices = self._index(output, "output")
        return self._meets([axis.reads(o) for axis, o in zip(self.axes, indices, strict=True)])

    def feeds(self, input: Sequence[int]) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
        """The ``(tap, output)`` index pairs that one input of the direct convolution goes into, over all axes."""
        indices = self._index(input, "input")
        return self._meets([axis.feeds(i) for axis, i in zip(self.axes, indices, strict=True)])

    def _index(self, index: Sequence[int], name: str) -> tuple[int, ...]:
        numbers = ints(index, name)
        if len(numbers) != self.ndim:
            raise GeometryError(
                f"{name}={shown(numbers)} has {len(numbers)} values: need one for each of {self.ndim} axes"
            )
        return numbers

    @staticmethod
    def _meets(per_axis: list[list[tuple[int, int]]]) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
        return [(tuple(t for t, _ in pairs), tuple(i for _, i in pairs)) for pairs in product(*per_axis)]

    def overlap(self) -> IntArray:
        """How many (tap, output) pairs meet in each input, of shape ``inputs``: the checkerboard of Cᵀ."""
        size = 8 * prod(self.inputs)
        if size > WORTH_ASKING:
            what = Sentence("an array of shape {shape}", shape=shown(self.inputs))
            check_fits(what, 2 * size, free_memory(), "smaller sizes")
        counts = np.ones((), dtype=np.int64)
        for axis in self.axes:
            counts = counts[..., None] * axis.overlap()
        return counts

    def most_entries(self) -> int:
        """An upper bound, exact with zero padding, on the nonzero entries of the map's matrix."""
        rows, columns = self.direct_channels
        return rows * columns // self.groups * prod(axis.most_entries() for axis in self.axes)

    def listing_bytes(self) -> int:
        """How much memory :meth:`entries` takes, about: it fills all rows up to the longest, then drops the filling."""
        of_axes = sum(48 * axis.outputs * axis.kernel for axis in self.axes)
        cells = self.in_channels // self.groups
        for axis in self.axes:
            cells *= (axis.inputs if self.transposed else axis.outputs) * axis.most_in_row(self.transposed)
        kept = self.most_entries() // max(self.out_channels, 1)
        return of_axes + 25 * cells + 16 * kept

    def tap_sets(self) -> tuple[tuple[tuple[int, ...], ...], ...]:
        """For each axis, the sets of taps that meet in an entry; see :meth:`Axis.tap_sets`."""
        return tuple(axis.tap_sets() for axis in self.axes)

    def channel_entries(self, channel: int) -> tuple[IntArray, IntArray, IntArray]:
        """The rows, columns and taps (see :meth:`entries`) of the nonzero entries of one output channel."""
        counts, columns, taps = self.entries()
        group = channel // (self.out_channels // self.groups)
        rows = np.repeat(np.arange(len(counts)), counts) + channel * len(counts)
        return rows, columns + group * (self.matrix_shape[1] // self.groups), taps

    def entries(self) -> tuple[IntArray, IntArray, IntArray]:
        """The nonzero entries in the rows of one output channel, row by row with ascending columns.

        Returns:
            ``counts`` of shape (output cells,): the entries of each row;
            ``columns`` of shape (entries,): their columns, counted from the first input channel of the group;
            ``taps`` of shape (entries,): their position in the flattened (in_channels/groups, *tap sets).
        """
        channels = self.in_channels // self.groups
        column = np.arange(channels, dtype=np.int64).reshape(channels, *(1,) * self.ndim)
        tap, valid = column, np.ones_like(column, dtype=bool)
        for a, (axis, size, sets) in enumerate(zip(self.axes, self.in_shape[1:], self.tap_sets(), strict=True)):
            columns, numbers = axis.entries(self.transposed)
            # (rows of each axis, input channel, entries in a row of each axis)
            shape = _row_and_entry(columns.shape, a, self.ndim)
            column = column * size + columns.reshape(shape)
            tap = tap * len(sets) + numbers.reshape(shape)
            valid = valid & (columns >= 0).reshape(shape)
        entry_axes = tuple(range(self.ndim, 2 * self.ndim + 1))
        return valid.sum(axis=entry_axes, dtype=np.int64).reshape(-1), column[valid], tap[valid]


def geometry_of(geometry_or_layer: Any, in_shape: Sequence[int] | None) -> Geometry:
    """A geometry as it is, or that of a layer, which needs the shape of its input; see :meth:`Geometry.of`."""
    if isinstance(geometry_or_layer, Geometry):
        if in_shape is not None:
            raise TypeError(f"in_shape={shown(in_shape)} goes with a layer only: a geometry has its sizes")
        return geometry_or_layer
    if in_shape is None:
        kind = kind_of(geometry_or_layer)
        raise TypeError(
            f"geometry must be a convmat.Geometry, or a convolution layer together with in_shape, not {kind} alone"
        )
    return Geometry.of(geometry_or_layer, in_shape)


def _build_axes(build: Callable[..., Axis], per_axis: Iterable[tuple[Any, ...]], ndim: int) -> tuple[Axis, ...]:
    """Build each axis; the error of one that cannot be built says which it is."""
    axes: list[Axis] = []
    try:
        axes.extend(build(*arguments) for arguments in per_axis)
    except GeometryError as error:
        if ndim == 1:
            raise
        raise GeometryError.of("spatial axis {axis}: {error}", axis=len(axes), error=error) from None
    return tuple(axes)


def _row_and_entry(shape: tuple[int, int], a: int, ndim: int) -> tuple[int, ...]:
    """Broadcast (rows, entries) of axis a into (rows of every axis, channels, entries of every axis)."""
    rows, entries = shape
    full = [1] * (2 * ndim + 1)
    full[a], full[ndim + 1 + a] = rows, entries
    return tuple(full)
