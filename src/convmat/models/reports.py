"""What was done to the layers of a model, for terminals and notebooks."""

from __future__ import annotations

import math
import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from html import escape

_COLUMNS = ("layer", "kind", "shape", "done", "method", "why")
_MEASURED = "on the example"
_MOST_INPUTS = 3  # of one layer, that are listed
_WIDTH = 80  # of a terminal
_NAME_WIDTH = 36  # longer names move their line to the right
_NO_BREAK = "\N{NO-BREAK SPACE}"
_LEAST = 22  # characters of a shape to be worth a place beside its layer


@dataclass(frozen=True)
class InputFigures:
    """How long a layer takes for inputs of one shape.

    Attributes:
        shape: of its inputs, with the batch.
        calls: how many there are of them in one run of the model.
        method: what ours computes them by.
        before, after: seconds of one call, by PyTorch's own layer and by ours.

    >>> InputFigures((1, 8, 25), 2, "tiles", before=0.003, after=0.002).gain
    1.5
    """

    shape: tuple[int, ...]
    calls: int
    method: str
    before: float
    after: float

    @property
    def gain(self) -> float:
        """How many times as fast ours is."""
        return self.before / self.after


def gain_of(inputs: Iterable[InputFigures]) -> float:
    """How many times as fast all calls of a layer are together."""
    before, after = total(inputs)
    return before / after


def total(inputs: Iterable[InputFigures]) -> tuple[float, float]:
    """Seconds of all calls of a layer, before and after."""
    inputs = list(inputs)
    return sum(each.calls * each.before for each in inputs), sum(each.calls * each.after for each in inputs)


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
        inputs: what was measured on an example, for each shape of input.
        folded: names of the BatchNorm and of the activation that are folded into it in eval mode, of those that are; it
            is measured with them.

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
    inputs: tuple[InputFigures, ...] = ()
    folded: tuple[str, ...] = ()

    @property
    def gain(self) -> float | None:
        """How many times as fast as PyTorch's own layer ours is on the example; ``None`` where it was not measured."""
        return gain_of(self.inputs) if self.inputs else None


@dataclass(frozen=True)
class ModelReport:
    """What was done to a model, layer by layer: prints as a list of 80 columns, and shows as a table in a notebook.

    Attributes:
        title: the call, as in ``"accelerate(Sequential)"``.
        layers: one :class:`LayerReport` for each layer, in the order of the model.
        nothing: what to say if there is none.
        note: what to say below it.
        before, after: seconds that the model takes for an example, if there was one.

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
    before: float | None = None
    after: float | None = None

    @property
    def gain(self) -> float | None:
        """How many times as fast the model is on the example; ``None`` where it was not measured."""
        return None if self.before is None or self.after is None else self.before / self.after

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
        lines = [*self._summaries(), ""]
        name_width = max((len(name) for name in map(_name, self.layers) if len(name) <= _NAME_WIDTH), default=0)
        kind_width = max(len(layer.kind) for layer in self.layers)
        for outcome in dict.fromkeys(map(_outcome, self.layers)):  # in the order of the model
            lines += textwrap.wrap(outcome, _WIDTH, subsequent_indent="    ")
            for layer in self.layers:
                if _outcome(layer) == outcome:
                    start = f"  {_name(layer):{name_width}}  {layer.kind:{kind_width}}  "
                    lines += [*_wrapped(start, layer.shape), *(f"      {line}" for line in _figures(layer))]
        return "\n".join([*lines, *(("", *_paragraphs(self.note)) if self.note else ())])

    def _repr_html_(self) -> str:
        if not self.layers:
            return f"<p>{escape(self._summary())}</p>"
        return "\n".join(
            [
                "<table>",
                f"<caption>{'<br>'.join(map(escape, self._summaries()))}</caption>",
                f"<thead>{_html_row(self._columns(), 'th')}</thead>",
                "<tbody>",
                *(_html_row(_cells(layer)[: len(self._columns())], "td") for layer in self.layers),
                "</tbody>",
                "</table>",
                *(f"<p>{escape(line)}</p>" for line in self.note.splitlines()),
            ]
        )

    def _names(self, done: str) -> tuple[str, ...]:
        return tuple(layer.name for layer in self.layers if layer.done == done)

    def _columns(self) -> tuple[str, ...]:
        return _COLUMNS if self.gain is None else (*_COLUMNS, _MEASURED)

    def _summaries(self) -> list[str]:
        if self.before is None or self.after is None:
            return [self._summary()]
        return [self._summary(), f"the model {_MEASURED}: {before_and_after(self.before, self.after)}"]

    def _summary(self) -> str:
        counts = Counter(layer.done for layer in self.layers)
        return f"{self.title}: {', '.join(f'{count} {done}' for done, count in counts.items()) or self.nothing}"


def _cells(layer: LayerReport) -> tuple[str, ...]:
    return (
        _name(layer),
        layer.kind,
        layer.shape,
        layer.done,
        layer.method,
        layer.reason,
        "; ".join(_figures(layer)),
    )


def before_and_after(before: float, after: float) -> str:
    """Two times, and how many times as fast the second is.

    >>> before_and_after(0.003, 0.002)
    '3.00 ms -> 2.00 ms, 1.50x'
    """
    return f"{milliseconds(before)} -> {milliseconds(after)}, {before / after:.2f}x"


def milliseconds(seconds: float) -> str:
    """A time with three digits.

    >>> milliseconds(0.01234)
    '12.3 ms'
    """
    digits = max(2 - math.floor(math.log10(max(seconds * 1e3, 1e-3))), 0)
    return f"{seconds * 1e3:.{min(digits, 3)}f} ms"


def _figures(layer: LayerReport) -> list[str]:
    """What was measured of a layer; the inputs that take longest come first."""
    inputs = sorted(layer.inputs, key=lambda each: -each.calls * each.before)
    lines = [f"{' and '.join(layer.folded)} folded in"] if layer.folded else []
    for each in inputs[:_MOST_INPUTS]:
        calls = f", {each.calls} calls" if each.calls > 1 else ""
        what = f"{'x'.join(map(str, each.shape))}{calls}, {each.method}"
        lines.append(f"{what}: {before_and_after(each.before, each.after)}")
    if len(inputs) > 1:
        before, after = total(inputs)
        lines.append(f"all {len(inputs)} shapes: {before_and_after(before, after)}")
    return lines


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
