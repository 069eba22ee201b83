"""To be run in a fresh process: how much memory it takes from the system for a call of ``torch`` or ``convmat``.

The first call loads code, starts threads and may compile; what it keeps is told apart from the peak of the second.
"""

import ctypes
import json
import re
import sys
from pathlib import Path

import torch
import torch.nn.functional as F

import convmat
from benchmarks.layers import Layer

_STATUS = Path("/proc/self/status")


def main() -> None:
    """Print bytes as JSON."""
    library = {"torch": F, "convmat": convmat}[sys.argv[1]]
    layer, dtype = Layer(**json.loads(sys.argv[2])), getattr(torch, sys.argv[3])
    input, weight = layer.tensors(dtype)
    function = getattr(library, layer.function)
    with torch.inference_mode():
        at_first = _resident("VmRSS")
        output = function(input, weight, **layer.options)
        size = output.nbytes
        del output
        before = _resident("VmRSS")
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # forget the highest so far
        function(input, weight, **layer.options)
        peak = _resident("VmHWM")
    print(json.dumps({"kept": before - at_first, "peak": peak - before - size}))


def _resident(name: str) -> int:
    """Bytes of the process in memory, now (``VmRSS``) or at most (``VmHWM``), freed memory given back before."""
    if name == "VmRSS":
        ctypes.CDLL(None).malloc_trim(0)
    found = re.search(rf"{name}:\s+(\d+) kB", _STATUS.read_text(encoding="ascii"))
    if found is None:
        raise OSError(f"{_STATUS} knows no {name}")
    return int(found[1]) * 1024


if __name__ == "__main__":
    main()
