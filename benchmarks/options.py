"""The command line. Imports nothing heavy: the threads are fixed after it."""

from __future__ import annotations

import argparse
from pathlib import Path

MODES = {
    "fixed": "every transposed layer at its own size, every peer (the main table)",
    "direct": "every direct layer at its own size, every peer",
    "varying": "layers of sound over a stream of lengths, each seen for the first time",
    "layouts": "inputs as they lie in memory: slices, permutations, pictures with their channels last",
    "first": "the first call in a fresh process, and what importing costs",
    "overhead": "a tiny layer: microseconds beyond PyTorch's own call",
    "backward": "forward and backward",
    "memory": "peak memory beyond input, weight and output",
    "error": "rounding against float64",
    "models": "whole models, as they are and accelerated",
    "regret": "the time of what auto chooses, divided by that of the best",
    "operators": "applying operators, norms, singular values, spectral norm in training",
    "deconvolution": "Richardson-Lucy against scikit-image",
    "volumes": "volumes on a disk: memory, time beside that in memory, workers",
}


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The options, each under its own name."""
    modes = "; ".join(f"{name}: {what}" for name, what in MODES.items())
    parser = argparse.ArgumentParser("python -m benchmarks", description="Measure convmat and its peers.")
    add = parser.add_argument
    add("--mode", nargs="+", choices=[*MODES, "all"], default=["fixed"], metavar="MODE", help=f"{modes}; all")
    add("--layers", nargs="+", default=["all"], metavar="NAME", help="names, or all, transposed, direct, aside")
    add("--peers", nargs="+", metavar="NAME", help='of whom to measure; "convmat:phases" is one method of convmat')
    add("--methods", action="store_true", help="measure every method of convmat: what did auto miss?")
    add("--threads", type=_positive, help="for every peer; default: as many as PyTorch takes")
    add("--rounds", type=_positive, help="default: 7")
    add("--pause", type=float, default=0.1, help="seconds between peers, until idle threads sleep; default: 0.1")
    add("--seed", type=int, default=0, help="of the order of the peers; default: 0")
    add("--dtype", choices=["float32", "float64"], default="float32")
    add("--device", choices=["cpu", "cuda"], default="cpu")
    add("--volume", type=_sizes, default=(512, 512, 1024), metavar="SIZES", help="volumes: default: 512x512x1024")
    add("--cap", default="256MiB", metavar="SIZE", help="volumes: the memory to keep within; default: 256MiB")
    add("--models", nargs="+", default=[], metavar="NAME", help="models: such as resnet50; default: all")
    add("--parts", nargs="+", choices=["memory", "time"], default=["memory", "time"], help="volumes: default: both")
    add("--json", type=Path, metavar="FILE", help="write everything there")
    add("--plot", type=Path, metavar="FILE", help="draw the main table there (.png, .svg)")
    add("--docs", action="store_true", help="write the figures into the tables of docs/performance.md, both languages")
    add("--read", type=Path, metavar="FILE", help="measure nothing: show or plot what --json wrote")
    add("--quick", action="store_true", help="two rounds of short blocks, small models: to see that it runs")
    return parser.parse_args(arguments)


def _sizes(text: str) -> tuple[int, ...]:
    return tuple(_positive(size) for size in text.split("x"))


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} must be at least 1")
    return number
