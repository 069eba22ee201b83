"""The phases of an axis, which are the outputs and the inputs that belong to one cell, and classes of these."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from functools import lru_cache
from typing import NamedTuple

from convmat.geometry.axis import Axis


class PhaseOut(NamedTuple):
    """The outputs ``a*step_out + e``: each is the sum over ``taps`` of the inputs ``a*step_in + first - shift``."""

    first: int
    taps: tuple[int, ...]
    shifts: tuple[int, ...]


class AxisPhases(NamedTuple):
    """An axis as the phases of what it writes, e = 0, 1, ...

    Cᵀ has as many as its stride, ``step_out``, and a cell is one of its inputs. C has one, and a cell is as many of its
    inputs as its stride, ``step_in``: these are its phases in. In Winograd's form, these are the sums of inputs.

    Args:
        step_out: outputs from one cell to the next.
        step_in: phases in, of a cell.
        kernel: taps, or factors in their place.
        phases: the phases out.
        origin: the first input of cell 0. Default: 0
        together: how many cells follow one another before their outputs are ``step_out`` times as many further; that
            many neighbours have neighbouring outputs. Default: 1
        products: in Winograd's form, of how many products the outputs of a phase are made. Each counts as a phase here,
            one after the other. Default: 1
        stride: in Winograd's form, inputs from one output of a phase to the next. Default: 1
    """

    step_out: int
    step_in: int
    kernel: int
    phases: tuple[PhaseOut, ...]
    origin: int = 0
    together: int = 1
    products: int = 1
    stride: int = 1

    def cells(self, written: int) -> int:
        """How many cells make so many outputs."""
        return -(-written // (self.step_out * self.together)) * self.together


def axis_phases(axis: Axis, transposed: bool) -> AxisPhases:
    """The phases of an axis of C or Cᵀ.

    >>> axis_phases(Axis.conv_transpose(5, kernel=3, stride=2, padding=1), transposed=True).phases
    (PhaseOut(first=0, taps=(1,), shifts=(0,)), PhaseOut(first=1, taps=(0, 2), shifts=(0, 1)))
    >>> axis_phases(Axis.conv(9, kernel=3, stride=2, padding=1), transposed=False).phases
    (PhaseOut(first=-1, taps=(0, 1, 2), shifts=(0, -1, -2)),)
    """
    if not transposed:
        return _direct_phases(axis.kernel, axis.stride if axis.outputs > 1 else 1, axis.dilation, axis.lo)
    # A single input has no neighbour, so its stride is of no account. A stride as large as the axis gives each output a
    # phase of its own, with one tap at most.
    stride = axis.stride if axis.outputs > 1 else axis.padded
    return _transposed_phases(axis.kernel, stride, axis.dilation, axis.lo, min(stride, axis.inputs))


@lru_cache(maxsize=1024)
def _direct_phases(kernel: int, stride: int, dilation: int, lo: int) -> AxisPhases:
    taps = tuple(range(kernel))
    return AxisPhases(1, stride, kernel, (PhaseOut(-lo, taps, tuple(-tap * dilation for tap in taps)),))


@lru_cache(maxsize=1024)
def _transposed_phases(kernel: int, stride: int, dilation: int, lo: int, count: int) -> AxisPhases:
    by_residue: dict[int, list[tuple[int, int]]] = {}
    for tap in range(kernel):
        shift, residue = divmod(tap * dilation, stride)
        by_residue.setdefault(residue, []).append((tap, shift))
    phases = []
    for e in range(count):
        first, residue = divmod(e + lo, stride)
        pairs = by_residue.get(residue, [])
        phases.append(PhaseOut(first, tuple(tap for tap, _ in pairs), tuple(shift for _, shift in pairs)))
    return AxisPhases(stride, 1, kernel, tuple(phases))


class PhasePart(NamedTuple):
    """Deltas that some phases of a class read and the others do not.

    Args:
        members: which phases, as places in the class.
        deltas: the inputs they read, relative to the first of their cell and start.
        taps: for each member, the tap of each delta.
        added: whether other parts before it made the rows of these members.
    """

    members: tuple[int, ...]
    deltas: tuple[int, ...]
    taps: tuple[tuple[int, ...], ...]
    added: bool


class PhaseClass(NamedTuple):
    """Output phases that are computed together, each relative to a start of its own.

    Phase ``members[n]`` at cell a reads the inputs ``a + starts[n] + delta``. The first part holds what all read, which
    may be nothing; it is not there where each member reads in one other part.
    """

    members: tuple[int, ...]
    starts: tuple[int, ...]
    parts: tuple[PhasePart, ...]


@lru_cache(maxsize=64)
def phase_classes(axis: AxisPhases, merge: bool, is_width: bool = False) -> tuple[PhaseClass, ...]:
    """The phases each by itself, or all together; in Winograd's form, products of a phase, or those that read the same.

    >>> from convmat.geometry import Axis
    >>> axis = axis_phases(Axis.conv_transpose(5, kernel=3, stride=2, padding=1), transposed=True)
    >>> [part.members for part in phase_classes(axis, merge=True)[0].parts]
    [(0, 1), (1,)]
    """
    classes: dict[Hashable, list[int]] = {}
    for e, phase in enumerate(axis.phases):
        of_class: Hashable = None if merge else e // axis.products
        if axis.products > 1 and is_width:  # these are in one stripe anyhow, so those that read the same are a class
            of_class = phase.shifts
        classes.setdefault(of_class, []).append(e)
    return tuple(_phase_class(tuple(members), axis.phases) for members in classes.values())


def _phase_class(members: tuple[int, ...], phases: Sequence[PhaseOut]) -> PhaseClass:
    first = min(phases[e].first for e in members)
    taps_of = [dict(zip(phases[e].shifts, phases[e].taps, strict=True)) for e in members]
    readers: dict[tuple[int, ...], list[int]] = {tuple(range(len(members))): []}
    for shift in sorted(set().union(*taps_of)):
        readers.setdefault(tuple(n for n, taps in enumerate(taps_of) if shift in taps), []).append(shift)
    (everyone, of_all), *others = readers.items()
    # What nobody reads makes zeros to add to; where each member reads in one other part, nothing is added.
    is_apart = not of_all and sorted(n for places, _ in others for n in places) == list(everyone)
    parts = tuple(
        PhasePart(
            places,
            tuple(first - shift for shift in shifts),
            tuple(tuple(taps_of[n][shift] for shift in shifts) for n in places),
            not is_apart and places != everyone,
        )
        for places, shifts in (others if is_apart else readers.items())
    )
    return PhaseClass(members, tuple(phases[e].first - first for e in members), parts)
