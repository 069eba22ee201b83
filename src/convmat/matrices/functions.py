"""The matrix of a convolution, a layer or a model: the public functions."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from convmat.geometry import Padding, PerAxis
from convmat.matrices.convolutions import build
from convmat.matrices.layouts import LayoutLike, known_layout
from convmat.tensors.arguments import conv_geometry, conv_transpose_geometry, layer_geometry


def conv_matrix(
    weight: Tensor,
    input_size: PerAxis,
    stride: PerAxis = 1,
    padding: Padding = 0,
    dilation: PerAxis = 1,
    groups: int = 1,
    *,
    padding_mode: str = "zeros",
    layout: LayoutLike = torch.strided,
    index_dtype: torch.dtype | None = None,
) -> Tensor:
    """The matrix C of a convolution over any number of axes: ``C @ x.flatten() == conv(x).flatten()``.

    Gradients flow from its entries (the values, if sparse) back to the weight; PyTorch has none of complex CSR and CSC.

    Args:
        weight: of shape (out_channels, in_channels/groups, *kernel), of any dtype.
        input_size: the spatial sizes of the input, without batch and channels.
        stride, padding, dilation, groups, padding_mode: as in :func:`conv2d`.
        layout: ``"dense"``, ``"coo"``, ``"csr"`` or ``"csc"``, or PyTorch's name of it. Default: ``torch.strided``
        index_dtype: with CSR and CSC, ``torch.int32`` or ``torch.int64``. Default: ``torch.int64``

    Returns:
        Of shape (out_channels * output cells, in_channels * input cells), channels first, cells in row-major order.

    Raises:
        GeometryError: if sizes or arguments do not go together, or the matrix would not fit in memory.

    >>> conv_matrix(torch.tensor([[[1, 2, 3]]]), (4,), padding=1)
    tensor([[2, 3, 0, 0],
            [1, 2, 3, 0],
            [0, 1, 2, 3],
            [0, 0, 1, 2]])
    """
    geometry = conv_geometry(weight, input_size, stride, padding, dilation, groups, padding_mode)
    return build(geometry, weight, layout, index_dtype)


def conv_transpose_matrix(
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
    layout: LayoutLike = torch.strided,
    index_dtype: torch.dtype | None = None,
) -> Tensor:
    """The matrix Cᵀ of a transposed convolution: the transpose of that of the direct one from its output to its input.

    Args:
        weight: of shape (in_channels, out_channels/groups, *kernel), of any dtype.
        input_size: the spatial sizes of the input, without batch and channels.
        stride, padding, output_padding, groups, dilation, output_size, padding_mode: as in :func:`conv_transpose2d`.
        layout, index_dtype: as in :func:`conv_matrix`.

    Returns:
        Of shape (out_channels * output cells, in_channels * input cells), channels first, cells in row-major order.

    Raises:
        GeometryError: if sizes or arguments do not go together, or the matrix would not fit in memory.

    >>> conv_transpose_matrix(torch.tensor([[[1, 2, 3]]]), (2,), stride=2)
    tensor([[1, 0],
            [2, 0],
            [3, 1],
            [0, 2],
            [0, 3]])
    """
    geometry = conv_transpose_geometry(
        weight, input_size, stride, padding, output_padding, groups, dilation, output_size, padding_mode
    )
    return build(geometry, weight, layout, index_dtype)


def matrix(
    module: nn.Module,
    in_shape: Sequence[int],
    *,
    layout: LayoutLike = torch.strided,
    index_dtype: torch.dtype | None = None,
) -> Tensor:
    """The matrix A of a layer or a model of linear layers: ``A @ x.flatten()`` is its output but for biases and shifts.

    Biases, the shift of a batch normalisation and the value of a constant padding are left out: A is the Jacobian,
    ``A @ x.flatten() == (model(x) - model(0 * x)).flatten()``. Gradients flow from its entries to the parameters, but
    those of complex CSR and CSC. All of this is said of the modules as they are: hooks of these layers, which may do
    anything, are not run.

    A module with a ``forward`` of its own, as ``x + conv(x)``, is taken if it is linear but for a constant, which is
    checked on random inputs. Where ``torch.fx`` can trace it to these layers, sums, differences, products with
    constants, concatenations and what only moves elements (reshaping, slicing, ..), their matrices are composed; else
    unit vectors are pushed through it, which takes as long as calling it on as many inputs as it has elements.

    Args:
        module: any of these, an ``nn.Sequential`` of them, nested or not, or a linear module that is made of anything:

            - ``Conv1d`` to ``Conv3d``, ``ConvTranspose1d`` to ``ConvTranspose3d``, ``Linear``;
            - ``AvgPool1d`` to ``3d``, ``AdaptiveAvgPool1d`` to ``3d``, ``Upsample`` in all of its modes;
            - ``ZeroPad``, ``ConstantPad``, ``ReflectionPad``, ``ReplicationPad``, ``CircularPad`` (negative: crop);
            - ``Unfold``, ``Fold``, ``PixelShuffle``, ``PixelUnshuffle``, ``ChannelShuffle``, ``Flatten``,
              ``Unflatten``, ``Identity``;
            - in eval mode, ``BatchNorm``, ``InstanceNorm`` (with running statistics) and ``Dropout``.
        in_shape: the shape of its input without the batch: channels and spatial sizes for most.
        layout, index_dtype: as in :func:`conv_matrix`.

    Returns:
        Of shape (output elements, input elements), both in row-major order, on the device of the parameters and of the
        dtype that they promote to; without parameters, on the CPU and of PyTorch's default dtype.

    Raises:
        GeometryError: if the shape does not go with a part, a part is in train mode where that makes it nonlinear, the
            dtype cannot hold a part's entries (averages of integers), or a matrix would not fit in memory.
        TypeError: if a part is not linear. Either names the part by its path in the model.

    >>> matrix(torch.nn.Conv2d(2, 3, kernel_size=3, padding=1), (2, 4, 5)).shape
    torch.Size([60, 40])
    >>> matrix(torch.nn.Sequential(torch.nn.ReplicationPad1d((1, 0)), torch.nn.AvgPool1d(2, stride=1)), (1, 3))
    tensor([[1.0000, 0.0000, 0.0000],
            [0.5000, 0.5000, 0.0000],
            [0.0000, 0.5000, 0.5000]])
    """
    from convmat.matrices.layers import is_convolution
    from convmat.matrices.models import model_matrix

    if not is_convolution(module):
        return model_matrix(module, in_shape, known_layout(layout, index_dtype), index_dtype)
    geometry = layer_geometry(module, in_shape)
    weight: Tensor = module.weight  # type: ignore[assignment]
    return build(geometry, weight, layout, index_dtype)
