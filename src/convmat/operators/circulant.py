"""A block-circulant convolution as what Fourier transforms make of it: a small matrix for each frequency.

Along a :class:`~convmat.geometry.torus.Cycle` the inputs fall into ``step`` phases of ``count`` cells each, and every
output is a correlation with each phase. A Fourier transform over the ``count`` cells turns these into products, so that
for each group of channels and each frequency a matrix of (out channels) x (in channels * phases) is left.

Sedghi, Gupta, Long (2019), "The singular values of convolutional layers", has it for stride 1; Senderovich et al.
(2022), "Towards practical control of singular values of convolutional layers", for strides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import pi, prod

import torch
from torch import Tensor

from convmat.geometry import Cycle, Geometry, GeometryError, Sentence
from convmat.tensors.memory import check_fits


@dataclass(frozen=True)
class Blocks:
    """Matrices whose singular values, each so many times, and so many zeros are those of an operator.

    Attributes:
        matrices: of shape (number, rows, columns).
        counts: of shape (number,): how often the values of each matrix are the operator's.
        zeros: how many more values there are, all zero.
    """

    matrices: Tensor
    counts: Tensor
    zeros: int = 0

    def values(self) -> Tensor:
        """All singular values, the largest first."""
        values = torch.linalg.svdvals(self.matrices)
        repeated = values.repeat_interleave(self.counts, dim=0).flatten()
        return torch.cat([repeated.sort(descending=True).values, repeated.new_zeros(self.zeros)])


class Circulant:
    """The Fourier view of a block-circulant convolution, direct or transposed.

    Args:
        geometry: which is block-circulant.
        weight: of shape ``geometry.weight_shape``, of a floating or complex dtype.

    ``C == join_out @ B @ split_in``: isometries that :meth:`split_in` and its likes apply, and a block-diagonal ``B``.

    Raises:
        GeometryError: if the geometry is not block-circulant; the message names the axis and the output that breaks it.
    """

    def __init__(self, geometry: Geometry, weight: Tensor) -> None:
        refusal = geometry.circulant_refusal()
        if refusal is not None:
            raise GeometryError(f"the operator is not block-circulant: {refusal}")
        self.geometry = geometry
        self.weight = weight if weight.dtype.itemsize >= 4 else weight.float()

    @cached_property
    def cycles(self) -> tuple[Cycle, ...]:
        """The axes as cycles."""
        return tuple(axis.cycle() for axis in self.geometry.axes)

    @cached_property
    def counts(self) -> tuple[int, ...]:
        """The number of frequencies along each axis."""
        return tuple(cycle.count for cycle in self.cycles)

    def half(self) -> Blocks:
        """Matrices with the operator's singular values, as few of them as there need be.

        Of two frequencies that are complex conjugates, as all are if the weight is real, one is left out. Along an axis
        where each phase meets one tap at most, all frequencies have the same singular values.
        """
        counts = [1 if cycle.is_flat else cycle.count for cycle in self.cycles]
        repeats = prod(self.counts) // prod(counts)
        kept = [*counts]
        last = torch.ones(counts[-1], dtype=torch.int64)
        if not self.weight.is_complex():
            kept[-1] = counts[-1] // 2 + 1
            last = torch.full((kept[-1],), 2)
            last[0] = 1
            if counts[-1] % 2 == 0:
                last[-1] = 1
        of_group = (last * repeats).expand(*counts[:-1], -1).flatten()
        blocks = self._oriented(self._spectrum(kept)).flatten(0, 1)
        there = self.geometry.groups * prod(self.counts) * min(blocks.shape[1:])
        in_all = of_group.repeat(self.geometry.groups).to(blocks.device)
        return Blocks(blocks, in_all, min(self.geometry.matrix_shape) - there)

    def full(self) -> Tensor:
        """B, of shape (groups, frequencies, rows, columns): what is applied between the ``split`` and ``join``."""
        return self._oriented(self._spectrum(self.counts))

    def _oriented(self, blocks: Tensor) -> Tensor:
        # Of Cᵀ, the matrix at a frequency is the transpose of that of C at the opposite one.
        return blocks.mH if self.geometry.transposed else blocks

    def _spectrum(self, frequencies: Sequence[int]) -> Tensor:
        """The matrices of the direct convolution: (groups, frequencies, out channels, in channels * phases).

        Of the transposed one, those of the conjugate: ``Cᵀ`` is the adjoint of the convolution with conj(weight).

        Args:
            frequencies: how many along each axis, from the lowest on.
        """
        groups, ndim = self.geometry.groups, self.geometry.ndim
        weight = self.weight.conj() if self.geometry.transposed else self.weight
        spectrum = (weight * self._copies()).to(torch.promote_types(weight.dtype, torch.complex64))
        for cycle, count in zip(self.cycles, frequencies, strict=True):  # the first axis' taps become phase, frequency
            spectrum = torch.tensordot(spectrum, self._waves(cycle, count).to(spectrum), dims=([2], [0]))
        spectrum = spectrum.unflatten(0, (groups, -1))
        at_frequencies = [4 + 2 * a for a in range(ndim)]
        order = (0, *at_frequencies, 1, 2, *(dim - 1 for dim in at_frequencies))
        return spectrum.permute(order).flatten(1, ndim).flatten(3)

    def _waves(self, cycle: Cycle, count: int) -> Tensor:
        """What each tap adds to each phase and frequency of a cycle: (taps, step, count)."""
        cells = torch.tensor(cycle.cells)
        turns = (cells // cycle.step)[:, None] * torch.arange(count) % cycle.count
        waves = torch.zeros(len(cells), cycle.step, count, dtype=torch.complex128)
        waves[torch.arange(len(cells)), cells % cycle.step] = torch.polar(
            torch.ones(()).double(), 2 * pi * turns.double() / cycle.count
        )
        return waves

    def _split_phases(self, x: Tensor) -> Tensor:
        """(..., *sizes) to (..., *steps, *counts): cell ``step*a + r`` is cell a of phase r."""
        first = x.ndim - len(self.cycles)
        x = x.reshape(*x.shape[:first], *(n for cycle in self.cycles for n in (cycle.count, cycle.step)))
        steps = [first + 2 * a + 1 for a in range(len(self.cycles))]
        return x.permute(*range(first), *steps, *(step - 1 for step in steps))

    def _join_phases(self, x: Tensor) -> Tensor:
        ndim, first = len(self.cycles), x.ndim - 2 * len(self.cycles)
        order = [first + a + part for a in range(ndim) for part in (ndim, 0)]
        return x.permute(*range(first), *order).reshape(*x.shape[:first], *(cycle.size for cycle in self.cycles))

    # -- the isometries ------------------------------------------------------------------------------------------------

    def split_in(self, x: Tensor) -> Tensor:
        """Inputs of shape (batch, *in_shape) to (groups, frequencies, columns, batch)."""
        return self._split_coarse(x) if self.geometry.transposed else self._split_fine(x)

    def join_in(self, x: Tensor) -> Tensor:
        """The adjoint of :meth:`split_in`, which undoes it where no output of the direct convolution has a copy."""
        return self._join_coarse(x) if self.geometry.transposed else self._join_fine(x)

    def split_out(self, y: Tensor) -> Tensor:
        """Outputs of shape (batch, *out_shape) to (groups, frequencies, rows, batch)."""
        return self._split_fine(y) if self.geometry.transposed else self._split_coarse(y)

    def join_out(self, y: Tensor) -> Tensor:
        """The adjoint of :meth:`split_out`."""
        return self._join_fine(y) if self.geometry.transposed else self._join_coarse(y)

    def _split_fine(self, x: Tensor) -> Tensor:
        return self._to_frequencies(self._split_phases(x))

    def _join_fine(self, x: Tensor) -> Tensor:
        steps = [cycle.step for cycle in self.cycles]
        cells = self._from_frequencies(x)
        return self._join_phases(cells.unflatten(1, (-1, *steps)))

    def _split_coarse(self, y: Tensor) -> Tensor:
        for dim, cycle in enumerate(self.cycles, start=2):
            order = torch.tensor(cycle.order, device=y.device)
            shape = (*y.shape[:dim], cycle.count, *y.shape[dim + 1 :])
            y = y.new_zeros(shape).index_add(dim, order, y)
        return self._to_frequencies(y / self._copies())

    def _join_coarse(self, y: Tensor) -> Tensor:
        y = self._from_frequencies(y)
        for dim, cycle in enumerate(self.cycles, start=2):
            y = y.index_select(dim, torch.tensor(cycle.order, device=y.device))
        return y / self._copies()

    def _copies(self) -> float:
        return float(prod(cycle.copies for cycle in self.cycles)) ** 0.5

    def _to_frequencies(self, cells: Tensor) -> Tensor:
        """(batch, channels, .., *counts) to (groups, frequencies, channels/groups * .., batch)."""
        ndim = self.geometry.ndim
        spectrum = torch.fft.fftn(cells, dim=tuple(range(-ndim, 0)), norm="ortho").flatten(-ndim)
        batch, frequencies = len(spectrum), spectrum.shape[-1]
        return spectrum.reshape(batch, self.geometry.groups, -1, frequencies).permute(1, 3, 2, 0)

    def _from_frequencies(self, spectrum: Tensor) -> Tensor:
        """(groups, frequencies, channels, batch) to (batch, all channels, *counts); real where the weight is."""
        spectrum = spectrum.permute(3, 0, 2, 1).flatten(1, 2).unflatten(-1, self.counts)
        cells = torch.fft.ifftn(spectrum, dim=tuple(range(-self.geometry.ndim, 0)), norm="ortho")
        return cells if self.weight.is_complex() else cells.real


def check_memory(geometry: Geometry, weight: Tensor) -> None:
    """Refuse blocks that would not fit, before anything is allocated."""
    rows, columns = geometry.direct_channels
    phases = prod(axis.cycle().step for axis in geometry.axes)
    frequencies = prod(axis.cycle().count for axis in geometry.axes)
    numbers = rows * columns // geometry.groups * phases * frequencies
    check_fits(
        Sentence("the {count} matrices of the frequencies", count=geometry.groups * frequencies),
        4 * numbers * max(weight.dtype.itemsize, 4),
        weight.device,
        "op.norm(), or fewer channels",
    )
