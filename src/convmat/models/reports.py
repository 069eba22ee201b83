"""What was done to the layers of a model, as a table for terminals and notebooks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape

_COLUMNS = ("layer", "kind", "shape", "done", "method", "why")


@dataclass(frozen=True)
class LayerReport:
    """What was done to one layer.

    Attributes:
        name: where it is in the model, ``""`` being the model itself.
        kind: its class, as in ``"ConvTranspose2d"``.
        shape: channels, kernel, stride and so on.
        done: ``"swapped"``, ``"method changed"``, ``"unchanged"``, ``"left alone"`` or ``"restored"``.
        method: what it computes with; empty where that is not up to convmat.
        reason: why.
        aliases: where else it is in the model, if it is shared.
    """

    name: str
    kind: str
    shape: str
    done: str
    method: str
    reason: str
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True)
class ModelReport:
    """What was done to a model, layer by layer: prints as a table, and shows as one in a notebook.

    Attributes:
        title: the call, as in ``"accelerate(Sequential)"``.
        layers: one :class:`LayerReport` for each layer, in the order of the model.
        nothing: what to say if there is none.
        note: what to say below the table.
    """

    title: str
    layers: tuple[LayerReport, ...]
    nothing: str
    note: str = ""

    @property
    def swapped(self) -> tuple[str, ...]:
        """Names of the layers that compute with convmat now and did not before."""
        return self._names("swapped")

    @property
    def restored(self) -> tuple[str, ...]:
        """Names of the layers that are PyTorch's own again."""
        return self._names("restored")

    def __len__(self) -> int:
        return len(self.layers)

    def __iter__(self) -> Iterator[LayerReport]:
        return iter(self.layers)

    def __str__(self) -> str:
        if not self.layers:
            return self._summary()
        rows = [_COLUMNS, *map(_cells, self.layers)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        lines.insert(1, "  ".join("-" * width for width in widths))
        return "\n".join([self._summary(), "", *lines, *(("", self.note) if self.note else ())])

    def _repr_html_(self) -> str:
        if not self.layers:
            return f"<p>{escape(self._summary())}</p>"
        return "\n".join(
            [
                "<table>",
                f"<caption>{escape(self._summary())}</caption>",
                f"<thead>{_html_row(_COLUMNS, 'th')}</thead>",
                "<tbody>",
                *(_html_row(_cells(layer), "td") for layer in self.layers),
                "</tbody>",
                "</table>",
                *((f"<p>{escape(self.note)}</p>",) if self.note else ()),
            ]
        )

    def _names(self, done: str) -> tuple[str, ...]:
        return tuple(layer.name for layer in self.layers if layer.done == done)

    def _summary(self) -> str:
        counts = Counter(layer.done for layer in self.layers)
        return f"{self.title}: {', '.join(f'{count} {done}' for done, count in counts.items()) or self.nothing}"


def _cells(layer: LayerReport) -> tuple[str, ...]:
    name = layer.name or "(the model)"
    aliases = f" (also {', '.join(alias or '(the model)' for alias in layer.aliases)})" if layer.aliases else ""
    return (name + aliases, layer.kind, layer.shape, layer.done, layer.method, layer.reason)


def _html_row(cells: tuple[str, ...], tag: str) -> str:
    return f"<tr>{''.join(f'<{tag}>{escape(cell)}</{tag}>' for cell in cells)}</tr>"
