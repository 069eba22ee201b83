"""The phases of an axis: the outputs and the inputs that belong to one cell."""

from __future__ import annotations

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
    """

    step_out: int
    step_in: int
    kernel: int
    phases: tuple[PhaseOut, ...]
    origin: int = 0
    together: int = 1

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
