"""The algebra of operators: products, sums and multiples."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from numbers import Number
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal, overload

import torch
from torch import Tensor

from convmat.geometry import GeometryError
from convmat.operators.base import Operator, Scalar
from convmat.operators.blocks import Chunks, is_dask
from convmat.operators.boxes import Box, Cost, Read
from convmat.operators.circulant import Blocks
from convmat.tensors.memory import check_fits

if TYPE_CHECKING:
    import dask.array as da

    from convmat.operators.scipy_interface import SciPyOperator
    from convmat.operators.solvers.solution import Solution
    from convmat.operators.torus import NormBounds


class LinearOperator(Operator):
    """A linear map between tensors of two shapes, known by what it does: nothing but its factors is stored.

    ``op @ x`` applies it, to tensors of shape (..., *in_shape), flat vectors and matrices:
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

    def solve(
        self,
        y: Tensor | da.Array,
        method: str = "auto",
        damp: float | Tensor = 0,
        x0: Tensor | None = None,
        tol: float | None = None,
        maxiter: int | None = None,
        callback: Callable[[int, Tensor], object] | None = None,
        *,
        store: str | PathLike[str] | None = None,
        memory: int | str = "2GiB",
        overwrite: bool = False,
        resume: bool = False,
    ) -> Solution:
        r"""Solve for the x that minimises ``|op @ x - y|² + damp² |x|²``, for every item of a batch by itself.

        Without damping that is what the pseudo-inverse gives: of all least-squares solutions the one of least norm.
        Where the operator is singular, fft and direct say so with its rank; lsmr and cg find that solution without
        knowing, and :meth:`ConvOperator.cond` tells.
        Gradients flow to y, to damp and to the weights by the implicit rule, with further solves instead of stored
        iterations; there are none of second order, and none to x0.

        Of a dask array y the solver works on a disk, block by block; x is a dask array then, and there are no
        gradients and no batches. Whatever computes, results are the same to the last bit.

        Args:
            y: of shape (\*batch, \*out_shape), any batch or none, in single or double precision; or a dask array of
                shape out_shape.
            method: ``"lsmr"`` (Fong and Saunders 2011), which suits every operator; ``"cg"``, conjugate gradients on
                the normal equations, whose accuracy suffers from the square of the condition number; ``"fft"``,
                exact, for block-circulant operators; ``"direct"``, by the singular values of the dense matrix. Default:
                ``"auto"``: fft where it can and its matrices are small, direct for small matrices, else lsmr
            damp: at least 0: one number, or one for each item. Default: 0
            x0: where to start, of shape (\*batch, \*in_shape). Where there are many solutions, the one nearest to it
                is found. Methods that do not iterate leave it. Default: zeros
            tol: relative tolerance: lsmr stops when x solves exactly a problem that differs by so much from the given
                one; cg when the residual of the normal equations has become so small. Default: 1e-6 in single, 1e-10
                in double precision
            maxiter: the most iterations. Default: four times the smaller size of the matrix, at least 100, at most
                10,000
            callback: called as ``callback(iteration, x)`` after each iteration.
            store: for a dask array: a folder for the vectors, x among them. Eleven of the size of x or y are checked to
                fit for lsmr, nine for cg; at the end x alone is kept, as an array in the zarr format.
            memory: for a dask array: bytes that all processes may take together, or a text as ``"2GiB"``. Default:
                ``"2GiB"``
            overwrite: whether to delete what an earlier call has left in the store. Default: ``False``
            resume: whether to go on with it, from the last iteration that is whole. Data, operator, method and damping
                must be the same. Default: ``False``

        Returns:
            A :class:`~convmat.operators.Solution` with ``x``, ``iterations``, ``residual`` (the norm of
            ``y - op @ x``), ``reason`` and ``converged`` for each item. Where y is zero, x is zero at iteration 0.

        Warns:
            RuntimeWarning: where an item was given up; it is returned as it stands.

        Raises:
            GeometryError: if shapes do not go together, values are not finite, the operator is not block-circulant and
                the method fft, or the dense matrix would not fit in memory.

        >>> from convmat import ConvOperator
        >>> op = ConvOperator(torch.tensor([[[1.0, 3.0, 1.0]]]), (5,), padding=1)
        >>> solution = op.solve(op @ torch.arange(5.0)[None])
        >>> torch.allclose(solution.x, torch.arange(5.0)[None], atol=1e-5), solution.reason
        (True, 'solved by singular values')
        """
        from convmat.operators.solvers.solving import solve
        from convmat.operators.volumes.job import Stored

        return solve(self, y, method, damp, x0, tol, maxiter, callback, Stored(store, memory, overwrite, resume))

    # -- singular values -----------------------------------------------------------------------------------------------

    def norm(self, *, tol: float | None = None) -> Tensor:
        """The largest singular value: the norm itself, not its square; a tensor of no dimensions.

        Block-circulant convolutions have it from Fourier transforms, and small ones from their matrix, both to rounding
        (``tol`` is not used then). Of all others it is approached from below by products with the operator, from a
        random first vector, until the estimate of its error is below ``tol``. That the value found is the *largest* is
        all but sure, not proven: :meth:`norm_bounds` gives both sides.

        Gradients flow back to the weight, once. Where several singular values share the top, the norm has no gradient,
        and one of its subgradients is taken.

        Args:
            tol: relative error. Default: 1e-6 in double precision, else 1e-4

        Raises:
            GeometryError: if the entries are not finite, or are integers.

        >>> import torch, convmat
        >>> op = convmat.ConvOperator(torch.tensor([[[1.0, -1.0, 1.0]]]), (5,), padding=1)
        >>> op.norm()
        tensor(2.7321)
        """
        from convmat.operators.spectra import norm

        return norm(self, tol)

    def norm_bounds(self, *, tol: float | None = None) -> NormBounds:
        """A lower and an upper bound on the norm, and how the upper one was found.

        Both hold up to the rounding of the dtype. The lower one is what :meth:`norm` finds. The upper one is exact for
        block-circulant and for small operators. With zero padding it is the norm on a torus that is large enough:
        within percents of the norm, if the input is much larger than the kernel. With other padding modes a factor for
        the copies that padding makes joins in, so that it may be twice the norm and more.

        >>> import torch, convmat
        >>> op = convmat.ConvOperator(torch.ones(8, 8, 3, 3), (30, 40), padding=1)
        >>> lower, upper, method = op.norm_bounds()
        >>> lower < 71.7 < upper < 72.1, method
        (True, 'torus')
        """
        from convmat.operators.spectra import norm_bounds

        return norm_bounds(self, tol)

    def singular_values(
        self, k: int | None = None, which: Literal["largest", "smallest"] = "largest", *, tol: float | None = None
    ) -> Tensor:
        """The singular values, the largest first: all ``min(rows, columns)`` of them, or some.

        Block-circulant convolutions have all of them from Fourier transforms. Others have them from the dense matrix,
        except for the ``k`` largest ones of a large operator, which are found by products with it. Gradients flow back
        to the weight, but through products.

        Args:
            k: how many. Default: all
            which: ``"largest"`` or ``"smallest"``. Default: ``"largest"``
            tol: relative to the norm, where products find them. Default: 1e-6 in double precision, else 1e-4

        Raises:
            GeometryError: if the entries are not finite, or a dense matrix is needed that would not fit in memory.

        >>> import torch, convmat
        >>> convmat.ConvOperator(torch.tensor([[[1.0, 1.0]]]), (3,)).singular_values()
        tensor([1.7321, 1.0000])
        """
        from convmat.operators.spectra import singular_values

        return singular_values(self, k, which, tol)

    def cond(self) -> Tensor:
        """The largest singular value over the smallest: infinite, or large, if the operator is singular.

        It needs all singular values; see :meth:`singular_values`.

        >>> import torch, convmat
        >>> op = convmat.ConvOperator(torch.tensor([[[1.0, -2.0, 1.0]]], dtype=torch.float64), (9,), padding=1)
        >>> round(op.cond().item(), 11)
        39.86345818906
        """
        from convmat.operators.spectra import condition_number

        return condition_number(self)

    def to_scipy(self) -> SciPyOperator:
        """The operator for SciPy's solvers and PyLops: a ``scipy.sparse.linalg.LinearOperator`` over NumPy's arrays.

        It has ``matvec``, ``rmatvec``, ``matmat`` and ``rmatmat``; whole matrices are mapped as one batch. What it
        makes has the operator's dtype, or the complex one beside it where the vector is complex.
        """
        from convmat.operators.scipy_interface import SciPyOperator

        return SciPyOperator(self)


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
