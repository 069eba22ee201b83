"""Print the bytes of a CSR matrix and of the highest mark of this process' memory above what it held before."""

import json
import sys
from pathlib import Path

import torch

import convmat


def memory(name: str) -> int:
    """``VmRSS``, what the process holds, or ``VmHWM``, the most it has held."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


def measure(index_dtype: torch.dtype) -> dict[str, int]:
    layer = torch.nn.Conv2d(16, 32, 3, padding=1)

    def build(size):
        return convmat.matrix(layer, (16, size, size), layout=torch.sparse_csr, index_dtype=index_dtype)

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
    print(json.dumps(measure(getattr(torch, sys.argv[1]))))
