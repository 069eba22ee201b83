"""Multiply by the matrix itself, or by its transpose.

Zeros of the matrix are multiplied too, so that one NaN or infinity in the input spreads over the whole output.
"""

from __future__ import annotations

import torch
from torch import Tensor

from convmat import matrices
from convmat.geometry import Geometry
from convmat.methods.common import no_bool, no_complex_half, runs_eagerly


@runs_eagerly
def direct(input: Tensor, weight: Tensor, geometry: Geometry) -> Tensor:
    """``C x``, for the batch as rows: ``X Cᵀ``."""
    matrix = matrices.dense(geometry, weight)
    return (input.flatten(1) @ matrix.T).unflatten(1, geometry.out_shape)


@runs_eagerly
def transposed(input: Tensor, weight: Tensor, geometry: Geometry) -> Tensor:
    """``Cᵀ y``, for the batch as rows: ``Y C``."""
    matrix = matrices.dense(geometry.transpose(), weight)
    return (input.flatten(1) @ matrix).unflatten(1, geometry.out_shape)


def refuses(geometry: Geometry, dtype: torch.dtype) -> str | None:
    """Why the method cannot take a case, if it cannot."""
    return no_bool(dtype) or no_complex_half(dtype)
