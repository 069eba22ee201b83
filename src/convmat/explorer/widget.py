"""The page as a notebook widget that Python can read and steer; it needs ``pip install "convmat[notebook]"``."""

from __future__ import annotations

from typing import Any

try:
    import anywidget
    import traitlets
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f"the widget needs anywidget ({error}): 'pip install \"convmat[notebook]\"' installs it", name=error.name
    ) from None

from convmat.explorer.files import read, script, style
from convmat.explorer.states import geometry_of_state, geometry_state
from convmat.geometry import Geometry


class ExplorerWidget(anywidget.AnyWidget):
    """The interactive page as a widget; :meth:`convmat.explorer.page.Page.widget` makes it.

    Each of these is in sync both ways: set it here and the page follows, touch the page and it changes here.

    Attributes:
        geometry: what :class:`convmat.Geometry` says, as a dictionary of PyTorch's arguments. To set what does
            not go together raises a ``GeometryError``.
        weight: the numbers of the weight in row-major order; ``None`` for those that a seed makes.
        selected: what is pinned: ``["fine", channel, row, column]`` (a cell that C reads and Cᵀ writes), ``["coarse",
            channel, row, column]`` (one that C writes), ``["weight", place]``, ``["place", row, column]`` (a cell of
            the canvas) or ``None``.
        state: everything else that the page starts with.
    """

    _esm = script() + read("widget.js")
    _css = style()
    geometry = traitlets.Dict().tag(sync=True)
    weight: Any = traitlets.List(traitlets.Float(), default_value=None, allow_none=True).tag(sync=True)
    selected: Any = traitlets.List(default_value=None, allow_none=True).tag(sync=True)
    state = traitlets.Dict().tag(sync=True)

    def __init__(self, state: dict[str, Any]) -> None:
        start = {name: state[name] for name in ("geometry", "weight") if name in state}
        start.setdefault("geometry", geometry_state(Geometry.conv_transpose((2, 3), 3, 2, 1, output_padding=1)))
        rest = {name: value for name, value in state.items() if name not in ("geometry", "weight", "pin")}
        super().__init__(state=rest, selected=state.get("pin"), **start)

    @traitlets.validate("geometry")
    def _valid_geometry(self, proposal: Any) -> Any:
        geometry_of_state(proposal["value"])
        return proposal["value"]
