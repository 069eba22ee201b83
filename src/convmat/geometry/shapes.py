"""Axes, channels and groups, and the shapes that follow from them."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from convmat.geometry.axis import Axis
from convmat.geometry.errors import GeometryError, Sentence, shown
from convmat.geometry.per_axis import LARGEST, an_int
from convmat.geometry.sizes import check_positive


@dataclass(frozen=True)
class Shapes:
    """What a convolution reads and writes, in either direction; see :class:`convmat.Geometry`."""

    axes: tuple[Axis, ...]
    in_channels: int = 1
    out_channels: int = 1
    groups: int = 1
    transposed: bool = False

    def __post_init__(self) -> None:
        if not (isinstance(self.axes, tuple) and self.axes and all(isinstance(axis, Axis) for axis in self.axes)):
            raise TypeError(f"axes={shown(self.axes)} must be a tuple of at least one convmat.Axis")
        check_positive(groups=self.groups)
        for name, channels in (("in_channels", self.in_channels), ("out_channels", self.out_channels)):
            if an_int(channels, name) < 0:
                raise GeometryError.of("{name}={channels} must be at least 0", name=name, channels=shown(channels))
            if channels % self.groups:
                raise GeometryError.of(
                    "{name}={channels} must be a multiple of groups={groups}",
                    name=name,
                    channels=shown(channels),
                    groups=shown(self.groups),
                )
        for name, shape in (("input", self.in_shape), ("output", self.out_shape)):
            elements = prod(shape)
            if isinstance(elements, int) and elements > LARGEST:  # symbolic ones are of tensors that exist
                raise GeometryError.of(
                    "{name} shape {shape} has {elements} elements, more than 2**63-1: sizes overflow",
                    name=Sentence(name),
                    shape=shown(shape),
                    elements=shown(elements),
                )

    @property
    def ndim(self) -> int:
        """Number of spatial axes."""
        return len(self.axes)

    @property
    def inputs(self) -> tuple[int, ...]:
        """Spatial sizes that the direct convolution reads."""
        return tuple(axis.inputs for axis in self.axes)

    @property
    def outputs(self) -> tuple[int, ...]:
        """Spatial sizes that the direct convolution writes."""
        return tuple(axis.outputs for axis in self.axes)

    @property
    def read(self) -> tuple[int, ...]:
        """Spatial sizes that the map reads, whichever direction it is."""
        return self.outputs if self.transposed else self.inputs

    @property
    def written(self) -> tuple[int, ...]:
        """Spatial sizes that the map writes, whichever direction it is."""
        return self.inputs if self.transposed else self.outputs

    @property
    def in_shape(self) -> tuple[int, ...]:
        """Channels and spatial sizes of the map's input, without batch."""
        return (self.in_channels, *self.read)

    @property
    def out_shape(self) -> tuple[int, ...]:
        """Channels and spatial sizes of the map's output, without batch."""
        return (self.out_channels, *self.written)

    @property
    def padded_sizes(self) -> tuple[int, ...]:
        """Spatial sizes of the padded input that the direct convolution's windows lie on."""
        return tuple(axis.padded for axis in self.axes)

    @property
    def kernel_size(self) -> tuple[int, ...]:
        """Taps along each axis."""
        return tuple(axis.kernel for axis in self.axes)

    @property
    def stride(self) -> tuple[int, ...]:
        """Stride along each axis."""
        return tuple(axis.stride for axis in self.axes)

    @property
    def dilation(self) -> tuple[int, ...]:
        """Dilation along each axis."""
        return tuple(axis.dilation for axis in self.axes)

    @property
    def weight_shape(self) -> tuple[int, ...]:
        """PyTorch's layout: (out, in/groups, *kernel), or (in, out/groups, *kernel) of a transposed convolution."""
        rows, columns = self.direct_channels
        return (rows, columns // self.groups, *self.kernel_size)

    @property
    def direct_channels(self) -> tuple[int, int]:
        """Channels that the direct convolution writes and reads: those of the rows and of the columns of C."""
        return (self.in_channels, self.out_channels) if self.transposed else (self.out_channels, self.in_channels)

    @property
    def matrix_shape(self) -> tuple[int, int]:
        """Rows and columns of the map's matrix."""
        return prod(self.out_shape), prod(self.in_shape)

    @property
    def padding_mode(self) -> str:
        """The padding mode of the axes (``"mixed"`` where they differ)."""
        modes = {axis.padding_mode for axis in self.axes}
        return modes.pop() if len(modes) == 1 else "mixed"

    def weight_channels(self, out_channel: int, in_channel: int) -> tuple[int, int] | None:
        """Where the weight holds the kernel from a channel of the input to one of the output; ``None`` across groups.

        >>> from convmat import Geometry
        >>> Geometry.conv((5,), 3, groups=2, in_channels=4, out_channels=2).weight_channels(1, 3)
        (1, 1)
        """
        per_out, per_in = self.out_channels // self.groups, self.in_channels // self.groups
        if out_channel // per_out != in_channel // per_in:
            return None
        return (in_channel, out_channel % per_out) if self.transposed else (out_channel, in_channel % per_in)
