"""How long a transposed convolution takes by our kernel and by PyTorch's own function, about.

The estimates are formulas of sizes, number type and threads: nothing is measured when they are made, so the same layer
is always computed in the same way. Each estimate is compared with the other one only, so what matters is their ratio.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

import torch

from convmat.geometry import Geometry
from convmat.kernel import computing
from convmat.methods.numbers import is_one_window
from convmat.tensors.calls import Call
from convmat.tensors.strides import Layout

if TYPE_CHECKING:
    from convmat.kernel.computing import Schedule

_CLOCK = 3.5e9  # cycles per second
# Seconds for a call: of our kernel, found by its arguments; of our operator and its gradients; of PyTorch's function
# where it computes by itself, and where it calls oneDNN.
_KERNEL_CALL, _OPERATOR_CALL = 18e-6, 0.4e-3
_PYTORCH_CALL, _ONEDNN_CALL = 8e-6, 40e-6
_ONEDNN_FROM = 20480  # numbers of an input, from which on PyTorch always calls oneDNN
_USED, _USED_LAST = 0.78, 0.87  # of the arithmetic by PyTorch's kernels at best, contiguous or with the channels last
_BLOCK = 16  # channels that PyTorch's kernels compute at least, over two axes and more
# Seconds per byte: digesting and packing weights; reading what a matrix product needs; reordering tensors, in memory
# used before and in fresh memory.
_DIGEST, _PACK = 0.035e-9, 0.2e-9
_READ = 0.05e-9
_REORDER, _REORDER_FRESH = 0.1e-9, 0.7e-9
_FRESH = 16 << 20
# Seconds for a number of the output of a depthwise layer, contiguous or with the channels last.
_DEPTHWISE, _DEPTHWISE_LAST = 0.6e-9, 0.15e-9
# Cycles to transpose a block of as many cells and channels as a vector has lanes, or a part of one.
_BLOCK_WHOLE, _BLOCK_PART = 150, 350
# Seconds per byte: of a weight for images with their channels last, and of fresh pages for a large output.
_WEIGHT_LAST = 0.2e-9
_PAGES, _LARGE = 0.24e-9, 32 << 20


def estimate(geometry: Geometry, call: Call, threads: int) -> tuple[float, float]:
    """Seconds by our kernel and by PyTorch's own function.

    Args:
        geometry: transposed, over at most three axes.
        call: of which batch, dtype, layout and whether a gradient may be asked for matter. If it may, the weight is
            packed in each call; else it is only read, to find its packed copy.
        threads: how many compute.
    """
    return _by_kernel(geometry, call, threads), _by_pytorch(geometry, call, threads)


def _by_kernel(geometry: Geometry, call: Call, threads: int) -> float:
    size = call.dtype.itemsize
    if is_one_window(geometry):
        sizes = call.batch * (prod(geometry.in_shape) + prod(geometry.out_shape)) + prod(geometry.weight_shape)
        return _KERNEL_CALL + sizes * size * _READ
    schedule = computing.schedule_of(geometry, call.batch, call.dtype, threads)
    cycles = schedule.cells.cycles
    if call.layout is Layout.CHANNELS_LAST:
        cycles += call.batch * geometry.groups * _transposing_cycles(geometry, schedule) / threads
    weight = prod(geometry.weight_shape) * size * (_PACK if call.needs_gradient else _DIGEST) / threads
    call_seconds = _OPERATOR_CALL if call.needs_gradient else _KERNEL_CALL
    return call_seconds + 1.05 * cycles / _CLOCK + weight + _copying(geometry, call)


def _transposing_cycles(geometry: Geometry, schedule: Schedule) -> float:
    """Cycles for the channels of a group in one image, which are neighbours in memory and must be so no more."""
    lanes, together = schedule.processor.lanes, schedule.rows.together
    channels, out_channels = geometry.in_channels // geometry.groups, geometry.out_channels // geometry.groups
    stripes, rest = divmod(out_channels, together)
    phases = len(schedule.rows.axes[-1].phases)
    lines, out_lines = prod(geometry.read[:-1]), prod(geometry.written[:-1]) * phases
    cells, out_cells = geometry.read[-1], schedule.cells.cells[-1]
    of_output = stripes * _blocks(out_cells, together, lanes) + _blocks(out_cells, rest, lanes)
    return lines * _blocks(cells, channels, lanes) + out_lines * of_output


def _blocks(cells: int, channels: int, lanes: int) -> float:
    """Cycles to transpose a line of cells with their channels, block by block."""
    whole = (cells // lanes) * (channels // lanes)
    return whole * _BLOCK_WHOLE + (-(-cells // lanes) * -(-channels // lanes) - whole) * _BLOCK_PART


def _by_pytorch(geometry: Geometry, call: Call, threads: int) -> float:
    return _copying(geometry, call) + _by_pytorch_in_order(geometry, call, threads)


def _copying(geometry: Geometry, call: Call) -> float:
    """Seconds to copy an input whose numbers are no neighbours, as both do first."""
    size = call.batch * prod(geometry.in_shape) * call.dtype.itemsize
    return size * _REORDER_FRESH if call.layout is Layout.APART else 0.0


def _by_pytorch_in_order(geometry: Geometry, call: Call, threads: int) -> float:
    batch, dtype, channels_last = call.batch, call.dtype, call.layout is Layout.CHANNELS_LAST
    outputs = batch * prod(geometry.out_shape)
    channels, out_channels = geometry.in_channels // geometry.groups, geometry.out_channels // geometry.groups
    if channels == out_channels == 1:
        return _PYTORCH_CALL + outputs * (_DEPTHWISE_LAST if channels_last else _DEPTHWISE) * 2 / threads
    block = _BLOCK if geometry.ndim > 1 else 1
    blocks = [-(-count // block) * block for count in (channels, out_channels)]
    products = batch * geometry.groups * prod(blocks) * prod(axis.kernel * axis.outputs for axis in geometry.axes)
    per_cycle = 128 / dtype.itemsize  # products of two units of 64 bytes
    arithmetic = products / (per_cycle * _CLOCK * (_USED_LAST if channels_last else _USED) * threads)
    if channels_last:
        size = outputs * dtype.itemsize
        pages = size * _PAGES if size >= _LARGE else 0.0
        return _ONEDNN_CALL + arithmetic + pages + prod(geometry.weight_shape) * dtype.itemsize * _WEIGHT_LAST
    sizes = (batch * prod(geometry.in_shape), outputs, prod(geometry.weight_shape))
    moved = sum(
        size * dtype.itemsize * (_REORDER if size * dtype.itemsize < _FRESH else _REORDER_FRESH) for size in sizes
    )
    return (_ONEDNN_CALL if _calls_onednn(geometry, call) else _PYTORCH_CALL) + arithmetic + moved


def _calls_onednn(geometry: Geometry, call: Call) -> bool:
    """Whether PyTorch leaves a layer to oneDNN: not a small one (``ConvParams::use_mkldnn`` in its Convolution.cpp)."""
    has_large_kernel = geometry.ndim > 1 and min(geometry.kernel_size[-2:]) > 3
    is_large = call.batch > 1 or prod(geometry.in_shape) > _ONEDNN_FROM
    return call.dtype == torch.float32 and (geometry.groups > 1 or has_large_kernel or is_large)
