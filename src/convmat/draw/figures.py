"""Making an empty figure; matplotlib loads here, when the first picture is drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def new_figure(width: float, height: float) -> Figure:
    """An empty figure that belongs to no window.

    Args:
        width, height: in inches.

    Raises:
        ModuleNotFoundError: if matplotlib is missing, with the command that installs it.
    """
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"convmat.draw needs matplotlib ({error}): 'pip install matplotlib' installs it", name=error.name
        ) from None
    return Figure(figsize=(width, height), layout="constrained")
