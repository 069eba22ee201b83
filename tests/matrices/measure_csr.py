"""Print the bytes of a CSR matrix and of the highest mark of a process' memory above what it held before.

For each type of indices, in a process that is forked from this one, which has imported what they need.
"""

import json
import multiprocessing
import sys
from pathlib import Path

import torch

import convmat


def memory(name: str) -> int:
    """``VmRSS``, what the process holds, or ``VmHWM``, the most it has held."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


def measure(index_dtype: str) -> dict[str, int]:
    layer = torch.nn.Conv2d(16, 32, 3, padding=1)

    def build(size):
        return convmat.matrix(layer, (16, size, size), layout=torch.sparse_csr, index_dtype=getattr(torch, index_dtype))

    build(6)
    before = memory("VmRSS")
    matrix = build(64)
    parts = matrix.crow_indices(), matrix.col_indices(), matrix.values()
    return {
        "peak": memory("VmHWM") - before,
        "result": sum(part.numel() * part.element_size() for part in parts),
        "entries": matrix.values().numel(),
    }


if __name__ == "__main__":
    torch.set_num_threads(1)
    with multiprocessing.get_context("fork").Pool(1, maxtasksperchild=1) as pool:
        print(json.dumps({name: pool.apply(measure, (name,)) for name in sys.argv[1:]}))
