"""Upsampling is a transposed convolution.

Every pixel puts a copy of the kernel into the output, ``scale`` pixels from that of its neighbour. Dividing by what a
picture of ones would give (Cᵀ1, the weight that reaches each pixel) makes the borders right.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from math import prod

import numpy as np
import torch
from torch import Tensor

from convmat.functional import conv_transpose2d
from convmat.geometry import GeometryError, Sentence, an_int, shown, unknown
from convmat.geometry.resampling import PROFILES
from convmat.tensors.arguments import check_is_tensor
from convmat.tensors.memory import WORTH_ASKING, check_fits


def check_kernel(kernel: str) -> None:
    """Check that a kernel of this name is known."""
    if not isinstance(kernel, str) or kernel not in PROFILES:
        raise unknown("kernel", kernel, PROFILES)


def check_scale(scale: int) -> int:
    """Check that a scale is an integer of at least 2, and return it as a plain one."""
    scale = an_int(scale, "scale")
    if scale < 2:
        raise GeometryError.of("scale={scale} must be at least 2", scale=scale)
    return scale


def upsampling_kernel(scale: int, kernel: str = "bicubic", dtype: torch.dtype = torch.float32) -> tuple[Tensor, int]:
    """The 1-d kernel that upsamples by an integer, and its padding.

    Args:
        scale: output pixels per input pixel, at least 2.
        kernel: ``"nearest"``, ``"bilinear"`` or ``"bicubic"``. Default: ``"bicubic"``
        dtype: of the kernel. Default: ``torch.float32``

    Returns:
        The taps, and what a transposed convolution with ``stride=scale`` has to crop for ``size*scale`` outputs whose
        pixel areas align with those of the input (PyTorch's ``align_corners=False``).

    >>> upsampling_kernel(2, "bilinear")
    (tensor([0.2500, 0.7500, 0.7500, 0.2500]), 1)
    """
    check_kernel(kernel)
    scale = check_scale(scale)
    profile, support = PROFILES[kernel]
    padding = math.ceil((support - 0.5) * scale + 0.5) - 1
    offsets = np.arange(-padding, scale + padding) + 0.5 - scale / 2
    return torch.from_numpy(profile(np.abs(offsets) / scale)).to(dtype), padding


def check_upsampling_fits(
    shape: Sequence[int], scale: int, kernel: str, dtype: torch.dtype, device: torch.device, copies: int = 2
) -> None:
    """Refuse to upsample to what would not fit in memory, before anything is allocated.

    Args:
        shape: of the image, (..., height, width).
        scale, kernel: as in :func:`upsample`.
        dtype, device: of the image.
        copies: how many outputs are held at a time. Default: 2, the sum and its quotient

    Raises:
        GeometryError: if it would not fit, or scale or kernel are unknown.
    """
    check_kernel(kernel)
    scale = check_scale(scale)
    taps = (2 * math.ceil(PROFILES[kernel][1]) + 1) * scale
    height, width = shape[-2] * scale, shape[-1] * scale
    size = (copies * prod(shape) * scale**2 + taps**2) * dtype.itemsize
    if size > WORTH_ASKING:
        what = Sentence("upsampling to {height} x {width} by scale={scale}", height=height, width=width, scale=scale)
        check_fits(what, size, device, "a smaller scale or image")


def upsample(image: Tensor, scale: int, kernel: str = "bicubic", *, method: str = "auto") -> Tensor:
    """Upsample by a transposed convolution, divided by Cᵀ1.

    ``"nearest"`` and ``"bilinear"`` equal :func:`torch.nn.functional.interpolate` everywhere, ``"bicubic"`` equals it
    more than two input pixels from the border, where the two continue the picture differently.

    Args:
        image: of shape (..., height, width), of a floating dtype.
        scale: output pixels per input pixel, an integer of at least 2.
        kernel: ``"nearest"``, ``"bilinear"`` or ``"bicubic"``. Default: ``"bicubic"``
        method: one of :func:`convmat.available_methods`. Default: ``"auto"``

    Returns:
        Of shape (..., height*scale, width*scale).

    Raises:
        GeometryError: if the scale or the kernel is none of these, or the image has fewer than two dimensions.
        TypeError: if the image is no tensor of a floating dtype, or the scale no integer.

    >>> upsample(torch.tensor([[0.0, 4.0]]), 2, "bilinear")
    tensor([[0., 1., 3., 4.],
            [0., 1., 3., 4.]])
    """
    check_is_tensor(image, "image")
    if not image.is_floating_point():
        raise TypeError(f"image is {image.dtype}: need a floating dtype; image.float() would do")
    if image.ndim < 2:
        raise GeometryError(
            f"image of shape {shown(tuple(image.shape))} has {image.ndim} dimensions: need (..., height, width)"
        )
    check_upsampling_fits(image.shape, scale, kernel, image.dtype, image.device)
    taps, padding = upsampling_kernel(scale, kernel, image.dtype)
    weight = torch.outer(taps, taps).to(image.device)[None, None]

    def transposed(pixels: Tensor) -> Tensor:
        return conv_transpose2d(pixels, weight, stride=scale, padding=padding, method=method)

    pixels = image.reshape(-1, 1, *image.shape[-2:])
    summed = transposed(pixels) / transposed(torch.ones_like(pixels[:1]))
    return summed.reshape(*image.shape[:-2], *summed.shape[-2:])
