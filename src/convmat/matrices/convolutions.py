"""The matrix of one convolution, from its geometry and its weight.

A geometry says which entries there are and which taps meet in each (:meth:`convmat.Geometry.entries`); here the weight
is gathered into them. All of it is done by array operations over the entries, and gradients flow back to the weight.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from convmat.geometry import Geometry, GeometryError, Sentence
from convmat.matrices.entries import Entries
from convmat.matrices.layouts import (
    LayoutLike,
    check_compressed,
    known_layout,
    to_coo,
    to_csr,
    to_dense,
    transposed_to_csc,
)
from convmat.tensors.arguments import check_dtype
from convmat.tensors.memory import check_fits


def build(geometry: Geometry, weight: Tensor, layout: LayoutLike, index_dtype: torch.dtype | None = None) -> Tensor:
    """The matrix of a geometry and a weight, in one of the layouts."""
    layout = known_layout(layout, index_dtype)
    check_dtype(weight, "weight")
    if weight.dtype == torch.complex32:
        raise GeometryError(f"weight is {weight.dtype}, of which PyTorch gathers no entries: use complex64")
    if layout == torch.sparse_csr:
        return csr(geometry, weight, index_dtype or torch.int64)
    if layout == torch.sparse_csc:
        return csc(geometry, weight, index_dtype or torch.int64)
    return coo(geometry, weight) if layout == torch.sparse_coo else dense(geometry, weight)


def dense(geometry: Geometry, weight: Tensor) -> Tensor:
    """The matrix of shape ``geometry.matrix_shape``; (rows, columns) of all cells, channels first."""
    rows, columns = geometry.matrix_shape
    while_built = geometry.most_entries() * (4 * 8 + weight.element_size())  # rows, columns, places; values
    _check_memory(geometry, weight, rows * columns * weight.element_size() + while_built, torch.strided)
    return to_dense(_entries(geometry, weight))


def coo(geometry: Geometry, weight: Tensor) -> Tensor:
    """The matrix in coordinate format, coalesced."""
    # One row of indices is made beside the two that hold them.
    _check_memory(geometry, weight, geometry.most_entries() * (3 * 8 + weight.element_size()), torch.sparse_coo)
    return to_coo(_entries(geometry, weight))


def csr(geometry: Geometry, weight: Tensor, index_dtype: torch.dtype = torch.int64) -> Tensor:
    """The matrix in compressed row format; columns ascend within each row."""
    _check_compressed(geometry, weight, index_dtype, torch.sparse_csr)
    return to_csr(_entries(geometry, weight), index_dtype)


def csc(geometry: Geometry, weight: Tensor, index_dtype: torch.dtype = torch.int64) -> Tensor:
    """The matrix in compressed column format: the rows of the transposed geometry's matrix are its columns."""
    transposed = geometry.transpose()
    _check_compressed(transposed, weight, index_dtype, torch.sparse_csc)
    return transposed_to_csc(_entries(transposed, weight), index_dtype)


def listed(geometry: Geometry, weight: Tensor) -> Entries:
    """All entries of the matrix, for sums and products with others."""
    _check_memory(geometry, weight, geometry.most_entries() * (2 * 8 + weight.element_size()), torch.sparse_coo)
    entries = _entries(geometry, weight)
    return Entries(geometry.matrix_shape, entries.row_indices(), entries.column_indices(), entries.values)


def size_text(geometry: Geometry) -> Sentence:
    """The size of a matrix, in words."""
    rows, columns = geometry.matrix_shape
    return Sentence(
        "{rows} x {columns} matrix with {entries} nonzero entries"
        if geometry.padding_mode == "zeros"
        else "{rows} x {columns} matrix with up to {entries} nonzero entries",  # taps may meet in an entry
        rows=rows,
        columns=columns,
        entries=geometry.most_entries(),
    )


def weight_gradient(geometry: Geometry, input: Tensor, output: Tensor) -> Tensor:
    """The gradient of ``<output, C(weight) input>`` with respect to the weight, over the entries of the matrix.

    Args:
        geometry: a direct or a transposed one.
        input: of shape (batch, *in_shape).
        output: of shape (batch, *out_shape).

    Returns:
        Of shape ``geometry.weight_shape``.
    """
    weight = input.new_zeros(geometry.weight_shape)
    entries = _entries(geometry, weight)
    rows, columns = entries.row_indices(), entries.column_indices()
    products = input.new_zeros(len(rows))
    for x, y in zip(input, output, strict=True):
        products = products + y.flatten()[rows] * x.flatten()[columns]
    # Gathering the weight into the entries is linear; its transpose sums what was gathered.
    transpose = torch.func.vjp(entries.gather, weight)[1]
    return transpose(products)[0]


@dataclass(frozen=True)
class _ConvolutionEntries:
    """The entries of a convolution's matrix, row by row, on the device of its weight.

    All rows of one output channel look alike (``counts``, ``first_columns``, ``taps``; see
    :meth:`convmat.Geometry.entries`), except that those of another group begin at other columns.
    """

    geometry: Geometry
    weight: Tensor
    counts: Tensor
    first_columns: Tensor
    taps: Tensor

    @property
    def shape(self) -> tuple[int, int]:
        return self.geometry.matrix_shape

    @cached_property
    def values(self) -> Tensor:
        return self.gather(self.weight)

    def row_indices(self) -> Tensor:
        of_channel = torch.repeat_interleave(self.counts, output_size=len(self.taps))
        return (of_channel + len(self.counts) * self._channels()).flatten()

    def row_starts(self, dtype: torch.dtype) -> Tensor:
        ends = self.counts.cumsum(0) + len(self.taps) * self._channels()
        return torch.cat([ends.new_zeros(1), ends.flatten()]).to(dtype)

    def column_indices(self, dtype: torch.dtype = torch.int64) -> Tensor:
        groups, channels = self.geometry.groups, self.geometry.out_channels
        starts = torch.arange(groups, device=self.taps.device) * (self.geometry.matrix_shape[1] // groups)
        of_group = (self.first_columns + starts[:, None]).to(dtype)
        return of_group[:, None].expand(groups, channels // groups, -1).flatten().contiguous()

    def gather(self, weight: Tensor) -> Tensor:
        """The value of each entry: a tap of the weight, or a sum of several."""
        rows = _rows_of_channels(_meet(weight, self.geometry), self.geometry)
        return rows.gather(1, self.taps.expand(len(rows), -1)).flatten()

    def _channels(self) -> Tensor:
        return torch.arange(self.geometry.out_channels, device=self.taps.device)[:, None]


def _entries(geometry: Geometry, weight: Tensor) -> _ConvolutionEntries:
    tables = [torch.from_numpy(array).to(weight.device) for array in geometry.entries()]
    return _ConvolutionEntries(geometry, weight, *tables)


def _meet(weight: Tensor, geometry: Geometry) -> Tensor:
    """Sum the taps that meet in an entry: (rows, columns/groups, *kernel) -> (rows, columns/groups, *tap sets)."""
    for dim, axis in enumerate(geometry.axes, start=2):
        if axis.padding_mode == "zeros":  # every tap by itself
            continue
        sets = axis.tap_sets()
        taps = torch.tensor([tap for tap_set in sets for tap in tap_set], device=weight.device)
        numbers = torch.tensor([n for n, tap_set in enumerate(sets) for _ in tap_set], device=weight.device)
        shape = (*weight.shape[:dim], len(sets), *weight.shape[dim + 1 :])
        weight = weight.new_zeros(shape).index_add(dim, numbers, weight.index_select(dim, taps))
    return weight


def _rows_of_channels(weight: Tensor, geometry: Geometry) -> Tensor:
    """What one output channel of the map reads, flat: (out_channels, in_channels/groups * tap sets)."""
    if geometry.transposed:
        per_group = geometry.in_channels // geometry.groups
        weight = weight.unflatten(0, (geometry.groups, per_group)).transpose(1, 2).flatten(0, 1)
    return weight.flatten(1)


def _check_compressed(geometry: Geometry, weight: Tensor, index_dtype: torch.dtype, layout: torch.layout) -> None:
    most, shape, size = geometry.most_entries(), geometry.matrix_shape, index_dtype.itemsize
    check_compressed(most, shape, weight, index_dtype)
    _check_memory(geometry, weight, most * (size + weight.element_size()) + (shape[0] + 1) * size, layout)


def _check_memory(geometry: Geometry, weight: Tensor, size: int, layout: torch.layout) -> None:
    """Refuse a matrix that would not fit, before anything is allocated."""
    if weight.is_meta:
        raise GeometryError("weight is on the meta device, which holds no numbers: a matrix needs some")
    kept = 24 * geometry.most_entries() // max(geometry.out_channels, 1)
    size = max(size + kept, geometry.listing_bytes())  # first the entries of one channel are listed
    ways = Sentence("the map without its matrix (convmat.conv1d .. conv_transpose3d)")
    if layout == torch.strided:
        ways = Sentence("layout=torch.sparse_csr, or {ways}", ways=ways)
    named = geometry.transpose() if layout == torch.sparse_csc else geometry  # CSC is built from the transpose
    check_fits(
        Sentence("the {matrix}, as {layout},", matrix=size_text(named), layout=layout), size, weight.device, ways
    )
