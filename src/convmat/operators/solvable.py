"""What is asked of an operator: solutions, norms and singular values. Each is computed elsewhere, when it is asked."""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike
from typing import TYPE_CHECKING, Literal

from torch import Tensor

from convmat.operators.base import Operator

if TYPE_CHECKING:
    import dask.array as da

    from convmat.operators.scipy_interface import SciPyOperator
    from convmat.operators.solvers.solution import Solution
    from convmat.operators.torus import NormBounds


class SolvableOperator(Operator):
    """An operator to solve with, and to measure; see :class:`convmat.operators.LinearOperator`."""

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

        >>> import torch
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
