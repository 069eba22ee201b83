"""The numbers of a convolution by our kernel, without gradients: what ``tiles`` and its operator share."""

from __future__ import annotations

from functools import partial
from math import prod
from typing import Any

import torch
from torch import Tensor

from convmat.geometry import Geometry
from convmat.kernel import computing
from convmat.methods.common import Computation, activated
from convmat.tensors.activations import Activation
from convmat.tensors.strides import output_format_of

_RUN = 64  # products that are summed at a time
_COPY = 25  # products with one input that take as long as copying a number out of the middle of a weight


def prepare_numbers(
    geometry: Geometry,
    batch: int,
    dtype: torch.dtype,
    *,
    contiguous: bool,
    keep: bool,
    activation: Activation | None = None,
) -> Computation:
    """What computes the numbers alone, without gradients.

    Args:
        geometry: padded with zeros.
        batch: number of inputs.
        dtype: for which the kernel is ready.
        contiguous: whether inputs are.
        keep: whether packed weights are kept for later calls.
        activation: what follows. Default: ``None``
    """
    if is_one_window(geometry) and not computing.is_forked():
        return activated(partial(_multiply, geometry), activation)
    options: dict[str, Any] = {"keep": keep, "activation": activation}
    merged = merge_axes(geometry)
    if merged is geometry or not contiguous:
        return computing.prepare(geometry, batch, dtype, contiguous=contiguous, **options)
    return computing.prepare(merged, batch, dtype, contiguous=True, sizes=geometry.out_shape, **options)


def merge_axes(geometry: Geometry) -> Geometry:
    """The geometry that the kernel computes for contiguous inputs: the same object in every call."""
    if geometry.notes.merged is None:
        geometry.notes.merged = geometry.merged()
    merged: Geometry = geometry.notes.merged
    return merged


def is_one_window(geometry: Geometry) -> bool:
    """Whether the output is the kernel itself, or a part of it, times one number per channel."""
    return (
        geometry.transposed
        and geometry.groups == 1
        and all(axis.outputs == axis.dilation == 1 and axis.lo + axis.inputs <= axis.kernel for axis in geometry.axes)
    )


def _multiply(geometry: Geometry, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """One matrix product, with the weight as it is or with the part of it that the output needs."""
    taps, needed = prod(geometry.kernel_size), prod(geometry.inputs)
    crops_after = len(input) * (taps - needed) < _COPY * needed
    if not crops_after:
        weight = _needed_taps(weight, geometry)
    output = input.new_zeros(len(input), prod(weight.shape[1:]))
    for numbers, rows in zip(input.flatten(1).split(_RUN, 1), weight.flatten(1).split(_RUN), strict=True):
        output.addmm_(numbers, rows)
    output = output.reshape(len(input), *weight.shape[1:])
    if crops_after:
        output = _needed_taps(output, geometry)
    if bias is not None:
        output = output + bias.reshape(-1, *(1,) * geometry.ndim)
    return output.contiguous(memory_format=output_format_of(input))


def _needed_taps(tensor: Tensor, geometry: Geometry) -> Tensor:
    for dim, axis in enumerate(geometry.axes, start=2):
        tensor = tensor.narrow(dim, axis.lo, axis.inputs)
    return tensor
