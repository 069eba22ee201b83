"""The algebra of operators: products, sums and multiples."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from numbers import Number
from typing import TYPE_CHECKING, Any, overload

import torch
from torch import Tensor

from convmat.geometry import GeometryError
from convmat.operators.base import Scalar
from convmat.operators.blocks import Chunks, is_dask
from convmat.operators.boxes import Box, Cost, Read
from convmat.operators.circulant import Blocks
from convmat.operators.solvable import SolvableOperator
from convmat.tensors.memory import check_fits

if TYPE_CHECKING:
    import dask.array as da


class LinearOperator(SolvableOperator):
    """A linear map between tensors of two shapes, known by what it does: nothing but its factors is stored.

    ``op @ x``, or ``op(x)``, applies it, to tensors of shape (..., *in_shape), flat vectors and matrices:
    see :meth:`ConvOperator.map`.
    Of a dask array of shape (..., *in_shape) ``op @ x`` makes a lazy one: see :meth:`ConvOperator.chunks`.
    ``op2 @ op1`` composes, ``+``, ``-`` and multiples by numbers are again operators.
    """

    @property
    @abstractmethod
    def T(self) -> LinearOperator:  # noqa: N802
        """The transpose."""

    @abstractmethod
    def conj(self) -> LinearOperator:
        """The operator with complex conjugated entries: itself, where they are real."""

    @abstractmethod
    def to(self, *args: Any, **options: Any) -> LinearOperator:
        """The operator on another device or of another dtype; arguments as those of :meth:`torch.Tensor.to`."""

    @abstractmethod
    def scaled(self, factor: Scalar) -> LinearOperator:
        """The operator times a number, or a tensor of no dimensions."""

    def with_weights(self, weights: Iterator[Tensor]) -> LinearOperator:
        """The operator made of other tensors, taken one by one."""
        return self

    @abstractmethod
    def chunks(self, chunks: Sequence[Sequence[int]]) -> Chunks:
        """The chunks of ``op @ x`` for a dask array x with these chunks; see :meth:`ConvOperator.chunks`."""

    @abstractmethod
    def map_lazily(self, x: da.Array) -> da.Array:
        """``op @ x`` of a dask array."""

    @property
    def H(self) -> LinearOperator:  # noqa: N802
        """The adjoint: the transpose with complex conjugated entries."""
        return self.T.conj()

    @overload
    def __matmul__(self, x: Tensor) -> Tensor: ...
    @overload
    def __matmul__(self, x: LinearOperator) -> LinearOperator: ...
    @overload
    def __matmul__(self, x: da.Array) -> da.Array: ...

    def __matmul__(self, x: Any) -> Any:
        if isinstance(x, LinearOperator):
            return Product.of(self, x)
        return self.map_lazily(x) if is_dask(x) else self.map(x)

    __call__ = __matmul__  # as operators of SciPy and PyLops, and layers of PyTorch, are used

    def __mul__(self, factor: Scalar) -> LinearOperator:
        if not _is_scalar(factor):
            if isinstance(factor, LinearOperator | Tensor):
                what = "another operator" if isinstance(factor, LinearOperator) else f"shape {tuple(factor.shape)}"
                raise TypeError(f"an operator is multiplied by a number, not by {what}: op @ other applies or composes")
            return NotImplemented
        return self.scaled(factor)

    __rmul__ = __mul__

    def __truediv__(self, divisor: Scalar) -> LinearOperator:
        return self.scaled(1 / divisor) if _is_scalar(divisor) else NotImplemented

    def __neg__(self) -> LinearOperator:
        return self.scaled(-1)

    def __add__(self, other: LinearOperator) -> LinearOperator:
        if not isinstance(other, LinearOperator):
            return NotImplemented
        return Sum.of(self, other)

    def __sub__(self, other: LinearOperator) -> LinearOperator:
        return self + -other if isinstance(other, LinearOperator) else NotImplemented


class Pair(LinearOperator):
    """Two operators that make one."""

    def __init__(self, left: LinearOperator, right: LinearOperator) -> None:
        self.left, self.right = left, right

    @property
    def in_shape(self) -> tuple[int, ...]:
        """The shape that the operator maps from."""
        return self.right.in_shape

    @property
    def out_shape(self) -> tuple[int, ...]:
        """The shape that the operator maps to."""
        return self.left.out_shape

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of both."""
        return self.left.dtype

    @property
    def device(self) -> torch.device:
        """The device of both."""
        return self.left.device

    def weights(self) -> list[Tensor]:
        """The tensors that both are made of."""
        return [*self.left.weights(), *self.right.weights()]

    def with_weights(self, weights: Iterator[Tensor]) -> LinearOperator:
        """The same of other tensors, first those of the left one."""
        left = self.left.with_weights(weights)
        return type(self)(left, self.right.with_weights(weights))

    def conj(self) -> LinearOperator:
        """The operator with complex conjugated entries."""
        return type(self)(self.left.conj(), self.right.conj())

    def to(self, *args: Any, **options: Any) -> LinearOperator:
        """The operator on another device or of another dtype; arguments as those of :meth:`torch.Tensor.to`."""
        return type(self)(self.left.to(*args, **options), self.right.to(*args, **options))

    @property
    def requires_grad(self) -> bool:
        """Whether gradients may be asked of the entries of either."""
        return self.left.requires_grad or self.right.requires_grad

    @property
    def rounds_globally(self) -> bool:
        """Whether boxes of either are mapped by spectra."""
        return self.left.rounds_globally or self.right.rounds_globally

    def dense_blocks(self) -> Blocks:
        """The matrix."""
        from convmat.operators.spectra import check_dense

        check_dense(self, 1, *self.shape)
        matrix = self.to_dense()
        return Blocks(
            matrix.float()[None] if matrix.dtype.itemsize < 4 else matrix[None], torch.ones(1, dtype=torch.int64)
        )

    def to_dense(self) -> Tensor:
        """The matrix, column by column."""
        rows, columns = self.shape
        check_fits(
            f"the {rows} x {columns} matrix",
            (rows + columns) * columns * self.dtype.itemsize,
            self.device,
            "op.to_sparse(), or the operator without its matrix",
        )
        return self @ torch.eye(columns, dtype=self.dtype, device=self.device)


class Product(Pair):
    """``left @ right``: first the right one, then the left one."""

    @classmethod
    def of(cls, left: LinearOperator, right: LinearOperator) -> Product:
        """The product, if the shapes go together."""
        if left.in_shape != right.out_shape:
            raise GeometryError(
                f"cannot compose: the right operator maps {right.in_shape} to {right.out_shape}, the left one "
                f"{left.in_shape} to {left.out_shape}: need the right one's output to be the left one's input"
            )
        _check_same_kind(left, right)
        return cls(left, right)

    def apply(self, x: Tensor) -> Tensor:
        """Map a batch."""
        return self.left.apply(self.right.apply(x))

    def box(self, read: Read, box: Box) -> Tensor:
        """The cells in a box: the left one's, of what the right one makes for it."""
        return self.left.box(lambda ranges: self.right.box(read, box.of(ranges)), box)

    def cost(self, sizes: tuple[int, ...]) -> Cost:
        """What a box takes: the left one's, and the right one's for what that reads."""
        left = self.left.cost(sizes)
        right = self.right.cost(left.read)
        return Cost(right.read, left.cells + right.cells, left.kept + right.kept, left.work + right.work)

    def sensitivity(self) -> Read:
        """Of the left one, mapped by the right one's transpose."""
        back, of_left = self.right.T, self.left.sensitivity()
        return lambda ranges: back.box(of_left, Box(ranges))

    def chunks(self, chunks: Sequence[Sequence[int]]) -> Chunks:
        """The chunks after both."""
        return self.left.chunks(self.right.chunks(chunks))

    def map_lazily(self, x: da.Array) -> da.Array:
        """``op @ x`` of a dask array."""
        return self.left.map_lazily(self.right.map_lazily(x))

    @property
    def T(self) -> Product:  # noqa: N802
        """The transpose: that of the factors, in the other order."""
        return Product(self.right.T, self.left.T)

    def upper_bound(self, at_least: float) -> tuple[float, str]:
        """The product of bounds on the norms of the factors."""
        bounds = self.left.norm_bounds(tol=1e-2), self.right.norm_bounds(tol=1e-2)
        return bounds[0].upper * bounds[1].upper, f"{bounds[0].method} * {bounds[1].method}"

    def scaled(self, factor: Scalar) -> LinearOperator:
        """The product times a number."""
        left = self.left.scaled(factor)
        return Product(left, self.right.to(left.dtype))

    def to_sparse(self, layout: torch.layout = torch.sparse_coo) -> Tensor:
        """The product of the sparse matrices."""
        with warnings.catch_warnings():  # PyTorch multiplies as CSR, and calls that beta
            warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta state")
            product = torch.sparse.mm(self.left.to_sparse(), self.right.to_sparse()).coalesce()
        return product if layout == torch.sparse_coo else product.to_sparse(layout=layout)

    def __repr__(self) -> str:
        return f"({self.left!r} @ {self.right!r})"


class Sum(Pair):
    """``left + right``."""

    @classmethod
    def of(cls, left: LinearOperator, right: LinearOperator) -> Sum:
        """The sum, if the shapes are equal."""
        if (left.in_shape, left.out_shape) != (right.in_shape, right.out_shape):
            raise GeometryError(
                f"cannot add operators from {left.in_shape} to {left.out_shape} and from {right.in_shape} to "
                f"{right.out_shape}: need equal shapes"
            )
        _check_same_kind(left, right)
        return cls(left, right)

    def apply(self, x: Tensor) -> Tensor:
        """Map a batch."""
        return self.left.apply(x) + self.right.apply(x)

    def box(self, read: Read, box: Box) -> Tensor:
        """The cells in a box: the sum of both."""
        return self.left.box(read, box) + self.right.box(read, box)

    def cost(self, sizes: tuple[int, ...]) -> Cost:
        """What a box takes: that of both, one after the other."""
        left, right = self.left.cost(sizes), self.right.cost(sizes)
        read = tuple(map(max, left.read, right.read))
        return Cost(read, left.cells + right.cells, left.kept + right.kept, left.work + right.work)

    def sensitivity(self) -> Read:
        """The sum of both."""
        left, right = self.left.sensitivity(), self.right.sensitivity()
        return lambda ranges: left(ranges) + right(ranges)

    def chunks(self, chunks: Sequence[Sequence[int]]) -> Chunks:
        """The chunks of the left one: those of the right one are cut to them."""
        return self.left.chunks(chunks)

    def map_lazily(self, x: da.Array) -> da.Array:
        """``op @ x`` of a dask array."""
        found = self.left.map_lazily(x)
        return found + self.right.map_lazily(x).rechunk(found.chunks)

    @property
    def T(self) -> Sum:  # noqa: N802
        """The transpose."""
        return Sum(self.left.T, self.right.T)

    def upper_bound(self, at_least: float) -> tuple[float, str]:
        """The sum of bounds on the norms of the terms."""
        bounds = self.left.norm_bounds(tol=1e-2), self.right.norm_bounds(tol=1e-2)
        return bounds[0].upper + bounds[1].upper, f"{bounds[0].method} + {bounds[1].method}"

    def scaled(self, factor: Scalar) -> LinearOperator:
        """The sum times a number."""
        return Sum(self.left.scaled(factor), self.right.scaled(factor))

    def to_sparse(self, layout: torch.layout = torch.sparse_coo) -> Tensor:
        """The sum of the sparse matrices."""
        total = (self.left.to_sparse() + self.right.to_sparse()).coalesce()
        return total if layout == torch.sparse_coo else total.to_sparse(layout=layout)

    def __repr__(self) -> str:
        return f"({self.left!r} + {self.right!r})"


def _check_same_kind(left: LinearOperator, right: LinearOperator) -> None:
    if left.dtype != right.dtype or left.device != right.device:
        raise GeometryError(
            f"the operators are {left.dtype} on {left.device} and {right.dtype} on {right.device}: they should be the "
            "same; op.to(...) would do"
        )


def _is_scalar(value: Any) -> bool:
    return isinstance(value, Number) or (isinstance(value, Tensor) and value.ndim == 0)
