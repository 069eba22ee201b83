"""The main table as a picture: how many times as fast as PyTorch, layer by layer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from benchmarks.statistic import geometric_mean
from benchmarks.tables import against, median

_BAR = "#8fb8de"
_SLOWER = "#f0c3b8"
# Marker and colour of each peer: told apart without colour too.
_DOTS = {
    "onnxruntime": ("ONNX Runtime", "o", "#e07b39"),
    "openvino": ("OpenVINO", "s", "#7a4fa3"),
    "jax": ("JAX", "^", "#3b8f5a"),
    "torch-compile": ("torch.compile", "D", "#b33a3a"),
    "torch-channels-last": ("PyTorch, channels last", "v", "#777777"),
    "convmat-channels-last": ("convmat, channels last", "*", "#1d3f66"),
}
_TICKS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500)


def draw(rows: Sequence[dict[str, Any]], title: str) -> Figure:
    """A bar for convmat and a dot for every peer, the fastest layer on top.

    Args:
        rows: of the main table.
        title: what it was measured on.
    """
    ours = _speedups(rows, "convmat")
    layers = sorted(ours, key=lambda layer: ours[layer])
    figure = Figure(figsize=(8, 1.9 + 0.24 * len(layers)), dpi=150, facecolor="white", layout="constrained")
    axes = figure.subplots()
    _bars(axes, layers, [ours[layer] for layer in layers])
    for peer in _DOTS:
        _dots(axes, peer, _speedups(rows, peer), layers)
    _decorate(axes, len(layers))
    mean = geometric_mean(list(ours.values()))
    axes.set_title(f"convmat (bars): {mean:.2f} times as fast as PyTorch, geometric mean\n{title}", fontsize=9)
    if axes.get_legend_handles_labels()[0]:
        figure.legend(fontsize=8, ncols=3, loc="outside lower center", frameon=False)
    return figure


def save(rows: Sequence[dict[str, Any]], title: str, path: Path) -> None:
    """Draw into a file."""
    draw(rows, title).savefig(path)


def _speedups(rows: Sequence[dict[str, Any]], peer: str) -> dict[str, float]:
    return {layer: median(values) for layer, values in against(rows, peer).items()}


def _bars(axes: Axes, layers: Sequence[str], lengths: Sequence[float]) -> None:
    """From one times, to the right or to the left, with the figure at the margin."""
    colours = [_BAR if length >= 1 else _SLOWER for length in lengths]
    axes.barh(layers, [length - 1 for length in lengths], left=1, height=0.66, color=colours, zorder=2)
    for place, length in enumerate(lengths):
        axes.text(1.01, place, f"{length:.2f}", transform=axes.get_yaxis_transform(), va="center", fontsize=8)


def _dots(axes: Axes, peer: str, found: dict[str, float], layers: Sequence[str]) -> None:
    label, marker, colour = _DOTS[peer]
    places = [place for place, layer in enumerate(layers) if layer in found]
    if places:
        values = [found[layers[place]] for place in places]
        size = 60 if marker == "*" else 20
        axes.scatter(values, places, s=size, marker=marker, c=colour, label=label, zorder=3, linewidths=0)


def _decorate(axes: Axes, count: int) -> None:
    axes.set_xscale("log")
    lowest, highest = axes.get_xlim()
    axes.set_xticks([tick for tick in _TICKS if lowest <= tick <= highest])
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}×"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_ylim(-0.6, count - 0.4)
    axes.set_xlabel("how many times as fast as PyTorch (contiguous)", fontsize=9)
    axes.tick_params(labelsize=8, length=0)
    axes.axvline(1, color="#333333", linewidth=1, zorder=4)
    axes.grid(axis="x", color="#e5e5e5", zorder=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
