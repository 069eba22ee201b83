"""Drop-in convolutions, transposed convolutions, unfold and fold.

Each normalises its arguments, builds the geometry and hands over.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor

from convmat.geometry import Geometry, GeometryError, Padding, PerAxis, check_positive, per_axis_ints, shortened, shown
from convmat.planning import compiling, run, shortcuts
from convmat.tensors.activations import Activation
from convmat.tensors.arguments import (
    check_bias,
    check_dtype,
    check_input,
    check_tensors,
    conv_geometry,
    conv_transpose_geometry,
    shape_of,
)
from convmat.tensors.im2col import col2im, im2col
from convmat.tensors.memory import WORTH_ASKING, check_fits
from convmat.tensors.watching import is_compiling


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


def unfold(
    input: Tensor, kernel_size: PerAxis, dilation: PerAxis = 1, padding: Padding = 0, stride: PerAxis = 1
) -> Tensor:
    """The cells under each window, as columns (im2col); :func:`torch.nn.functional.unfold` over 1, 2, 3 or more axes.

    Args:
        input: of shape (batch, channels, *sizes), or without the batch; of any dtype.
        kernel_size: one integer per axis; a single integer means two axes, as in PyTorch.
        dilation: one integer, or one per axis. Default: 1
        padding: zeros around the input, as in :func:`conv2d`. Default: 0
        stride: one integer, or one per axis. Default: 1

    Returns:
        Of shape (batch, channels * taps, windows), without the batch where the input has none. Convolving is a matrix
        product with it.

    Raises:
        GeometryError: if sizes or arguments do not go together.

    >>> import torch
    >>> unfold(torch.ones(2, 5, 3, 4), (2, 3)).shape
    torch.Size([2, 30, 4])
    >>> unfold(torch.tensor([[1, 2, 3, 4]]), (2,))
    tensor([[1, 2, 3],
            [2, 3, 4]])
    """
    ndim = axes_of(kernel_size)
    check_input(input, ndim + 2, f"unfold over {ndim} axes", "(batch, channels, sizes)")
    check_dtype(input, is_summed=False)
    channels, *sizes = input.shape[-1 - ndim :]
    geometry = Geometry.conv(sizes, kernel_size, stride, padding, dilation, in_channels=channels)
    taps, windows, padded = prod(geometry.kernel_size), prod(geometry.outputs), prod(geometry.padded_sizes)
    _check_columns(input, prod(input.shape[: input.ndim - ndim]) * (taps * windows + padded))
    return _with_batch(lambda batch: im2col(batch, geometry), input, ndim + 2)


def fold(
    input: Tensor,
    output_size: PerAxis,
    kernel_size: PerAxis,
    dilation: PerAxis = 1,
    padding: Padding = 0,
    stride: PerAxis = 1,
) -> Tensor:
    """Sum columns back into place (col2im), the transpose of :func:`unfold`; over 1, 2, 3 or more axes.

    Args:
        input: of shape (batch, channels * taps, windows), or without the batch; of any dtype (the sum of bool is "or").
        output_size: one integer per axis; a single integer means two axes, as in PyTorch.
        kernel_size: one integer, or one per axis.
        dilation: one integer, or one per axis. Default: 1
        padding: cells to crop, as :func:`unfold` padded them. Default: 0
        stride: one integer, or one per axis. Default: 1

    Returns:
        Of shape (batch, channels, *output_size), without the batch where the input has none.

    Raises:
        GeometryError: if sizes or arguments do not go together.

    >>> import torch
    >>> fold(torch.tensor([[1, 2, 3], [20, 30, 40]]), (4,), 2)
    tensor([[ 1, 22, 33, 40]])
    """
    sizes = per_axis_ints(output_size, axes_of(output_size), "output_size")
    for size in sizes:
        check_positive(output_size=size)
    check_input(input, 3, "fold", "(batch, channels*taps, windows)")
    check_dtype(input)
    geometry = Geometry.conv(sizes, kernel_size, stride, padding, dilation)
    rows, windows = input.shape[-2:]
    taps, expected = prod(geometry.kernel_size), prod(geometry.outputs)
    if rows % taps:
        raise GeometryError(
            f"input of shape {shape_of(input)} has {rows} rows: need a multiple of prod(kernel_size) = {taps}"
        )
    if windows != expected:
        raise GeometryError(
            f"input of shape {shape_of(input)} has {windows} columns, but a kernel of "
            f"{shown(geometry.kernel_size)} has {shortened(' x '.join(map(str, geometry.outputs)))} = {expected} "
            f"places in output_size={shown(sizes)}"
        )
    _check_columns(input, prod(input.shape[:-2]) * (rows // taps) * (prod(sizes) + prod(geometry.padded_sizes)))
    return _with_batch(lambda batch: col2im(batch, geometry), input, 3)


def _check_columns(input: Tensor, cells: int) -> None:
    """Refuse what unfold and fold would allocate if it does not fit."""
    size = cells * input.element_size()
    if not is_compiling() and size > WORTH_ASKING:
        check_fits(
            f"the output for an input of shape {shape_of(input)}", size, input.device, "a smaller batch or input"
        )


def axes_of(sizes: PerAxis) -> int:
    """How many axes sizes stand for in unfold and fold: a single integer means two, as in PyTorch."""
    return len(sizes) if isinstance(sizes, Sequence) else 2


def convolve(
    ndim: int,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: PerAxis,
    padding: Padding,
    dilation: PerAxis,
    groups: int,
    padding_mode: str,
    method: str,
    activation: Activation | None = None,
) -> Tensor:
    """What :func:`conv2d` computes, over so many axes, and an activation if one follows."""
    if is_compiling():
        stride, dilation, groups = compiling.fixed(stride), compiling.fixed(dilation), compiling.fixed(groups)
    if is_compiling() and activation is None:
        usual = stride, padding, 0, dilation
        traced = compiling.short_way(ndim, False, input, weight, bias, usual, groups, padding_mode, method)
        if traced is not None:
            return traced
    key = key_of_conv(ndim, input, weight, bias, stride, padding, dilation, groups, padding_mode, method, activation)
    if key is not None and (known := shortcuts.find(key)):
        return known(input, weight, bias)
    check_tensors(ndim, input, weight, bias)
    channels, *sizes = input.shape[-1 - ndim :]
    geometry = conv_geometry(weight, sizes, stride, padding, dilation, groups, padding_mode, channels)
    return _compute(geometry, input, weight, bias, method, key, activation)


def key_of_conv(ndim: int, input: Tensor, weight: Tensor, bias: Tensor | None, *arguments: Any) -> Any:
    """What a call of :func:`convolve` with these arguments is remembered by; ``None`` if it is not."""
    *others, activation = arguments
    return shortcuts.key_of(input, weight, bias, ("conv", ndim, *others), activation)


def key_of_conv_transpose(ndim: int, input: Tensor, weight: Tensor, bias: Tensor | None, *arguments: Any) -> Any:
    """What a call of :func:`convolve_transposed` with these arguments is remembered by; ``None`` if it is not."""
    *others, activation = arguments
    return shortcuts.key_of(input, weight, bias, ("conv_transpose", ndim, *others), activation)


def format_of_pytorchs(key: Any) -> torch.memory_format | None:
    """The memory format that the output of PyTorch's own function was given, if that computed the call of a key.

    It is ``torch.preserve_format`` where the output was left as it is, and ``None`` where there was more to do.
    """
    return None if key is None else shortcuts.format_of_pytorchs(key)


def convolve_transposed(
    ndim: int,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: PerAxis,
    padding: Padding,
    output_padding: PerAxis,
    groups: int,
    dilation: PerAxis,
    output_size: PerAxis | None,
    padding_mode: str,
    method: str,
    activation: Activation | None = None,
) -> Tensor:
    """What :func:`conv_transpose2d` computes, over so many axes, and an activation if one follows."""
    if is_compiling():
        stride, dilation, groups = compiling.fixed(stride), compiling.fixed(dilation), compiling.fixed(groups)
    if is_compiling() and activation is None and output_size is None:
        usual = stride, padding, output_padding, dilation
        traced = compiling.short_way(ndim, True, input, weight, bias, usual, groups, padding_mode, method)
        if traced is not None:
            return traced
    arguments = stride, padding, output_padding, groups, dilation, output_size, padding_mode, method, activation
    key = key_of_conv_transpose(ndim, input, weight, bias, *arguments)
    if key is not None and (known := shortcuts.find(key)):
        return known(input, weight, bias)
    check_tensors(ndim, input, weight, bias)
    channels, *sizes = input.shape[-1 - ndim :]
    geometry = conv_transpose_geometry(
        weight, sizes, stride, padding, output_padding, groups, dilation, output_size, padding_mode, channels
    )
    return _compute(geometry, input, weight, bias, method, key, activation)


def _compute(
    geometry: Geometry,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    method: str,
    key: Any,
    activation: Activation | None,
) -> Tensor:
    check_bias(bias, geometry.out_channels)
    return run(geometry, input, weight, bias, method, key, activation)


def _with_batch(compute: Callable[[Tensor], Tensor], input: Tensor, batched_ndim: int) -> Tensor:
    """Compute on a batch, of one where the input has none."""
    return compute(input) if input.ndim == batched_ndim else compute(input.unsqueeze(0)).squeeze(0)
