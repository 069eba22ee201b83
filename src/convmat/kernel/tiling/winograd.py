"""Winograd's form of convolutions with two or three taps in a phase: fewer products, of sums of inputs and of taps.

Two neighbouring outputs read four inputs d₀ … d₃ through the taps g₀ g₁ g₂. F(2, 3) makes both from four products
instead of six::

    m₀ = (d₀ - d₂)·g₀                   m₁ = (d₁ + d₂)·(g₀ + g₁ + g₂)/2         y₀ = m₀ + m₁ + m₂
    m₃ = (d₁ - d₃)·g₂                   m₂ = (d₂ - d₁)·(g₀ - g₁ + g₂)/2         y₁ = m₁ - m₂ - m₃

With the two taps g₀ g₁, F(2, 2) makes both from three products instead of four::

    m₀ = (d₀ - d₁)·g₀                   m₁ = d₁·(g₀ + g₁)                       y₀ = m₀ + m₁
                                        m₂ = (d₁ - d₂)·g₁                       y₁ = m₁ - m₂

So a cell is two inputs, and two outputs of each phase; the sums of inputs are the planes of a window, and each m is a
row of results. Over height and width at once, F(2×2, 3×3) makes four outputs from 16 products instead of 36, and
F(2×2, 2×2) from 9 instead of 16.

F(2, 3) is for a stride of 1. A longer kernel along the width is cut into runs of three taps or two, whose products are
added: a run of two taps has no m₃. With a dilation d, the outputs of a cell and its inputs are d apart: cell a·d + r
with r < d has the outputs 2·a·d + r and 2·a·d + d + r.

F(2, 2) is for a kernel twice as long as its stride s. Each of the s phases of Cᵀ has two taps, and cell a has the
outputs 2·a·s + e and 2·a·s + s + e of phase e. With padding, some phases start one input further than others. All read
the same planes. With C it is the other way round: cell a has the outputs 2·a and 2·a + 1, which read each of the s
phases of the input through two taps. Every phase has planes of its own, and the products of all are added. A shorter
kernel has one tap in some phases: then d₀·g₀ is part of m₀, and -d₁·g₀ of m₂.

The source is S. Winograd, Arithmetic Complexity of Computations (1980), applied to networks by A. Lavin and S. Gray,
Fast Algorithms for Convolutional Neural Networks (2016).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache, reduce
from typing import NamedTuple

import torch
from torch import Tensor

from convmat.geometry.axis import Axis
from convmat.geometry.product import Geometry
from convmat.kernel.tiling.phases import AxisPhases, PhaseOut


class Form(NamedTuple):
    """How two outputs of a phase are made of products.

    Args:
        factors: what the products multiply by, as multiples of the taps.
        planes: what they multiply, as multiples of the inputs of a cell.
        reads: how many cells further, and from which plane, each product reads, where the first input that is read is
            the first of a cell, and where it is the second.
        outputs: the outputs, as multiples of the products.
    """

    factors: tuple[tuple[float, ...], ...]
    planes: tuple[tuple[int, ...], ...]
    reads: tuple[tuple[tuple[int, int], ...], ...]
    outputs: tuple[tuple[int, ...], ...]

    @property
    def taps(self) -> int:
        """Taps of a phase, or of a run of them."""
        return len(self.factors[0])


OUTPUTS = 2  # of a cell and phase
# With a stride, the planes of a phase of the input, of which a cell reads one number more than the phase has taps.
_OF_PHASE = {2: ((1, 0), (0, 1)), 3: ((1, -1, 0), (0, 1, 0), (0, 1, -1))}
_THREE_TAPS = Form(
    factors=((1.0, 0.0, 0.0), (0.5, 0.5, 0.5), (0.5, -0.5, 0.5), (0.0, 0.0, 1.0)),
    planes=((1, 0, -1, 0), (0, 1, 1, 0), (0, -1, 1, 0), (0, 1, 0, -1), (0, 0, 1, 1), (0, 0, -1, 1)),
    reads=(((0, 0), (0, 1), (0, 2), (0, 3)), ((0, 3), (0, 4), (0, 5), (1, 0))),
    outputs=((1, 1, 1, 0), (0, 1, -1, -1)),
)
_TWO_TAPS = Form(
    factors=((1.0, 0.0), (1.0, 1.0), (0.0, 1.0)),
    planes=((1, -1, 0, 0), (0, 1, 0, 0), (0, 1, -1, 0), (0, 0, 1, 0), (0, 0, 1, -1)),
    reads=(((0, 0), (0, 1), (0, 2)), ((0, 2), (0, 3), (0, 4))),
    outputs=((1, 1, 0), (0, 1, -1)),
)
FORMS = {len(form.factors): form for form in (_TWO_TAPS, _THREE_TAPS)}  # by their number of products
_FEWEST = 8  # channels in and out of a group, from which on it can pay
_MOST_FACTORS = 1 << 17  # of a weight that are made at a time: as many as a cache holds


class ReadingKind(NamedTuple):
    """What the code that makes the planes of a window depends on; all but the axes are numbers along each axis."""

    axes: int
    products: int
    planes: int
    dilation: int
    stride: int

    @property
    def step(self) -> int:
        """Inputs from one cell to the next."""
        return OUTPUTS * self.stride

    @property
    def sums(self) -> tuple[tuple[int, ...], ...]:
        """The planes, as multiples of the inputs of a cell; one phase of these after the other, if it has some.

        >>> ReadingKind(axes=1, products=3, planes=6, dilation=1, stride=2).sums[2:4]
        ((0, 0, 1, 0, -1, 0), (0, 1, 0, -1, 0, 0))
        """
        if self.stride == 1:
            return FORMS[self.products].planes[: self.planes]
        sums = []
        for e in range(self.stride):
            inputs = range(e, self.planes, self.stride)  # there are as many as planes
            for plane in _OF_PHASE[len(inputs)]:
                sign_of = dict(zip(inputs, plane, strict=True))
                sums.append(tuple(sign_of.get(place, 0) for place in range(self.planes)))
        return tuple(sums)


class WritingKind(NamedTuple):
    """What the code that writes lines depends on; the dilation and the stride are those along the width."""

    axes: int
    products: int
    dilation: int
    stride: int


# What there is code for. Strides are those along the width, by the number of axes: of Cᵀ, and of C with its kernels.
_DILATIONS = (1, 2, 3, 4, 5)
_STRIDES = {1: (2, 4, 5, 8), 2: (2,)}
_STRIDED = {1: ((2, 3), (2, 4), (4, 8), (5, 10), (8, 16)), 2: ((2, 4),)}
READING_KINDS = (
    *(ReadingKind(*kind, dilation, 1) for kind in ((1, 4, 4), (1, 4, 6), (2, 4, 4)) for dilation in _DILATIONS),
    *(ReadingKind(*kind, 1, 1) for kind in ((1, 3, 3), (1, 3, 5), (2, 3, 3), (2, 3, 5))),
    *(ReadingKind(axes, 3, s + k, 1, s) for axes, strides in _STRIDED.items() for s, k in strides),
)
WRITING_KINDS = (
    *(WritingKind(axes, 4, dilation, 1) for axes in (1, 2) for dilation in _DILATIONS),
    *(WritingKind(axes, 3, 1, stride) for axes, strides in _STRIDES.items() for stride in (1, *strides)),
)


def kinds_of(axes: Sequence[AxisPhases]) -> tuple[int, int]:
    """The numbers of the kinds of code that read and write, for the axes that are transformed."""
    width = axes[-1]
    reading = ReadingKind(len(axes), width.products, width.step_in, width.together, width.stride)
    writing = WritingKind(len(axes), width.products, width.together, width.step_out // OUTPUTS)
    return READING_KINDS.index(reading), WRITING_KINDS.index(writing)


def forms(geometry: Geometry, lanes: int) -> tuple[int, ...]:
    """How many of the last axes can be transformed.

    Args:
        geometry: the convolution.
        lanes: numbers of a vector.

    >>> forms(Geometry.conv((12, 10), (3, 3), padding=1, in_channels=16, out_channels=16), lanes=8)
    (1, 2)
    >>> forms(Geometry.conv((12, 10), (3, 3), padding=1, stride=(1, 2), in_channels=16, out_channels=16), lanes=8)
    (1,)
    >>> forms(Geometry.conv_transpose((12, 10), 4, stride=2, padding=1, in_channels=16, out_channels=16), lanes=8)
    (1, 2)
    >>> forms(Geometry.conv((12, 10), 4, stride=2, padding=1, in_channels=16, out_channels=16), lanes=8)
    (1, 2)
    """
    if min(geometry.in_channels, geometry.out_channels) < _FEWEST * geometry.groups:
        return ()
    return tuple(axes for axes in range(1, min(geometry.ndim, 2) + 1) if _has_form(geometry, axes, lanes))


def _has_form(geometry: Geometry, axes: int, lanes: int) -> bool:
    last, width = geometry.axes[-axes:], geometry.axes[-1]
    form, *others = map(_form_along, last)
    if form is None or any(other is not form for other in others):
        return False
    if axes > 1 and any(axis.kernel > form.taps * axis.stride for axis in last):
        return False
    if form is _TWO_TAPS and geometry.transposed:
        return width.stride in _STRIDES[axes] and all(axis.kernel == form.taps * axis.stride for axis in last)
    if form is _TWO_TAPS:
        kinds = {(axis.stride, axis.kernel) for axis in last}
        return len(kinds) == 1 and kinds <= set(_STRIDED[axes])
    return width.dilation <= min(_DILATIONS[-1], lanes)


def _form_along(axis: Axis) -> Form | None:
    """The form that the taps of an axis have, if some phase has two outputs."""
    if min(axis.inputs - axis.stride, axis.outputs - 1) < axis.dilation:
        return None
    if axis.stride == 1:
        return _THREE_TAPS if axis.kernel >= _THREE_TAPS.taps else None
    has_two = axis.dilation == 1 and axis.stride < axis.kernel <= _TWO_TAPS.taps * axis.stride
    return _TWO_TAPS if has_two else None


def transformed_phases(geometry: Geometry, axes: int) -> tuple[AxisPhases, ...]:
    """The phases along the last ``axes`` axes: for each phase, as many as there are products for a cell.

    >>> width, = transformed_phases(Geometry.conv((9,), 3, in_channels=8, out_channels=8), 1)
    >>> width.step_out, width.step_in, width.phases[1]
    (2, 4, PhaseOut(first=0, taps=(1,), shifts=(-1,)))
    >>> width, = transformed_phases(Geometry.conv_transpose((9,), 4, 2, 1, in_channels=8, out_channels=8), 1)
    >>> width.step_out, width.step_in, width.phases[5]
    (4, 5, PhaseOut(first=0, taps=(5,), shifts=(-4,)))
    """
    last, transposed = geometry.axes[-axes:], geometry.transposed
    form = _form_along(last[-1])
    assert form is not None
    if not transposed and last[-1].stride > 1:
        return tuple(_phases_of_input(axis.kernel, axis.stride, -axis.lo) for axis in last)
    reads_all = any(axis.kernel > form.taps * axis.stride or axis.lo % axis.stride for axis in last)
    planes = len(form.planes) if reads_all else 1 + max(plane for _, plane in form.reads[0])
    return tuple(
        _phases(form, planes, axis.kernel, axis.stride, axis.dilation, axis.lo % axis.stride, _origin(axis, transposed))
        for axis in last
    )


def _origin(axis: Axis, transposed: bool) -> int:
    """The first input of cell 0."""
    if not transposed:
        return -axis.lo
    return axis.lo // axis.stride - (axis.kernel // axis.stride - 1) * axis.dilation


def _phases_of_input(kernel: int, stride: int, origin: int) -> AxisPhases:
    """The phases along an axis whose input has several: the only phase out reads each of these through two taps or one.

    Of a phase of one tap, the first output is part of m₀, and the second, negative, of m₂.
    """
    products, planes = len(_TWO_TAPS.factors), stride + kernel
    of_products: list[list[int]] = [[] for _ in range(products)]
    places = iter(range(planes))
    for e in range(stride):
        has_two = e + stride < kernel
        for product in range(products) if has_two else (0, products - 1):
            of_products[product].append(next(places))
    phases = tuple(PhaseOut(0, tuple(read), tuple(-plane for plane in read)) for read in of_products)
    return AxisPhases(OUTPUTS, planes, planes, phases, origin, products=products, stride=stride)


@lru_cache(maxsize=64)
def _phases(form: Form, planes: int, kernel: int, stride: int, dilation: int, residue: int, origin: int) -> AxisPhases:
    """The phases along an axis, of which the first has so many outputs before it up to a multiple of the stride."""
    runs, products, phases = _runs(form, kernel // stride), len(form.factors), []
    for e in range(stride):
        start, of_phase = divmod(e + residue, stride)
        for product in range(products):
            # The last tap of a whole run is the only one of the last product.
            taken = [place for place, run in enumerate(runs) if product < products - 1 or len(run) == form.taps]
            deltas = []
            for place in taken:
                cell, second = divmod(start + runs[place].start, OUTPUTS)
                further, plane = form.reads[second][product]
                deltas.append((cell + further) * dilation * planes + plane)
            factors = tuple(((stride - 1 - of_phase) * len(runs) + place) * products + product for place in taken)
            phases.append(PhaseOut(0, factors, tuple(-delta for delta in deltas)))
    kernel = stride * len(runs) * products
    return AxisPhases(OUTPUTS * stride, planes, kernel, tuple(phases), origin, dilation, products)


def _runs(form: Form, taps: int) -> tuple[range, ...]:
    """The runs that the taps of a phase are cut into. One of a single tap would have as many products as one of two.

    >>> _runs(_THREE_TAPS, 7)
    (range(0, 3), range(3, 5), range(5, 7))
    """
    starts = [*range(0, taps, form.taps), taps]
    if taps % form.taps == 1:
        starts[-2] -= 1
    return tuple(map(range, starts, starts[1:]))


def transformed_weight(
    weight: Tensor, axes: Sequence[AxisPhases], geometry: Geometry
) -> Iterator[tuple[int, int, Tensor]]:
    """The factors that a weight has in Winograd's form, in the place of the taps of its last axes.

    They take more memory than the weight, so there are never more of them at a time than a cache holds.

    Args:
        weight: of the shape that the geometry says.
        axes: the phases along the axes that are transformed.
        geometry: the convolution.

    Yields:
        The first of some input channels of all groups, the one after the last, and their factors, of shape
        (input channels, output channels of a group, all factors).

    >>> geometry = Geometry.conv((9,), 3)
    >>> weight = torch.tensor([[[4.0, 2.0, 6.0]]])
    >>> [(first, last, factors)] = transformed_weight(weight, transformed_phases(geometry, 1), geometry)
    >>> first, last, factors
    (0, 1, tensor([[[4., 6., 4., 6.]]]))
    """
    by_input = weight.unflatten(0, (geometry.groups, -1))
    if not geometry.transposed:
        by_input = by_input.transpose(1, 2)
    kernel = weight.shape[-len(axes) :]
    matrices = [_factors_of_taps(axis, taps, geometry.transposed) for axis, taps in zip(axes, kernel, strict=True)]
    matrix = reduce(torch.kron, matrices).to(weight.dtype).mT
    groups, channels = by_input.shape[:2]
    of_channel = by_input[0, 0].numel() // len(matrix) * matrix.shape[1]
    at_once = max(_MOST_FACTORS // of_channel, 1)
    groups_at_once = max(at_once // channels, 1)
    for group in range(0, groups, groups_at_once):
        for channel in range(0, channels, at_once):
            part = by_input[group : group + groups_at_once, channel : channel + at_once]
            taps, first = part.flatten(0, 1).flatten(-len(axes)), group * channels + channel
            yield first, first + len(taps), taps @ matrix


def _factors_of_taps(axis: AxisPhases, kernel: int, transposed: bool) -> Tensor:
    """The factors along an axis as multiples of its taps, of shape (factors, taps)."""
    if axis.stride > 1:
        return _factors_of_input(axis, kernel)
    form, stride = FORMS[axis.products], axis.step_out // OUTPUTS
    runs = _runs(form, kernel // stride)
    matrix = [[0.0] * kernel for _ in range(axis.kernel)]
    for tap in range(kernel):
        of_all, of_phase = divmod(kernel - 1 - tap if transposed else tap, stride)
        place = next(place for place, run in enumerate(runs) if of_all in run)
        first = (of_phase * len(runs) + place) * axis.products
        for product, multiples in enumerate(form.factors):
            matrix[first + product][tap] = multiples[of_all - runs[place].start]
    return torch.tensor(matrix)


def _factors_of_input(axis: AxisPhases, kernel: int) -> Tensor:
    """The same where the input has phases."""
    rows = []
    for e in range(axis.stride):
        taps = range(e, kernel, axis.stride)
        for multiples in _TWO_TAPS.factors if len(taps) == _TWO_TAPS.taps else ((1.0,), (-1.0,)):
            row = [0.0] * kernel
            for tap, multiple in zip(taps, multiples, strict=True):
                row[tap] = multiple
            rows.append(row)
    return torch.tensor(rows)
