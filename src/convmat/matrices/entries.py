"""A sparse matrix as the list of its entries, and the algebra that the parts of a model need.

PyTorch multiplies sparse matrices of float32 to complex128 alone, and differentiates the product of COO only as far as
``to_sparse`` does. Here products are gathers and one sum, which PyTorch has for every dtype and differentiates as often
as one likes.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor

from convmat.geometry import GeometryError
from convmat.tensors.memory import check_fits

_LARGEST = 2**63 - 1
# While terms are summed: their rows, columns and places, three more to sort these, then the rows and columns to keep.
_INDICES_PER_TERM = 8


@dataclass(frozen=True)
class Entries:
    """The entries of a matrix, row by row with ascending columns, each place once.

    Args:
        shape: rows and columns of the matrix.
        rows: of shape (entries,), int64.
        columns: of shape (entries,), int64.
        values: of shape (entries,), of any dtype.
    """

    shape: tuple[int, int]
    rows: Tensor
    columns: Tensor
    values: Tensor

    # -- making them ---------------------------------------------------------------------------------------------------

    @classmethod
    def summed(cls, shape: tuple[int, int], rows: Tensor, columns: Tensor, values: Tensor) -> Entries:
        """Entries in any order; where several share a place, their sum."""
        if prod(shape) > _LARGEST:
            raise GeometryError.of(
                "a {rows} x {columns} matrix has more than 2**63-1 places: sizes overflow",
                rows=shape[0],
                columns=shape[1],
            )
        places = rows * shape[1] + columns
        if bool((places.diff() > 0).all()):
            return cls(shape, rows, columns, values)
        places, term_to_entry = torch.unique(places, return_inverse=True)  # sorted
        sums = values.new_zeros(len(places)).index_add(0, term_to_entry, values)
        return cls(shape, places // shape[1], places % shape[1], sums)

    @classmethod
    def diagonal(cls, values: Tensor) -> Entries:
        """A square matrix with these values, of shape (size,), on its diagonal."""
        places = torch.arange(len(values), device=values.device)
        return cls((len(values), len(values)), places, places, values)

    @classmethod
    def identity(cls, size: int) -> Entries:
        """The identity matrix."""
        device = torch.device("cpu")
        check_memory((size, size), size, 2 * 8, device)
        return cls.diagonal(torch.ones(size, dtype=torch.float64, device=device))

    def to(self, dtype: torch.dtype, device: torch.device) -> Entries:
        """The same matrix in another dtype or on another device."""
        if not (dtype.is_floating_point or dtype.is_complex) and bool((self.values != self.values.round()).any()):
            raise GeometryError(f"its entries are fractions, which {dtype} cannot hold: need a floating dtype")
        return Entries(self.shape, self.rows.to(device), self.columns.to(device), self.values.to(device, dtype))

    # -- algebra -------------------------------------------------------------------------------------------------------

    def transpose(self) -> Entries:
        """The transposed matrix."""
        return Entries.summed(self.shape[::-1], self.columns, self.rows, self.values)

    def kron(self, other: Entries) -> Entries:
        """The Kronecker product: this map along the first axes, the other along the last."""
        (rows, columns), (other_rows, other_columns) = self.shape, other.shape
        shape = rows * other_rows, columns * other_columns
        self._check_terms(shape, len(self.values) * len(other.values), other)
        return Entries.summed(
            shape,
            (self.rows[:, None] * other_rows + other.rows).flatten(),
            (self.columns[:, None] * other_columns + other.columns).flatten(),
            (self.values[:, None] * other.values).flatten(),
        )

    def __matmul__(self, first: Entries) -> Entries:
        """The matrix of the map that applies ``first``, then this one."""
        shape = self.shape[0], first.shape[1]
        self._check_terms(shape, self.terms(first), first)
        in_row = first._in_row()
        # Every entry (r, k) meets all the entries (k, c) of row k, which lie side by side.
        meets = in_row[self.columns]
        ours = torch.repeat_interleave(meets)
        offsets = (in_row.cumsum(0) - in_row)[self.columns] - (meets.cumsum(0) - meets)
        theirs = torch.arange(len(ours), device=ours.device) + offsets[ours]
        values = self.values[ours] * first.values[theirs]
        return Entries.summed(shape, self.rows[ours], first.columns[theirs], values)

    def terms(self, first: Entries) -> int:
        """How many products of two entries the product ``self @ first`` sums."""
        return int(first._in_row()[self.columns].sum())

    def _in_row(self) -> Tensor:
        return torch.bincount(self.rows, minlength=self.shape[0])

    def _check_terms(self, shape: tuple[int, int], terms: int, other: Entries) -> None:
        value_size = max(self.values.element_size(), other.values.element_size())
        check_memory(shape, terms, _INDICES_PER_TERM * 8 + 4 * value_size, self.values.device)

    # -- as layouts list them ------------------------------------------------------------------------------------------

    def row_indices(self) -> Tensor:
        """The row of each entry."""
        return self.rows

    def column_indices(self, dtype: torch.dtype = torch.int64) -> Tensor:
        """The column of each entry."""
        return self.columns.to(dtype)

    def row_starts(self, dtype: torch.dtype) -> Tensor:
        """The first entry of each row, and the number of entries."""
        ends = self._in_row().cumsum(0)
        return torch.cat([ends.new_zeros(1), ends]).to(dtype)


def check_memory(shape: tuple[int, int], terms: int, bytes_each: int, device: torch.device, dense: int = 0) -> None:
    """Refuse a matrix that would not fit, before anything is allocated.

    Args:
        shape: of the matrix.
        terms: what its entries are summed from, at least as many as these.
        bytes_each: what a term takes while it is built.
        device: where it is built.
        dense: bytes of all its places, if they are to be written out. Default: 0
    """
    entries = min(terms, prod(shape))
    summed = f", sums of {terms} terms," if terms > entries else ""
    what = f"a {shape[0]} x {shape[1]} matrix with up to {entries} nonzero entries{summed}"
    ways = "layout=torch.sparse_csr, " if dense else ""
    ways += "a smaller in_shape, fewer parts at a time, or the model without its matrix"
    check_fits(what, terms * bytes_each + dense, device, ways)
