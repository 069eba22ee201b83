"""Layers of sound over a stream of lengths, each seen for the first time: the time of the whole stream.

Who prepares something for every new length (a compiled program, a plan) pays for it here. The peers have loaded the
model and computed the table's own length before. Lengths differ from round to round.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from functools import partial

import torch
from rich.table import Table
from torch import Tensor

from benchmarks.bench import Bench, Row, checked_peer, measure_each
from benchmarks.layers import Layer
from benchmarks.peers import Peer, Problem, RefusedError
from benchmarks.statistic import summary
from benchmarks.tables import against, heading, new_table, peers_of, speedup, times

_LENGTHS = 50
_MOST_ROUNDS = 3  # a round is long, and just-in-time compilers make it longer


def measure(bench: Bench) -> list[Row]:
    """Time the peers on the transposed layers that have one axis."""
    layers = [layer for layer in bench.layers if layer.transposed and layer.ndim == 1]
    if not layers:
        bench.say("varying: none of these transposed layers has one axis")
    return measure_each(bench, layers, _measure)


def _measure(bench: Bench, layer: Layer) -> Row:
    input, weight = bench.tensors(layer)
    problem = Problem(layer, weight, bench.threads, varying=True)
    ready, refused = {}, {}
    for name in bench.peers:
        try:
            ready[name] = checked_peer(name, problem, input)
        except RefusedError as reason:
            refused[name] = str(reason)
    rounds = _time_streams(bench, layer, ready)
    peers = {name: summary(streams) for name, streams in rounds.items()}
    return {"layer": layer.name, "lengths": _count(bench, layer), "peers": peers, "refused": refused}


@torch.inference_mode()
def _time_streams(bench: Bench, layer: Layer, peers: dict[str, Peer]) -> dict[str, list[list[float]]]:
    """For every peer and round, the seconds of one stream, in a list of its own."""
    order, streams = random.Random(bench.blocks.seed), _streams(bench, layer)
    noise = layer.resized(3 * layer.input_size[0]).tensors(bench.dtype, bench.device)[0]
    rounds: dict[str, list[list[float]]] = {name: [] for name in peers}
    for lengths in streams:
        for name in order.sample(list(peers), len(peers)):
            rounds[name].append([_stream_seconds(bench, peers[name], noise, lengths)])
            time.sleep(bench.blocks.pause)
    return rounds


def _stream_seconds(bench: Bench, peer: Peer, noise: Tensor, lengths: Sequence[int]) -> float:
    total = 0.0
    for length in lengths:
        prepared = peer.prepare(noise[..., :length].contiguous())
        total += bench.clock(partial(peer, prepared))
    return total


def _streams(bench: Bench, layer: Layer) -> list[list[int]]:
    """The lengths of every round, around the table's, no length twice as long as there are enough."""
    (middle,), count = layer.input_size, _count(bench, layer)
    rounds = min(bench.blocks.rounds, _MOST_ROUNDS)
    near = [length for length in range(max(middle // 2, 1), 2 * middle) if length != middle]
    mixed = random.Random(bench.blocks.seed).sample(near, min(len(near), rounds * count))
    return [mixed[start::rounds][:count] for start in range(rounds)]


def _count(bench: Bench, layer: Layer) -> int:
    return min(8 if bench.quick else _LENGTHS, max(layer.input_size[0] // 3, 1))


def tables(rows: Sequence[Row]) -> list[Table]:
    """Times and speedups of whole streams."""
    if not rows:
        return []
    names = [name for name in peers_of(rows) if name != "torch"]
    table = new_table("Varying lengths: how many times as fast as torch", "layer", "lengths", *map(heading, names))
    ratios = {name: against(rows, name) for name in names}
    for row in rows:
        cells = (speedup(ratios[name].get(row["layer"], [])) for name in names)
        table.add_row(row["layer"], str(row["lengths"]), *cells)
    return [times(rows, peers_of(rows), "Varying lengths: milliseconds of the whole stream"), table]
