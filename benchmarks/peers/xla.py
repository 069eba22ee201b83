"""JAX."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import torch
from torch import Tensor

from benchmarks.peers.base import Peer, Problem

_LAYOUTS = {1: ("NCH", "OIH", "NCH"), 2: ("NCHW", "OIHW", "NCHW"), 3: ("NCDHW", "OIDHW", "NCDHW")}


class Jax(Peer):
    """``jax.jit`` of a convolution; the weight is a constant.

    For Cᵀ the weight is flipped, and the input is dilated by the stride.
    """

    name = "jax"

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        if problem.weight.dtype == torch.float64:
            config: Any = jax.config
            config.update("jax_enable_x64", True)
        self._device = jax.devices("cpu")[0]
        self._compute = jax.jit(_convolution(problem))

    def prepare(self, input: Tensor) -> Any:
        """As an array of JAX, on the CPU."""
        return jax.device_put(np.ascontiguousarray(input.numpy()), self._device)

    def __call__(self, prepared: Any) -> Any:
        """Compute, and wait for it."""
        return self._compute(prepared).block_until_ready()

    def tensor(self, output: Any) -> Tensor:
        """By way of NumPy."""
        return torch.from_numpy(np.array(output))


def _convolution(problem: Problem) -> Any:
    layer, axes = problem.layer, problem.layer.geometry.axes
    weight: Any = _flipped(problem) if layer.transposed else problem.weight.numpy()
    strides, ones = [axis.stride for axis in axes], [1] * layer.ndim

    def convolution(x: Any) -> Any:
        return jax.lax.conv_general_dilated(
            x,
            weight,
            window_strides=ones if layer.transposed else strides,
            padding=[axis.zero_insertion_padding() if layer.transposed else (axis.lo, axis.hi) for axis in axes],
            lhs_dilation=strides if layer.transposed else ones,
            rhs_dilation=[axis.dilation for axis in axes],
            dimension_numbers=_LAYOUTS[layer.ndim],
            feature_group_count=layer.groups,
        )

    return convolution


def _flipped(problem: Problem) -> Any:
    """The weight of that convolution: flipped, its two channel axes swapped within each group."""
    flipped = problem.weight.flip(tuple(range(2, problem.weight.ndim)))
    swapped = flipped.unflatten(0, (problem.layer.groups, -1)).transpose(1, 2).flatten(0, 1)
    return np.ascontiguousarray(swapped.numpy())
