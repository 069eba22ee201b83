"""Volumes on a disk: the memory that they take, the time of an iteration beside that in memory, and what workers gain.

The PSF has 31 x 15 x 15 voxels. Of each run the first iteration is left out, in which spectra and programs are made.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from benchmarks.bench import Bench, Row
from benchmarks.tables import new_table

_PSF = [31, 15, 15]
_METHODS = ("rl", "lsmr")
_FITS = (256, 256, 256)  # a volume that fits in memory
_ROUNDS = 3


def measure(bench: Bench) -> list[Row]:
    """Memory at the size that was asked for; times on a volume that fits in memory."""
    psf = [5, 3, 3] if bench.quick else _PSF
    large = (20, 20, 24) if bench.quick else bench.volume
    fits = (24, 20, 20) if bench.quick else _FITS
    few = 2 if bench.quick else 5
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        if "memory" in bench.parts:
            _write(large, Path(folder))
            for method in _METHODS:
                run = _Run(folder, psf, method, 2 if bench.quick else 10, bench.memory, "threads", 2)
                rows.append(_row(bench, f"memory: {method}, {_joined(large)}, cap {bench.memory}", [run.result()]))
        if "time" in bench.parts:
            _write(fits, Path(folder))
            for method in _METHODS:
                runs: dict[str, list[dict[str, Any]]] = {}
                for _ in range(
                    1 if bench.quick else min(bench.blocks.rounds, _ROUNDS)
                ):  # one after the other, so that all see the same machine
                    for scheduler, workers in (
                        ("memory", 2),
                        ("threads", 2),
                        ("threads", 1),
                        ("processes", 2),
                        ("processes", 1),
                    ):
                        run = _Run(folder, psf, method, few, "2GiB", scheduler, workers)
                        runs.setdefault(f"{scheduler} {workers}", []).append(run.result())
                for name, results in runs.items():
                    rows.append(_row(bench, f"time: {method}, {_joined(fits)}, {name}", results))
    return rows


class _Run:
    """Iterations in a fresh process."""

    def __init__(
        self, folder: str, psf: list[int], method: str, iterations: int, memory: str, scheduler: str, workers: int
    ) -> None:
        self.wanted = {
            "folder": folder,
            "psf": psf,
            "method": method,
            "iterations": iterations,
            "memory": memory,
            "scheduler": scheduler,
            "workers": workers,
        }

    def result(self) -> dict[str, Any]:
        """What the process says."""
        command = [sys.executable, "-m", "benchmarks.volume_process", json.dumps(self.wanted)]
        found: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        return found


def _write(sizes: Sequence[int], folder: Path) -> None:
    """Poisson counts of a smooth scene, chunk by chunk."""
    import dask
    import dask.array as da

    random = da.random.default_rng(0)
    with dask.config.set(scheduler="threads", num_workers=2):
        counts = random.poisson(50, size=tuple(sizes), chunks=64).astype("float32")
        da.to_zarr(counts, str(folder / "data.zarr"), overwrite=True)


def _row(bench: Bench, name: str, results: list[dict[str, Any]]) -> Row:
    per_iteration = [float(np.median(result["seconds"][1:])) for result in results]
    row: Row = {
        "layer": name,
        "peers": {},
        "refused": {},
        "seconds": per_iteration,
        "peak": max(result["peak"] for result in results),
        "residual": results[0]["residual"],
    }
    bench.say(f"{name}: {np.median(per_iteration):.2f} s, {row['peak'] / 2**20:.0f} MiB")
    return row


def _joined(sizes: Sequence[int]) -> str:
    return "x".join(map(str, sizes))


def tables(rows: Sequence[Row]) -> list[Table]:
    """Seconds and memory; times beside those in memory, and of two workers beside one, round by round."""
    table = new_table("Volumes", "run", "s per iteration", "peak MiB", "of memory's time", "two workers' gain")
    seconds = {row["layer"]: np.array(row["seconds"]) for row in rows}
    for row in rows:
        name, own = row["layer"], seconds[row["layer"]]
        start, _, workers = name.rpartition(" ")
        memory = seconds.get(f"{start.rpartition(', ')[0]}, memory 2")
        one = seconds.get(f"{start} 1") if workers == "2" else None
        table.add_row(
            name,
            f"{np.median(own):.2f}",
            f"{row['peak'] / 2**20:.0f}",
            f"{np.median(own / memory):.2f}" if memory is not None else "",
            f"{np.median(one / own):.2f}" if one is not None else "",
        )
    return [table]
