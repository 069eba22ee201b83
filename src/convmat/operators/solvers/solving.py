"""Solving with an operator: which method, what is refused, and the answer for each item of a batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from convmat.geometry import GeometryError, kind_of, shown, unknown
from convmat.operators.base import Operator
from convmat.operators.blocks import is_dask
from convmat.operators.solvers import implicit
from convmat.operators.solvers.batches import Callback, Maps
from convmat.operators.solvers.inverses import Cg, Direct, Fourier, Inverse, Lsmr
from convmat.operators.solvers.solution import Found, Solution
from convmat.tensors.arguments import check_is_tensor

if TYPE_CHECKING:
    from convmat.operators.volumes.job import Stored

METHODS = ("auto", "lsmr", "cg", "fft", "direct")
_SMALL = 2**16  # entries of a matrix whose singular values take no longer than some iterations
_LARGE = 64  # the rows or columns of a frequency's matrix from which on its singular values take long
_MOST_ITERATIONS = 10_000


def solve(
    op: Operator,
    y: Any,
    method: str,
    damp: float | Tensor,
    x0: Tensor | None,
    tol: float | None,
    maxiter: int | None,
    callback: Callback | None,
    stored: Stored,
) -> Solution:
    """See :meth:`ConvOperator.solve`."""
    check_stored(y, stored)
    if is_dask(y):
        return _solve_stored(op, y, method, damp, x0, tol, maxiter, callback, stored)
    y, batch = _flat(y, op, op.out_shape, "y")
    if x0 is not None:
        x0 = _flat(x0, op, op.in_shape, "x0", batch)[0].detach()
    for weight in op.weights():
        _check_finite(weight, "weight")
    damping = _damping(damp, op, batch)
    tol, maxiter = _limits(op, tol, maxiter)
    with torch.no_grad():
        inverse = _inverse(op, method, x0, tol, maxiter)
    structured = None
    if callback is not None:
        shape = (*batch, *op.in_shape)
        structured = lambda iteration, x: callback(iteration, x.reshape(shape))  # noqa: E731
    problem = implicit.LeastSquares(op, inverse, tol, structured)
    x = implicit.solve(problem, y, damping, x0)
    assert problem.found is not None
    implicit.warn_unless_converged(problem.found)
    return _solution(op, y, x, batch, problem.found)


def _limits(op: Operator, tol: float | None, maxiter: int | None) -> tuple[float, int]:
    """When to stop."""
    tol = (1e-6 if torch.finfo(op.dtype).bits == 32 else 1e-10) if tol is None else _not_negative(tol, "tol")
    maxiter = min(max(4 * min(op.shape), 100), _MOST_ITERATIONS) if maxiter is None else maxiter
    if isinstance(maxiter, bool) or not isinstance(maxiter, int):
        raise TypeError(f"maxiter={maxiter!r} must be an integer, not {type(maxiter).__name__}")
    return tol, int(_not_negative(maxiter, "maxiter"))


def _solve_stored(
    op: Operator,
    y: Any,
    method: str,
    damp: float | Tensor,
    x0: Tensor | None,
    tol: float | None,
    maxiter: int | None,
    callback: Callback | None,
    stored: Stored,
) -> Solution:
    """Of a dask array."""
    from convmat.operators.volumes import krylov

    if method not in ("auto", "lsmr", "cg"):
        raise GeometryError(f"method={shown(method)} does not go with dask arrays: need 'lsmr' or 'cg'")
    if x0 is not None:
        raise GeometryError("x0 does not go with dask arrays: solve for y - op @ x0, and add x0")
    if not isinstance(damp, int | float):
        raise GeometryError(f"damp={shown(damp)} must be one number, for there is one item")
    for weight in op.weights():
        _check_finite(weight, "weight")
    tol, maxiter = _limits(op, tol, maxiter)
    chosen = "cg" if method == "cg" else "lsmr"
    return krylov.solve(op, y, chosen, _not_negative(damp, "damp"), tol, maxiter, callback, stored)


def check_stored(y: Any, stored: Stored) -> None:
    """Check that what is said of the disk goes with the data."""
    if not is_dask(y) and (stored.store is not None or stored.resume or stored.overwrite):
        raise GeometryError(
            f"store, overwrite and resume go with dask arrays, and y is a {kind_of(y)}: dask.array.from_array makes one"
        )


def _inverse(op: Operator, method: str, x0: Tensor | None, tol: float, maxiter: int) -> Inverse:
    if not isinstance(method, str):
        raise TypeError(f"method={method!r} must be a string, not {type(method).__name__}")
    if method not in METHODS:
        raise unknown("method", method, METHODS)
    if method == "auto":
        method = _choose(op)
    if method == "direct":
        return Direct(op)
    if method == "fft":
        circulant = op.circulant()
        if circulant is None:
            raise GeometryError(
                f"method='fft' needs a block-circulant operator, but {op.circulant_refusal()}: use method='lsmr', or a "
                "single ConvOperator, with padding_mode='circular' and padding that covers the kernel"
            )
        return Fourier(circulant, op.shape)
    kind = Lsmr if method == "lsmr" else Cg
    products = op.products()
    return kind(Maps(products.forward, products.adjoint), op.in_shape, op.out_shape, tol, maxiter)


def _choose(op: Operator) -> str:
    """What ``"auto"`` stands for."""
    rows, columns = op.shape
    circulant = op.circulant()
    if circulant is not None:
        geometry = circulant.geometry
        if min(n // geometry.groups for n in geometry.direct_channels) <= _LARGE:
            return "fft"
    return "direct" if rows * columns <= _SMALL else "lsmr"


def _flat(
    tensor: Tensor, op: Operator, shape: tuple[int, ...], name: str, batch: tuple[int, ...] | None = None
) -> tuple[Tensor, tuple[int, ...]]:
    """A tensor as a flat batch, and its batch dimensions."""
    check_is_tensor(tensor, name)
    ndim = len(shape)
    found = tuple(tensor.shape)
    if found[len(found) - ndim :] != shape or len(found) < ndim:
        raise GeometryError(
            f"{name} of shape {found} does not go with an operator from {op.in_shape} to {op.out_shape}: "
            f"need {name} of shape (..., {', '.join(map(str, shape))})"
        )
    if batch is not None and found[:-ndim] != batch:
        raise GeometryError(f"{name} has the batch {found[:-ndim]}, but y has {batch}: they should be the same")
    if tensor.dtype != op.dtype or tensor.device != op.device:
        raise GeometryError.of(
            "{name} is {dtype} on {device}, but the operator {of_operator} on {device_of_operator}: "
            "they should be the same",
            name=name,
            dtype=tensor.dtype,
            device=tensor.device,
            of_operator=op.dtype,
            device_of_operator=op.device,
        )
    if op.dtype not in (torch.float32, torch.float64, torch.complex64, torch.complex128):
        raise GeometryError(f"solving in {op.dtype} is too coarse: op.to(torch.float32) and {name}.float() would do")
    _check_finite(tensor, name)
    return tensor.reshape(-1, *shape), found[:-ndim]


def _check_finite(tensor: Tensor, name: str) -> None:
    if not bool(torch.isfinite(tensor.detach()).all()):
        wrong = int((~torch.isfinite(tensor.detach())).sum())
        raise GeometryError.of(
            "{name} has {wrong} values that are NaN or infinite, of {count}: need finite ones",
            name=name,
            wrong=wrong,
            count=tensor.numel(),
        )


def _damping(damp: float | Tensor, op: Operator, batch: tuple[int, ...]) -> Tensor:
    """One number for each item."""
    real = torch.empty(0, dtype=op.dtype).real.dtype
    if not isinstance(damp, Tensor):
        damp = torch.tensor(_not_negative(damp, "damp"), dtype=real)
    if damp.is_complex():
        raise TypeError(f"damp must be real, not {damp.dtype}")
    try:
        damping = damp.to(op.device, real).broadcast_to(batch)
    except RuntimeError:
        raise GeometryError(
            f"damp of shape {tuple(damp.shape)} does not go with the batch {batch} of y: need one number, or one for "
            "each item"
        ) from None
    _check_finite(damping, "damp")
    if bool((damping < 0).any()):
        raise GeometryError.of("damp={damp:g} must be at least 0", damp=damping.min().item())
    return damping.reshape(-1)


def _not_negative(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        raise TypeError(f"{name}={value!r} must be a number, not {type(value).__name__}")
    if not 0 <= value < float("inf"):
        raise GeometryError.of("{name}={value} must be finite and at least 0", name=name, value=value)
    return float(value)


def _solution(op: Operator, y: Tensor, x: Tensor, batch: tuple[int, ...], found: Found) -> Solution:
    with torch.no_grad():
        residual = torch.linalg.vector_norm((y - op.apply(x)).flatten(1), dim=1)
    return Solution(
        x=x.reshape(*batch, *op.in_shape),
        iterations=torch.from_numpy(found.iterations).reshape(batch),
        residual=residual.reshape(batch),
        reason=found.reasons.reshape(batch).tolist(),
        converged=torch.from_numpy(found.converged).reshape(batch),
    )
