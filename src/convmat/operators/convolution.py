"""A convolution, direct or transposed, as a linear operator."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from convmat.geometry import Geometry, GeometryError, Padding, PerAxis
from convmat.operators.algebra import LinearOperator
from convmat.operators.base import Scalar
from convmat.operators.blocks import Chunks, chunks_after, multiply
from convmat.operators.boxes import Box, Cost, Read, Sensitivity, compute
from convmat.operators.circulant import Blocks, Circulant, check_memory
from convmat.operators.many_products import Products, by_spectra, pays_by_spectra
from convmat.planning import check_method, run, shortcuts
from convmat.tensors.arguments import conv_geometry, conv_transpose_geometry, layer_geometry

if TYPE_CHECKING:
    import dask.array as da


class ConvOperator(LinearOperator):
    """A convolution as the linear operator that it is; a bias has no place in it.

    Nothing but the weight is stored. Applying it takes memory in proportion to input and output, and is differentiable
    in both operands. See :meth:`transposed` and :meth:`from_module` for other ways to make one.

    Args:
        weight: of shape (out_channels, in_channels/groups, *kernel).
        input_size: the spatial sizes of the input, without batch and channels.
        stride, padding, dilation, groups, padding_mode: as in :func:`convmat.conv2d`.
        method: one of :func:`convmat.available_methods`; its transpose uses it too. Default: ``"auto"``

    Raises:
        GeometryError: if sizes or arguments do not go together.

    >>> op = ConvOperator(torch.tensor([[[1.0, 2.0, 3.0]]]), (5,), stride=2)
    >>> op
    ConvOperator((1, 5) -> (1, 2), kernel 3, stride 2, torch.float32, method 'auto')
    >>> op @ torch.ones(1, 5)
    tensor([[6., 6.]])
    >>> op.T @ torch.ones(2)
    tensor([1., 2., 4., 2., 3.])
    """

    geometry: Geometry
    weight: Tensor
    method: str

    def __init__(
        self,
        weight: Tensor,
        input_size: PerAxis,
        stride: PerAxis = 1,
        padding: Padding = 0,
        dilation: PerAxis = 1,
        groups: int = 1,
        *,
        padding_mode: str = "zeros",
        method: str = "auto",
    ) -> None:
        geometry = conv_geometry(weight, input_size, stride, padding, dilation, groups, padding_mode)
        self._set(geometry, weight, method)

    @classmethod
    def transposed(
        cls,
        weight: Tensor,
        input_size: PerAxis,
        stride: PerAxis = 1,
        padding: Padding = 0,
        output_padding: PerAxis = 0,
        groups: int = 1,
        dilation: PerAxis = 1,
        *,
        output_size: PerAxis | None = None,
        padding_mode: str = "zeros",
        method: str = "auto",
    ) -> ConvOperator:
        """A transposed convolution, of a weight of shape (in_channels, out_channels/groups, *kernel).

        Arguments are those of :func:`convmat.conv_transpose2d`.

        >>> ConvOperator.transposed(torch.ones(1, 1, 3), (4,), stride=2).shape
        (9, 4)
        """
        geometry = conv_transpose_geometry(
            weight, input_size, stride, padding, output_padding, groups, dilation, output_size, padding_mode
        )
        return cls.of(geometry, weight, method)

    @classmethod
    def from_module(cls, layer: nn.Module, in_shape: Sequence[int]) -> ConvOperator:
        """The operator of a layer, without its bias.

        Args:
            layer: a convolution or transposed convolution of PyTorch or of :mod:`convmat.nn`.
            in_shape: channels and spatial sizes of its input, without the batch.

        Raises:
            GeometryError: if layer and input do not go together.
            TypeError: if the layer is no convolution.

        >>> ConvOperator.from_module(nn.Conv2d(3, 8, kernel_size=3, stride=2), (3, 10, 12)).out_shape
        (8, 4, 5)
        """
        geometry = layer_geometry(layer, in_shape)
        weight: Tensor = layer.weight  # type: ignore[assignment]
        return cls.of(geometry, weight, str(getattr(layer, "method", "auto")))

    @classmethod
    def of(cls, geometry: Geometry, weight: Tensor, method: str = "auto") -> ConvOperator:
        """The operator of a :class:`convmat.Geometry` and a weight of shape ``geometry.weight_shape``."""
        if tuple(weight.shape) != geometry.weight_shape:
            raise GeometryError(f"weight of shape {tuple(weight.shape)}: the geometry needs {geometry.weight_shape}")
        operator = cls.__new__(cls)
        operator._set(geometry, weight, method)
        return operator

    def _set(self, geometry: Geometry, weight: Tensor, method: str) -> None:
        check_method(method)
        self.geometry, self.weight, self.method = geometry, weight, method
        self._in_shape, self._out_shape = geometry.in_shape, geometry.out_shape
        self._arguments = ("operator", *_numbers_of(geometry), method)

    @property
    def in_shape(self) -> tuple[int, ...]:
        """Channels and spatial sizes of the input, without batch."""
        return self._in_shape

    @property
    def out_shape(self) -> tuple[int, ...]:
        """Channels and spatial sizes of the output, without batch."""
        return self._out_shape

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the weight."""
        return self.weight.dtype

    @property
    def device(self) -> torch.device:
        """The device of the weight."""
        return self.weight.device

    def apply(self, x: Tensor) -> Tensor:
        r"""Map a batch, unchecked: (batch, \*in_shape) to (batch, \*out_shape)."""
        weight = self.weight
        key = shortcuts.key_of(x, weight, None, self._arguments)
        if key is not None and (known := shortcuts.find(key)):
            return known(x, weight, None)
        return run(self.geometry, x, weight, None, self.method, key)

    def box(self, read: Read, box: Box) -> Tensor:
        """The cells in a box of ``op @ x``."""
        return compute(self.geometry, self.weight, self.method, read, box)

    def cost(self, sizes: tuple[int, ...]) -> Cost:
        """What a box of these sizes takes, in the middle of the output."""
        return Cost.of(self.geometry, self.method, sizes)

    @property
    def rounds_globally(self) -> bool:
        """Whether boxes are mapped by spectra."""
        direct = self.geometry.transpose() if self.geometry.transposed else self.geometry
        return pays_by_spectra(direct, self.method)

    def sensitivity(self) -> Read:
        """Gives cells of ``op.T @ 1``, from a small table."""
        return Sensitivity.of(self.geometry, self.weight)

    def chunks(self, chunks: Sequence[Sequence[int]]) -> Chunks:
        """The chunks of ``op @ x`` for a dask array x with these chunks.

        Bounds between chunks are divided by the stride, or multiplied by it if the operator is transposed. ``op @ x``
        is lazy, one task for each chunk of the result, and exact whatever the chunks: each task reads the cells that
        it depends on, from as many chunks as hold some. Cells are few where chunks are small beside the kernel, so
        that large chunks cost less.

        Args:
            chunks: ``x.chunks``, of an array of shape (..., *in_shape). Along channels they must not split a group.

        Returns:
            As many tuples of sizes.

        Raises:
            GeometryError: if they split a group of channels, or are not those of an input.

        >>> ConvOperator(torch.ones(1, 1, 3), (100,), stride=2, padding=1).chunks(((1,), (60, 40)))
        ((1,), (30, 20))
        """
        return chunks_after(self.geometry, chunks)

    def map_lazily(self, x: da.Array) -> da.Array:
        """``op @ x`` of a dask array."""
        return multiply(self.geometry, self.weight, self.method, x)

    @property
    def T(self) -> ConvOperator:  # noqa: N802
        """The transpose: the transposed convolution of a direct one, and the other way round."""
        return ConvOperator.of(self.geometry.transpose(), self.weight, self.method)

    @property
    def H(self) -> ConvOperator:  # noqa: N802
        """The adjoint: the transpose, of the complex conjugated weight."""
        return self.T.conj()

    def conj(self) -> ConvOperator:
        """The operator of the complex conjugated weight: itself, where it is real."""
        return self._with(self.weight.conj().resolve_conj()) if self.weight.is_complex() else self

    def to(self, *args: Any, **options: Any) -> ConvOperator:
        """The operator on another device or of another dtype; arguments as those of :meth:`torch.Tensor.to`.

        >>> ConvOperator(torch.ones(1, 1, 3), (4,)).to(torch.float64).dtype
        torch.float64
        """
        return self._with(self.weight.to(*args, **options))

    def scaled(self, factor: Scalar) -> ConvOperator:
        """The operator of the weight times a number."""
        return self._with(self.weight * factor)

    def to_dense(self) -> Tensor:
        """The matrix, of shape :attr:`shape`; see :func:`convmat.conv_matrix`. Gradients flow back to the weight.

        Raises:
            GeometryError: if it would not fit in memory.
        """
        return self._matrix(torch.strided)

    def to_sparse(self, layout: torch.layout = torch.sparse_coo) -> Tensor:
        """The matrix, sparse: ``torch.sparse_coo`` or ``torch.sparse_csr``. Gradients flow back to the weight."""
        return self._matrix(layout)

    @property
    def requires_grad(self) -> bool:
        """Whether gradients may be asked of the weight."""
        return self.weight.requires_grad

    def circulant_refusal(self) -> str | None:
        """Why the operator is not block-circulant: the axis, and the first output that breaks it; ``None`` if it is."""
        return self.geometry.circulant_refusal()

    def weights(self) -> list[Tensor]:
        """The weight."""
        return [self.weight]

    def with_weights(self, weights: Iterator[Tensor]) -> ConvOperator:
        """The operator of the next weight."""
        return self._with(next(weights))

    def products(self) -> Products:
        """The operator and its adjoint as functions, ready for many products."""
        return by_spectra(self.geometry, self.weight, self.method) or super().products()

    def circulant(self) -> Circulant | None:
        """The operator by its frequencies, if it is block-circulant."""
        if self.circulant_refusal() is not None:
            return None
        check_memory(self.geometry, self.weight)
        return Circulant(self.geometry, self.weight)

    def blocks(self) -> Blocks | None:
        """The matrices of the frequencies, which have the operator's singular values, if it is block-circulant."""
        circulant = self.circulant()
        return None if circulant is None else circulant.half()

    def dense_blocks(self) -> Blocks:
        """The matrices of the groups of channels."""
        from convmat.matrices.convolutions import build
        from convmat.operators.spectra import check_dense

        geometry, groups = self.geometry, self.geometry.groups
        channels = geometry.in_channels // groups, geometry.out_channels // groups
        group = replace(geometry, in_channels=channels[0], out_channels=channels[1], groups=1)
        check_dense(self, groups, *group.matrix_shape)
        weight = self.weight.float() if self.dtype.itemsize < 4 else self.weight
        matrices = torch.stack([build(group, part, torch.strided) for part in weight.chunk(groups)])
        return Blocks(matrices, torch.ones(groups, dtype=torch.int64, device=matrices.device))

    def upper_bound(self, at_least: float) -> tuple[float, str]:
        """The norm on a torus, times that of the padding; or the geometric mean of the largest row and column sums."""
        from convmat.operators.torus import torus_bound

        magnitudes = self._with(
            self.weight.detach().abs().to(torch.promote_types(torch.float32, self.weight.abs().dtype))
        )
        ones = [
            torch.ones(1, *shape, dtype=magnitudes.dtype, device=self.device)
            for shape in (self.in_shape, self.out_shape)
        ]
        sums = float(magnitudes.apply(ones[0]).max() * magnitudes.T.apply(ones[1]).max()) ** 0.5
        bounds = [(torus_bound(self.geometry, self.weight, at_least), "torus"), (sums * (1 + 1e-5), "sums")]
        return min(bounds)

    def _matrix(self, layout: torch.layout) -> Tensor:
        from convmat.matrices.convolutions import build

        return build(self.geometry, self.weight, layout)

    def _with(self, weight: Tensor) -> ConvOperator:
        return ConvOperator.of(self.geometry, weight, self.method)

    def __repr__(self) -> str:
        geometry = self.geometry
        words = [f"{self.in_shape} -> {self.out_shape}", f"kernel {_joined(geometry.kernel_size)}"]
        for name, values in (("stride", geometry.stride), ("dilation", geometry.dilation)):
            if any(value != 1 for value in values):
                words.append(f"{name} {_joined(values)}")
        ends = [(axis.lo, axis.hi) for axis in geometry.axes]
        if any(map(any, ends)):
            sides = [str(lo) if lo == hi else f"{lo}:{hi}" for lo, hi in ends]
            words.append(f"{geometry.padding_mode} padding {_joined(sides)}")
        if geometry.groups != 1:
            words.append(f"{geometry.groups} groups")
        if geometry.transposed:
            words.append("transposed")
        where = [] if self.device.type == "cpu" else [str(self.device)]
        return f"ConvOperator({', '.join([*words, str(self.dtype), *where, f'method {self.method!r}'])})"


def _numbers_of(geometry: Geometry) -> tuple[Any, ...]:
    """A geometry as plain integers and strings, under which decisions are found again."""
    axes = tuple(
        (axis.inputs, axis.outputs, axis.kernel, axis.stride, axis.dilation, axis.lo, axis.hi, axis.padding_mode)
        for axis in geometry.axes
    )
    return axes, geometry.in_channels, geometry.out_channels, geometry.groups, int(geometry.transposed)


def _joined(values: Sequence[Any]) -> str:
    return "x".join(map(str, values))
