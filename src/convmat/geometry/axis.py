"""One axis: made from the arguments of a convolution, and the same map seen otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from convmat.geometry.entries import TableEntries
from convmat.geometry.phases import TablePhases
from convmat.geometry.sizes import direct_size, transposed_size
from convmat.geometry.torus import TableOnTorus

_CLASS_BITS = 4  # of a number of outputs less one, by which axes are alike: eight classes up to twice as many outputs


@dataclass(frozen=True)
class AxisPieces:
    """The outputs of one axis in pieces of equal size, each with the inputs that it reads.

    After extending the inputs by ``padding`` (negative: crop), piece ``p`` reads those from ``p*step`` on, as many as
    ``axis`` has. ``further`` outputs fill the last piece up; nobody asked for these.
    """

    axis: Axis
    step: int
    padding: tuple[int, int]
    further: int


class Axis(TableEntries, TablePhases, TableOnTorus):
    """One spatial axis of a convolution, holding both of its sizes.

    Args:
        inputs: cells that the direct convolution reads (the columns of its matrix).
        outputs: cells that it writes (the rows).
        kernel: number of taps.
        stride: step between the windows of neighbouring outputs. Default: 1
        dilation: step between neighbouring taps. Default: 1
        lo: cells of padding before the axis. Default: 0
        hi: cells of padding after the axis. Default: 0
        padding_mode: ``"zeros"``, ``"reflect"``, ``"replicate"`` or ``"circular"``. Default: ``"zeros"``

    Use :meth:`conv` or :meth:`conv_transpose` to have the missing size computed.

    >>> Axis.conv(4, kernel=3, stride=2, padding=1).source()
    array([[-1,  0,  1],
           [ 1,  2,  3]])
    """

    @classmethod
    def conv(
        cls,
        input_size: int,
        kernel: int,
        stride: int = 1,
        padding: int | tuple[int, int] | Literal["same", "valid"] = 0,
        dilation: int = 1,
        padding_mode: str = "zeros",
    ) -> Axis:
        """The axis of a convolution of ``input_size`` cells.

        With ``"same"``, ``outputs = ceil(input_size / stride)`` and an odd cell of padding goes to the end.
        """
        outputs, lo, hi = direct_size(input_size, kernel, stride, padding, dilation)
        return cls(input_size, outputs, kernel, stride, dilation, lo, hi, padding_mode)

    @classmethod
    def conv_transpose(
        cls,
        input_size: int,
        kernel: int,
        stride: int = 1,
        padding: int | tuple[int, int] | Literal["same", "valid"] = 0,
        output_padding: int = 0,
        dilation: int = 1,
        padding_mode: str = "zeros",
        output_size: int | None = None,
    ) -> Axis:
        """The axis of a transposed convolution of ``input_size`` cells: that of the direct one it transposes.

        The output size is ``(input_size-1)*stride - lo - hi + dilation*(kernel-1) + output_padding + 1``; asking for an
        ``output_size`` sets ``output_padding``. ``"same"`` makes it ``input_size*stride``, or any ``output_size`` that
        as many steps reach, and the padding follows.
        """
        inputs, lo, hi = transposed_size(input_size, kernel, stride, padding, output_padding, dilation, output_size)
        return cls(inputs, input_size, kernel, stride, dilation, lo, hi, padding_mode)

    # -- the same map, otherwise ---------------------------------------------------------------------------------------

    @property
    def passes_on(self) -> bool:
        """Whether every output is one input times the only tap, in order."""
        return self.kernel == self.stride == 1 and self.lo == self.hi == 0 and self.inputs == self.outputs

    @property
    def further_outputs(self) -> int:
        """How many outputs of C more would fit, which PyTorch's own functions compute."""
        return self.slack // self.stride

    def exchanged(self) -> Axis:
        """The axis on which taps are outputs, and outputs taps: both read the same inputs.

        >>> Axis.conv(9, 3, stride=2).source().T.tolist() == Axis.conv(9, 3, stride=2).exchanged().source().tolist()
        True
        """
        return replace(self, outputs=self.kernel, kernel=self.outputs, stride=self.dilation, dilation=self.stride)

    def longest_alike(self) -> tuple[int, int]:
        """Inputs and outputs of the longest axis that is like this one: at most an eighth longer, all else the same.

        What is chosen for sizes, and not computed with, can be chosen once for all that are alike. Axes of 16 outputs
        and less, and those that hardly hold two windows, are like themselves only.

        >>> [Axis.conv(size, kernel=3, padding=1).longest_alike() for size in (16, 57, 60, 61)]
        [(16, 16), (60, 60), (60, 60), (64, 64)]
        """
        further = -self.outputs % (1 << max((self.outputs - 1).bit_length() - _CLASS_BITS, 0))
        if min(self.inputs - self.stride, self.outputs - 1) < self.dilation:
            further = 0
        return self.inputs + further * self.stride, self.outputs + further

    def bounds(self, bounds: Sequence[int], transposed: bool = False) -> tuple[int, ...]:
        """Where to cut what is written, if what is read is cut at ``bounds``: these over the stride, or times it.

        >>> Axis.conv(8, kernel=3, stride=2, padding=1).bounds((0, 3, 8))
        (0, 2, 4)
        """
        size = self.inputs if transposed else self.outputs
        cuts = (bound * self.stride if transposed else -(-bound // self.stride) for bound in bounds[1:-1])
        return 0, *sorted({cut for cut in cuts if 0 < cut < size}), size

    def zero_insertion_padding(self) -> tuple[int, int]:
        """What Cᵀ pads around its inputs, zeros inserted, as a stride-1 convolution (negative: crop)."""
        reach = self.extent - 1
        return reach - self.lo, reach - self.hi + self.slack

    def pieces(self, count: int) -> AxisPieces:
        """The outputs of C in ``count`` pieces, for an axis that pads with zeros."""
        outputs = -(-self.outputs // count)
        step, read = outputs * self.stride, (outputs - 1) * self.stride + self.extent
        axis = replace(self, inputs=read, outputs=outputs, lo=0, hi=0)
        return AxisPieces(
            axis, step, (self.lo, (count - 1) * step + read - self.lo - self.inputs), count * outputs - self.outputs
        )

    def even_padding(self) -> tuple[int, tuple[int, int], int]:
        """The padding that PyTorch's own functions can express, and what remains.

        Returns:
            ``(both, (lo, hi), output_padding)``: the padding on both sides; what C must pad, or Cᵀ crop, beyond it; the
            ``output_padding`` that a transposed convolution so padded needs to reach every output.
        """
        both = min(self.lo, self.hi)
        return both, (self.lo - both, self.hi - both), max(self.slack - (self.hi - both), 0)
