"""The entries of a matrix as a tensor: dense, COO or CSR."""

from __future__ import annotations

import warnings
from math import prod
from typing import Any, Protocol

import torch
from torch import Tensor

from convmat.geometry import GeometryError

LAYOUTS = (torch.strided, torch.sparse_coo, torch.sparse_csr)
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


def check_layout(layout: Any, index_dtype: Any) -> None:
    """Check that the layout is known, and that the dtype of the indices goes with it."""
    if layout not in LAYOUTS:
        raise GeometryError(f"layout={layout} is unknown: need one of {', '.join(map(str, LAYOUTS))}")
    if index_dtype is not None and index_dtype not in INDEX_DTYPES:
        raise GeometryError(f"index_dtype={index_dtype} is unknown: need one of {', '.join(map(str, INDEX_DTYPES))}")
    if index_dtype == torch.int32 and layout != torch.sparse_csr:
        raise GeometryError(f"index_dtype={index_dtype} goes with layout=torch.sparse_csr only, not with {layout}")


def check_compressed(entries: int, shape: tuple[int, int], values: Tensor, index_dtype: torch.dtype) -> None:
    """Check that CSR can count the entries of a matrix, and carry the gradients of its values."""
    if index_dtype == torch.int32 and max(entries, *shape) > torch.iinfo(torch.int32).max:
        raise GeometryError(
            f"index_dtype=torch.int32 cannot count {entries} entries of a {shape[0]} x {shape[1]} matrix: "
            "use torch.int64"
        )
    if values.is_complex() and values.requires_grad and torch.is_grad_enabled():
        raise GeometryError(
            f"PyTorch has no gradients of {values.dtype} in CSR: use layout=torch.sparse_coo, or weight.detach()"
        )


def to_layout(entries: Listed, layout: torch.layout, index_dtype: torch.dtype | None) -> Tensor:
    """The matrix in one of the layouts, which are checked."""
    if layout == torch.strided:
        return to_dense(entries)
    return to_coo(entries) if layout == torch.sparse_coo else to_csr(entries, index_dtype or torch.int64)


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
    return torch.sparse_coo_tensor(indices, values, entries.shape, is_coalesced=True, check_invariants=False)


def to_csr(entries: Listed, index_dtype: torch.dtype) -> Tensor:
    """The matrix in compressed row format; columns ascend within each row."""
    starts, columns = entries.row_starts(index_dtype), entries.column_indices(index_dtype)
    with warnings.catch_warnings():  # PyTorch calls its CSR tensors beta, at the first of them
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta state")
        return torch.sparse_csr_tensor(starts, columns, entries.values, entries.shape, check_invariants=False)
