"""Transposed convolutions: PyTorch's layers, of any padding and padding mode, computed by any method."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from convmat.functional import convolving
from convmat.geometry import GeometryError, Padding, PerAxis, ints, shown
from convmat.nn import passing
from convmat.nn.checks import (
    check_choices,
    errors_of,
    layer_output_padding,
    layer_padding,
    layer_sizes,
)
from convmat.nn.convolution import ConvolutionLayer
from convmat.tensors.activations import Activation
from convmat.tensors.watching import is_compiling, wants_pytorchs_function


class _Transposed(ConvolutionLayer):
    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: PerAxis,
        stride: PerAxis = 1,
        padding: Padding = 0,
        output_padding: PerAxis = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: PerAxis = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: torch.dtype | None = None,
        *,
        method: str = "auto",
    ) -> None:
        with errors_of(self):
            channels = in_channels, out_channels
            kernel_size, stride, dilation = layer_sizes(channels, groups, kernel_size, stride, dilation, self._ndim)
            kept = layer_padding(padding, self._ndim)
            output_padding = layer_output_padding(output_padding, kept, stride, dilation)
            check_choices(padding_mode, method)
        holds = not isinstance(kept, str) and not isinstance(kept[0], tuple)
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            kept if holds else 0,
            output_padding,
            groups,
            bias,
            dilation,
            device=device,
            dtype=dtype,
        )
        self._keep(kept, padding_mode, method)

    def forward(self, input: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        """Compute the layer.

        Args:
            input: of shape (batch, in_channels, *sizes), or without the batch.
            output_size: the spatial sizes of the output, instead of ``output_padding``. As in PyTorch, batch and
                channels may stand in front and are not read: the size of another tensor will do. Default: ``None``

        Returns:
            Of shape (batch, out_channels, *output sizes), without the batch where the input has none.
        """
        if is_compiling():
            return _convolve_transpose_by(self, output_size, None, input, self.weight, self.bias)
        kind = passing.kind_of_input(self, input) if output_size is None else None
        if (memory_format := self._format_of_passed(kind)) is not None:
            return passing.laid_out(super().forward(input), memory_format)
        self._warn_of_fx(input)
        if wants_pytorchs_function(self._ndim, transposed=True) and self._is_pytorchs(transposed=True):
            return super().forward(input, output_size)
        return self._computed(input, partial(_convolve_transpose_by, self, output_size, kind), kind, transposed=True)

    def _may_pass_on(self) -> bool:
        return self._is_pytorchs(transposed=True)

    def _arguments(self) -> tuple[Any, ...]:
        sizes = self.stride, self.padding, self.output_padding, self.groups, self.dilation
        return *sizes, self.padding_mode, self.method


def _convolve_transpose_by(
    layer: _Transposed,
    output_size: Sequence[int] | None,
    kind: Any,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    activation: Activation | None = None,
) -> Tensor:
    """Compute a transposed layer, and take note of what was chosen for an input of a kind, if it has one."""
    *sizes, padding_mode, method = layer._arguments()
    arguments = *sizes, output_size, padding_mode, method, activation
    output = _convolve_transpose(input, weight, bias, *arguments)
    if layer._is_to_be_noted(kind):
        key = convolving.key_of_conv_transpose(layer._ndim, input, weight, bias, *arguments)
        layer._take_note(kind, key, weight, bias, activation)
    return output


@torch.fx.wrap
def _convolve_transpose(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: tuple[int, ...],
    padding: Padding,
    output_padding: tuple[int, ...],
    groups: int,
    dilation: tuple[int, ...],
    output_size: Sequence[int] | None,
    padding_mode: str,
    method: str,
    activation: Activation | None,
) -> Tensor:
    ndim = len(stride)
    sizes = None if output_size is None else _spatial_sizes(output_size, input, ndim)
    return convolving.convolve_transposed(
        ndim,
        input,
        weight,
        bias,
        stride,
        padding,
        output_padding if sizes is None else 0,
        groups,
        dilation,
        sizes,
        padding_mode,
        method,
        activation,
    )


def _spatial_sizes(output_size: Sequence[int], input: Tensor, ndim: int) -> tuple[int, ...]:
    """The last of the sizes, of which there may be as many as the input has dimensions, as in PyTorch."""
    sizes = ints([output_size] * ndim if isinstance(output_size, int) else output_size, "output_size")
    if len(sizes) not in (ndim, input.ndim):
        raise GeometryError(
            f"ConvTranspose{ndim}d: output_size={shown(sizes)} has {len(sizes)} values: need the {ndim} spatial sizes, "
            f"or {input.ndim} as the input of shape {shown(tuple(input.shape))} has"
        )
    return sizes[-ndim:]


class ConvTranspose2d(_Transposed, nn.ConvTranspose2d):
    """2-d transposed convolution: :class:`torch.nn.ConvTranspose2d` with any padding and padding mode.

    See :func:`convmat.conv_transpose2d` for what padding modes mean here.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: one integer, or one per axis.
        stride: one integer, or one per axis. Default: 1
        padding: one integer, one per axis, one ``(lo, hi)`` pair per axis, ``"same"`` or ``"valid"``: what to crop.
            ``"same"`` gives ``size*stride`` outputs. Default: 0
        output_padding: cells appended at the end, ``< max(stride, dilation)``. Default: 0
        groups: blocks of channels that do not see each other. Default: 1
        bias: whether to add a learned number to each output channel. Default: ``True``
        dilation: one integer, or one per axis. Default: 1
        padding_mode: ``"zeros"``, ``"reflect"``, ``"replicate"`` or ``"circular"``. Default: ``"zeros"``
        device, dtype: of the parameters. Default: PyTorch's
        method: one of :func:`convmat.available_methods`. Default: ``"auto"``

    Attributes:
        weight: of shape (in_channels, out_channels/groups, *kernel_size).
        bias: of shape (out_channels,), or ``None``.
        padding: as in :class:`torch.nn.ConvTranspose2d`; a string, or a tuple of pairs where the two ends of an axis
            differ.

    Raises:
        GeometryError: if arguments do not go together.
        TypeError: if one is of the wrong type.

    >>> import torch
    >>> layer = ConvTranspose2d(8, 3, kernel_size=4, stride=2, padding="same", padding_mode="circular")
    >>> layer
    ConvTranspose2d(8, 3, kernel_size=(4, 4), stride=(2, 2), padding='same', padding_mode='circular')
    >>> layer(torch.randn(1, 8, 5, 7)).shape
    torch.Size([1, 3, 10, 14])
    >>> layer(torch.randn(1, 8, 5, 7), output_size=(9, 14)).shape
    torch.Size([1, 3, 9, 14])
    """

    _ndim = 2


class ConvTranspose1d(_Transposed, nn.ConvTranspose1d):
    """1-d transposed convolution: :class:`torch.nn.ConvTranspose1d` with the arguments of :class:`ConvTranspose2d`.

    >>> import torch
    >>> causal = ConvTranspose1d(1, 1, kernel_size=4, stride=2, padding=((0, 2),))
    >>> causal(torch.randn(1, 10)).shape
    torch.Size([1, 20])
    """

    _ndim = 1


class ConvTranspose3d(_Transposed, nn.ConvTranspose3d):
    """3-d transposed convolution: :class:`torch.nn.ConvTranspose3d` with the arguments of :class:`ConvTranspose2d`.

    >>> import torch
    >>> ConvTranspose3d(2, 1, kernel_size=3, stride=2, padding="same")(torch.randn(2, 3, 4, 5)).shape
    torch.Size([1, 6, 8, 10])
    """

    _ndim = 3
