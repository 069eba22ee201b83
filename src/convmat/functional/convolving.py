"""From the arguments of a convolution to its geometry, or to what is kept of such a call; then others compute."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from convmat.geometry import Geometry, Padding, PerAxis
from convmat.planning import compiling, run, shortcuts
from convmat.tensors.activations import Activation
from convmat.tensors.arguments import check_bias, check_tensors, conv_geometry, conv_transpose_geometry
from convmat.tensors.watching import is_compiling


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
        if activation is None:
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
        if activation is None and output_size is None:
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


def key_of_conv(ndim: int, input: Tensor, weight: Tensor, bias: Tensor | None, *arguments: Any) -> Any:
    """What a call of :func:`convolve` with these arguments is remembered by; ``None`` if it is not."""
    *others, activation = arguments
    return shortcuts.key_of(input, weight, bias, ("conv", ndim, *others), activation)


def key_of_conv_transpose(ndim: int, input: Tensor, weight: Tensor, bias: Tensor | None, *arguments: Any) -> Any:
    """What a call of :func:`convolve_transposed` with these arguments is remembered by; ``None`` if it is not."""
    *others, activation = arguments
    return shortcuts.key_of(input, weight, bias, ("conv_transpose", ndim, *others), activation)


def computation_of(key: Any) -> Any:
    """What computed the call of a key, a function of input, weight and bias; ``None`` if that was not kept."""
    return None if key is None else shortcuts.find(key)


def format_of_pytorchs(key: Any) -> torch.memory_format | None:
    """The memory format that the output of PyTorch's own function was given, if that computed the call of a key.

    It is ``torch.preserve_format`` where the output was left as it is, and ``None`` where there was more to do.
    """
    return None if key is None else shortcuts.format_of_pytorchs(key)


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
