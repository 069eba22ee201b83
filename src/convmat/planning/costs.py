"""How long a convolution takes by our kernel and by PyTorch's own function, about.

The estimates are formulas of sizes, number type and threads: nothing is measured when they are made, so the same layer
is always computed in the same way. Each estimate is compared with the other one only, so what matters is their ratio.
Where they are wrong on a machine, :mod:`~convmat.planning.correcting` corrects their terms.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

import torch

from convmat.geometry import Geometry
from convmat.kernel import computing
from convmat.methods.numbers import is_one_window, merge_axes
from convmat.methods.tiles import will_be_contiguous
from convmat.planning import correcting, pytorch_costs
from convmat.planning.correcting import Terms
from convmat.tensors.calls import Call
from convmat.tensors.strides import Layout

if TYPE_CHECKING:
    from convmat.kernel.computing import Schedule

_KERNEL_CALL = 18e-6  # seconds for a call of our kernel, found by its arguments
_TRACKED_CALL = 0.12e-3  # more of a call that autograd tracks, and of its gradients
_SURE = 1.05  # estimates of all three differ by this at least before ours is taken
# Seconds per byte: digesting weights; reading what a matrix product needs.
_DIGEST = 0.035e-9
_DIGEST_FAR, _NEAR = 0.06e-9, 1 << 20  # of a weight that does not stay in a cache between two calls, beyond so many
_READ = 0.05e-9
# The same for inputs and outputs of layers with one tap, each of which is read or written once: in a model, they come
# from farther away than where one layer is measured by itself.
_ONE_TAP = 0.01e-9
# Cycles to transpose a block of as many cells and channels as a vector has lanes, or a part of one.
_BLOCK_WHOLE, _BLOCK_PART = 150, 350


def estimate(geometry: Geometry, call: Call, threads: int) -> tuple[float, float]:
    """Seconds by our kernel and by PyTorch's own function, for the numbers alone.

    Args:
        geometry: direct or transposed, over at most three axes.
        call: of which batch, dtype, layout and whether the weight is kept matter. If it is not, it is packed in each
            call; else it is only read, to find its packed copy.
        threads: how many compute.
    """
    ours, theirs = terms(geometry, call, threads)
    factors = correcting.now()
    return ours.seconds(factors.kernel), theirs.seconds(factors.pytorch)


def terms(geometry: Geometry, call: Call, threads: int) -> tuple[Terms, Terms]:
    """The parts of both estimates, not corrected; see :func:`estimate`."""
    return _by_kernel(geometry, call, threads), pytorch_costs.terms(geometry, call, threads)


def estimate_tracked(geometry: Geometry, call: Call, threads: int) -> tuple[float, float]:
    """Seconds for numbers and gradients, each in the faster way, and by PyTorch alone."""
    parts = [estimate(geometry, call, threads)]
    if call.tracked[0]:
        parts.append(estimate_input_gradient(geometry, call, threads))
    if call.tracked[1]:
        ours, theirs = estimate_weight_gradient(geometry, call, threads)
        parts.append((min(ours.values()), theirs))
    return _TRACKED_CALL + _SURE * sum(map(min, parts)), sum(theirs for _, theirs in parts)


def estimate_input_gradient(geometry: Geometry, call: Call, threads: int) -> tuple[float, float]:
    """Seconds for the gradient with respect to the input, by our kernel and by PyTorch's backward pass."""
    ours = _by_kernel(geometry.transpose(), call, threads).total
    return ours, pytorch_costs.input_gradient(geometry, call, threads)


def estimate_weight_gradient(geometry: Geometry, call: Call, threads: int) -> tuple[dict[bool, float], float]:
    """Seconds for the gradient with respect to the weight, as that of the direct convolution and by PyTorch alone.

    The former is given by whether the outputs are halved, where they can be.
    """
    direct = geometry.transpose() if geometry.transposed else geometry
    ours = {False: pytorch_costs.weight_gradient(direct, call, threads)}
    is_single = call.batch == 1 and call.dtype == torch.float32 and call.layout is Layout.CONTIGUOUS
    if is_single and direct.outputs[0] > 1:
        ours[True] = pytorch_costs.weight_gradient(direct, call, threads, halved=True)
    return ours, pytorch_costs.weight_gradient(geometry, call, threads)


def _by_kernel(geometry: Geometry, call: Call, threads: int) -> Terms:
    size = call.dtype.itemsize
    if is_one_window(geometry):
        sizes = call.batch * (prod(geometry.in_shape) + prod(geometry.out_shape)) + prod(geometry.weight_shape)
        return Terms(_KERNEL_CALL, 0.0, sizes * size * _READ)
    contiguous = will_be_contiguous(call)
    if contiguous:
        geometry = merge_axes(geometry)
    options = {"contiguous": contiguous, "keep": call.keeps_weight}
    schedule = computing.schedule_of(geometry, call.batch, call.dtype, threads, **options)
    cycles = schedule.cycles
    if call.layout is Layout.CHANNELS_LAST:
        cycles += call.batch * geometry.groups * _transposing_cycles(geometry, schedule) / threads
    weight = _digest_seconds(prod(geometry.weight_shape) * size) / threads if call.keeps_weight else 0.0
    if prod(geometry.kernel_size) == 1:
        weight += call.batch * (prod(geometry.in_shape) + prod(geometry.out_shape)) * size * _ONE_TAP
    return Terms(_KERNEL_CALL, 1.05 * cycles / pytorch_costs.CLOCK, weight + pytorch_costs.copying(geometry, call))


def _digest_seconds(count: int) -> float:
    """To find the packed copy of a weight of so many bytes, by one thread."""
    return count * _DIGEST + max(count - _NEAR, 0) * (_DIGEST_FAR - _DIGEST)


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
