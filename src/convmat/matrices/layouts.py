"""The entries of a matrix as a tensor: dense, COO, CSR or CSC."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from typing import Any, Literal, Protocol, TypeAlias

import torch
from torch import Tensor

from convmat.geometry import GeometryError, shown

LayoutLike: TypeAlias = torch.layout | Literal["dense", "coo", "csr", "csc"]

LAYOUTS = {"dense": torch.strided, "coo": torch.sparse_coo, "csr": torch.sparse_csr, "csc": torch.sparse_csc}
COMPRESSED = (torch.sparse_csr, torch.sparse_csc)
INDEX_DTYPES = (torch.int32, torch.int64)


class Listed(Protocol):
    """Entries of a matrix, row by row with ascending columns, each place once."""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the matrix."""

    @property
    def values(self) -> Tensor:
        """The value of each entry."""

    def row_indices(self) -> Tensor:
        """The row of each entry."""

    def column_indices(self, dtype: torch.dtype = torch.int64) -> Tensor:
        """The column of each entry."""

    def row_starts(self, dtype: torch.dtype) -> Tensor:
        """The first entry of each row, and the number of entries."""


def known_layout(layout: Any, index_dtype: Any = None) -> torch.layout:
    """A layout of PyTorch's, from itself or its name; checked, and whether the dtype of the indices goes with it."""
    known = LAYOUTS.get(layout, layout) if isinstance(layout, str) else layout
    if not isinstance(known, torch.layout) or known not in LAYOUTS.values():
        names = ", ".join(map(repr, LAYOUTS))
        raise GeometryError(
            f"layout={shown(layout)} is unknown: need one of {names}, or {', '.join(map(str, LAYOUTS.values()))}"
        )
    if index_dtype is not None and not (isinstance(index_dtype, torch.dtype) and index_dtype in INDEX_DTYPES):
        raise GeometryError(
            f"index_dtype={shown(index_dtype)} is unknown: need one of {', '.join(map(str, INDEX_DTYPES))}"
        )
    if index_dtype == torch.int32 and known not in COMPRESSED:
        raise GeometryError(
            f"index_dtype={index_dtype} goes with layout=torch.sparse_csr and torch.sparse_csc only, not with {known}"
        )
    return known


def check_compressed(entries: int, shape: tuple[int, int], values: Tensor, index_dtype: torch.dtype) -> None:
    """Check that CSR or CSC can count the entries of a matrix, and carry the gradients of its values."""
    if index_dtype == torch.int32 and max(entries, *shape) > torch.iinfo(torch.int32).max:
        raise GeometryError(
            f"index_dtype=torch.int32 cannot count {entries} entries of a {shape[0]} x {shape[1]} matrix: "
            "use torch.int64"
        )
    if values.is_complex() and values.requires_grad and torch.is_grad_enabled():
        raise GeometryError(
            f"PyTorch has no gradients of {values.dtype} in CSR and CSC: use layout=torch.sparse_coo, "
            "or weight.detach()"
        )


def to_dense(entries: Listed) -> Tensor:
    """The matrix with its zeros written out."""
    places = entries.row_indices() * entries.shape[1] + entries.column_indices()
    values = entries.values
    return values.new_zeros(prod(entries.shape)).index_put_((places,), values).reshape(entries.shape)


def to_coo(entries: Listed) -> Tensor:
    """The matrix in coordinate format, coalesced."""
    values = entries.values
    indices = torch.empty(2, len(values), dtype=torch.int64, device=values.device)
    indices[0] = entries.row_indices()
    indices[1] = entries.column_indices()
    with _without_notices():
        return torch.sparse_coo_tensor(indices, values, entries.shape, is_coalesced=True, check_invariants=False)


def to_csr(entries: Listed, index_dtype: torch.dtype) -> Tensor:
    """The matrix in compressed row format; columns ascend within each row."""
    return _compressed(torch.sparse_csr, entries, index_dtype, entries.shape)


def transposed_to_csc(transposed: Listed, index_dtype: torch.dtype) -> Tensor:
    """A matrix in compressed column format, from the entries of its transpose; rows ascend within each column."""
    return _compressed(torch.sparse_csc, transposed, index_dtype, transposed.shape[::-1])


def _compressed(layout: torch.layout, entries: Listed, index_dtype: torch.dtype, shape: tuple[int, int]) -> Tensor:
    starts, others = entries.row_starts(index_dtype), entries.column_indices(index_dtype)
    with _without_notices():
        return torch.sparse_compressed_tensor(
            starts, others, entries.values, shape, layout=layout, check_invariants=False
        )


@contextmanager
def _without_notices() -> Iterator[None]:
    """Without what PyTorch says at the first tensor of a kind.

    It calls compressed ones beta. PyTorch 2.11 and 2.12 say that invariants are not checked, even if told not to check.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CS[RC] tensor support is in beta state")
        warnings.filterwarnings("ignore", message="Sparse invariant checks are implicitly disabled")
        yield
