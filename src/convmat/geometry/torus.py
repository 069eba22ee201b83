"""An axis that closes to a circle: its matrix is block-circulant then, and Fourier transforms diagonalise it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import gcd
from typing import TypeVar

import numpy as np

from convmat.geometry.table import TapTable

Circle = TypeVar("Circle", bound="TableOnTorus")


@dataclass(frozen=True)
class Cycle:
    """An axis on which every output reads what another one reads, some cells on around the axis.

    Output ``o`` reads ``cells[t] + step*order[o]`` (modulo ``size``) through tap ``t``. The ``order`` takes each of
    ``0..count-1`` as often as ``copies`` says, for ``count * step == size``.
    """

    size: int
    step: int
    count: int
    copies: int
    cells: tuple[int, ...]
    order: tuple[int, ...]

    @property
    def is_flat(self) -> bool:
        """Whether each residue of the cells modulo ``step`` holds one cell at most, as in patches that touch."""
        return len({cell % self.step for cell in self.cells}) == len(set(self.cells))


class TableOnTorus(TapTable):
    """Whether the axis is such a circle, and a larger one that is."""

    def circulant_refusal(self) -> str | None:
        """Why the axis' matrix is not (block-)circulant; ``None`` if it is.

        It is where no output reads a zero and each output reads what the one before it reads, ``stride`` cells on
        around the axis; the first one follows the last one in this. That is asked of the table, so that it holds for
        patches that touch and for kernels of one tap, with any padding mode.

        >>> from convmat import Axis
        >>> Axis.conv(6, kernel=3, padding=1).circulant_refusal()
        'output 0 reads a zero through tap 0'
        >>> Axis.conv(6, kernel=2, stride=2).circulant_refusal() is None
        True
        """
        sources = self.source()
        zeros = np.argwhere(sources < 0)
        if len(zeros):
            return f"output {zeros[0, 0]} reads a zero through tap {zeros[0, 1]}"
        following = np.roll(sources, -1, axis=0)
        breaks = np.argwhere(following != (sources + self.stride) % self.inputs)
        if not len(breaks):
            return None
        output, tap = breaks[0].tolist()
        after = (output + 1) % self.outputs
        wanted = (int(sources[output, tap]) + self.stride) % self.inputs
        around = "" if after else ", which follows the last,"
        return f"output {after}{around} reads input {following[output, tap]} through tap {tap}, and not {wanted}"

    def cycle(self) -> Cycle:
        """The axis as a cycle, if :meth:`circulant_refusal` has nothing against it.

        >>> from convmat import Axis
        >>> Axis.conv(4, kernel=5, padding=4, padding_mode="circular").cycle()
        Cycle(size=4, step=1, count=4, copies=2, cells=(0, 1, 2, 3, 0), order=(0, 1, 2, 3, 0, 1, 2, 3))
        """
        step = gcd(self.stride, self.inputs)
        count = self.inputs // step
        order = np.arange(self.outputs) * (self.stride // step) % count
        cells = self.source_of(0, np.arange(self.kernel))
        return Cycle(self.inputs, step, count, self.outputs // count, tuple(cells.tolist()), tuple(order.tolist()))

    def on_torus(self: Circle) -> Circle:
        """A circulant axis whose matrix has that of the axis, unpadded but for zeros, as a part; itself if it is one.

        So the norm of the larger matrix is no smaller. Its size is the least multiple of the stride on which no window
        reaches around to cells that it does not read.

        >>> from convmat import Axis
        >>> Axis.conv(5, kernel=3, padding=1).on_torus().inputs
        6
        """
        if self.circulant_refusal() is None:
            return self
        axis, reach = self.unpadded(), self.extent - 1
        least = max(axis.inputs + max(axis.lo, axis.hi), axis.outputs * self.stride, reach)
        outputs = -(-least // self.stride)
        inputs = outputs * self.stride
        return replace(self, inputs=inputs, outputs=outputs, lo=0, hi=reach, padding_mode="circular")

    def most_copies(self) -> int:
        """The largest number of padded cells that are copies of one input: the square of the norm of P."""
        sources = self.padding_source()
        return int(np.bincount(sources[sources >= 0]).max())
