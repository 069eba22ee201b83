"""Winograd's form of kernels of three taps with stride 1: fewer products, of sums of inputs and sums of taps.

Two neighbouring outputs read four inputs d₀ … d₃ through the taps g₀ g₁ g₂. F(2, 3) makes both from four products
instead of six::

    m₀ = (d₀ - d₂)·g₀                   m₁ = (d₁ + d₂)·(g₀ + g₁ + g₂)/2         y₀ = m₀ + m₁ + m₂
    m₃ = (d₁ - d₃)·g₂                   m₂ = (d₂ - d₁)·(g₀ - g₁ + g₂)/2         y₁ = m₁ - m₂ - m₃

So a cell is two inputs and two outputs, the sums of inputs are the planes of a window, and each m is a row of results.
Over height and width at once, F(2×2, 3×3) makes four outputs from 16 products instead of 36. A longer kernel along the
width is cut into runs of three taps, whose products are added. With a dilation d, the outputs of a cell and its inputs
are d apart: cell a·d + r with r < d has the outputs 2·a·d + r and 2·a·d + d + r.

The source is S. Winograd, Arithmetic Complexity of Computations (1980), applied to networks by A. Lavin and S. Gray,
Fast Algorithms for Convolutional Neural Networks (2016).
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from convmat.geometry.axis import Axis
from convmat.geometry.product import Geometry
from convmat.kernel.tiling.phases import AxisPhases, PhaseOut

TAPS, PRODUCTS, OUTPUTS = 3, 4, 2  # of F(2, 3)
DILATIONS = (1, 2, 3, 4, 5)  # along the width, that there is code for
_FEWEST = 8  # channels in and out of a group, from which on it can pay
_FACTORS = ((1.0, 0.0, 0.0), (0.5, 0.5, 0.5), (0.5, -0.5, 0.5), (0.0, 0.0, 1.0))  # made of the taps of a run
# How many cells further, and from which plane of a window, each product reads, where a run of taps begins at an even
# place and at an odd one. The planes are d₀ - d₂, d₁ + d₂, d₂ - d₁, d₁ - d₃, and for odd places d₂ + d₃ and d₃ - d₂.
_EVEN, _ODD = ((0, 0), (0, 1), (0, 2), (0, 3)), ((0, 3), (0, 4), (0, 5), (1, 0))


def forms(geometry: Geometry, lanes: int) -> tuple[int, ...]:
    """How many of the last axes can be transformed: along these, the stride must be 1 and the dilation small.

    Args:
        geometry: the convolution.
        lanes: numbers of a vector.

    >>> forms(Geometry.conv((12, 10), (3, 3), padding=1, in_channels=16, out_channels=16), lanes=8)
    (1, 2)
    >>> forms(Geometry.conv((12, 10), (3, 3), padding=1, stride=(1, 2), in_channels=16, out_channels=16), lanes=8)
    ()
    """
    if min(geometry.in_channels, geometry.out_channels) < _FEWEST * geometry.groups:
        return ()
    *_, width = geometry.axes
    if not _has_pairs(width) or width.kernel < TAPS or width.dilation > min(DILATIONS[-1], lanes):
        return ()
    both = width.kernel == TAPS and geometry.ndim > 1 and geometry.axes[-2].kernel == TAPS
    return (1, 2) if both and _has_pairs(geometry.axes[-2]) else (1,)


def _has_pairs(axis: Axis) -> bool:
    return axis.stride == 1 and min(axis.inputs, axis.outputs) > axis.dilation


def transformed_phases(geometry: Geometry, axes: int) -> tuple[AxisPhases, ...]:
    """The phases along the last ``axes`` axes: of the width, as many as there are products for a cell.

    >>> width, = transformed_phases(Geometry.conv((9,), 3, in_channels=8, out_channels=8), 1)
    >>> width.step_out, width.step_in, width.phases[1]
    (2, 4, PhaseOut(first=0, taps=(1,), shifts=(-1,)))
    """
    transformed = geometry.axes[-axes:]
    origins = [axis.lo - axis.extent + 1 if geometry.transposed else -axis.lo for axis in transformed]
    dilations = [axis.dilation for axis in transformed]
    if axes == 1:
        return (_phases_of_width(transformed[0].kernel, origins[0], dilations[0]),)
    height = AxisPhases(OUTPUTS, OUTPUTS, 1, (PhaseOut(0, (0,), (0,)),), origins[0], dilations[0])
    products = tuple(PhaseOut(0, (product,), (-product,)) for product in range(PRODUCTS**2))
    return height, AxisPhases(OUTPUTS, PRODUCTS**2, PRODUCTS**2, products, origins[1], dilations[1])


@lru_cache(maxsize=64)
def _phases_of_width(kernel: int, origin: int, dilation: int) -> AxisPhases:
    runs = -(-kernel // TAPS)
    planes = PRODUCTS if runs == 1 else 1 + max(plane for _, plane in _ODD)
    phases = []
    for product in range(PRODUCTS):
        # The last tap of a run is the only one of the last product.
        taken = [run for run in range(runs) if product < PRODUCTS - 1 or run * TAPS + TAPS <= kernel]
        deltas = []
        for run in taken:
            cell, odd = divmod(run * TAPS, OUTPUTS)
            further, plane = (_ODD if odd else _EVEN)[product]
            deltas.append((cell + further) * dilation * planes + plane)
        taps = tuple(run * PRODUCTS + product for run in taken)
        phases.append(PhaseOut(0, taps, tuple(-delta for delta in deltas)))
    return AxisPhases(OUTPUTS, planes, runs * PRODUCTS, tuple(phases), origin, dilation)


def transform_weight(weight: Tensor, axes: int, transposed: bool) -> Tensor:
    """The factors that a weight has in Winograd's form, in the place of the taps of its last ``axes`` axes.

    >>> transform_weight(torch.tensor([[[4.0, 2.0, 6.0]]]), 1, transposed=False)
    tensor([[[4., 6., 4., 6.]]])
    """
    dims = list(range(weight.ndim - axes, weight.ndim))
    if transposed:
        weight = weight.flip(dims)
    factors = torch.tensor(_FACTORS, dtype=weight.dtype)
    if axes == 1:
        missing = -weight.shape[-1] % TAPS
        runs = torch.nn.functional.pad(weight, (0, missing)).unflatten(-1, (-1, TAPS))
        return (runs @ factors.mT).flatten(-2)
    return weight.flatten(-2) @ torch.kron(factors, factors).mT
