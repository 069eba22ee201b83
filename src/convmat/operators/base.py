"""What a kind of operator says of itself, in few verbs, and applying it to tensors of any of the shapes that fit."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from math import prod
from typing import Any, TypeAlias

import torch
from torch import Tensor

from convmat.geometry import GeometryError
from convmat.operators.boxes import Box, Cost, Read
from convmat.operators.circulant import Blocks, Circulant
from convmat.operators.many_products import Products

Scalar: TypeAlias = complex | Tensor


class Operator(ABC):
    r"""A linear map between tensors of two shapes, known by what it does: nothing but its factors is stored.

    ``op @ x`` takes ``x`` as

    - tensors of shape (\*batch, \*in_shape), with any leading batch dimensions, to (\*batch, \*out_shape);
    - a flat vector of shape (columns,) to one of shape (rows,);
    - a matrix of shape (columns, k) to one of shape (rows, k), as the matrix of the operator would.

    What fits more than one of these is taken as the first of them. A batch of flat vectors, one a row, is none of them:
    reshape it to (batch, \*in_shape), or transpose it.
    """

    # -- what a kind of operator says ----------------------------------------------------------------------------------

    @property
    @abstractmethod
    def in_shape(self) -> tuple[int, ...]:
        """The shape that the operator maps from: channels and spatial sizes, without batch."""

    @property
    @abstractmethod
    def out_shape(self) -> tuple[int, ...]:
        """The shape that the operator maps to."""

    @property
    @abstractmethod
    def dtype(self) -> torch.dtype:
        """The dtype of the operator, and of what it maps."""

    @property
    @abstractmethod
    def device(self) -> torch.device:
        """The device of the operator, and of what it maps."""

    @abstractmethod
    def apply(self, x: Tensor) -> Tensor:
        r"""Map a batch, unchecked: (batch, \*in_shape) to (batch, \*out_shape)."""

    @property
    @abstractmethod
    def T(self) -> Operator:  # noqa: N802
        """The transpose."""

    @abstractmethod
    def conj(self) -> Operator:
        """The operator with complex conjugated entries: itself, where they are real."""

    @abstractmethod
    def to(self, *args: Any, **options: Any) -> Operator:
        """The operator on another device or of another dtype; arguments as those of :meth:`torch.Tensor.to`."""

    @abstractmethod
    def scaled(self, factor: Scalar) -> Operator:
        """The operator times a number, or a tensor of no dimensions."""

    @abstractmethod
    def to_sparse(self, layout: torch.layout = torch.sparse_coo) -> Tensor:
        """The matrix, sparse: ``torch.sparse_coo`` or ``torch.sparse_csr``."""

    @abstractmethod
    def to_dense(self) -> Tensor:
        """The matrix, of shape :attr:`shape`: channels first, cells in row-major order.

        Raises:
            GeometryError: if it would not fit in memory.
        """

    @property
    @abstractmethod
    def requires_grad(self) -> bool:
        """Whether gradients may be asked of the operator's entries."""

    @abstractmethod
    def upper_bound(self, at_least: float) -> tuple[float, str]:
        """At least the norm, and how it was found; ``at_least`` is a lower bound, near which it is looked for."""

    @abstractmethod
    def dense_blocks(self) -> Blocks:
        """The matrix, or its diagonal blocks.

        Raises:
            GeometryError: if their singular values would not fit in memory.
        """

    def weights(self) -> list[Tensor]:
        """The tensors that the operator is made of, as far as we know; one that is used twice comes twice."""
        return []

    def with_weights(self, weights: Iterator[Tensor]) -> Operator:
        """The operator made of other tensors, taken one by one."""
        return self

    @abstractmethod
    def box(self, read: Read, box: Box) -> Tensor:
        r"""The cells in a box of ``op @ x``, of shape (batch, channels, \*sizes); ``read`` gives cells of x."""

    @abstractmethod
    def cost(self, sizes: tuple[int, ...]) -> Cost:
        """What a box of these sizes takes, in the middle of the output."""

    @property
    @abstractmethod
    def rounds_globally(self) -> bool:
        """Whether boxes are mapped by spectra, which round relative to the largest value of all."""

    @abstractmethod
    def sensitivity(self) -> Read:
        """Gives the cells in some ranges of ``op.T @ 1``, of shape (1, channels, *sizes)."""

    def products(self) -> Products:
        """The operator and its adjoint as functions, ready for many products."""
        return Products(self.apply, self.H.apply, False)

    def circulant(self) -> Circulant | None:
        """The operator by its frequencies, if it is a single block-circulant convolution."""
        return None

    def blocks(self) -> Blocks | None:
        """Small matrices that have the operator's singular values, if it is block-circulant."""
        return None

    def circulant_refusal(self) -> str | None:
        """Why the operator is not block-circulant; ``None`` if it is."""
        return "it is no single convolution"

    # -- what follows from it ------------------------------------------------------------------------------------------

    @property
    def H(self) -> Operator:  # noqa: N802
        """The adjoint: the transpose with complex conjugated entries."""
        return self.T.conj()

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the operator's matrix."""
        return prod(self.out_shape), prod(self.in_shape)

    def map(self, x: Tensor) -> Tensor:
        """``op @ x``, of a tensor in any of the shapes that fit."""
        if not isinstance(x, Tensor):
            raise TypeError(
                f"cannot apply an operator to {_article(type(x).__name__)}: need a torch.Tensor or another operator; "
                "op.to_scipy() takes NumPy's arrays"
            )
        if x.dtype != self.dtype or x.device != self.device:
            raise GeometryError(
                f"the operator is {self.dtype} on {self.device} and the input {x.dtype} on {x.device}: they should be "
                "the same; op.to(...) or input.to(...) would do"
            )
        shape, in_shape = x.shape, self.in_shape
        ndim = len(in_shape)
        if shape[-ndim:] == in_shape:
            if len(shape) == ndim + 1:
                return self.apply(x)
            return self.apply(x.reshape(-1, *in_shape)).reshape(*shape[:-ndim], *self.out_shape)
        rows, columns = self.shape
        if shape == (columns,):
            return self.apply(x.reshape(1, *in_shape)).reshape(rows)
        if len(shape) == 2 and shape[0] == columns:
            return self.apply(x.T.reshape(-1, *in_shape)).reshape(-1, rows).T
        raise GeometryError(
            f"input of shape {tuple(shape)} does not go with an operator from {in_shape} to {self.out_shape}: need "
            f"{self._operands()}"
        )

    def _operands(self) -> str:
        columns, sizes = self.shape[1], ", ".join(map(str, self.in_shape))
        return f"(..., {sizes}), a flat vector of shape ({columns},), or a matrix of shape ({columns}, k)"


def _article(name: str) -> str:
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"
