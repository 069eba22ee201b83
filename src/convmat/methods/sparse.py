"""Multiply by the sparse matrix, or by its transpose.

CSR where PyTorch has a fast product for it, otherwise COO, which covers every dtype but bool.
"""

from __future__ import annotations

import torch
from torch import Tensor

from convmat import matrices
from convmat.geometry import Geometry
from convmat.methods.common import no_bool, no_complex_half, runs_eagerly
from convmat.tensors.derivatives import TrilinearMaps, trilinear

_FAST_CSR = (torch.float32, torch.float64, torch.complex64, torch.complex128)


@runs_eagerly
def direct(input: Tensor, weight: Tensor, geometry: Geometry) -> Tensor:
    """``C x``."""
    return trilinear(_maps(geometry), "y", x=input, w=weight)


@runs_eagerly
def transposed(input: Tensor, weight: Tensor, geometry: Geometry) -> Tensor:
    """``Cᵀ y``."""
    return trilinear(_maps(geometry.transpose()), "x", w=weight, y=input)


def _maps(geometry: Geometry) -> TrilinearMaps:
    return TrilinearMaps(
        y=lambda x, w: _multiply(geometry, w, x),
        x=lambda w, y: _multiply(geometry.transpose(), w, y),
        w=lambda x, y: matrices.weight_gradient(geometry, x, y),
    )


def _multiply(geometry: Geometry, weight: Tensor, operand: Tensor) -> Tensor:
    fast = operand.dtype in _FAST_CSR and operand.device.type == "cpu" and torch.backends.mkl.is_available()
    matrix = matrices.csr(geometry, weight) if fast else matrices.coo(geometry, weight)
    return (matrix @ operand.flatten(1).T).T.unflatten(1, geometry.out_shape).contiguous()


def refuses(geometry: Geometry, dtype: torch.dtype) -> str | None:
    """Why the method cannot take a case, if it cannot."""
    return no_bool(dtype) or no_complex_half(dtype)
