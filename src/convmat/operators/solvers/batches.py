"""Vectors in batches: an operator as two functions, numbers per item, and items that leave when they are done.

The numbers of a recurrence, a few per item, are NumPy's: Python steps through them faster than a device would.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from convmat.operators.reasons import Reason
from convmat.operators.solvers.solution import Found, Reals

Callback: TypeAlias = Callable[[int, Tensor], object]


@dataclass(frozen=True)
class Maps:
    """A linear map and its adjoint, as functions of batches."""

    forward: Callable[[Tensor], Tensor]
    adjoint: Callable[[Tensor], Tensor]

    @property
    def swapped(self) -> Maps:
        """The adjoint as the map."""
        return Maps(self.adjoint, self.forward)


def norms(vectors: Tensor) -> Reals:
    """The 2-norm of each item; in double precision, where squares neither vanish nor overflow."""
    wide = torch.complex128 if vectors.is_complex() else torch.float64
    found: Reals = torch.linalg.vector_norm(vectors.flatten(1), dim=1, dtype=wide).cpu().numpy()
    return found


def times(numbers: Reals, vectors: Tensor) -> Tensor:
    """Each item times its number."""
    return vectors * _per_item(numbers, vectors)


def add_times(base: Tensor, numbers: Reals, vectors: Tensor) -> Tensor:
    """``base + numbers * vectors``, item by item, in one pass."""
    return torch.addcmul(base, vectors, _per_item(numbers, vectors))


def _per_item(numbers: Reals, vectors: Tensor) -> Tensor:
    factors = torch.as_tensor(numbers).to(vectors.device, vectors.dtype)
    return factors.reshape(-1, *(1,) * (vectors.ndim - 1))


def divide(numerator: Reals, denominator: Reals) -> Reals:
    """The quotient, and 0 where the denominator is 0."""
    quotient: Reals = np.divide(numerator, denominator, out=np.zeros_like(numerator), where=denominator != 0)
    return quotient


class Items:
    """Which items of a batch are still at work, and what was found for the others.

    Args:
        x: zeros, of shape (batch, *in_shape).
        callback: called with the number of the iteration and the whole batch, after each.
    """

    def __init__(self, x: Tensor, callback: Callback | None = None) -> None:
        count = len(x)
        reasons = np.full(count, "", dtype=object)
        self._found = Found(x, np.zeros(count, np.int64), reasons, np.zeros(count, bool))
        self._at_work = np.arange(count)
        self._callback = callback

    def __len__(self) -> int:
        return len(self._at_work)

    def finish(
        self, done: npt.NDArray[np.bool_], x: Tensor, iteration: int, reason: Reason, converged: bool = True
    ) -> npt.NDArray[np.bool_]:
        """Let items leave with their x; which of the others stay."""
        leaving = self._at_work[done]
        if len(leaving):
            found = self._found
            found.x[torch.from_numpy(leaving).to(x.device)] = x[_mask(done, x)]
            found.iterations[leaving], found.reasons[leaving] = iteration, reason
            found.converged[leaving] = converged
            self._at_work = self._at_work[~done]
        return ~done

    def report(self, iteration: int, x: Tensor) -> None:
        """Tell the callback where all items stand; x is that of those at work."""
        if self._callback is not None:
            whole = self._found.x.clone()
            whole[torch.from_numpy(self._at_work).to(x.device)] = x
            self._callback(iteration, whole)

    @property
    def at_work(self) -> npt.NDArray[np.int64]:
        """The numbers of those still at work."""
        return self._at_work

    @property
    def found(self) -> Found:
        """What was found, when nobody is at work."""
        return self._found


def keep(stay: npt.NDArray[np.bool_], vectors: Tensor) -> Tensor:
    """The items that stay."""
    return vectors if stay.all() else vectors[_mask(stay, vectors)]


def _mask(items: npt.NDArray[np.bool_], vectors: Tensor) -> Tensor:
    return torch.from_numpy(items).to(vectors.device)
