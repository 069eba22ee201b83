"""A picture upsampled by transposed convolutions with several kernels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from convmat.draw.figures import checked_font, ink_of, panels
from convmat.draw.words import Words
from convmat.geometry import GeometryError, shown
from convmat.tensors.arguments import check_is_tensor
from convmat.upsampling import check_kernel, upsample

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_FONT = 10.0
_HEIGHT = 3.4  # inches


def upsampling(
    image: Tensor,
    scale: int = 4,
    *,
    kernels: Sequence[str] = ("nearest", "bilinear", "bicubic"),
    ax: Axes | None = None,
    font_size: float | None = None,
    lang: str = "en",
) -> Figure:
    """Draw an image, and beside it what :func:`upsample` makes of it with several kernels, pixel by pixel.

    Args:
        image: of shape (height, width), grey, or (3, height, width), red, green and blue; values 0 to 1.
        scale: output pixels per input pixel. Default: 4
        kernels: as of :func:`upsample`. Default: all three
        ax: matplotlib's axes to draw on. Default: a new figure
        font_size: of the words above, in points. Default: 10
        lang: ``"en"`` or ``"zh"``. Default: ``"en"``

    Raises:
        GeometryError: if the image, the scale or a kernel will not do.

    >>> figure = upsampling(torch.eye(6), 4)
    """
    words, font = Words(lang), checked_font(font_size, _FONT)
    check_is_tensor(image, "image")
    if image.ndim not in (2, 3) or (image.ndim == 3 and len(image) not in (1, 3)):
        raise GeometryError(f"image of shape {shown(tuple(image.shape))}: need (height, width) or (3, height, width)")
    if image.is_meta:
        raise GeometryError("image is on the device meta, and has no numbers to draw")
    image = image.detach().cpu()
    height, width = image.shape[-2:]
    for kernel in kernels:
        check_kernel(kernel)
    larger = {kernel: upsample(image, scale, kernel) for kernel in kernels}
    pictures = [(words("small", width=width, height=height), image)]
    pictures += [(words(kernel), picture) for kernel, picture in larger.items()]
    figure, places = panels(ax, len(pictures), _HEIGHT * width / height, _HEIGHT, font)
    for (title, picture), place in zip(pictures, places, strict=True):
        place.axis("off")
        place.set_title(title, fontfamily=words.families, fontsize=font, color=ink_of(place))
        pixels = picture.clamp(0, 1).to(torch.float32)
        pixels = pixels.movedim(0, -1).squeeze(-1) if pixels.ndim == 3 else pixels
        place.imshow(pixels.numpy(), cmap="gray", vmin=0, vmax=1, interpolation="none")
    return figure
