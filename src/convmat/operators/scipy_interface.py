"""An operator as SciPy's solvers take it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.sparse.linalg import LinearOperator as SciPyLinearOperator

from convmat.operators.base import Operator

Array = npt.NDArray[Any]


class SciPyOperator(SciPyLinearOperator):  # type: ignore[misc]
    """A ``scipy.sparse.linalg.LinearOperator`` that applies an operator of convmat to NumPy's arrays.

    Vectors come back one-dimensional; the columns of a matrix are mapped as one batch.
    """

    def __init__(self, operator: Operator) -> None:
        self.operator = operator
        super().__init__(dtype=_numpy_dtype(operator.dtype), shape=operator.shape)

    def _matvec(self, x: Array) -> Array:
        return self._map(self.operator, x.reshape(-1))

    def _rmatvec(self, x: Array) -> Array:
        return self._map(self.operator.H, x.reshape(-1))

    def _matmat(self, X: Array) -> Array:  # noqa: N803
        return self._map(self.operator, X)

    def _rmatmat(self, X: Array) -> Array:  # noqa: N803
        return self._map(self.operator.H, X)

    def _adjoint(self) -> SciPyOperator:
        return SciPyOperator(self.operator.H)

    def _transpose(self) -> SciPyOperator:
        return SciPyOperator(self.operator.T)

    def _map(self, operator: Operator, x: Array) -> Array:
        if np.iscomplexobj(x) and not operator.dtype.is_complex:  # a real operator maps both parts by themselves
            return self._map(operator, x.real) + 1j * self._map(operator, x.imag)
        tensor = torch.as_tensor(np.ascontiguousarray(x)).to(operator.device, operator.dtype)
        with torch.no_grad():
            mapped: Array = (operator.map(tensor)).cpu().numpy()
        return mapped


def _numpy_dtype(dtype: torch.dtype) -> np.dtype[Any]:
    return torch.empty(0, dtype=dtype).numpy().dtype
