"""Singular values of an operator: which way to take, by its kind and size."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from convmat.geometry import GeometryError, an_int
from convmat.operators import golub_kahan
from convmat.operators.base import Operator
from convmat.operators.circulant import Blocks
from convmat.operators.torus import NormBounds
from convmat.tensors.memory import check_fits

_SMALL = 1 << 19  # entries up to which a matrix is written out where its norm alone is asked for


def norm(op: Operator, tol: float | None) -> Tensor:
    """The largest singular value, of no dimensions; see :meth:`LinearOperator.norm`."""
    _check_has_values(op)
    if not all(op.shape):
        return torch.zeros((), dtype=_real(op.dtype), device=op.device)
    blocks = _exact(op)
    if blocks is not None:
        return _norms(_finite(blocks)).max()
    work = op.to(torch.float32) if op.dtype.itemsize < 4 else op
    with torch.no_grad():
        top = golub_kahan.largest(work, _tolerance(op, tol))
    if not (op.requires_grad and torch.is_grad_enabled()):
        return torch.tensor(top.value, dtype=_real(work.dtype), device=op.device)
    with torch.no_grad():
        right = golub_kahan.right_vector(work, top)
        left = work.apply(right)
        left = left / torch.linalg.vector_norm(left)
    # Where the vectors belong to the value, its derivative is that of this product with both held.
    return torch.sum(left.conj() * work.apply(right)).real


def norm_bounds(op: Operator, tol: float | None) -> NormBounds:
    """What the norm lies between; see :meth:`LinearOperator.norm_bounds`."""
    with torch.no_grad():
        value = float(norm(op, tol))
        blocks = _exact(op) if all(op.shape) else None
        if not all(op.shape):
            return NormBounds(0.0, 0.0, "dense")
        eps = float(torch.finfo(op.dtype if op.dtype.itemsize >= 4 else torch.float32).eps)
        if blocks is not None:
            rounding = 4 * max(blocks.matrices.shape[1:]) * eps
            return NormBounds(value * (1 - rounding), value * (1 + rounding), "fft" if _is_fft(op) else "dense")
        upper, method = op.upper_bound(value)
        # Each step rounds: what is said of the value holds for the operator but for that.
        lower = value * (1 - 8 * eps)
        return NormBounds(lower, max(upper, lower), method)


def singular_values(op: Operator, k: int | None, which: str, tol: float | None) -> Tensor:
    """All of them or some, the largest first; see :meth:`LinearOperator.singular_values`."""
    _check_has_values(op)
    there = min(op.shape)
    if which not in ("largest", "smallest"):
        raise GeometryError(f"which={which!r} is unknown: need 'largest' or 'smallest'")
    if k is not None and not 1 <= an_int(k, "k") <= there:
        raise GeometryError(f"k={k} is out of range: the operator has min{op.shape} = {there} singular values")
    if not there:
        return torch.zeros(0, dtype=_real(op.dtype), device=op.device)
    if k is not None and which == "largest" and op.blocks() is None and not _is_small(op):
        work = op.to(torch.float32) if op.dtype.itemsize < 4 else op
        return golub_kahan.leading(work, k, _tolerance(op, tol))
    blocks = op.blocks()
    values = _finite(op.dense_blocks() if blocks is None else blocks).values()
    if k is None:
        return values
    return values[:k] if which == "largest" else values[-k:]


def condition_number(op: Operator) -> Tensor:
    """The largest singular value over the smallest; see :meth:`LinearOperator.cond`."""
    values = singular_values(op, None, "largest", None)
    if not len(values):
        raise GeometryError(f"an operator of shape {op.shape} has no singular values, and so no condition number")
    return values[0] / values[-1]


def check_dense(op: Operator, number: int, rows: int, columns: int) -> None:
    """Refuse matrices whose singular values would not fit in memory, before anything is allocated."""
    size = max(op.dtype.itemsize, 4)
    least = "" if op.circulant_refusal() is None else f"; it is not block-circulant: {op.circulant_refusal()}"
    check_fits(
        f"the dense {rows} x {columns} matrix and its singular values",
        size * (number * 2 * rows * columns + 2 * min(rows, columns) ** 2),
        op.device,
        f"op.norm(), op.norm_bounds() or op.singular_values(k), which need no matrix, or circular padding{least}",
    )


def _exact(op: Operator) -> Blocks | None:
    """Matrices that have the norm exactly, where that is cheap."""
    blocks = op.blocks()
    return op.dense_blocks() if blocks is None and _is_small(op) else blocks


def _is_small(op: Operator) -> bool:
    rows, columns = op.shape
    return rows * columns <= _SMALL


def _is_fft(op: Operator) -> bool:
    return op.circulant_refusal() is None


def _norms(blocks: Blocks) -> Tensor:
    """The norm of each matrix, but of those only that may have the largest one."""
    matrices = blocks.matrices
    with torch.no_grad():
        sizes = torch.linalg.matrix_norm(matrices)  # at least the norm
        lines = torch.linalg.vector_norm(matrices, dim=-1).amax(-1)  # at most
        chosen = sizes >= lines.max() * (1 - 1e-3)  # which leaves rounding room
    return torch.linalg.svdvals(matrices[chosen])[:, 0]


def _tolerance(op: Operator, tol: float | None) -> float:
    if tol is None:
        return 1e-6 if op.dtype in (torch.float64, torch.complex128) else 1e-4
    if isinstance(tol, bool) or not isinstance(tol, int | float):
        raise TypeError(f"tol={tol!r} must be a number")
    if not 0 < tol < 1:
        raise GeometryError(f"tol={tol} must lie between 0 and 1: it is a relative error")
    return float(tol)


def _check_has_values(op: Operator) -> None:
    if not (op.dtype.is_floating_point or op.dtype.is_complex):
        raise GeometryError.of(
            "the operator is {dtype}: singular values need a floating dtype; op.to(torch.float64)", dtype=op.dtype
        )
    if op.device.type == "meta":
        raise GeometryError("the operator is on the meta device, where it has no values")


def _finite(blocks: Blocks) -> Blocks:
    if not bool(torch.isfinite(blocks.matrices.detach().sum())):
        raise GeometryError("the operator's entries are not finite: it has no singular values")
    return blocks


def _real(dtype: torch.dtype) -> Any:
    return torch.empty(0, dtype=dtype).real.dtype if dtype.is_complex else dtype
