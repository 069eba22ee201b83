"""What the figures were measured on."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

import convmat

_LIBRARIES = ("torch", "numpy", "numba", "onnxruntime", "openvino", "jax", "transformers", "monai")
_FEATURES = ("sse4_2", "avx", "avx2", "fma", "avx512f", "avx512_bf16", "amx_tile", "neon", "asimd", "sve")


def describe(threads: int, device: str) -> dict[str, Any]:
    """Processor, versions, threads."""
    info = _processor()
    features = set(info.get("flags", info.get("Features", "")).split())
    return {
        "processor": info.get("model name") or platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "simd": [name for name in _FEATURES if name in features] or [torch.backends.cpu.get_cpu_capability()],
        "memory_gib": _memory_gib(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "threads": threads,
        "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
        "versions": {"convmat": convmat.__version__} | {name: _version(name) for name in _LIBRARIES},
    }


def in_one_line(machine: dict[str, Any]) -> str:
    """The machine, for a title."""
    where = machine["processor"] if machine["device"] == "cpu" else machine["device"]
    threads = machine["threads"]
    return f"{where}, {threads} thread{'s' * (threads > 1)}, PyTorch {machine['versions']['torch']}"


def _processor() -> dict[str, str]:
    """What Linux says about the first core; nothing elsewhere."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return {}
    lines = (line.partition(":") for line in text.partition("\n\n")[0].splitlines())
    return {key.strip(): value.strip() for key, _, value in lines}


def _memory_gib() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (AttributeError, ValueError, OSError):
        return None


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
