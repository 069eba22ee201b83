"""What a solver gives back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

Reals = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Solution:
    """What :meth:`ConvOperator.solve` or :func:`richardson_lucy` found, for each item of the batch.

    Attributes:
        x: the solution, of shape (*batch, *in_shape): a tensor, or a dask array if y was one.
        iterations: how many were taken, of shape (*batch,), integers; 0 by a method that does not iterate.
        residual: the norm of ``y - op @ x``, of shape (*batch,), real.
        reason: why the solver stopped there: a string; with a batch, a list of them, nested as the batch is.
        converged: whether that is a solution within the tolerance, of shape (*batch,), booleans.
    """

    x: Any
    iterations: Tensor
    residual: Tensor
    reason: Any
    converged: Tensor


@dataclass
class Found:
    """What was found for a flat batch: x of shape (batch, *in_shape), and for each item how."""

    x: Tensor
    iterations: npt.NDArray[np.int64]
    reasons: npt.NDArray[np.object_]
    converged: npt.NDArray[np.bool_]
