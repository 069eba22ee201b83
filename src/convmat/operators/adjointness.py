"""Whether an operator and its adjoint go together."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from convmat.geometry import PerAxis, kind_of, per_axis_ints
from convmat.operators.algebra import LinearOperator
from convmat.operators.extras import needed


class DotTest(NamedTuple):
    """The two sides of ``<C x, y> == <x, Cᴴ y>`` for random x and y.

    Attributes:
        forward: ``<C x, y>``.
        adjoint: ``<x, Cᴴ y>``.
        error: how far they differ, relative to ``|C x| |y|`` or ``|x| |Cᴴ y|``, whichever is the larger.
        tolerance: how far they may.
    """

    forward: complex
    adjoint: complex
    error: float
    tolerance: float

    def __bool__(self) -> bool:
        return self.error <= self.tolerance


def dot_test(
    op: LinearOperator, *, tolerance: float | None = None, seed: int = 0, chunks: PerAxis | None = None
) -> DotTest:
    """Whether ``<C x, y> == <x, Cᴴ y>`` for random x and y: true, if ``op.H`` is the adjoint of ``op``.

    Args:
        op: any operator.
        tolerance: the relative error that is rounding. Default: the square root of the dtype's precision, which a wrong
            adjoint misses by far
        seed: of the random tensors. Default: 0
        chunks: the sizes of chunks along the spatial axes: x and y are then dask arrays. Default: they are tensors

    Returns:
        A :class:`DotTest`, which is true if the two sides agree.

    Raises:
        TypeError: if it is no operator.

    >>> import torch
    >>> from convmat import ConvOperator
    >>> bool(dot_test(ConvOperator(torch.randn(4, 3, 3, 3), (8, 9), stride=2, padding=1)))
    True
    """
    if not isinstance(op, LinearOperator):
        hint = "; ConvOperator.from_module(layer, in_shape) would do" if isinstance(op, nn.Module) else ""
        raise TypeError(f"op must be an operator, as ConvOperator, not {kind_of(op)}{hint}")
    generator = torch.Generator().manual_seed(seed)
    x, y = (_random(shape, op, generator) for shape in (op.in_shape, op.out_shape))
    with torch.no_grad():
        image, coimage = _image(op, x, chunks), _image(op.H, y, chunks)
    forward, adjoint = _inner(image, y), _inner(x, coimage)
    size = max(_norm(image) * _norm(y), _norm(x) * _norm(coimage))
    error = abs(forward - adjoint) / size if size else abs(forward - adjoint)
    allowed = float(torch.finfo(op.dtype).eps) ** 0.5 if tolerance is None else tolerance
    return DotTest(forward, adjoint, error, allowed)


def _image(op: LinearOperator, x: Tensor, chunks: PerAxis | None) -> Tensor:
    if chunks is None:
        return op.map(x)
    da = needed("dask.array")
    sizes = per_axis_ints(chunks, x.ndim - 1, "chunks")
    lazy = op.map_lazily(da.from_array(x.cpu().numpy(), chunks=(-1, *sizes)))
    return torch.from_numpy(lazy.compute()).to(op.device)


def _random(shape: tuple[int, ...], op: LinearOperator, generator: torch.Generator) -> Tensor:
    wide = torch.complex128 if op.dtype.is_complex else torch.float64
    return torch.randn(shape, dtype=wide, generator=generator).to(op.device, op.dtype)


def _inner(x: Tensor, y: Tensor) -> complex:
    return torch.vdot(_wide(y), _wide(x)).item()


def _norm(x: Tensor) -> float:
    return float(torch.linalg.vector_norm(_wide(x)))


def _wide(x: Tensor) -> Tensor:
    return x.to(torch.complex128 if x.is_complex() else torch.float64).flatten()
