"""Unfold and fold as layers, over any number of axes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from convmat.functional import unfolding
from convmat.geometry import Padding, PerAxis, per_axis_padding
from convmat.nn.checks import errors_of, positive_per_axis


class Unfold(nn.Unfold):
    """The cells under each window, as columns: :class:`torch.nn.Unfold` with the arguments of :func:`convmat.unfold`.

    Args:
        kernel_size: one integer per axis; a single integer means two axes, as in PyTorch.
        dilation: one integer, or one per axis. Default: 1
        padding: zeros around the input: integers, ``(lo, hi)`` pairs, ``"same"`` or ``"valid"``. Default: 0
        stride: one integer, or one per axis. Default: 1

    Raises:
        GeometryError: if arguments do not go together.
        TypeError: if one is of the wrong type.

    >>> import torch
    >>> Unfold((3,), padding=((2, 0),))(torch.arange(4).reshape(1, 4))
    tensor([[0, 0, 0, 1],
            [0, 0, 1, 2],
            [0, 1, 2, 3]])
    """

    def __init__(self, kernel_size: PerAxis, dilation: PerAxis = 1, padding: Padding = 0, stride: PerAxis = 1) -> None:
        with errors_of(self):
            _check(unfolding.axes_of(kernel_size), kernel_size, dilation, padding, stride)
        super().__init__(kernel_size, dilation, padding, stride)  # type: ignore[arg-type]

    def forward(self, input: Tensor) -> Tensor:
        """(batch, channels, *sizes) -> (batch, channels*taps, windows)."""
        return _unfold(input, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self) -> str:
        """The constructor's arguments."""
        return _arguments(self, "kernel_size", "dilation", "padding", "stride")


class Fold(nn.Fold):
    """Sum columns back into place: :class:`torch.nn.Fold` with the arguments of :func:`convmat.fold`.

    Args:
        output_size: one integer per axis; a single integer means two axes, as in PyTorch.
        kernel_size: one integer, or one per axis.
        dilation: one integer, or one per axis. Default: 1
        padding: cells to crop: integers, ``(lo, hi)`` pairs, ``"same"`` or ``"valid"``. Default: 0
        stride: one integer, or one per axis. Default: 1

    Raises:
        GeometryError: if arguments do not go together.
        TypeError: if one is of the wrong type.

    >>> import torch
    >>> Fold((4,), 2)(torch.tensor([[1, 2, 3], [20, 30, 40]]))
    tensor([[ 1, 22, 33, 40]])
    """

    def __init__(
        self,
        output_size: PerAxis,
        kernel_size: PerAxis,
        dilation: PerAxis = 1,
        padding: Padding = 0,
        stride: PerAxis = 1,
    ) -> None:
        with errors_of(self):
            ndim = unfolding.axes_of(output_size)
            positive_per_axis(output_size, ndim, "output_size")
            _check(ndim, kernel_size, dilation, padding, stride)
        super().__init__(output_size, kernel_size, dilation, padding, stride)  # type: ignore[arg-type]

    def forward(self, input: Tensor) -> Tensor:
        """(batch, channels*taps, windows) -> (batch, channels, *output_size)."""
        return _fold(input, self.output_size, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self) -> str:
        """The constructor's arguments."""
        return _arguments(self, "output_size", "kernel_size", "dilation", "padding", "stride")


def _check(ndim: int, kernel_size: PerAxis, dilation: PerAxis, padding: Padding, stride: PerAxis) -> None:
    for name, value in (("kernel_size", kernel_size), ("dilation", dilation), ("stride", stride)):
        positive_per_axis(value, ndim, name)
    per_axis_padding(padding, ndim)


def _arguments(layer: nn.Module, *names: str) -> str:
    return ", ".join(f"{name}={getattr(layer, name)!r}" for name in names)


@torch.fx.wrap
def _unfold(input: Tensor, *arguments: Any) -> Tensor:
    """One node for ``torch.fx.symbolic_trace``, as PyTorch's layers are."""
    return unfolding.unfold(input, *arguments)


@torch.fx.wrap
def _fold(input: Tensor, *arguments: Any) -> Tensor:
    return unfolding.fold(input, *arguments)
