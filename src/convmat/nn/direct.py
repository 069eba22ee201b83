"""Convolutions: PyTorch's layers, of any padding, computed by any method."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from convmat.functional import convolving
from convmat.geometry import Padding, PerAxis
from convmat.nn import passing
from convmat.nn.checks import check_choices, errors_of, layer_padding, layer_sizes
from convmat.nn.convolution import ConvolutionLayer
from convmat.tensors.activations import Activation
from convmat.tensors.watching import is_compiling, wants_pytorchs_function


class _Direct(ConvolutionLayer):
    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: PerAxis,
        stride: PerAxis = 1,
        padding: Padding = 0,
        dilation: PerAxis = 1,
        groups: int = 1,
        bias: bool = True,
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
            check_choices(padding_mode, method)
        holds = not isinstance(kept[0], tuple) and not (kept == "same" and max(stride) > 1)
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            kept if holds else 0,
            dilation,
            groups,
            bias,
            padding_mode,
            device=device,
            dtype=dtype,
        )
        self._keep(kept, padding_mode, method)

    def forward(self, input: Tensor) -> Tensor:
        """Compute the layer.

        Args:
            input: of shape (batch, in_channels, *sizes), or without the batch.

        Returns:
            Of shape (batch, out_channels, *output sizes), without the batch where the input has none.
        """
        if is_compiling():  # which guards each line: nothing is frozen or folded there
            return self._conv_forward(input, self.weight, self.bias)
        kind = passing.kind_of_input(self, input)
        if kind is None or not self._is_conv_forward_ours():
            return self._computed(input, self._conv_forward, None, transposed=False)
        if (memory_format := self._format_of_passed(kind)) is not None:
            return passing.laid_out(super()._conv_forward(input, self.weight, self.bias), memory_format)  # type: ignore[misc]
        return self._computed(input, partial(self._conv_forward, kind=kind), kind, transposed=False)

    def _is_conv_forward_ours(self) -> bool:
        """Whether nobody put a method in the place of the one below."""
        return type(self)._conv_forward is _Direct._conv_forward and "_conv_forward" not in self.__dict__

    def _conv_forward(
        self, input: Tensor, weight: Tensor, bias: Tensor | None, activation: Activation | None = None, kind: Any = None
    ) -> Tensor:
        """What PyTorch's ``forward`` calls, and subclasses call with a weight of their own."""
        if is_compiling():
            return _convolve_by(self, input, weight, bias, activation)
        self._warn_of_fx(input)
        kind = passing.kind_of_input(self, input) if kind is None else kind
        if (memory_format := passing.format_of_output(self, kind)) is not None:
            passed = passing.laid_out(super()._conv_forward(input, weight, bias), memory_format)  # type: ignore[misc]
            return passed if activation is None else activation.applied_to(passed)
        if wants_pytorchs_function(self._ndim, transposed=False) and self._is_pytorchs(transposed=False):
            seen: Tensor = super()._conv_forward(input, weight, bias)  # type: ignore[misc]
            return seen if activation is None else activation.applied_to(seen.clone())
        output = _convolve_by(self, input, weight, bias, activation)
        if self._is_to_be_noted(kind):
            key = convolving.key_of_conv(self._ndim, input, weight, bias, *self._arguments(), activation)
            self._take_note(kind, key, weight, bias, activation)
        return output

    def _arguments(self) -> tuple[Any, Any, Any, int, str, str]:
        return self.stride, self.padding, self.dilation, self.groups, self.padding_mode, self.method


def _convolve_by(
    layer: _Direct, input: Tensor, weight: Tensor, bias: Tensor | None, activation: Activation | None
) -> Tensor:
    return _convolve(input, weight, bias, *layer._arguments(), activation)


@torch.fx.wrap
def _convolve(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: tuple[int, ...],
    padding: Padding,
    dilation: tuple[int, ...],
    groups: int,
    padding_mode: str,
    method: str,
    activation: Activation | None,
) -> Tensor:
    """Call the function of as many axes; one node for ``torch.fx.symbolic_trace``, as PyTorch's layers are."""
    arguments = (stride, padding, dilation, groups, padding_mode, method, activation)
    return convolving.convolve(len(stride), input, weight, bias, *arguments)


class Conv2d(_Direct, nn.Conv2d):
    """2-d convolution: :class:`torch.nn.Conv2d` with any padding.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: one integer, or one per axis.
        stride: one integer, or one per axis. Default: 1
        padding: one integer, one per axis, one ``(lo, hi)`` pair per axis, ``"same"`` (with any stride) or
            ``"valid"``. Default: 0
        dilation: one integer, or one per axis. Default: 1
        groups: blocks of channels that do not see each other. Default: 1
        bias: whether to add a learned number to each output channel. Default: ``True``
        padding_mode: ``"zeros"``, ``"reflect"``, ``"replicate"`` or ``"circular"``. Default: ``"zeros"``
        device, dtype: of the parameters. Default: PyTorch's
        method: one of :func:`convmat.available_methods`. Default: ``"auto"``

    Attributes:
        weight: of shape (out_channels, in_channels/groups, *kernel_size).
        bias: of shape (out_channels,), or ``None``.
        padding: as in :class:`torch.nn.Conv2d`; a tuple of pairs where the two ends of an axis differ.

    Raises:
        GeometryError: if arguments do not go together.
        TypeError: if one is of the wrong type.

    >>> import torch
    >>> layer = Conv2d(3, 8, kernel_size=3, stride=2, padding="same", padding_mode="circular")
    >>> layer
    Conv2d(3, 8, kernel_size=(3, 3), stride=(2, 2), padding='same', padding_mode='circular')
    >>> layer(torch.randn(1, 3, 7, 10)).shape
    torch.Size([1, 8, 4, 5])
    """

    _ndim = 2


class Conv1d(_Direct, nn.Conv1d):
    """1-d convolution: :class:`torch.nn.Conv1d` with the arguments of :class:`Conv2d`.

    >>> import torch
    >>> causal = Conv1d(1, 1, kernel_size=3, padding=((2, 0),))
    >>> causal(torch.randn(1, 10)).shape
    torch.Size([1, 10])
    """

    _ndim = 1


class Conv3d(_Direct, nn.Conv3d):
    """3-d convolution: :class:`torch.nn.Conv3d` with the arguments of :class:`Conv2d`.

    >>> import torch
    >>> Conv3d(1, 2, kernel_size=3, padding=(1, (0, 2), 1), method="phases")(torch.randn(1, 4, 5, 6)).shape
    torch.Size([2, 4, 5, 6])
    """

    _ndim = 3
