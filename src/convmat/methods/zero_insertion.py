"""Transposed convolution by padding and an ordinary convolution.

Insert ``stride - 1`` zeros between the inputs, pad, flip the kernel, swap its channel axes: what remains is a
convolution with stride 1. Transposing that sentence gives the direct one: a convolution with stride 1, of which every
``stride``-th output is kept.
"""

from __future__ import annotations

import torch
from torch import Tensor

from convmat.geometry import Geometry
from convmat.methods.common import convolve, no_bool, no_complex_half, no_small_integers, take_every
from convmat.tensors.im2col import zero_padding
from convmat.tensors.padding import insert_zeros, pad_or_crop, pad_zeros


def direct(input: Tensor, weight: Tensor, geometry: Geometry) -> Tensor:
    """Every stride-th output of a convolution with stride 1."""
    everywhere = convolve(pad_zeros(input, zero_padding(geometry)), weight, geometry.groups, geometry.dilation)
    return take_every(everywhere, geometry.stride, geometry.outputs)


def transposed(input: Tensor, weight: Tensor, geometry: Geometry) -> Tensor:
    """A convolution with stride 1 of the input with zeros between its cells."""
    spread = insert_zeros(input, geometry.stride)
    padded = pad_or_crop(spread, [axis.zero_insertion_padding() for axis in geometry.axes])
    return convolve(padded, flip_and_swap(weight, geometry.groups), geometry.groups, geometry.dilation)


def flip_and_swap(weight: Tensor, groups: int) -> Tensor:
    """Flip the kernel along every axis and swap its two channel axes within each group."""
    flipped = weight.flip(tuple(range(2, weight.ndim)))
    return flipped.unflatten(0, (groups, -1)).transpose(1, 2).flatten(0, 1)


def refuses(geometry: Geometry, dtype: torch.dtype) -> str | None:
    """Why the method cannot take a case, if it cannot."""
    return no_bool(dtype) or no_complex_half(dtype) or no_small_integers(geometry, dtype)
