"""``op @ x`` of dask arrays: lazy, and exact whatever the chunks.

Each chunk of the output is one task. It is given the cells that it depends on and no others, cut out of the chunks that
hold them, and maps them as a convolution of its own: :meth:`Geometry.part` says which cells, and how they are padded.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise, product
from math import isnan, prod
from operator import getitem
from typing import TYPE_CHECKING, Any, TypeAlias, TypeGuard

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from convmat.geometry import Geometry, GeometryError, chunk_slices, kind_of, shown
from convmat.operators.boxes import Box, Ranges, compute, corners, one_thread

if TYPE_CHECKING:
    import dask.array as da

Chunks: TypeAlias = tuple[tuple[int, ...], ...]


def is_dask(x: Any) -> TypeGuard[da.Array]:
    """Whether something is a dask array; dask is not imported to find out."""
    arrays = sys.modules.get("dask.array")
    return arrays is not None and isinstance(x, arrays.Array)


def numpy_dtype(dtype: torch.dtype) -> np.dtype[Any]:
    """The same for NumPy.

    Raises:
        GeometryError: if NumPy has none.
    """
    try:
        return torch.empty(0, dtype=dtype).numpy().dtype
    except TypeError:
        raise GeometryError(
            f"NumPy has no {dtype}, so dask has no such arrays: op.to(torch.float32) would do"
        ) from None


def chunks_after(geometry: Geometry, chunks: Sequence[Sequence[int]]) -> Chunks:
    """The chunks of what a convolution makes of an input with these chunks; see :meth:`ConvOperator.chunks`."""
    found = tuple(tuple(sizes) for sizes in chunks)
    if any(isnan(size) for sizes in found for size in sizes):
        raise GeometryError("the chunks of x are unknown: x.compute_chunk_sizes() finds them")
    shape, lead = tuple(map(sum, found)), len(found) - len(geometry.in_shape)
    if lead < 0 or shape[lead:] != geometry.in_shape:
        raise GeometryError(
            f"x of shape {shown(shape)} does not go with an operator from {geometry.in_shape} to "
            f"{geometry.out_shape}: need (..., {', '.join(map(str, geometry.in_shape))})"
        )
    groups = _groups(geometry, found[lead], lead)
    per_group = geometry.out_channels // geometry.groups
    channels = tuple((end - first) * per_group for first, end in groups)
    cells = (
        axis.bounds((0, *accumulate(sizes)), geometry.transposed)
        for axis, sizes in zip(geometry.axes, found[lead + 1 :], strict=True)
    )
    return (*found[:lead], channels, *(tuple(b - a for a, b in pairwise(cuts)) for cuts in cells))


def _groups(geometry: Geometry, channels: tuple[int, ...], dim: int) -> list[tuple[int, int]]:
    """Which groups each chunk of channels holds."""
    per_group = geometry.in_channels // geometry.groups
    bounds = (0, *accumulate(channels))
    if any(bound % max(per_group, 1) for bound in bounds):
        raise GeometryError(
            f"x.chunks[{dim}]={shown(channels)} split the {per_group} channels of a group, all of which go into each "
            f"output: x.rechunk({{{dim}: {per_group}}}) would do"
        )
    firsts = [bound // max(per_group, 1) for bound in bounds]
    return list(pairwise(firsts))


@dataclass(frozen=True)
class ConvolutionData:
    """What a task has to know of an operator: plain data, which travels to other machines."""

    geometry: Geometry
    weight: Tensor
    method: str

    def groups(self, first: int, end: int) -> ConvolutionData:
        """Some groups of its channels."""
        geometry, count = self.geometry, end - first
        if count == geometry.groups:
            return self
        ins, outs, rows = (
            n // geometry.groups for n in (geometry.in_channels, geometry.out_channels, len(self.weight))
        )
        part = replace(geometry, in_channels=ins * count, out_channels=outs * count, groups=count)
        return ConvolutionData(part, self.weight[first * rows : end * rows], self.method)


def multiply(geometry: Geometry, weight: Tensor, method: str, x: da.Array) -> da.Array:
    """``op @ x`` of a convolution and a dask array of shape (..., channels, *sizes)."""
    import dask.array as da
    from dask.base import tokenize
    from dask.highlevelgraph import HighLevelGraph

    wanted = chunks_after(geometry, x.chunks)
    dtype = numpy_dtype(weight.dtype)
    if x.dtype != dtype:
        raise GeometryError(f"the operator is {dtype} and x {x.dtype}: they should be the same; x.astype would do")
    if not isinstance(x._meta, np.ndarray):
        raise TypeError(f"x is made of {kind_of(x._meta)}: need chunks of numpy.ndarray; x.map_blocks would do")
    weight = weight.detach()
    values = weight.cpu().contiguous()
    name = f"convmat-{tokenize(x.name, geometry, method, values.numpy(), str(weight.device))}"
    lead = x.ndim - len(geometry.in_shape)
    graph: dict[Any, Any] = {}
    operator = ConvolutionData(geometry, weight, method)
    for number, (first, end) in enumerate(_groups(geometry, x.chunks[lead], lead)):
        graph[f"{name}-operator", number] = operator.groups(first, end)
    usual = tuple(max(sizes) for sizes in wanted[lead + 1 :])
    cuts = [(0, *accumulate(sizes)) for sizes in wanted[lead + 1 :]]
    reads = {
        at: _reads(geometry, [(cut[i], cut[i + 1]) for cut, i in zip(cuts, at, strict=True)], x.chunks[lead + 1 :])
        for at in corners([len(sizes) for sizes in wanted[lead + 1 :]])
    }
    for outer in corners([len(sizes) for sizes in wanted[: lead + 1]]):
        batch = tuple(sizes[i] for sizes, i in zip(x.chunks[:lead], outer, strict=False))
        for at, (ranges, found) in reads.items():
            held = []
            for chunk, slices in found:
                source, whole = (x.name, *outer, *chunk), (slice(None),) * (lead + 1)
                key = (f"{name}-halo", *outer, *at, *chunk)
                graph[key] = (getitem, source, (*whole, *slices))
                held.append(key)
            firsts = [
                tuple(first for first, _ in _places(chunk, slices, x.chunks[lead + 1 :])) for chunk, slices in found
            ]
            task = _ChunkTask(Box(tuple(ranges), prod(batch), usual), batch, tuple(firsts))
            made = (name, *outer, *at)
            graph[made] = (task, (f"{name}-operator", outer[lead]), held)
    layers = HighLevelGraph.from_collections(name, graph, dependencies=[x])  # type: ignore[list-item]
    return da.Array(layers, name, wanted, meta=np.empty((0,) * x.ndim, dtype))


def _places(chunk: Sequence[int], slices: Sequence[slice], chunks: Chunks) -> list[tuple[int, int]]:
    """Where the cells of a chunk that are cut out lie on the whole."""
    starts = [sum(sizes[:i]) for sizes, i in zip(chunks, chunk, strict=True)]
    return [(start + cut.start, start + cut.stop) for start, cut in zip(starts, slices, strict=True)]


def _reads(
    geometry: Geometry, ranges: Ranges, chunks: Chunks
) -> tuple[Ranges, list[tuple[tuple[int, ...], tuple[slice, ...]]]]:
    """The chunks that some cells of the output depend on, and which of their cells."""
    needed: list[dict[int, tuple[int, int]]] = []
    parts = geometry.part(ranges)
    for a, sizes in enumerate(chunks):
        of_axis: dict[int, tuple[int, int]] = {}
        for run in {run for part in parts for run in part.read[a]}:
            for piece in chunk_slices(sizes, run.lowest, run.lowest + run.distinct):
                start, stop = of_axis.get(piece.chunk, (piece.start, piece.stop))
                of_axis[piece.chunk] = min(start, piece.start), max(stop, piece.stop)
        needed.append(of_axis)
    found = [
        (tuple(number for number, _ in combined), tuple(slice(*cells) for _, cells in combined))
        for combined in product(*(sorted(of_axis.items()) for of_axis in needed))
    ]
    return ranges, found


@dataclass(frozen=True)
class _ChunkTask:
    """Makes one chunk of the output.

    Args:
        box: the chunk.
        batch: the sizes of its batch dimensions.
        firsts: of each array that it is given, where on the whole its first cell lies.
    """

    box: Box
    batch: tuple[int, ...]
    firsts: tuple[tuple[int, ...], ...]

    def __call__(self, operator: ConvolutionData, arrays: list[npt.NDArray[Any]]) -> npt.NDArray[Any]:
        geometry, weight = operator.geometry, operator.weight
        shape = (self.box.batch, geometry.in_channels)
        pieces = [array.reshape(*shape, *array.shape[-geometry.ndim :]) for array in arrays]

        def read(ranges: Ranges) -> Tensor:
            cells = np.empty((*shape, *(stop - start for start, stop in ranges)), numpy_dtype(weight.dtype))
            for firsts, piece in zip(self.firsts, pieces, strict=True):
                _copy_common(cells, ranges, piece, firsts)
            return torch.from_numpy(cells).to(weight.device)

        with torch.no_grad(), one_thread():
            made = compute(geometry, weight, operator.method, read, self.box)
        found: npt.NDArray[Any] = made.cpu().contiguous().numpy()
        return found.reshape(*self.batch, *found.shape[1:])


def _copy_common(cells: npt.NDArray[Any], ranges: Ranges, piece: npt.NDArray[Any], firsts: Sequence[int]) -> None:
    """Copy what lies in a piece into the cells of some ranges."""
    to, of = [], []
    for (start, stop), first, size in zip(ranges, firsts, piece.shape[2:], strict=True):
        low, high = max(start, first), min(stop, first + size)
        if low >= high:
            return
        to.append(slice(low - start, high - start))
        of.append(slice(low - first, high - first))
    cells[_everywhere(to)] = piece[_everywhere(of)]


def _everywhere(cells: list[slice]) -> tuple[Any, ...]:
    """An index of these cells, of all items and channels."""
    return (..., *cells)
