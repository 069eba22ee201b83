"""The questions, one file each.

``measure(bench)`` gives rows for JSON, and ``tables(rows)`` makes of such rows what is printed.
"""

from __future__ import annotations

from types import ModuleType

from benchmarks.modes import (
    backward,
    deconvolution,
    direct,
    error,
    first,
    fixed,
    layouts,
    memory,
    models,
    operators,
    overhead,
    regret,
    varying,
    volumes,
)

MODES: dict[str, ModuleType] = {
    module.__name__.rpartition(".")[2]: module
    for module in (
        fixed,
        direct,
        varying,
        layouts,
        first,
        overhead,
        backward,
        memory,
        error,
        models,
        regret,
        operators,
        deconvolution,
        volumes,
    )
}
