"""Measure what was asked for, print it, write it down."""

from __future__ import annotations

import argparse
import json
import warnings
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from benchmarks import document, machine, roofline
from benchmarks.bench import Bench
from benchmarks.layers import load_layers
from benchmarks.modes import MODES
from benchmarks.peers import METHODS, PEERS
from benchmarks.tables import refusals
from benchmarks.timing import Blocks

_WIDTH = 150  # where the terminal does not say
_ROUNDS = 7


def run(options: argparse.Namespace, threads: int) -> None:
    """Do what the options say."""
    console = Console() if Console().is_terminal else Console(width=_WIDTH)
    if options.read:
        results = json.loads(options.read.read_text(encoding="utf-8"))
    else:
        results = _measure(options, threads, console)
    _print(results, console)
    if options.json:
        _write(results, options.json)
    if options.plot:
        _plot(results, options.plot)
    if options.docs:
        document.write(results)


def _measure(options: argparse.Namespace, threads: int, console: Console) -> dict[str, Any]:
    warnings.filterwarnings("ignore")  # those of the peers' libraries
    bench = _bench(options, threads, console)
    where = machine.describe(threads, options.device)
    console.print(machine.in_one_line(where), highlight=False)
    if {"fixed", "direct"} & {*_modes(options)}:
        rates = roofline.measure(threads, bench.dtype, bench.device, bench.quick)
        bench.roofline.update(rates)
        console.print(roofline.in_one_line(rates), highlight=False)
    return {
        "machine": where,
        "options": {name: str(value) if isinstance(value, Path) else value for name, value in vars(options).items()},
        "roofline": bench.roofline,
        "modes": {mode: MODES[mode].measure(bench) for mode in _modes(options)},
    }


def _modes(options: argparse.Namespace) -> list[str]:
    return list(MODES) if "all" in options.mode else options.mode


def _bench(options: argparse.Namespace, threads: int, console: Console) -> Bench:
    rounds = options.rounds or (2 if options.quick else _ROUNDS)
    seconds = 0.01 if options.quick else Blocks.seconds
    if options.device == "cuda":
        if not torch.cuda.is_available():
            raise SystemExit("PyTorch sees no GPU here")
        torch.backends.cudnn.allow_tf32 = False  # float32 is to mean float32
    return Bench(
        layers=load_layers(options.layers),
        peers=_peers(options),
        threads=threads,
        blocks=Blocks(rounds=rounds, seconds=seconds, pause=options.pause, seed=options.seed),
        dtype=getattr(torch, options.dtype),
        device=options.device,
        quick=options.quick,
        volume=options.volume,
        memory=options.cap,
        parts=tuple(options.parts),
        models=tuple(options.models),
        say=lambda line: console.print(line, style="dim", highlight=False, soft_wrap=True),
    )


def _peers(options: argparse.Namespace) -> list[str]:
    chosen = [*(options.peers or PEERS), *(METHODS if options.methods else ())]
    unknown = [name for name in chosen if name not in (*PEERS, *METHODS)]
    if unknown:
        raise SystemExit(f"no such peer: {', '.join(unknown)}; there are {', '.join((*PEERS, *METHODS))}")
    return list(dict.fromkeys(chosen))


def _print(results: dict[str, Any], console: Console) -> None:
    for mode, rows in results["modes"].items():
        try:
            tables, notes = MODES[mode].tables(rows), refusals(rows)
        except KeyError as missing:  # read from a file that an older version has written
            tables, notes = [], [f"mode {mode} is not shown: its results lack {missing}, as those of older versions do"]
        for table in tables:
            console.print()
            console.print(table)
        for line in notes:
            console.print(line, style="dim", highlight=False, markup=False, soft_wrap=True)


def _write(results: dict[str, Any], path: Path) -> None:
    path.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


def _plot(results: dict[str, Any], path: Path) -> None:
    rows = results["modes"].get("fixed", [])
    if not any({"torch", "convmat"} <= set(row["peers"]) for row in rows):
        raise SystemExit("nothing to plot: that takes mode fixed with the peers torch and convmat")

    from benchmarks.plot import save  # matplotlib is needed here alone

    save(rows, machine.in_one_line(results["machine"]), path)
