"""The door to the kernel: what it takes, and functions that compute with it. Others need not know what is behind.

A call goes this way: a geometry, a batch, a number type and a number of threads give a
:class:`~convmat.kernel.schedule.Schedule`, which is kept with the geometry. It packs the weight, unless that was packed
before (:mod:`~convmat.kernel.weights`), and writes a task, an array of integers (:mod:`~convmat.kernel.task`). The
compiled program (:mod:`~convmat.kernel.program`) works on it in several threads (:mod:`~convmat.kernel.threads`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import torch
from torch import Tensor

from convmat.geometry import Geometry
from convmat.kernel import compiled, pages, weights
from convmat.kernel.compiled import Kernel
from convmat.kernel.epilogue import Epilogue
from convmat.kernel.notices import say, worded_by
from convmat.kernel.threads import is_forked, thread_count
from convmat.kernel.tiling.processor import AXES, UNITS
from convmat.kernel.weights import freeze
from convmat.tensors.activations import Activation

if TYPE_CHECKING:
    from convmat.kernel.schedule import Schedule as Schedule

__all__ = [
    "AXES",
    "Epilogue",
    "content_of",
    "freeze",
    "has_long_vectors",
    "is_forked",
    "is_installed",
    "is_ready",
    "is_worthwhile",
    "obstacle",
    "prepare",
    "products_per_cycle",
    "say",
    "schedule_of",
    "takes",
    "thread_count",
    "worded_by",
]

Computation: TypeAlias = Callable[[Tensor, Tensor, Tensor | None], Tensor]

is_installed = compiled.is_installed
is_worthwhile = compiled.is_worthwhile
obstacle = compiled.obstacle
takes = compiled.takes


def is_ready(dtype: torch.dtype) -> bool:
    """Whether the kernel can compute with a type of number; it is compiled or loaded now, if it was not before."""
    return compiled.takes(dtype) and compiled.kernel(dtype) is not None


def products_per_cycle(dtype: torch.dtype) -> int:
    """How many numbers a thread multiplies and adds per cycle, at best."""
    return compiled.processor(dtype, 1).lanes * UNITS


def has_long_vectors() -> bool:
    """Whether a vector has 64 bytes."""
    return compiled.processor(torch.float32, 1).is_long


def schedule_of(
    geometry: Geometry, batch: int, dtype: torch.dtype, threads: int, *, contiguous: bool, keep: bool
) -> Schedule:
    """What the kernel does for a geometry and a batch, found among the notes on the geometry or made now."""

    def make() -> Schedule:
        from convmat.kernel.schedule import Schedule  # with the tilings, it would make every import slower

        return Schedule(geometry, batch, compiled.processor(dtype, threads), contiguous, keep)

    found: Schedule = geometry.notes.schedules.get_or_make((batch, dtype, threads, contiguous, keep), make)
    return found


def prepare(
    geometry: Geometry,
    batch: int,
    dtype: torch.dtype,
    *,
    contiguous: bool,
    keep: bool,
    sizes: tuple[int, ...] | None = None,
    activation: Activation | None = None,
) -> Computation:
    """A function of input, weight and bias that computes a geometry, for the number of threads here and now.

    Args:
        geometry: direct or transposed, over at most three axes, padded with zeros.
        batch: number of inputs, at least 1.
        dtype: for which the kernel is ready.
        contiguous: whether inputs are.
        keep: whether packed weights are kept for later calls.
        sizes: channels and sizes of the output, where contiguous tensors have more axes than the geometry, which merges
            them. Default: those of the geometry
        activation: what follows. Default: ``None``
    """
    kernel, threads = compiled.kernel(dtype), thread_count()
    assert kernel is not None
    schedule = schedule_of(geometry, batch, dtype, threads, contiguous=contiguous, keep=keep)
    numbers = None if activation is None else activation.numbers(geometry.out_channels, dtype)
    assert contiguous or sizes is None
    out_shape = (batch, *(geometry.out_shape if sizes is None else sizes)) if contiguous else None
    return partial(_convolve, schedule, kernel, threads, keep, numbers, out_shape)


def _convolve(schedule: Schedule, *arguments: Any) -> Tensor:
    if torch.autograd._profiler_enabled():  # type: ignore[attr-defined]
        name = "convmat::conv_transpose" if schedule.geometry.transposed else "convmat::conv"
        with torch.autograd.profiler.record_function(name):
            return _convolve_unseen(schedule, *arguments)
    return _convolve_unseen(schedule, *arguments)


def _convolve_unseen(
    schedule: Schedule,
    kernel: Kernel,
    threads: int,
    keep: bool,
    activation: Tensor | None,
    out_shape: tuple[int, ...] | None,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
) -> Tensor:
    packed = weights.packed_weight(schedule, kernel, weight, threads, keep)
    return schedule.convolve(kernel, input, packed, Epilogue(bias, activation), threads, out_shape)


def content_of(tensor: Tensor) -> Any:
    """What the content of a tensor is found by: a digest where the kernel makes one, else all of its bytes."""
    if tensor.is_cpu and compiled.takes(tensor.dtype) and (kernel := compiled.kernel(tensor.dtype)):
        return weights.digest(kernel, tensor, thread_count())
    return tensor.detach().reshape(-1).contiguous().view(torch.uint8).cpu().numpy().tobytes()


def forget() -> None:
    """Let go of packed weights and of memory that is kept for later."""
    weights.forget()
    pages.forget()
