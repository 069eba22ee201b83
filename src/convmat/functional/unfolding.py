"""Unfold and fold: PyTorch's, over any number of axes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod

from torch import Tensor

from convmat.geometry import Geometry, GeometryError, Padding, PerAxis, check_positive, per_axis_ints, shortened, shown
from convmat.tensors.arguments import check_dtype, check_input, shape_of
from convmat.tensors.im2col import col2im, im2col
from convmat.tensors.memory import WORTH_ASKING, check_fits
from convmat.tensors.watching import is_compiling


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


def _with_batch(compute: Callable[[Tensor], Tensor], input: Tensor, batched_ndim: int) -> Tensor:
    """Compute on a batch, of one where the input has none."""
    return compute(input) if input.ndim == batched_ndim else compute(input.unsqueeze(0)).squeeze(0)
