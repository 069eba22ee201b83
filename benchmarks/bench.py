"""What every mode is given, and what all of them do."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias, TypeVar

import torch
from torch import Tensor

from benchmarks.checking import check, exact
from benchmarks.layers import Layer
from benchmarks.peers import Peer, Problem, RefusedError, make_peer
from benchmarks.tables import in_one_line
from benchmarks.timing import CLOCKS, Blocks, Call, Clock

Row: TypeAlias = dict[str, Any]  # what a mode found out about one layer, as JSON takes it
Case = TypeVar("Case")

_LARGEST_MATRIX = 2**28  # bytes of a dense or sparse matrix; beyond, building it anew in each call is hopeless
_LONGEST_CALL = 1.0  # seconds; a method of ours that takes longer cannot be the one that auto has missed


@dataclass(frozen=True)
class Bench:
    """What to measure, and how."""

    layers: list[Layer]
    peers: list[str]
    threads: int
    blocks: Blocks
    dtype: torch.dtype = torch.float32
    device: str = "cpu"
    quick: bool = False
    volume: tuple[int, ...] = (512, 512, 1024)
    memory: str = "256MiB"
    parts: tuple[str, ...] = ("memory", "time")
    models: tuple[str, ...] = ()
    roofline: dict[str, float] = field(default_factory=dict)
    say: Callable[[str], None] = print

    @property
    def clock(self) -> Clock:
        """How calls are timed on the device."""
        return CLOCKS[self.device]

    def tensors(self, layer: Layer) -> tuple[Tensor, Tensor]:
        """An input and a weight."""
        return layer.tensors(self.dtype, self.device)

    def only(self, *names: str) -> list[str]:
        """Those of the peers that a mode is about."""
        return [name for name in self.peers if name in names]


def measure_each(bench: Bench, cases: Iterable[Case], measure: Callable[[Bench, Case], Row]) -> list[Row]:
    """A row for each layer, or whatever a mode measures, told as soon as it is known."""
    rows = []
    for case in cases:
        rows.append(measure(bench, case))
        bench.say(in_one_line(rows[-1]))
    return rows


@dataclass
class Field:
    """The peers that compute a layer rightly, as calls to be timed, and why the others don't."""

    calls: dict[str, Call] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)


def line_up(bench: Bench, layer: Layer, names: Iterable[str]) -> Field:
    """Make peers for a layer and check what they compute."""
    input, weight = bench.tensors(layer)
    expected, problem = exact(layer, input, weight), Problem(layer, weight, bench.threads)
    lined_up = Field()
    for name in names:
        try:
            lined_up.calls[name] = _checked_call(bench, name, problem, input, expected)
        except RefusedError as reason:
            lined_up.refused[name] = str(reason)
    return lined_up


def _checked_call(bench: Bench, name: str, problem: Problem, input: Tensor, expected: Tensor) -> Call:
    _refuse_large_matrices(name, problem)
    peer = make_peer(name, problem)
    check(peer, input, expected)
    with torch.inference_mode():
        call = partial(peer, peer.prepare(input))
        if name.startswith("convmat:") and bench.clock(call) > _LONGEST_CALL:
            raise RefusedError(f"takes more than {_LONGEST_CALL:.0f} s")
    return call


def _refuse_large_matrices(name: str, problem: Problem) -> None:
    geometry = problem.layer.geometry
    rows, columns = geometry.matrix_shape
    size = {
        "convmat:dense": rows * columns * problem.weight.element_size(),
        "convmat:sparse": geometry.most_entries() * 3 * 8,
    }.get(name, 0)
    if size > _LARGEST_MATRIX:
        raise RefusedError(f"its matrix would take {size / 2**30:.1f} GiB")


def checked_peer(name: str, problem: Problem, input: Tensor) -> Peer:
    """A peer that computes a layer rightly.

    Raises:
        RefusedError: if it does not.
    """
    peer = make_peer(name, problem)
    check(peer, input, exact(problem.layer, input, problem.weight))
    return peer
