"""Every cache there is, and giving all of them back.

A cache is anything that is kept from call to call and may grow: the table names each of them by where it is, with its
bound. Facts about the machine, such as whether its processor has AVX-512, are no caches.
"""

from __future__ import annotations

import sys
from operator import attrgetter

# Where it is (its module, then the name in it), what lets go of it, and what it holds at most.
CACHES = {
    "convmat.geometry.notes:_all": ("forget", "per geometry that is alive: 32 plans, 32 schedules of 16 tasks each"),
    "convmat.tensors.arguments:_build": ("_build.cache_clear", "256 geometries, by the arguments of a layer"),
    "convmat.planning.choosing:_plans": ("_plans.clear", "2048 choices of a method, by all that they depend on"),
    "convmat.planning.shortcuts:_known": ("forget", "512 decisions, by all that they depend on"),
    "convmat.nn.passing:_known": ("forget", "per layer that is alive: 64 kinds of input"),
    "convmat.nn.passing:_learnt": ("forget", "per layer that is alive: 64 computations"),
    "convmat.operators.boxes:_spectra": (
        "_spectra.clear",
        "2 spectra of a kernel, of the size of a block and its halo",
    ),
    "convmat.kernel.weights:_kept": ("forget", "256 MB of packed weights, and 256 digests"),
    "convmat.kernel.weights:_digest_task": ("_digest_task.cache_clear", "tasks to digest weights of 256 sizes"),
    "convmat.kernel.pages:_used": ("forget", "256 MB of outputs of 32 MB and more"),
    "convmat.kernel.pages:_scratch": ("forget", "memory to work in, of one call, for each thread of Python"),
    "convmat.kernel.tiling.phases:_direct_phases": ("_direct_phases.cache_clear", "phases of 1024 axes of C"),
    "convmat.kernel.tiling.phases:_transposed_phases": ("_transposed_phases.cache_clear", "phases of 1024 axes of Cᵀ"),
    "convmat.kernel.tiling.phases:phase_classes": ("phase_classes.cache_clear", "classes of the phases of 64 axes"),
    "convmat.kernel.tiling.winograd:_phases": ("_phases.cache_clear", "64 axes in Winograd's form"),
    "convmat.kernel.tiling.rows:_row_tiling": ("_row_tiling.cache_clear", "256 ways to cut rows into tiles"),
    "convmat.kernel.tiling.rows:_row_tiling_by_channels": (
        "_row_tiling_by_channels.cache_clear",
        "256 ways to cut rows into tiles of output channels",
    ),
    "convmat.kernel.tiling.choosing:_choices": ("_choices.clear", "2048 tilings, by all that they depend on"),
    "convmat.kernel.schedule:_of_rows": ("_of_rows.cache_clear", "256 tasks without what depends on sizes"),
    "convmat.kernel.schedule:_of_places": ("_of_places.cache_clear", "256 sets of the tables that tasks point to"),
    "convmat.kernel.tiling.places:_factors": ("_factors.cache_clear", "64 tables of factors"),
}


def empty_cache() -> None:
    """Give back the memory that convmat keeps to compute the same layers faster again.

    That is: packed copies of weights (at most 256 MB; those of frozen layers stay with their layers), memory of deleted
    outputs of 32 MB and more (at most 256 MB), memory to work in, and what was worked out for each layer and size. It
    changes no result: all of it is made again when needed.

    >>> empty_cache()
    """
    for place, (let_go, _) in CACHES.items():
        module = sys.modules.get(place.partition(":")[0])
        if module is not None:
            attrgetter(let_go)(module)()
