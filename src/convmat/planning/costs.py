"""How long a convolution takes by our kernel and by PyTorch's own function, about.

The estimates are formulas of sizes, number type and threads: nothing is measured when they are made, so the same layer
is always computed in the same way. Each estimate is compared with the other one only, so what matters is their ratio.
Where they are wrong on a machine, :mod:`~convmat.planning.correcting` corrects their terms.
"""

from __future__ import annotations

from enum import Enum
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
from convmat.tensors.strides import MemoryFormat

if TYPE_CHECKING:
    from convmat.kernel.computing import Schedule

_KERNEL_CALL = 24e-6  # seconds for a call of our kernel, found by its arguments, among those of other layers
_OPERATOR_CALL = 15e-6  # more of a call of our operator, from what is compiled
_TRACKED_CALL = 0.3e-3  # more of a call that autograd tracks, and of its gradients
_SURE = 1.1  # estimates of all three differ by this at least before ours is taken
# Seconds per byte: copying; digesting weights; reading what a matrix product needs.
_COPY = 0.2e-9
_CONVERT = 0.1e-9  # to channels last or back, by the activation that comes before or after
# Seconds more for a number of an activation that inductor computes with the channels last, where these fill no vectors.
_ACTIVATION, _VECTOR = 0.4e-9, 16
_DIGEST = 0.035e-9
_DIGEST_FAR, _NEAR = 0.06e-9, 1 << 20  # of a weight that does not stay in a cache between two calls, beyond so many
_READ = 0.05e-9
# The same for inputs and outputs of layers with one tap, each of which is read or written once: in a model, they come
# from farther away than where one layer is measured by itself.
_ONE_TAP = 0.01e-9
# The gradient with respect to the weight is left to PyTorch beyond so many outputs along an axis, and in all: they are
# taps of the kernel then, and planning for more of them takes too long.
_WIDEST, _MOST_TAPS = 256, 4096
# Cycles to transpose a block of as many cells and channels as a vector has lanes, or a part of one.
_BLOCK_WHOLE, _BLOCK_PART = 150, 350


def estimate(geometry: Geometry, call: Call, threads: int) -> tuple[float, float]:
    """Seconds by our kernel and by PyTorch's own function, for the numbers alone.

    Args:
        geometry: direct or transposed, over at most three axes.
        call: of which batch, dtype, memory format and whether the weight is kept matter. If it is not, it is packed in
            each call; else it is only read, to find its packed copy.
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
        of_weight = estimate_weight_gradient(geometry, call, threads)
        parts.append((min(of_weight.values()), of_weight[WeightWay.LAYER]))
    return _TRACKED_CALL + _SURE * sum(map(min, parts)), sum(theirs for _, theirs in parts)


def estimate_compiled(geometry: Geometry, call: Call, threads: int) -> tuple[float, float, float]:
    """Seconds for a contiguous picture in a graph that inductor compiles.

    Returns:
        Those of our operator, which takes the faster way when it runs; of PyTorch's convolution with the channels last,
        for which the weight is converted in each call, and of the activation that follows; and of converting the
        picture from one format to the other.
    """
    compare = estimate_tracked if call.needs_gradient else estimate
    _, theirs = compare(geometry, call._replace(memory_format=MemoryFormat.CHANNELS_LAST), threads)
    if geometry.out_channels % _VECTOR:
        theirs += call.batch * prod(geometry.out_shape) * _ACTIVATION
    if prod(geometry.kernel_size) > 1:
        theirs += prod(geometry.weight_shape) * call.dtype.itemsize * _CONVERT
    picture = call.batch * prod(geometry.in_shape) * call.dtype.itemsize
    return _OPERATOR_CALL + min(compare(geometry, call, threads)), theirs, picture * _CONVERT


def estimate_input_gradient(geometry: Geometry, call: Call, threads: int) -> tuple[float, float]:
    """Seconds for the gradient with respect to the input, by our kernel and by PyTorch's backward pass."""
    ours = _by_kernel(geometry.transpose(), call, threads).total
    return ours, pytorch_costs.input_gradient(geometry, call, threads)


class WeightWay(Enum):
    """How the gradient with respect to the weight is computed."""

    LAYER = "PyTorch's backward pass of the layer"
    DIRECT = "that of the direct convolution"
    HALVES = "that of the direct convolution, of two halves of its outputs as a batch"
    KERNEL = "our kernel"


def estimate_weight_gradient(geometry: Geometry, call: Call, threads: int) -> dict[WeightWay, float]:
    """Seconds for the gradient with respect to the weight, in all ways in which it can be computed."""
    direct = geometry.transpose() if geometry.transposed else geometry
    seconds = {WeightWay.LAYER: pytorch_costs.weight_gradient(geometry, call, threads)}
    if geometry.transposed:
        seconds[WeightWay.DIRECT] = pytorch_costs.weight_gradient(direct, call, threads)
    is_single = call.batch == 1 and call.dtype == torch.float32 and call.memory_format is MemoryFormat.CONTIGUOUS
    if is_single and direct.outputs[0] > 1:
        seconds[WeightWay.HALVES] = pytorch_costs.weight_gradient(direct, call, threads, halved=True)
    if max(direct.outputs) <= _WIDEST and prod(direct.outputs) <= _MOST_TAPS:
        seconds[WeightWay.KERNEL] = _weight_gradient_by_kernel(direct, call, threads)
    return seconds


def _weight_gradient_by_kernel(direct: Geometry, call: Call, threads: int) -> float:
    channels = direct.in_channels // direct.groups
    copied = call.batch > 1 or (direct.groups > 1 and channels > 1) or call.memory_format is not MemoryFormat.CONTIGUOUS
    sizes = call.batch * (prod(direct.in_shape) + prod(direct.out_shape)) * call.dtype.itemsize
    as_call = Call(call.dtype, call.is_plain, channels, keeps_weight=False)
    seconds = _by_kernel(geometry_of_weight(direct, call.batch), as_call, threads).total
    return seconds + copied * sizes * _COPY


def geometry_of_weight(direct: Geometry, batch: int) -> Geometry:
    """See :meth:`Geometry.of_weight`; the same object in every call, with its notes."""
    found: Geometry = direct.notes.plans.get_or_make(("of weight", batch), lambda: direct.of_weight(batch))
    return found


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
    if call.memory_format is MemoryFormat.CHANNELS_LAST:
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
