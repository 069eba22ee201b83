"""The phases of an axis: stride-1 convolutions that the convolution falls into."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from convmat.geometry.table import IntArray, TapTable


@dataclass(frozen=True)
class Phase:
    """The taps that feed one residue class of the outputs of Cᵀ.

    Output ``i`` of Cᵀ with ``(i + lo) % stride == residue`` is the sum, over the taps here, of
    ``kernel[tap] * y[(i + lo) // stride - shift]``. ``taps`` is empty where the phase stays zero.
    """

    residue: int
    taps: tuple[int, ...]
    shifts: tuple[int, ...]


@dataclass(frozen=True)
class PhaseWindow:
    """Where the phases of one axis lie: what a stride-1 convolution must pad, and what to crop after interleaving.

    Cell ``q`` of phase ``r`` is cell ``q*stride + r`` of the padded inputs. ``count`` of these are needed, from the
    cell ``first`` on; ``offset`` cells of the first one lie before the axis. ``coarse_padding`` extends the outputs of
    the direct convolution for Cᵀ; for C, ``whole_padding`` extends its inputs to whole cells of all phases, and
    ``fine_padding`` extends the phases (negative: crop).
    """

    first: int
    count: int
    offset: int
    coarse_padding: tuple[int, int]
    whole_padding: tuple[int, int]
    fine_padding: tuple[int, int]


class TablePhases(TapTable):
    """Which taps each phase has, and where its cells lie."""

    def phases(self) -> tuple[Phase, ...]:
        """The phases of Cᵀ, by residue: which taps feed the outputs ``i`` with ``(i + lo) % stride == residue``.

        >>> from convmat import Axis
        >>> [phase.taps for phase in Axis.conv_transpose(4, kernel=3, stride=2).phases()]
        [(0, 2), (1,)]
        """
        steps = [divmod(t * self.dilation, self.stride) for t in range(self.kernel)]
        return tuple(
            Phase(r, tuple(t for t, s in enumerate(steps) if s[1] == r), tuple(s[0] for s in steps if s[1] == r))
            for r in range(self.stride)
        )

    def residues(self) -> IntArray:
        """The number of the phase that feeds each output of Cᵀ, of shape (inputs,): ``(i + lo) % stride``.

        >>> from convmat import Axis
        >>> Axis.conv_transpose(3, kernel=3, stride=2, padding=1).residues()
        array([1, 0, 1, 0, 1])
        """
        return (np.arange(self.inputs, dtype=np.int64) + self.lo) % self.stride

    def phase_table(self) -> IntArray:
        """The phases as an array of shape (stride, longest shift + 1): the tap of each residue and shift, or -1."""
        table = np.full((self.stride, (self.extent - 1) // self.stride + 1), -1, dtype=np.int64)
        taps = np.arange(self.kernel)
        table[taps * self.dilation % self.stride, taps * self.dilation // self.stride] = taps
        return table

    def phase_window(self) -> PhaseWindow:
        """Which cells of the phases are needed (zero padding)."""
        reach = (self.extent - 1) // self.stride
        first, last = self.lo // self.stride, (self.lo + self.inputs - 1) // self.stride
        count, offset = last - first + 1, self.lo - first * self.stride
        return PhaseWindow(
            first=first,
            count=count,
            offset=offset,
            whole_padding=(offset, count * self.stride - offset - self.inputs),
            coarse_padding=(reach - first, last - (self.outputs - 1)),
            fine_padding=(first, self.outputs - 1 + reach - last),
        )
