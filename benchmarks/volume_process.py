"""To be run in a fresh process: iterations over a volume, in memory or on a disk, with what they take from the system.

Memory is that of all processes, beyond what each has after a first small volume: imports, threads, connections.
"""

from __future__ import annotations

import json
import re
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import dask
import dask.array as da
import torch
from torch import Tensor

import convmat

_STATUS, _FORGET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def main() -> None:
    """Print seconds of each iteration, bytes and the residual as JSON."""
    wanted = json.loads(sys.argv[1])
    warnings.simplefilter("ignore")
    folder, psf = Path(wanted["folder"]), make_psf(wanted["psf"])
    data = da.from_zarr(str(folder / "data.zarr"))
    with _workers(wanted["scheduler"], wanted["workers"]) as everywhere:
        _run(
            da.ones((8,) * data.ndim, dtype="float32"), torch.ones((3,) * data.ndim), folder, wanted | {"iterations": 1}
        )
        everywhere(_forget)
        idle = everywhere(_resident)
        seconds, residual = _run(data, psf, folder, wanted)
        peak = everywhere(_highest)
    print(json.dumps({"seconds": seconds, "peak": sum(peak) - sum(idle), "residual": residual}))


def make_psf(sizes: list[int]) -> Tensor:
    """A smooth one, of these sizes."""
    psf = torch.ones(())
    for size in sizes:
        psf = psf[..., None] * torch.hann_window(size + 2, periodic=False)[1:-1]
    return psf / psf.sum()


def _run(data: da.Array, psf: Tensor, folder: Path, wanted: dict[str, Any]) -> tuple[list[float], float]:
    """Seconds of each iteration, and the residual after the last."""
    times = [time.perf_counter()]

    def told(iteration: int, x: Any) -> None:
        times.append(time.perf_counter())

    y: Any = data
    options: dict[str, Any] = {"callback": told}
    if wanted["scheduler"] == "memory":
        y = torch.from_numpy(data.compute())
        times = [time.perf_counter()]
    else:
        options |= {"store": folder / "x.zarr", "memory": wanted["memory"], "overwrite": True}
    if wanted["method"] == "rl":
        found = convmat.richardson_lucy(psf, y, wanted["iterations"], **options)
    else:
        op = convmat.blur_operator(psf, y.shape)
        found = op.solve(y[None], wanted["method"], damp=0.1, maxiter=wanted["iterations"], **options)
    return [after - before for before, after in pairwise(times)], float(found.residual)


@contextmanager
def _workers(scheduler: str, count: int) -> Iterator[Any]:
    """So many workers; gives a function that calls another one in all processes."""
    if scheduler != "processes":
        with dask.config.set(scheduler="threads", num_workers=count):
            yield lambda call: [call()]
        return
    from distributed import Client, LocalCluster

    options = {"n_workers": count, "threads_per_worker": 1, "dashboard_address": None, "silence_logs": 50}
    with LocalCluster(**options) as cluster, Client(cluster) as client:
        yield lambda call: [call(), *client.run(call).values()]


def _forget() -> None:
    _FORGET.write_text("5", encoding="ascii")  # the highest so far


def _resident() -> int:
    return _status("VmRSS")


def _highest() -> int:
    return _status("VmHWM")


def _status(name: str) -> int:
    found = re.search(rf"{name}:\s+(\d+) kB", _STATUS.read_text(encoding="ascii"))
    if found is None:
        raise OSError(f"{_STATUS} knows no {name}")
    return int(found[1]) * 1024


if __name__ == "__main__":
    main()
