"""The same number of threads for everybody."""

from __future__ import annotations

import os

# Read by OpenMP (PyTorch), MKL, Numba and XLA (JAX) when they start; ONNX Runtime and OpenVINO are told in code.
_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "NPROC")


def fix_threads(threads: int | None) -> int:
    """Let every library use this many threads. To be called before any of them is imported.

    Args:
        threads: how many. ``None``: as many as PyTorch takes by itself.

    Returns:
        How many.
    """
    if threads is not None:
        os.environ.update(dict.fromkeys(_VARIABLES, str(threads)))

    import torch  # after the above, which it reads

    if threads is None:
        threads = torch.get_num_threads()
    os.environ.update(dict.fromkeys(_VARIABLES, str(threads)))
    torch.set_num_threads(threads)
    return threads
