"""The phases of a transposed convolution: which taps feed which of its outputs."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from convmat.draw import colors
from convmat.draw.arithmetic import transposed_subject
from convmat.draw.sheet import Grid, Sheet, Stack, grids_of
from convmat.draw.steps import input_grids, output_grids
from convmat.draw.subject import Subject, number_text
from convmat.draw.words import Words, describe
from convmat.geometry import GeometryError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_PHASES = 36


def phases(
    geometry: Any,
    in_shape: Any = None,
    *,
    title: str | None = None,
    ax: Axes | None = None,
    font_size: float | None = None,
    lang: str = "en",
    **arguments: Any,
) -> Figure:
    """Draw the phases of a transposed convolution, each in a colour and by its number: kernel, parts of it, output.

    Every output is fed by the taps of its phase and by no others. Each phase is a small convolution of its own, and the
    output interleaves them (pixel shuffle). Above each sub-kernel stand the number of its taps and, with a weight,
    their sum: where these differ from phase to phase, a constant input gives a checkerboard. Of several channels,
    kernels are those from the first to the first.

    Args:
        geometry, in_shape, arguments: as in :func:`arithmetic`. A weight is that of a transposed convolution. Padding
            with zeros, and at most 36 phases.
        title, ax, font_size, lang: as in :func:`arithmetic`.

    Raises:
        GeometryError: if the convolution is not transposed or has more phases, or as of :func:`arithmetic`.

    >>> from convmat import Geometry
    >>> figure = phases(Geometry.conv_transpose((2, 3), 3, stride=2))
    """
    subject, words = transposed_subject(geometry, in_shape, "phases", arguments), Words(lang)
    axes = subject.geometry.axes
    count = axes[0].stride * axes[1].stride
    if count > _MOST_PHASES:
        raise GeometryError.of(
            "{count} phases are too many to draw: need at most {most}; a smaller stride would do",
            count=count,
            most=_MOST_PHASES,
        )
    if subject.geometry.padding_mode != "zeros":
        raise GeometryError.of(
            "padding_mode={padding_mode!r} mixes the phases at the borders: phases need 'zeros'",
            padding_mode=subject.geometry.padding_mode,
        )
    kernel = Grid(subject.kernel((0, 0)), heading=words("kernel"))
    subs = _sub_kernels(subject, kernel, words)
    outputs = output_grids(subject, words)
    residues = [axis.residues() for axis in axes]
    for grid in outputs:
        for row, column in np.ndindex(*grid.texts.shape):
            phase = int(residues[0][row]), int(residues[1][column])
            grid.colors[row, column] = _color(*phase, axes[1].stride)
            grid.corners[row, column] = _name(phase, subject.ndim)
    inputs = input_grids(subject, words)
    stacks: list[Stack] = [inputs, "∗", [kernel], "=", outputs]
    sheet = Sheet([*grids_of(stacks), *subs], ax, font_size, words)
    title = describe(subject.geometry, words, subject.ndim) if title is None else title
    y = sheet.lines([title], 0.0, 1.05, bold=True)
    _, y = sheet.row(stacks, 0.0, y + 0.3 * sheet.line)
    y = sheet.lines([words("phases")], y + 0.4 * sheet.line, 0.95) + 0.3 * sheet.line
    for row in range(axes[0].stride):
        _, y = sheet.row([[sub] for sub in subs[row * axes[1].stride :][: axes[1].stride]], 0.0, y)
        y += 0.5 * sheet.line
    return sheet.done()


def _color(row: int, column: int, columns: int) -> str:
    times, number = divmod(row * columns + column, len(colors.CYCLE))
    return colors.tint(colors.CYCLE[number], 0.55 - 0.1 * times)


def _name(phase: tuple[int, int], ndim: int) -> str:
    return ",".join(map(str, phase[2 - ndim :]))


def _sub_kernels(subject: Subject, kernel: Grid, words: Words) -> list[Grid]:
    """The taps of each phase, by rows and columns; they get the phase's colour in the kernel, too."""
    axes, found = subject.geometry.axes, []
    for rows, columns in product(*(axis.phases() for axis in axes)):
        color = _color(rows.residue, columns.residue, axes[1].stride)
        taps = list(product(rows.taps, columns.taps))
        name = _name((rows.residue, columns.residue), subject.ndim)
        for tap in taps:
            kernel.colors[tap], kernel.corners[tap] = color, name
        parts = [words("phase.taps", count=len(taps)) if taps else words("empty")]
        if taps and subject.weight is not None:
            parts.append(words("phase.sum", total=number_text(sum(subject.weight[0, 0][tap].item() for tap in taps))))
        texts = np.full((max(len(rows.taps), 1), max(len(columns.taps), 1)), "0" if not taps else "", object)
        for (r, row), (c, column) in product(enumerate(rows.taps), enumerate(columns.taps)):
            texts[r, c] = kernel.texts[row, column]
        grid = Grid(texts, np.full(texts.shape, color, object))
        grid.heading = words.joined([words("phase", name=name), *parts])
        if not taps:
            grid.hatches[0, 0] = colors.UNREACHED_HATCH
        found.append(grid)
    return found
