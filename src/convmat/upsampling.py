"""Upsampling is a transposed convolution.

Every pixel puts a copy of the kernel into the output, ``scale`` pixels from that of its neighbour. Dividing by what a
picture of ones would give (Cᵀ1, the weight that reaches each pixel) makes the borders right.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from convmat.functional import conv_transpose2d
from convmat.geometry import GeometryError, an_int


def _box(distance: Tensor) -> Tensor:
    return (distance < 0.5).to(distance.dtype)


def _triangle(distance: Tensor) -> Tensor:
    return (1 - distance).clamp(min=0)


def _cubic(distance: Tensor, a: float = -0.75) -> Tensor:
    """Keys (1981), "Cubic convolution interpolation for digital image processing", eq. 15; a as in PyTorch."""
    near = ((a + 2) * distance - (a + 3)) * distance**2 + 1
    far = ((distance - 5) * distance + 8) * a * distance - 4 * a
    return torch.where(distance <= 1, near, torch.where(distance < 2, far, torch.zeros_like(distance)))


# name: (weight at a distance in input pixels, distance from which on it is zero)
PROFILES: dict[str, tuple[Callable[[Tensor], Tensor], float]] = {
    "nearest": (_box, 0.5),
    "bilinear": (_triangle, 1.0),
    "bicubic": (_cubic, 2.0),
}


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
    if kernel not in PROFILES:
        raise GeometryError(f"kernel={kernel!r} is unknown: need one of {', '.join(map(repr, PROFILES))}")
    scale = an_int(scale, "scale")
    if scale < 2:
        raise GeometryError(f"scale={scale} must be at least 2")
    profile, support = PROFILES[kernel]
    padding = math.ceil((support - 0.5) * scale + 0.5) - 1
    offsets = torch.arange(-padding, scale + padding, dtype=torch.float64) + 0.5 - scale / 2
    return profile(offsets.abs() / scale).to(dtype), padding


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
    if not isinstance(image, Tensor):
        raise TypeError(f"image must be a torch.Tensor, not {type(image).__name__}")
    if not image.is_floating_point():
        raise TypeError(f"image is {image.dtype}: need a floating dtype; image.float() would do")
    if image.ndim < 2:
        raise GeometryError(
            f"image of shape {tuple(image.shape)} has {image.ndim} dimensions: need (..., height, width)"
        )
    taps, padding = upsampling_kernel(scale, kernel, image.dtype)
    weight = torch.outer(taps, taps).to(image.device)[None, None]

    def transposed(pixels: Tensor) -> Tensor:
        return conv_transpose2d(pixels, weight, stride=scale, padding=padding, method=method)

    pixels = image.reshape(-1, 1, *image.shape[-2:])
    summed = transposed(pixels) / transposed(torch.ones_like(pixels[:1]))
    return summed.reshape(*image.shape[:-2], *summed.shape[-2:])


def upsample_file(
    photo: Path, out: Path, scale: int, kernel: str = "bicubic", *, method: str = "auto"
) -> tuple[int, int]:
    """Upsample a picture file into another, channel by channel; see :func:`upsample`.

    Args:
        photo: a picture in any format that Pillow reads: grey, RGB or RGBA.
        out: the file to write; its ending says the format.
        scale, kernel, method: as in :func:`upsample`.

    Returns:
        Height and width of what was written.

    Raises:
        GeometryError: if the photo is no picture, ``out`` is the photo itself or cannot hold it, or the scale or the
            kernel will not do.
        OSError: if a file cannot be read or written.
    """
    from convmat.picture_files import check_writable, read_picture, write_picture
    from convmat.progress import bar

    upsampling_kernel(scale, kernel)  # what is wrong with these should not wait for the picture
    picture = read_picture(photo)
    if out.exists() and out.samefile(photo):
        raise GeometryError(f"{out} is the picture to read: write to another file")
    check_writable(out, len(picture))
    larger = torch.stack(
        [upsample(channel, scale, kernel, method=method) for channel in bar(picture.unbind(), "upsampling")]
    )
    write_picture(larger, out)
    return larger.shape[-2], larger.shape[-1]
