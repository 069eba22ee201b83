"""The pseudo-inverse of a damped operator in three verbs, iteratively or from singular values.

With ``N = AᴴA + damp²``: ``solve`` is ``N⁻¹ Aᴴ y``, the damped least-squares solution (without damping, the
pseudo-inverse's); ``adjoint`` is ``A N⁻¹ g``, its adjoint; ``adjoint_and_normal`` gives ``N⁻¹ g`` as well. The
gradients of a solution are made of these, so each way to solve says how it does all three.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from math import prod

import numpy as np
import torch
from torch import Tensor

from convmat.operators.base import Operator
from convmat.operators.circulant import Circulant
from convmat.operators.reasons import Reason
from convmat.operators.solvers.batches import Callback, Items, Maps, add_times, norms, times
from convmat.operators.solvers.cg import cg
from convmat.operators.solvers.lsmr import lsmr
from convmat.operators.solvers.solution import Found, Reals
from convmat.tensors.memory import check_fits


class Inverse(ABC):
    """A way to solve with an operator, for a flat batch with a damping of its own for each item."""

    name: str

    @abstractmethod
    def solve(self, y: Tensor, damp: Reals, x0: Tensor | None, callback: Callback | None) -> Found:
        """``N⁻¹ Aᴴ y``."""

    @abstractmethod
    def adjoint(self, g: Tensor, damp: Reals) -> Found:
        """``A N⁻¹ g``."""

    @abstractmethod
    def adjoint_and_normal(self, g: Tensor, damp: Reals) -> tuple[Found, Found]:
        """``A N⁻¹ g`` and ``N⁻¹ g``."""


@dataclass(frozen=True)
class _Krylov(Inverse):
    """What the iterative ways have in common."""

    maps: Maps
    in_shape: tuple[int, ...]
    out_shape: tuple[int, ...]
    tol: float
    maxiter: int


class Lsmr(_Krylov):
    """By LSMR."""

    name = "lsmr"

    def solve(self, y: Tensor, damp: Reals, x0: Tensor | None, callback: Callback | None) -> Found:
        """``N⁻¹ Aᴴ y``; without damping, of all least-squares solutions the one nearest to x0."""
        if x0 is None:
            return self._lsmr(self.maps, y, norms(y), damp, self.in_shape, callback)
        moved = None if callback is None else lambda iteration, step: callback(iteration, x0 + step)
        remainder = y - self.maps.forward(x0)
        if not damp.any():
            found = self._lsmr(self.maps, remainder, norms(y), damp, self.in_shape, moved)
        else:  # the damping of x0 + step, as rows of the matrix
            stacked = _stack(self.maps, damp, self.out_shape)
            below = times(-damp, x0)
            found = self._lsmr(stacked, _join(remainder, below), norms(y), 0 * damp, self.in_shape, moved)
        found.x = times((norms(y) > 0).astype(float), x0 + found.x)
        return found

    def adjoint(self, g: Tensor, damp: Reals) -> Found:
        """``A N⁻¹ g``: the damped solution of the adjoint's system."""
        return self._lsmr(self.maps.swapped, g, norms(g), damp, self.out_shape, None)

    def adjoint_and_normal(self, g: Tensor, damp: Reals) -> tuple[Found, Found]:
        """``A N⁻¹ g`` and ``N⁻¹ g``, as ``P⁺ P⁺ᴴ g`` with P the operator on top of the damping: no squares."""
        if not damp.any():
            v = self.adjoint(g, damp)
            return v, self._lsmr(self.maps, v.x, norms(v.x), damp, self.in_shape, None)
        stacked, zero = _stack(self.maps, damp, self.out_shape), 0 * damp
        rows = (prod(self.out_shape) + prod(self.in_shape),)
        u = self._lsmr(stacked.swapped, g, norms(g), zero, rows, None)
        normal = self._lsmr(stacked, u.x, norms(u.x), zero, self.in_shape, None)
        u.x = u.x[:, : prod(self.out_shape)].reshape(-1, *self.out_shape)
        return u, normal

    def _lsmr(
        self, maps: Maps, b: Tensor, size: Reals, damp: Reals, shape: tuple[int, ...], callback: Callback | None
    ) -> Found:
        items = Items(b.new_zeros(len(b), *shape), callback)
        lsmr(_numbered(maps, items), b, size, damp, self.tol, self.maxiter, items)
        return items.found


def _numbered(maps: Maps, items: Items) -> Maps:
    """Maps whose rows differ from item to item are told which items are at work."""
    return maps.of(items) if isinstance(maps, _Stacked) else maps


@dataclass(frozen=True)
class _Stacked(Maps):
    """The operator on top of the damping of each item: x -> (A x, damp x), joined flat."""

    base: Maps
    damp: Reals
    out_shape: tuple[int, ...]
    is_swapped: bool = False

    def of(self, items: Items) -> Maps:
        """For the items at work."""
        rows = prod(self.out_shape)

        def down(x: Tensor) -> Tensor:
            return _join(self.base.forward(x), times(self.damp[items.at_work], x))

        def up(u: Tensor) -> Tensor:
            image = self.base.adjoint(u[:, :rows].reshape(-1, *self.out_shape))
            return add_times(image, self.damp[items.at_work], u[:, rows:].reshape(image.shape))

        return Maps(up, down) if self.is_swapped else Maps(down, up)

    @property
    def swapped(self) -> Maps:
        """The adjoint as the map."""
        return _stack(self.base, self.damp, self.out_shape, not self.is_swapped)


def _stack(maps: Maps, damp: Reals, out_shape: tuple[int, ...], is_swapped: bool = False) -> _Stacked:
    return _Stacked(maps.forward, maps.adjoint, maps, damp, out_shape, is_swapped)


def _join(above: Tensor, below: Tensor) -> Tensor:
    return torch.cat([above.flatten(1), below.flatten(1)], 1)


class Cg(_Krylov):
    """By conjugate gradients on the normal equations."""

    name = "cg"

    def solve(self, y: Tensor, damp: Reals, x0: Tensor | None, callback: Callback | None) -> Found:
        """``N⁻¹ Aᴴ y``."""
        return self._cg(self.maps, y, None, x0, damp, self.in_shape, callback)

    def adjoint(self, g: Tensor, damp: Reals) -> Found:
        """``A N⁻¹ g``: the damped solution of the adjoint's system."""
        return self._cg(self.maps.swapped, g, None, None, damp, self.out_shape, None)

    def adjoint_and_normal(self, g: Tensor, damp: Reals) -> tuple[Found, Found]:
        """``A N⁻¹ g`` and ``N⁻¹ g``; without damping, of the part of g that the equations can reach."""
        v = self.adjoint(g, damp)
        damped = (damp > 0).astype(float)
        right = times(damped, g) + times(1 - damped, self.maps.adjoint(v.x))
        return v, self._cg(self.maps, None, right, None, damp, self.in_shape, None)

    def _cg(
        self,
        maps: Maps,
        b: Tensor | None,
        c: Tensor | None,
        x0: Tensor | None,
        damp: Reals,
        shape: tuple[int, ...],
        callback: Callback | None,
    ) -> Found:
        some = c if b is None else b
        assert some is not None
        zeros = some.new_zeros(len(some), *shape)
        items = Items(zeros, callback)
        cg(maps, b, c, zeros.clone() if x0 is None else x0, damp, self.tol, self.maxiter, items)
        return items.found


class Factored(Inverse):
    """From the singular values of blocks that the operator falls into: one, if nothing better is known.

    Args:
        name: of the method.
        blocks: of shape (blocks, rows, columns).
        size: rows and columns of the whole matrix, which say what counts as zero.
    """

    def __init__(self, name: str, blocks: Tensor, size: tuple[int, int]) -> None:
        self.name = name
        self._u, self._s, self._vh = _svd(blocks)
        largest = self._s.max() if self._s.numel() else self._s.new_zeros(())
        self._cutoff = largest * max(size) * torch.finfo(blocks.dtype).eps
        self._size = size

    # What a kind of blocks says: the coefficients of an input or output in each block, and back.

    @abstractmethod
    def split_in(self, x: Tensor) -> Tensor:
        r"""From (batch, \*in_shape) to (blocks, columns, batch)."""

    @abstractmethod
    def join_in(self, coefficients: Tensor) -> Tensor:
        r"""Back to (batch, \*in_shape)."""

    @abstractmethod
    def split_out(self, y: Tensor) -> Tensor:
        r"""From (batch, \*out_shape) to (blocks, rows, batch)."""

    @abstractmethod
    def join_out(self, coefficients: Tensor) -> Tensor:
        r"""Back to (batch, \*out_shape)."""

    def rank(self) -> int:
        """How many singular values of the whole matrix are not zero but for rounding."""
        return int((self._s > self._cutoff).sum())

    def solve(self, y: Tensor, damp: Reals, x0: Tensor | None, callback: Callback | None) -> Found:
        """``N⁻¹ Aᴴ y``."""
        along = _times_matrix(self._u.mH, self.split_out(y))
        x = self.join_in(_times_matrix(self._vh.mH, along * self._filter(damp, 1)))
        return self._found(x, damp)

    def adjoint(self, g: Tensor, damp: Reals) -> Found:
        """``A N⁻¹ g``."""
        along = _times_matrix(self._vh, self.split_in(g))
        return self._found(self.join_out(_times_matrix(self._u, along * self._filter(damp, 1))), damp)

    def adjoint_and_normal(self, g: Tensor, damp: Reals) -> tuple[Found, Found]:
        """``A N⁻¹ g`` and ``N⁻¹ g``."""
        split = self.split_in(g)
        along = _times_matrix(self._vh, split)
        inverse_square = np.divide(1.0, damp**2, out=np.zeros_like(damp), where=damp > 0)
        outside = (split - _times_matrix(self._vh.mH, along)) * self._per_item(inverse_square)
        normal = self.join_in(_times_matrix(self._vh.mH, along * self._filter(damp, 0)) + outside)
        return self.adjoint(g, damp), self._found(normal, damp)

    def _filter(self, damp: Reals, power: int) -> Tensor:
        """``s**power / (s² + damp²)``, of shape (blocks, values, batch); 0 where s is zero and nothing is damped."""
        s, damping = self._s[:, :, None], self._per_item(damp)
        bottom = torch.hypot(s, damping)  # squares of what is small would vanish
        usable = (s > self._cutoff) | (damping > 0)
        bottom = torch.where(usable, bottom, torch.ones_like(bottom))
        top = s if power else torch.ones_like(s)
        return torch.where(usable, top / bottom / bottom, torch.zeros_like(bottom))

    def _per_item(self, numbers: Reals) -> Tensor:
        return torch.as_tensor(numbers, dtype=self._s.dtype, device=self._s.device)

    def _found(self, x: Tensor, damp: Reals) -> Found:
        count, rank, full = len(x), self.rank(), min(self._size)
        exact, singular = Reason("solved"), Reason("singular", rank=rank, full=full)
        reasons = np.empty(count, dtype=object)
        reasons[:] = singular
        reasons[(damp > 0) | (rank == full)] = exact
        return Found(x, np.zeros(count, np.int64), reasons, np.ones(count, bool))


def _svd(blocks: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """U, s and Vᴴ; of single rows and columns by their norm, for there may be very many of them."""
    _, rows, columns = blocks.shape
    if min(rows, columns) > 1 or not blocks.numel():
        u, s, vh = torch.linalg.svd(blocks, full_matrices=False)
        return u, s, vh
    s = torch.linalg.vector_norm(blocks, dim=(1, 2))[:, None]
    unit = blocks / torch.where(s > 0, s, torch.ones_like(s))[:, :, None]
    one = torch.ones_like(blocks[:, :1, :1])
    return (one, s, unit) if rows == 1 else (unit, s, one)


def _times_matrix(matrices: Tensor, coefficients: Tensor) -> Tensor:
    """(blocks, a, b) times (blocks, b, batch)."""
    if min(matrices.shape[1:]) > 1:
        return matrices @ coefficients
    # By hand: a product for each of many small blocks takes long.
    if matrices.shape[2] == 1:
        return matrices * coefficients
    return (matrices.mT * coefficients).sum(1, keepdim=True)


class Direct(Factored):
    """From the singular values of the whole matrix."""

    def __init__(self, op: Operator) -> None:
        self._in_shape, self._out_shape = op.in_shape, op.out_shape
        rows, columns = op.shape
        check_fits(
            f"the {rows} x {columns} matrix with its singular vectors",
            (3 * rows * columns + 4 * min(op.shape) ** 2) * op.dtype.itemsize,
            op.device,
            "method='lsmr'",
        )
        super().__init__("direct", op.to_dense()[None], op.shape)

    def split_in(self, x: Tensor) -> Tensor:
        """Flat, in one block."""
        return x.flatten(1).T[None]

    def split_out(self, y: Tensor) -> Tensor:
        """Flat, in one block."""
        return self.split_in(y)

    def join_in(self, coefficients: Tensor) -> Tensor:
        r"""Back to (batch, \*in_shape)."""
        return coefficients[0].T.reshape(-1, *self._in_shape)

    def join_out(self, coefficients: Tensor) -> Tensor:
        r"""Back to (batch, \*out_shape)."""
        return coefficients[0].T.reshape(-1, *self._out_shape)


class Fourier(Factored):
    """From the singular values of the matrices of the frequencies, for a block-circulant convolution."""

    def __init__(self, circulant: Circulant, shape: tuple[int, int]) -> None:
        self._circulant = circulant
        blocks = circulant.full()
        self._groups = blocks.shape[:2]
        super().__init__("fft", blocks.flatten(0, 1), shape)

    def split_in(self, x: Tensor) -> Tensor:
        """By frequencies."""
        return self._circulant.split_in(x).flatten(0, 1)

    def join_in(self, coefficients: Tensor) -> Tensor:
        r"""Back to (batch, \*in_shape)."""
        return self._circulant.join_in(coefficients.unflatten(0, self._groups))

    def split_out(self, y: Tensor) -> Tensor:
        """By frequencies."""
        return self._circulant.split_out(y).flatten(0, 1)

    def join_out(self, coefficients: Tensor) -> Tensor:
        r"""Back to (batch, \*out_shape)."""
        return self._circulant.join_out(coefficients.unflatten(0, self._groups))
