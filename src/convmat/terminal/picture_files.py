"""Picture files: reading and writing them as tensors, and upsampling one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from convmat.progress import bar
from convmat.terminal.texts import InputError
from convmat.upsampling import check_upsampling_fits, upsample, upsampling_kernel

# By number of channels; palettes, bits, CMYK and the like are turned into one of these.
_KEPT_MODES = ("L", "LA", "RGB", "RGBA")
_UNBOUNDED = ("I", "F")
_SIXTEEN_BITS = ("I;16", "I;16L", "I;16B")


@dataclass(frozen=True)
class PictureData:
    """A picture, and what of its file is not in it.

    Attributes:
        pixels: of shape (channels, height, width), values 0 to 1; grey, grey and alpha, RGB or RGBA, the right way up.
        bits: of each channel, 8 or 16.
        notes: what was left out.
    """

    pixels: Tensor
    bits: int = 8
    notes: tuple[InputError, ...] = ()


@dataclass(frozen=True)
class Written:
    """A picture that was written: its size in pixels, and what was lost on the way."""

    width: int
    height: int
    notes: tuple[InputError, ...] = ()


def read_picture(path: Path) -> PictureData:
    """Read a picture in any format that Pillow reads.

    Raises:
        InputError: if the file is no picture.
        OSError: if it cannot be read.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as file:
            notes = tuple(_left_out(path, file))
            is_png = file.format == "PNG"
            picture = ImageOps.exif_transpose(file)
            picture.load()
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        if isinstance(error, OSError) and error.filename:  # the file itself: none there, no permission
            raise
        raise InputError("wrong.picture", path=path, error=error) from None
    if picture.mode in _SIXTEEN_BITS or (picture.mode == "I" and is_png):  # as older versions of Pillow call it
        levels = np.asarray(picture).astype(np.float32)
        return PictureData(torch.from_numpy(levels / 65535)[None], 16, notes)
    if picture.mode in _UNBOUNDED:
        raise InputError("wrong.numbers", path=path)
    if "transparency" in picture.info:
        picture = picture.convert("RGBA")
    elif picture.mode not in _KEPT_MODES:
        picture = picture.convert("L" if picture.mode == "1" else "RGB")
    pixels = torch.from_numpy(np.array(picture))
    return PictureData(torch.atleast_3d(pixels).movedim(-1, 0).float() / 255, 8, notes)


def _left_out(path: Path, file: Any) -> Iterator[InputError]:
    """What Pillow reads of a file is its first frame, and 8 bits of colours."""
    frames = getattr(file, "n_frames", 1)
    if frames > 1:
        yield InputError("picture.frames", path=path, frames=frames)
    layouts = [argument for tile in file.tile for argument in _flat(tile[3])]
    if file.mode in _KEPT_MODES and any(isinstance(layout, str) and ";16" in layout for layout in layouts):
        yield InputError("picture.read_8_bits", path=path)


def _flat(arguments: Any) -> tuple[Any, ...]:
    return tuple(arguments) if isinstance(arguments, (tuple, list)) else (arguments,)


def photograph_path() -> Path:
    """Grace Hopper, a photograph in the public domain, as it ships with matplotlib."""
    import matplotlib

    return Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"


def check_writable(path: Path, channels: int) -> None:
    """Check that a picture of so many channels can be written in the format that the ending of a path stands for.

    Raises:
        InputError: if the ending is of no known format, or of one that cannot hold these channels.
    """
    from PIL import Image

    if not path.parent.is_dir():
        raise InputError("wrong.folder", path=path, folder=path.parent)
    format = _format_of(path)
    if format not in Image.SAVE:
        raise InputError("wrong.format", path=path, ending=path.suffix)
    try:
        Image.new(_KEPT_MODES[channels - 1], (1, 1)).save(BytesIO(), format)
    except (OSError, ValueError) as error:
        raise InputError("wrong.channels", path=path, format=format, error=error) from None


def _format_of(path: Path) -> str | None:
    from PIL import Image

    return Image.registered_extensions().get(path.suffix.lower())


def holds_16_bits(path: Path) -> bool:
    """Whether the format that the ending stands for gives a grey value of 16 bits back as it was written."""
    from PIL import Image

    value, file = np.array([[0x1234]], np.uint16), BytesIO()
    try:
        Image.fromarray(value).save(file, _format_of(path))
        with Image.open(file) as picture:
            return bool(np.array_equal(np.asarray(picture), value))
    except (OSError, ValueError, KeyError):
        return False


def write_picture(picture: Tensor, path: Path, bits: int = 8) -> None:
    """Write a picture, rounded to a number of bits per channel.

    Args:
        picture: of shape (channels, height, width) with 1 to 4 channels; values outside 0 to 1 are cut off.
        path: of the file; its ending says the format.
        bits: 8, or 16 for a grey picture in a format that holds them. Default: 8

    Raises:
        InputError: if the ending is of no known format, or of one that cannot hold these channels.
        OSError: if it cannot be written.
    """
    from PIL import Image

    check_writable(path, len(picture))
    levels = (picture.clamp(0, 1) * (2**bits - 1)).round().movedim(0, -1).squeeze(-1).numpy()
    Image.fromarray(levels.astype(np.uint8 if bits == 8 else np.uint16)).save(path)


def upsample_file(
    photo: Path, out: Path, scale: int, kernel: str = "bicubic", *, method: str = "auto", label: str = "upsampling"
) -> Written:
    """Upsample a picture file into another, channel by channel; see :func:`upsample`.

    Args:
        photo: a picture in any format that Pillow reads: grey, RGB or RGBA.
        out: the file to write; its ending says the format.
        scale, kernel, method: as in :func:`upsample`.
        label: of the progress bar.

    Raises:
        GeometryError: if the photo is no picture, ``out`` is the photo itself or cannot hold it, or the scale or the
            kernel will not do.
        OSError: if a file cannot be read or written.
    """
    upsampling_kernel(scale, kernel)  # what is wrong with these should not wait for the picture
    picture = read_picture(photo)
    if out.exists() and out.samefile(photo):
        raise InputError("wrong.same_file", path=out)
    check_writable(out, len(picture.pixels))
    pixels, bits, notes = picture.pixels, picture.bits, picture.notes
    if bits == 16 and not holds_16_bits(out):
        bits, notes = 8, (*notes, InputError("picture.write_8_bits", path=out, format=_format_of(out)))
    # While one channel is upsampled the others are held, and then all of them twice.
    check_upsampling_fits(pixels.shape, scale, kernel, pixels.dtype, pixels.device, copies=3)
    larger = torch.stack([upsample(channel, scale, kernel, method=method) for channel in bar(pixels.unbind(), label)])
    write_picture(larger, out, bits)
    return Written(larger.shape[-1], larger.shape[-2], notes)
