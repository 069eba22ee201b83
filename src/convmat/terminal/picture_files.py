"""Picture files: reading and writing them as tensors, and upsampling one."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from convmat.geometry import GeometryError
from convmat.terminal.progress import bar
from convmat.upsampling import upsample, upsampling_kernel

# By number of channels; palettes, bits, CMYK and the like are turned into one of these.
_KEPT_MODES = ("L", "LA", "RGB", "RGBA")
_UNBOUNDED = ("I", "F")
_SIXTEEN_BITS = ("I;16", "I;16L", "I;16B")


def read_picture(path: Path) -> Tensor:
    """Read a picture as a float tensor.

    Args:
        path: of a file in any format that Pillow reads; of a moving picture, the first frame.

    Returns:
        Of shape (channels, height, width), values 0 to 1; grey, grey and alpha, RGB or RGBA, the right way up.

    Raises:
        GeometryError: if the file is no picture.
        OSError: if it cannot be read.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as file:
            picture = ImageOps.exif_transpose(file)
            picture.load()
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        if isinstance(error, OSError) and error.filename:  # the file itself: none there, no permission
            raise
        raise GeometryError(f"{path} is no picture that can be read: {error}") from None
    if picture.mode in _SIXTEEN_BITS:
        return torch.from_numpy(np.asarray(picture).astype(np.float32) / 65535)[None]
    if picture.mode in _UNBOUNDED:
        raise GeometryError(f"{path} holds numbers of 32 bits without a known white: need 8 or 16 bits per channel")
    if "transparency" in picture.info:
        picture = picture.convert("RGBA")
    elif picture.mode not in _KEPT_MODES:
        picture = picture.convert("L" if picture.mode == "1" else "RGB")
    pixels = torch.from_numpy(np.array(picture))
    return torch.atleast_3d(pixels).movedim(-1, 0).float() / 255


def photograph_path() -> Path:
    """Grace Hopper, a photograph in the public domain, as it ships with matplotlib."""
    import matplotlib

    return Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"


def check_writable(path: Path, channels: int) -> None:
    """Check that a picture of so many channels can be written in the format that the ending of a path stands for.

    Raises:
        GeometryError: if the ending is of no known format, or of one that cannot hold these channels.
    """
    from PIL import Image

    if not path.parent.is_dir():
        raise GeometryError(f"{path}: there is no folder {path.parent}")
    extensions = Image.registered_extensions()
    format = extensions.get(path.suffix.lower())
    if format not in Image.SAVE:
        raise GeometryError(f"{path}: no picture format is known by the ending {path.suffix!r}; .png would do")
    try:
        Image.new(_KEPT_MODES[channels - 1], (1, 1)).save(BytesIO(), format)
    except (OSError, ValueError) as error:
        raise GeometryError(f"{path}: {format} cannot hold this picture ({error}); .png would do") from None


def write_picture(picture: Tensor, path: Path) -> None:
    """Write a picture, rounded to 8 bits per channel.

    Args:
        picture: of shape (channels, height, width) with 1 to 4 channels; values outside 0 to 1 are cut off.
        path: of the file; its ending says the format.

    Raises:
        GeometryError: if the ending is of no known format, or of one that cannot hold these channels.
        OSError: if it cannot be written.
    """
    from PIL import Image

    check_writable(path, len(picture))
    levels = (picture.clamp(0, 1) * 255).round().to(torch.uint8).movedim(0, -1)
    Image.fromarray(levels.squeeze(-1).numpy()).save(path)


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
