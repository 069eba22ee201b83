"""A matrix, or that of a layer, as a sparse array of SciPy's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import torch
from torch import Tensor, nn

from convmat.geometry import GeometryError, kind_of, shown, unknown
from convmat.matrices.functions import matrix
from convmat.matrices.layouts import LAYOUTS

if TYPE_CHECKING:
    from scipy.sparse import coo_array, csc_array, csr_array

    SparseArray: TypeAlias = coo_array | csr_array | csc_array

Format: TypeAlias = Literal["coo", "csr", "csc"]

_FORMATS: tuple[Format, ...] = ("coo", "csr", "csc")
_UNKNOWN_TO_SCIPY = (torch.float16, torch.bfloat16)


def to_scipy(
    matrix_or_layer: Tensor | nn.Module, in_shape: Sequence[int] | None = None, *, format: Format | None = None
) -> SparseArray:
    """A matrix, or the matrix of a layer or a model, as a sparse array of SciPy's.

    It is detached from its gradients and moved to the CPU. A matrix shares its values with SciPy where both hold them
    in the same format, on the CPU; indices are of 32 bits where these suffice, which all of SciPy's solvers take.

    Args:
        matrix_or_layer: a matrix of two dimensions, dense, COO, CSR or CSC; or whatever :func:`matrix` takes.
        in_shape: with a layer or a model, the shape of its input without the batch.
        format: ``"coo"``, ``"csr"`` or ``"csc"``. Default: that of the matrix; ``"csr"`` if it is dense or of a layer

    Returns:
        A ``scipy.sparse.coo_array``, ``csr_array`` or ``csc_array``.

    Raises:
        GeometryError: if the matrix has not two dimensions, a dtype that SciPy has not (half precision), or would not
            fit in memory.
        TypeError: if it is neither a matrix nor a layer, or the shape of a layer's input is missing.

    >>> array = to_scipy(nn.Conv1d(1, 1, kernel_size=3, padding=1), (1, 5))
    >>> array.format, array.shape, array.nnz
    ('csr', (5, 5), 13)
    """
    if format is not None and not (isinstance(format, str) and format in _FORMATS):
        raise unknown("format", format, _FORMATS)
    if isinstance(matrix_or_layer, nn.Module):
        if in_shape is None:
            raise TypeError("in_shape is missing: a layer needs the shape of its input, as x.shape[1:] of a batch")
        with torch.no_grad():
            of_layer = matrix(matrix_or_layer, in_shape, layout=format or "csr")
        return _to_array(of_layer, format or "csr")
    if not isinstance(matrix_or_layer, Tensor):
        kind = kind_of(matrix_or_layer)
        hint = "; its own to_scipy() would do" if hasattr(matrix_or_layer, "to_scipy") else ""
        raise TypeError(
            f"matrix_or_layer must be a matrix (a torch.Tensor) or a layer (an nn.Module), not {kind}{hint}"
        )
    if in_shape is not None:
        raise TypeError(f"in_shape={shown(in_shape)} goes with a layer only: a matrix has its shape")
    if matrix_or_layer.ndim != 2 or matrix_or_layer.layout not in LAYOUTS.values():
        raise GeometryError(
            f"{shown(matrix_or_layer)} with layout {matrix_or_layer.layout} is no matrix: need two dimensions, and one "
            f"of {', '.join(map(str, LAYOUTS.values()))}"
        )
    return _to_array(matrix_or_layer, format or _format_of(matrix_or_layer))


def _format_of(matrix: Tensor) -> Format:
    return next((name for name in _FORMATS if LAYOUTS[name] == matrix.layout), "csr")


def _to_array(matrix: Tensor, format: Format) -> SparseArray:
    if matrix.dtype in _UNKNOWN_TO_SCIPY:
        raise GeometryError.of("SciPy has no sparse arrays of {dtype}: matrix.float() has", dtype=matrix.dtype)
    if matrix.is_meta:
        raise GeometryError("the matrix is on the meta device, which holds no numbers: SciPy needs some")
    from scipy import sparse

    matrix = matrix.detach().cpu()
    shape: Any = tuple(matrix.shape)
    if matrix.layout == torch.strided:
        return sparse.csr_array(_numbers(matrix)).asformat(format)
    if matrix.layout == torch.sparse_coo:
        matrix = matrix.coalesce()
        rows, columns = matrix.indices().to(_index_dtype(matrix)).numpy()
        return sparse.coo_array((_numbers(matrix.values()), (rows, columns)), shape=shape).asformat(format)
    if matrix.layout == torch.sparse_csr:
        parts = _compressed(matrix, matrix.col_indices(), matrix.crow_indices())
        return sparse.csr_array(parts, shape=shape).asformat(format)
    parts = _compressed(matrix, matrix.row_indices(), matrix.ccol_indices())
    return sparse.csc_array(parts, shape=shape).asformat(format)


def _compressed(matrix: Tensor, indices: Tensor, starts: Tensor) -> tuple[Any, ...]:
    dtype = _index_dtype(matrix)
    return _numbers(matrix.values()), indices.to(dtype).numpy(), starts.to(dtype).numpy()


def _index_dtype(matrix: Tensor) -> torch.dtype:
    largest = max(len(matrix.values()), *matrix.shape)
    return torch.int32 if largest <= torch.iinfo(torch.int32).max else torch.int64


def _numbers(tensor: Tensor) -> Any:
    """An array of NumPy's, with signs and conjugation that PyTorch has only noted carried out."""
    return tensor.resolve_conj().resolve_neg().numpy()
