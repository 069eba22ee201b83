"""One step of a convolution, in either view, and several of them side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from convmat.draw import colors
from convmat.draw.sheet import Grid, Sheet, Stack, grids_of, page
from convmat.draw.steps import (
    Index,
    Step,
    canvas_grids,
    canvas_sums,
    canvases,
    checked_step,
    checked_view,
    input_grids,
    mark_unreached,
    output_grids,
    stamp,
    step_of,
    steps_of,
)
from convmat.draw.subject import Subject, subject_of
from convmat.draw.words import Words, describe, sizes_text
from convmat.geometry import GeometryError, shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_STAMPS = 12
_WIDEST = 4  # stamps side by side


def arithmetic(
    geometry: Any,
    in_shape: Any = None,
    *,
    view: str | None = None,
    at: int | Sequence[int] | None = None,
    so_far: bool = False,
    title: str | None = None,
    ax: Axes | None = None,
    font_size: float | None = None,
    lang: str = "en",
    **arguments: Any,
) -> Figure:
    """Draw one step of a convolution or of a transposed one.

    There are two views of each. ``"gather"``: one output is the sum of the cells under the kernel, each times its tap,
    which stands in the corner of the cell. Of a transposed convolution these are the inputs with zeros inserted and
    padded, and the kernel is flipped. ``"scatter"``: one input goes to all outputs that read it. Of a transposed
    convolution it stamps the kernel on the canvas; the output is a frame on the sum of all stamps.

    Args:
        geometry: a :class:`Geometry` (taps and cells go by their names); a convolution layer with its weight; a weight,
            as in :func:`conv_matrix`; or a matrix. Over 1 or 2 axes.
        in_shape: of a layer, channels and sizes of its input; of a weight, sizes of its input (also ``input_size=``);
            of a matrix, its geometry.
        view: ``"gather"`` or ``"scatter"``. Default: gather of a convolution, scatter of a transposed one
        at: the output that is gathered, or the input that is scattered: its number in row-major order, or its index,
            with or without the channel. Default: one in the middle
        so_far: show only what the steps up to this one have made. Default: ``False``
        title: above the picture. Default: the geometry, in words
        ax: matplotlib's axes to draw on. Default: a new figure
        font_size: of words in cells, in points; cells grow with it, and on small axes words shrink. Default: 10
        lang: ``"en"`` or ``"zh"``. Default: ``"en"``
        arguments: of a weight, those of :func:`conv_matrix` by keyword, and with ``transposed=True`` those of
            :func:`conv_transpose_matrix`; of a geometry, ``weight``; and ``input``, the numbers of the input.

    Returns:
        The figure, which shows itself in a notebook; ``savefig`` writes PNG, SVG or PDF.

    Raises:
        GeometryError: if arguments do not go together, or there is too much to draw.

    >>> import torch
    >>> weight = torch.arange(1, 10).reshape(1, 1, 3, 3)
    >>> figure = arithmetic(weight, (2, 3), transposed=True, stride=2, padding=1, output_padding=1)
    >>> figure.savefig("step.svg")  # doctest: +SKIP
    """
    subject, words = subject_of(geometry, in_shape, **arguments), Words(lang)
    view = checked_view(subject, view)
    at = checked_step(subject, view, at)
    return draw_step(subject, view, at, so_far, words, title, ax, font_size)


def draw_step(
    subject: Subject,
    view: str,
    at: Index,
    so_far: bool,
    words: Words,
    title: str | None = None,
    ax: Axes | None = None,
    font_size: float | None = None,
    alike: Sequence[Step] = (),
) -> Figure:
    """Draw one step; the sheet has room for all the steps ``alike``."""
    step = step_of(subject, view, at, so_far, words)
    sheet = Sheet(grids_of(step.stacks), ax, font_size, words, [grid for s in alike for grid in grids_of(s.stacks)])
    notes = [_about(subject, view, words), *([step.sum] if step.sum else [])]
    return page(step.stacks, _title(title, subject, words), notes, sheet, [other.sum for other in alike])


def _title(title: str | None, subject: Subject, words: Words) -> str:
    return describe(subject.geometry, words, subject.ndim) if title is None else title


def _about(subject: Subject, view: str, words: Words) -> str:
    geometry = subject.geometry
    if view == "gather" and geometry.transposed:
        pads = [axis.zero_insertion_padding() for axis in geometry.axes[2 - subject.ndim :]]
        return words("gather.transposed", padding=sizes_text(pads))
    return words(f"{view}.{'transposed' if geometry.transposed else 'direct'}")


def zero_insertion(
    geometry: Any,
    in_shape: Any = None,
    *,
    at: int | Sequence[int] | None = None,
    title: str | None = None,
    ax: Axes | None = None,
    font_size: float | None = None,
    lang: str = "en",
    **arguments: Any,
) -> Figure:
    """Draw a transposed convolution as an ordinary one: zeros inserted, padded, the kernel flipped.

    Args:
        geometry, in_shape, arguments: as in :func:`arithmetic`. A weight is that of a transposed convolution.
        at: the output that is gathered. Default: one in the middle
        title, ax, font_size, lang: as in :func:`arithmetic`.

    Raises:
        GeometryError: if the convolution is not transposed, or as of :func:`arithmetic`.

    >>> from convmat import Geometry
    >>> figure = zero_insertion(Geometry.conv_transpose((2, 3), (2, 3), stride=2))
    """
    subject, words = transposed_subject(geometry, in_shape, "zero_insertion", arguments), Words(lang)
    view = checked_view(subject, "gather")
    return draw_step(subject, view, checked_step(subject, view, at), False, words, title, ax, font_size)


def transposed_subject(geometry: Any, in_shape: Any, what: str, arguments: dict[str, Any]) -> Subject:
    """The subject of a figure that is about transposed convolutions only."""
    if getattr(geometry, "ndim", 0) > 2 and hasattr(geometry, "dtype"):
        arguments = {"transposed": True, **arguments}
    subject = subject_of(geometry, in_shape, **arguments)
    if not subject.geometry.transposed:
        raise GeometryError(
            f"draw.{what} is about transposed convolutions: need one of them; geometry.transpose() would do, or a "
            "weight with transposed=True"
        )
    return subject


def slide(
    geometry: Any,
    in_shape: Any = None,
    *,
    places: Sequence[int | Sequence[int]] | None = None,
    title: str | None = None,
    ax: Axes | None = None,
    font_size: float | None = None,
    lang: str = "en",
    **arguments: Any,
) -> Figure:
    """Draw some places of the kernel side by side, and the output that each of them makes.

    Args:
        geometry, in_shape, arguments: as in :func:`arithmetic`.
        places: the outputs, by number or index. Default: the first, the second, and the last
        title, ax, font_size, lang: as in :func:`arithmetic`.

    Raises:
        GeometryError: as of :func:`arithmetic`.

    >>> from convmat import Geometry
    >>> figure = slide(Geometry.conv((3, 6), (2, 3)))
    """
    subject, words = subject_of(geometry, in_shape, **arguments), Words(lang)
    view = checked_view(subject, "gather")
    every = steps_of(subject, view)
    chosen = [every[0], every[min(1, len(every) - 1)], every[-1]] if places is None else places
    steps = [step_of(subject, view, checked_step(subject, view, place), False, words) for place in chosen]
    if not steps:
        raise GeometryError("places=() is empty: need at least one output")
    sheet = Sheet([grid for step in steps for grid in grids_of(step.stacks)], ax, font_size, words)
    y = sheet.lines([_title(title, subject, words)], 0.0, 1.05, bold=True)
    x = 0.0
    for step in steps:
        boards, _, _, _, outputs = step.stacks
        width = max(sheet.width(boards), sheet.width(outputs), sheet.width_of(step.sum, 0.9))
        below = sheet.stack(boards, x, y, width)
        sheet.say(x + width / 2, below + 0.8 * sheet.line, "↓", 1.4)
        below = sheet.stack(outputs, x, below + 1.6 * sheet.line, width)
        sheet.say(x + width / 2, below + 0.7 * sheet.line, step.sum, 0.9)
        x += width + 2 * sheet.gap
    return sheet.done()


def frame(
    geometry: Any,
    in_shape: Any = None,
    *,
    title: str | None = None,
    ax: Axes | None = None,
    font_size: float | None = None,
    lang: str = "en",
    **arguments: Any,
) -> Figure:
    """Draw the sum of the stamps of a transposed convolution, uncropped, and the output as a frame on it.

    ``padding`` moves the near edges of the frame in by ``lo``, and the far edges by ``hi``; ``output_padding`` moves
    the far edges out again, beyond the last stamp where it is larger than ``hi``. Cells that no tap reaches are
    hatched. The more stamps meet in a cell, the darker it is. Without numbers, cells say how many that are.

    Args:
        geometry, in_shape, arguments: as in :func:`arithmetic`. A weight is that of a transposed convolution.
        title, ax, font_size, lang: as in :func:`arithmetic`.

    Raises:
        GeometryError: if the convolution is not transposed, or as of :func:`arithmetic`.

    >>> from convmat import Geometry
    >>> figure = frame(Geometry.conv_transpose((2, 3), 3, stride=2, padding=1, output_padding=1))
    """
    subject, words = transposed_subject(geometry, in_shape, "frame", arguments), Words(lang)
    sums = canvas_sums(subject, steps_of(subject, "scatter"))
    counted = subject.weight is None
    grids = canvas_grids(subject, sums, "counts" if counted else "sums")
    mark_unreached(subject, grids)
    most = max(int(sums[1].max()), 1)
    for channel, grid in enumerate(grids):
        for cell in np.ndindex(*grid.texts.shape):
            if sums[1, channel][cell]:
                grid.colors[cell] = colors.tint(colors.BLUE, 0.08 + 0.45 * int(sums[1, channel][cell]) / most)
    grids[0].heading = words("counts" if counted else "canvas")
    stacks: list[Stack] = [input_grids(subject, words), "→", grids]
    if not counted:
        kernels = [Grid(subject.kernel(pair)) for pair in np.ndindex(*subject.geometry.weight_shape[:2])]
        kernels[0].heading = words("kernel")
        stacks[1:1] = ["∗", kernels]
    if subject.geometry.padding_mode != "zeros" and not counted:
        stacks += ["→", output_grids(subject, words)]
    sheet = Sheet(grids_of(stacks), ax, font_size, words)
    return page(stacks, _title(title, subject, words), _crops(subject, words), sheet)


def _crops(subject: Subject, words: Words) -> list[str]:
    """Where the frame lies along each axis, and why."""
    lines = []
    planes = canvases(subject)
    for number in range(2 - subject.ndim, 2):
        axis, plane = subject.geometry.axes[number], planes[number]
        name = words(("rows", "columns")[number]) if subject.ndim == 2 else ""
        mode = axis.padding_mode
        after = plane.stamps.inputs - plane.frame[1]
        key = "overhang" if mode != "zeros" else "crop" if after >= 0 else "beyond"
        values = {"lo": axis.lo, "hi": axis.hi, "slack": axis.slack, "after": after, "beyond": -after, "mode": mode}
        lines.append(words(key, axis=name, **values))
    return lines


def stamps(
    geometry: Any,
    in_shape: Any = None,
    *,
    title: str | None = None,
    ax: Axes | None = None,
    font_size: float | None = None,
    lang: str = "en",
    **arguments: Any,
) -> Figure:
    """Draw the stamp of each input of a transposed convolution by itself, and their sum below.

    Stamps stand as their inputs do; those over one axis below one another, so that what adds up is in a column.

    Args:
        geometry, in_shape, arguments: as in :func:`arithmetic`, with at most 12 inputs. A weight is that of a
            transposed convolution.
        title, ax, font_size, lang: as in :func:`arithmetic`.

    Raises:
        GeometryError: if the convolution is not transposed or has more inputs, or as of :func:`arithmetic`.

    >>> from convmat import Geometry
    >>> figure = stamps(Geometry.conv_transpose((3,), 4, stride=2, padding=1))
    """
    subject, words = transposed_subject(geometry, in_shape, "stamps", arguments), Words(lang)
    every = steps_of(subject, "scatter")
    if len(every) > _MOST_STAMPS:
        raise GeometryError.of(
            "{count} stamps beside their sum are too many: need at most {most} inputs; draw.frame shows "
            "their sum alone (in_shape={in_shape})",
            count=len(every),
            most=_MOST_STAMPS,
            in_shape=shown(subject.geometry.in_shape),
        )
    counted = subject.weight is None
    rows = [_single_stamp(subject, index, number) for number, index in enumerate(every)]
    total = canvas_grids(subject, canvas_sums(subject, every), "counts" if counted else "sums")
    mark_unreached(subject, total)
    total[0].heading = words("counts" if counted else "canvas")
    sheet = Sheet([grid for row in rows for grid in grids_of(row)] + total, ax, font_size, words)
    y = sheet.lines([_title(title, subject, words)], 0.0, 1.05, bold=True)
    in_a_row = subject.geometry.read[-1] if total[0].shape[0] > 1 else 1
    start, x, y = _lay_stamps_out(sheet, rows, in_a_row, y)
    width = max(sheet.width(total), x - start)
    below = sheet.stack(total, start + (x - start - width) / 2, y + 0.6 * sheet.line, width)
    sheet.lines(_crops(subject, words), below + 0.4 * sheet.line, 0.95)
    return sheet.done()


def _lay_stamps_out(sheet: Sheet, stamps: list[list[Stack]], in_a_row: int, y: float) -> tuple[float, float, float]:
    """Draw stamps as their inputs stand, in rows of at most ``_WIDEST``; where their sum goes: left, right, above."""
    lines = -(-in_a_row // _WIDEST)  # for each row of the input, about equally long
    right = 0.0
    for start in range(0, len(stamps), in_a_row):
        for part in np.array_split(range(start, start + in_a_row), lines):
            x, above = 0.0, y + 0.3
            for number in part:
                end, y = sheet.row(stamps[number], x, above)
                x = end + 2 * sheet.gap
                right = max(right, end)
    return (right - sheet.width(stamps[0][-1]) if in_a_row == 1 else 0.0), right, y


def _single_stamp(subject: Subject, index: Index, number: int) -> list[Stack]:
    grids = canvas_grids(subject, canvas_sums(subject, [index]), "sums")
    color = colors.tint(colors.CYCLE[number % len(colors.CYCLE)], 0.45)
    for channel, cell, tap in stamp(subject, index):
        grids[channel].colors[cell] = color
        if subject.weight is None:
            grids[channel].texts[cell] = subject.tap(tap)
    read = Grid(np.full((1, 1), subject.read_text(index), object), np.full((1, 1), color, object))
    return [[read], "→", grids]
