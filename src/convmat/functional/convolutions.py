"""The functions that users call, with PyTorch's signatures and more."""

from __future__ import annotations

from torch import Tensor

from convmat.functional.convolving import convolve, convolve_transposed
from convmat.geometry import Padding, PerAxis


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: PerAxis = 1,
    padding: Padding = 0,
    dilation: PerAxis = 1,
    groups: int = 1,
    *,
    padding_mode: str = "zeros",
    method: str = "auto",
) -> Tensor:
    """2-d convolution: ``C x + bias``, with PyTorch's signature (:func:`torch.nn.functional.conv2d`) and more.

    Args:
        input: of shape (batch, in_channels, height, width), or without the batch.
        weight: of shape (out_channels, in_channels/groups, kernel height, kernel width).
        bias: of shape (out_channels,). Default: ``None``
        stride: one integer, or one per axis. Default: 1
        padding: one integer, one per axis, one ``(lo, hi)`` pair per axis, ``"same"`` or ``"valid"``. ``"same"`` gives
            ``ceil(size / stride)`` outputs, the odd cell of padding at the end. Default: 0
        dilation: one integer, or one per axis. Default: 1
        groups: blocks of channels that do not see each other. Default: 1
        padding_mode: ``"zeros"``, ``"reflect"`` (padding < size), ``"replicate"`` or ``"circular"`` (padding <= size).
            Default: ``"zeros"``
        method: one of :func:`available_methods`. Default: ``"auto"``

    Returns:
        Of shape (batch, out_channels, out height, out width), without the batch where the input has none, with
        ``out = (size + lo + hi - dilation*(kernel-1) - 1) // stride + 1`` along each axis.

    Raises:
        GeometryError: if sizes or arguments do not go together.
        TypeError: if an argument is of the wrong type.

    >>> import torch
    >>> x, weight = torch.arange(20.0).reshape(1, 1, 4, 5), torch.ones(1, 1, 3, 3)
    >>> conv2d(x, weight)
    tensor([[[[ 54.,  63.,  72.],
              [ 99., 108., 117.]]]])
    >>> conv2d(x, weight, stride=2, padding="same", padding_mode="circular", method="sparse").shape
    torch.Size([1, 1, 2, 3])
    """
    return convolve(2, input, weight, bias, stride, padding, dilation, groups, padding_mode, method)


def conv1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: PerAxis = 1,
    padding: Padding = 0,
    dilation: PerAxis = 1,
    groups: int = 1,
    *,
    padding_mode: str = "zeros",
    method: str = "auto",
) -> Tensor:
    """1-d convolution of an input of shape (batch, in_channels, length); all else as in :func:`conv2d`.

    A single ``(lo, hi)`` pair of padding is written ``padding=((lo, hi),)``.

    >>> import torch
    >>> conv1d(torch.tensor([[1.0, 2.0, 3.0, 4.0]]), torch.ones(1, 1, 3), padding=((2, 0),))  # causal
    tensor([[1., 3., 6., 9.]])
    """
    return convolve(1, input, weight, bias, stride, padding, dilation, groups, padding_mode, method)


def conv3d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: PerAxis = 1,
    padding: Padding = 0,
    dilation: PerAxis = 1,
    groups: int = 1,
    *,
    padding_mode: str = "zeros",
    method: str = "auto",
) -> Tensor:
    """3-d convolution of an input of shape (batch, in_channels, depth, height, width); all else as in :func:`conv2d`.

    >>> import torch
    >>> conv3d(torch.ones(1, 4, 5, 6), torch.ones(1, 1, 2, 2, 2), stride=(1, 2, 2)).shape
    torch.Size([1, 3, 2, 3])
    """
    return convolve(3, input, weight, bias, stride, padding, dilation, groups, padding_mode, method)


def conv_transpose2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: PerAxis = 1,
    padding: Padding = 0,
    output_padding: PerAxis = 0,
    groups: int = 1,
    dilation: PerAxis = 1,
    *,
    output_size: PerAxis | None = None,
    padding_mode: str = "zeros",
    method: str = "auto",
) -> Tensor:
    """2-d transposed convolution: ``Cᵀ y + bias``, with PyTorch's signature and more.

    It is the transpose of the convolution from the output's size to the input's, for any padding mode (see
    :func:`torch.nn.functional.conv_transpose2d`, which knows zeros only): ``circular`` is the periodic transposed
    convolution; ``reflect`` and ``replicate`` are the exact adjoints, which do not keep constants constant.

    Args:
        input: of shape (batch, in_channels, height, width), or without the batch.
        weight: of shape (in_channels, out_channels/groups, kernel height, kernel width).
        bias: of shape (out_channels,). Default: ``None``
        stride: one integer, or one per axis. Default: 1
        padding: one integer, one per axis, one ``(lo, hi)`` pair per axis, ``"same"`` or ``"valid"``: what the direct
            convolution pads, so what this one crops. ``"same"`` gives ``size*stride`` outputs. Default: 0
        output_padding: cells appended at the end, ``< max(stride, dilation)``; computed like all others. Default: 0
        groups: blocks of channels that do not see each other. Default: 1
        dilation: one integer, or one per axis. Default: 1
        output_size: the spatial sizes of the output, instead of ``output_padding``. Default: ``None``
        padding_mode: ``"zeros"``, ``"reflect"`` (padding < output size), ``"replicate"`` or ``"circular"``
            (padding <= output size). Default: ``"zeros"``
        method: one of :func:`available_methods`. Default: ``"auto"``

    Returns:
        Of shape (batch, out_channels, out height, out width), without the batch where the input has none, with
        ``out = (size-1)*stride - lo - hi + dilation*(kernel-1) + output_padding + 1`` along each axis.

    Raises:
        GeometryError: if sizes or arguments do not go together.
        TypeError: if an argument is of the wrong type.

    >>> import torch
    >>> y, weight = torch.ones(1, 1, 2, 3), torch.ones(1, 1, 3, 3)
    >>> conv_transpose2d(y, weight, stride=2, padding=1, output_size=(4, 6), method="phases")
    tensor([[[[1., 2., 1., 2., 1., 1.],
              [2., 4., 2., 4., 2., 2.],
              [1., 2., 1., 2., 1., 1.],
              [1., 2., 1., 2., 1., 1.]]]])
    """
    return convolve_transposed(
        2, input, weight, bias, stride, padding, output_padding, groups, dilation, output_size, padding_mode, method
    )


def conv_transpose1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: PerAxis = 1,
    padding: Padding = 0,
    output_padding: PerAxis = 0,
    groups: int = 1,
    dilation: PerAxis = 1,
    *,
    output_size: PerAxis | None = None,
    padding_mode: str = "zeros",
    method: str = "auto",
) -> Tensor:
    """1-d transposed convolution of (batch, in_channels, length); all else as in :func:`conv_transpose2d`.

    >>> import torch
    >>> y, weight = torch.tensor([[1.0, 10.0]]), torch.tensor([[[1.0, 2.0, 3.0]]])
    >>> conv_transpose1d(y, weight, stride=2)
    tensor([[ 1.,  2., 13., 20., 30.]])
    >>> conv_transpose1d(y, weight, stride=2, padding="same", padding_mode="circular")
    tensor([[31.,  2., 13., 20.]])
    """
    return convolve_transposed(
        1, input, weight, bias, stride, padding, output_padding, groups, dilation, output_size, padding_mode, method
    )


def conv_transpose3d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: PerAxis = 1,
    padding: Padding = 0,
    output_padding: PerAxis = 0,
    groups: int = 1,
    dilation: PerAxis = 1,
    *,
    output_size: PerAxis | None = None,
    padding_mode: str = "zeros",
    method: str = "auto",
) -> Tensor:
    """3-d transposed convolution of (batch, in_channels, depth, height, width); else as :func:`conv_transpose2d`.

    >>> import torch
    >>> conv_transpose3d(torch.ones(1, 2, 3, 4), torch.ones(1, 5, 2, 2, 2), stride=2).shape
    torch.Size([5, 4, 6, 8])
    """
    return convolve_transposed(
        3, input, weight, bias, stride, padding, output_padding, groups, dilation, output_size, padding_mode, method
    )
