"""All steps of a convolution, one after the other, as an animated picture."""

from __future__ import annotations

import os
from base64 import b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from convmat.draw.arithmetic import draw_step
from convmat.draw.steps import checked_view, step_of, steps_of
from convmat.draw.subject import Subject, subject_of
from convmat.draw.words import Words
from convmat.geometry import GeometryError, kind_of, shown

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Pixels = npt.NDArray[np.uint8]

_MOST_STEPS = 400
# Of the palette that all frames share.
_COMMONEST, _AVERAGES = 24, 40
_PAUSE = 3  # how many steps long the last one is shown


@dataclass(frozen=True, repr=False)
class Animation:
    """An animated picture, which shows itself in a notebook.

    Attributes:
        gif: the bytes of the GIF.
        frames: how many there are.
        size: width and height in pixels.
    """

    gif: bytes
    frames: int
    size: tuple[int, int]

    def __repr__(self) -> str:
        return f"<Animation of {self.frames} frames, {self.size[0]} x {self.size[1]} pixels, {len(self.gif)} bytes>"

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the GIF."""
        Path(path).write_bytes(self.gif)

    def _repr_html_(self) -> str:
        return f'<img alt="{self.frames} steps" src="data:image/gif;base64,{b64encode(self.gif).decode()}">'


def animate(
    geometry: Any,
    in_shape: Any = None,
    out: str | os.PathLike[str] | None = None,
    *,
    view: str | None = None,
    seconds: float = 0.7,
    dpi: float = 100,
    title: str | None = None,
    font_size: float | None = None,
    lang: str = "en",
    label: str | None = None,
    **arguments: Any,
) -> Animation:
    """Draw every step of a convolution, as :func:`arithmetic` does, and what they have made so far, as an animated GIF.

    On a terminal a progress bar counts the frames.

    Args:
        geometry, in_shape, view, title, font_size, lang, arguments: as in :func:`arithmetic`, with at most 400 steps.
        out: the file to write, .gif. Default: none
        seconds: how long a step is shown; the last one is shown three times as long. Default: 0.7
        dpi: pixels per inch. Default: 100
        label: of the progress bar. Default: that of the language

    Returns:
        The animation, which shows itself in a notebook and has ``save(path)``.

    Raises:
        GeometryError: if there are more steps, the file is no GIF, or as of :func:`arithmetic`.
        TypeError: if ``out`` is no path.
        OSError: if the file cannot be written.

    >>> from convmat import Geometry
    >>> animate(Geometry.conv((3,), 2)).frames
    2
    """
    from convmat.progress import bar

    subject, words = subject_of(geometry, in_shape, **arguments), Words(lang)
    view = checked_view(subject, view)
    steps = steps_of(subject, view)
    if len(steps) > _MOST_STEPS:
        raise GeometryError.of(
            "{count} steps are too many to animate: need at most {most}",
            count=len(steps),
            most=_MOST_STEPS,
        )
    if not isinstance(out, str | os.PathLike | None):
        raise TypeError(f"out={shown(out)} must be a path, not {kind_of(out)}")
    if out is not None and Path(out).suffix.lower() != ".gif":
        raise GeometryError(f"out={shown(str(out))} must end in .gif: animations are written as GIF")
    for name, value, least, largest in (("seconds", seconds, 0.02, 60), ("dpi", dpi, 20, 600)):
        if not isinstance(value, int | float) or not least <= value <= largest:
            raise GeometryError.of(
                "{name}={value} is out of range: need {least} <= {name} <= {largest}",
                name=name,
                value=shown(value),
                least=least,
                largest=largest,
            )
    drawn = (
        _pixels(figure, dpi)
        for figure in _figures(subject, view, words, title, font_size, bar(steps, label or words("busy")))
    )
    animation = _gif(list(drawn), seconds)
    if out is not None:
        animation.save(out)
    return animation


def _figures(
    subject: Subject, view: str, words: Words, title: str | None, font_size: float | None, steps: Iterable[Any]
) -> Iterable[Figure]:
    """A figure for each step, all of one size: with room for the widest numbers of all of them."""
    every = steps_of(subject, view)
    alike = [step_of(subject, view, index, so_far, words) for so_far in (True, False) for index in every[-1:]]
    alike += [step_of(subject, view, index, True, words) for index in every[:: max(len(every) // 20, 1)]]
    for index in steps:
        yield draw_step(subject, view, index, True, words, title, None, font_size, alike)


def _pixels(figure: Figure, dpi: float) -> Pixels:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure.set_dpi(dpi)
    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    pixels: Pixels = np.asarray(canvas.buffer_rgba())[..., :3].copy()
    return pixels


def _gif(frames: Sequence[Pixels], seconds: float) -> Animation:
    """Frames of one size and one palette; what is smaller gets a white border at the right and below."""
    from PIL import Image

    height, width = (max(frame.shape[axis] for frame in frames) for axis in (0, 1))
    sheets = []
    for frame in frames:
        sheet = np.full((height, width, 3), 255, np.uint8)
        sheet[: frame.shape[0], : frame.shape[1]] = frame
        sheets.append(sheet)
    palette = _palette(np.concatenate(sheets[:: max(len(sheets) // 8, 1)]))
    images = []
    for sheet in sheets:
        image = Image.fromarray(_nearest(sheet, palette))
        image.putpalette(palette.astype(np.uint8).tobytes())
        images.append(image)
    file, step = BytesIO(), round(seconds * 1000)
    durations = [step] * (len(images) - 1) + [_PAUSE * step]
    images[0].save(file, "GIF", save_all=True, append_images=images[1:], duration=durations, loop=0, optimize=False)
    return Animation(file.getvalue(), len(images), (width, height))


def _palette(pixels: Pixels) -> npt.NDArray[np.int64]:
    """The commonest colours as they are, of shape (colours, 3), and averages of all others: those of smoothed edges."""
    from PIL import Image

    colors, counts = np.unique(pixels.reshape(-1, 3), axis=0, return_counts=True)
    commonest = colors[np.argsort(counts)[-_COMMONEST:]]
    averages = Image.fromarray(pixels).quantize(_AVERAGES).getpalette() or []
    return np.concatenate([commonest, np.reshape(averages, (-1, 3))]).astype(np.int64)


def _nearest(pixels: Pixels, palette: npt.NDArray[np.int64]) -> Pixels:
    """The number of the nearest colour, exactly; Pillow looks among rounded ones and makes white grey."""
    codes: npt.NDArray[np.int64] = pixels.astype(np.int64) @ np.array([65536, 256, 1])
    found, places = np.unique(codes, return_inverse=True)
    colors = np.stack([found >> 16, found >> 8 & 255, found & 255], axis=-1)
    numbers = ((colors[:, None] - palette[None]) ** 2).sum(-1).argmin(1)
    return numbers.astype(np.uint8)[places].reshape(codes.shape)
