"""Making an empty figure; matplotlib loads here, when the first picture is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from convmat.draw.colors import WHITE, ink_on
from convmat.geometry import GeometryError, shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from convmat.draw.picture import Picture

SMALLEST_FONT, LARGEST_FONT = 1.0, 200.0
_GAP = 5.0  # points at the edges of each of several panels


def check_matplotlib() -> None:
    """Check that matplotlib is there.

    Raises:
        ModuleNotFoundError: if it is missing, with the command that installs it.
    """
    try:
        import matplotlib.figure  # noqa: F401
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"convmat.draw needs matplotlib ({error}): 'pip install matplotlib' installs it", name=error.name
        ) from None


def new_figure(width: float, height: float, layout: str | None = "constrained") -> Picture:
    """An empty figure that belongs to no window.

    Args:
        width, height: in inches.
        layout: matplotlib's engine that places axes, if any. Default: ``"constrained"``
    """
    from convmat.draw.picture import Picture

    return Picture(figsize=(width, height), layout=layout)


def figure_of(ax: Axes) -> Figure:
    """The figure that axes belong to."""
    figure = ax.get_figure()
    if figure is None:
        raise GeometryError("ax= belongs to no figure any more")
    return figure  # type: ignore[return-value]


def check_ax(ax: Any) -> None:
    """Check that what was given as ``ax`` can be drawn on."""
    if ax is not None and not hasattr(ax, "add_patch"):
        raise TypeError(f"ax={shown(ax)} must be matplotlib's Axes, as figure.add_subplot() gives")


def checked_font(font_size: Any, default: float) -> float:
    """The size of letters in points."""
    if font_size is None:
        return default
    if not isinstance(font_size, int | float) or isinstance(font_size, bool):
        raise TypeError(f"font_size={shown(font_size)} must be a number of points")
    if not SMALLEST_FONT <= font_size <= LARGEST_FONT:
        raise GeometryError.of(
            "font_size={font_size} is out of range: need {least:g} <= font_size <= {most:g}",
            font_size=shown(font_size),
            least=SMALLEST_FONT,
            most=LARGEST_FONT,
        )
    return float(font_size)


def ink_of(ax: Axes) -> str:
    """The ink for words outside of cells: legible on what lies behind the axes."""
    from matplotlib.colors import to_rgba

    color = to_rgba(figure_of(ax).get_facecolor())
    return ink_on(color[:3] if color[3] > 0.5 else WHITE)


def size_in_points(text: str, families: Sequence[str], bold: bool = False) -> tuple[float, float]:
    """The width and the height of a text in letters of one point."""
    from matplotlib.backends.backend_agg import RendererAgg
    from matplotlib.font_manager import FontProperties

    large = 60  # where rounding to pixels does not matter; it makes small letters up to 8 % wider
    renderer = RendererAgg(8, 8, 72)  # type: ignore[no-untyped-call]
    font = FontProperties(family=list(families), size=large, weight="bold" if bold else "normal")
    sizes = [
        renderer.get_text_width_height_descent(line, font, False)[:2]  # type: ignore[no-untyped-call]
        for line in text.split("\n")
    ]
    width, height = max(w for w, _ in sizes), sum(h for _, h in sizes)
    return 1.1 * float(width) / large, float(height) / large


def points_of(ax: Axes) -> tuple[float, float]:
    """The width and the height of axes in points."""
    box, dpi = ax.get_window_extent(), figure_of(ax).dpi
    return box.width * 72 / dpi, box.height * 72 / dpi


def panels(
    ax: Axes | None, count: int, width: float, height: float, title: float = 12.0, beside: float = 0.0
) -> tuple[Figure, list[Axes]]:
    """Axes side by side, each with room for a title, on given ones or in a new figure.

    Args:
        ax: to divide. Default: a new figure
        count: how many.
        width, height: of each in a new figure, in inches, without the room around it.
        title: points that the letters of a title have. Default: 12
        beside: points to leave free at the right of each. Default: 0
    """
    check_ax(ax)
    above = 1.4 * title + 8.0
    if ax is None:
        size = count * (width + (beside + 2 * _GAP) / 72), height + (above + _GAP) / 72
        ax = new_figure(*size, layout=None).add_axes((0.0, 0.0, 1.0, 1.0))
    ax.axis("off")
    room = points_of(ax)
    share, gap = 1 / count, min(_GAP / room[0], 0.03 / count)
    inner = share - 2 * gap - min(beside / room[0], 0.5 * share)
    bottom, top = min(_GAP / room[1], 0.03), min(above / room[1], 0.6)
    places = [ax.inset_axes((number * share + gap, bottom, inner, 1 - bottom - top)) for number in range(count)]
    return figure_of(ax), places


def share_that_fits(ax: Axes, width: float, height: float) -> float:
    """How much smaller, at most as large, something of a size in points has to be to fit axes."""
    room = points_of(ax)
    return min(room[0] / width, room[1] / height, 1.0)
