"""What was done to the layers of a model, for terminals and notebooks."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape

_COLUMNS = ("layer", "kind", "shape", "done", "method", "why")
_WIDTH = 80  # of a terminal
_NAME_WIDTH = 36  # longer names move their line to the right
_NO_BREAK = "\N{NO-BREAK SPACE}"
_LEAST = 22  # characters of a shape to be worth a place beside its layer


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

    >>> LayerReport("up", "ConvTranspose1d", "8 -> 4, kernel 4", "swapped", "auto", "chosen for each input").done
    'swapped'
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
    """What was done to a model, layer by layer: prints as a list of 80 columns, and shows as a table in a notebook.

    Attributes:
        title: the call, as in ``"accelerate(Sequential)"``.
        layers: one :class:`LayerReport` for each layer, in the order of the model.
        nothing: what to say if there is none.
        note: what to say below it.

    >>> layer = LayerReport("up", "ConvTranspose1d", "8 -> 4, kernel 4", "swapped", "phases", "asked by you")
    >>> report = ModelReport("accelerate(Decoder)", (layer,), "nothing to swap")
    >>> report.swapped, len(report)
    (('up',), 1)
    >>> print(report)
    accelerate(Decoder): 1 swapped
    <BLANKLINE>
    swapped, method 'phases': asked by you
      up  ConvTranspose1d  8 -> 4, kernel 4
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
        lines = [self._summary(), ""]
        name_width = max((len(name) for name in map(_name, self.layers) if len(name) <= _NAME_WIDTH), default=0)
        kind_width = max(len(layer.kind) for layer in self.layers)
        for outcome in dict.fromkeys(map(_outcome, self.layers)):  # in the order of the model
            lines += textwrap.wrap(outcome, _WIDTH, subsequent_indent="    ")
            for layer in self.layers:
                if _outcome(layer) == outcome:
                    start = f"  {_name(layer):{name_width}}  {layer.kind:{kind_width}}  "
                    lines += _wrapped(start, layer.shape)
        return "\n".join([*lines, *(("", *_paragraphs(self.note)) if self.note else ())])

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
                *(f"<p>{escape(line)}</p>" for line in self.note.splitlines()),
            ]
        )

    def _names(self, done: str) -> tuple[str, ...]:
        return tuple(layer.name for layer in self.layers if layer.done == done)

    def _summary(self) -> str:
        counts = Counter(layer.done for layer in self.layers)
        return f"{self.title}: {', '.join(f'{count} {done}' for done, count in counts.items()) or self.nothing}"


def _cells(layer: LayerReport) -> tuple[str, ...]:
    return (_name(layer), layer.kind, layer.shape, layer.done, layer.method, layer.reason)


def _name(layer: LayerReport) -> str:
    aliases = f" (also {', '.join(alias or '(the model)' for alias in layer.aliases)})" if layer.aliases else ""
    return (layer.name or "(the model)") + aliases


def _outcome(layer: LayerReport) -> str:
    method = f", method {layer.method!r}" if layer.method else ""
    return f"{layer.done}{method}: {layer.reason}"


def _wrapped(start: str, shape: str) -> list[str]:
    """A start and a shape, which goes on below itself; all of it below the start where that leaves little room."""
    parts = ", ".join(part.replace(" ", _NO_BREAK) for part in shape.split(", "))
    fits = _WIDTH - len(start) >= min(len(shape), _LEAST)
    indent = start if fits else " " * 6
    lines = textwrap.wrap(parts, _WIDTH, initial_indent=indent, subsequent_indent=" " * len(indent))
    above = [] if fits else [start.rstrip()]
    return above + [line.replace(_NO_BREAK, " ") for line in lines]


def _paragraphs(text: str) -> list[str]:
    return [line for paragraph in text.splitlines() for line in textwrap.wrap(paragraph, _WIDTH)]


def _html_row(cells: tuple[str, ...], tag: str) -> str:
    return f"<tr>{''.join(f'<{tag}>{escape(cell)}</{tag}>' for cell in cells)}</tr>"
