"""Convolutions and transposed convolutions.

PyTorch's constructors are called with what they can hold, for the parameters and their initialisation; what is beyond
them is set afterwards.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from convmat import functional
from convmat.geometry import GeometryError, Padding, PerAxis, ints, shown
from convmat.nn import passing
from convmat.nn.checks import (
    LayerPadding,
    check_channels,
    check_choices,
    check_weight,
    errors_of,
    layer_output_padding,
    layer_padding,
    name_functions,
    positive_per_axis,
)
from convmat.nn.folding import FOLD, Fold
from convmat.nn.frozen import FROZEN
from convmat.planning import freezing, weight_of
from convmat.tensors.activations import Activation
from convmat.tensors.watching import is_compiling, wants_pytorchs_function


class _Convolution(nn.Module):
    """What all have: the attributes of PyTorch's layers and ``method``."""

    _ndim: ClassVar[int]
    _shown_channels: ClassVar[tuple[str, ...]] = ("in_channels", "out_channels")

    method: str = "auto"
    _accelerated_from: ClassVar[type | None] = None
    in_channels: int
    out_channels: int
    kernel_size: tuple[int, ...]
    stride: tuple[int, ...]
    padding: Any
    output_padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int
    padding_mode: Any
    weight: Tensor
    bias: Tensor | None

    def __init_subclass__(cls, **options: Any) -> None:
        """Give public classes functions of their own name, which Python's errors show, and not that of a base."""
        super().__init_subclass__(**options)
        name_functions(cls)

    def extra_repr(self) -> str:
        """The constructor's arguments: ``eval`` of the layer's ``repr`` makes such a layer again."""
        shown = [str(getattr(self, name)) for name in self._shown_channels]
        shown += [f"kernel_size={self.kernel_size}", f"stride={self.stride}"]
        defaults = {
            "padding": (0,) * self._ndim,
            "dilation": (1,) * self._ndim,
            "output_padding": (0,) * self._ndim,
            "groups": 1,
            "bias": True,
            "padding_mode": "zeros",
            "method": "auto",
        }
        values = {name: getattr(self, name) for name in defaults} | {"bias": self.bias is not None}
        shown += [f"{name}={value!r}" for name, value in values.items() if value != defaults[name]]
        return ", ".join(shown)

    def __prepare_scriptable__(self) -> nn.Module:
        """What ``torch.jit.script`` asks for first: say what would do, before it fails on an annotation."""
        instead = "use torch.jit.trace or torch.export"
        if self._accelerated_from is not None:
            instead = f"call convmat.restore(model) before, or {instead}"
        raise TypeError(f"torch.jit.script cannot compile {type(self).__name__}, a layer of convmat: {instead}")

    def _warn_of_fx(self, input: Any) -> None:
        """Say that tools on graphs will miss an accelerated layer, where ``torch.fx`` traces it."""
        if isinstance(input, torch.fx.Proxy) and self._accelerated_from is not None:
            warnings.warn(
                "torch.fx does not see layers that convmat.accelerate has swapped, so quantizing or fusing this graph "
                "leaves them as they are: call convmat.restore(model) before, and accelerate last",
                stacklevel=3,
            )

    def _weight_of(self, input: Tensor) -> Tensor:
        """The weight: where it is frozen and no gradient of it is asked for, that with its packed copies."""
        frozen = self.__dict__.get(FROZEN)  # torch.compile of PyTorch 2.8 traces no vars(self)
        if frozen is None or not freezing.is_of_use(input):
            return self.weight
        if "weight" in self._parameters and not input.is_contiguous():  # mostly PyTorch's case, which does not pack
            return self.weight
        if torch.is_grad_enabled() and any(parameter.requires_grad for parameter in self.parameters()):
            return self.weight
        return frozen.of(self)

    def _computed(self, input: Tensor, compute: Callable[..., Tensor]) -> Tensor:
        """Compute with weight and bias, and with what follows folded in where something does that may be."""
        fold: Fold | None = self.__dict__.get(FOLD)
        now = None if fold is None else fold.now(self, input)
        if fold is None or now is None:
            return compute(input, self._weight_of(input), self.bias)
        weight, bias = now.operands or (self._weight_of(input), self.bias)
        return fold.note(compute(input, weight, bias, now.activation), now.followers)

    def _format_of_passed(self, kind: Any) -> torch.memory_format | None:
        """The memory format for what PyTorch's own layer makes of an input of a kind; ``None`` where ours computes.

        It is asked first of all: small layers that gain nothing would notice each further question.
        """
        own = self.__dict__
        if FOLD in own or (FROZEN in own and "weight" not in self._parameters):  # a weight that is computed once
            return None
        return passing.format_of_output(self, kind)

    def _is_pytorchs(self, transposed: bool) -> bool:
        """Whether PyTorch's own layer computes what this one does, by PyTorch's function as this one may."""
        if self.method not in ("auto", "native", "tiles") or not weight_of(self).is_floating_point():
            return False
        if transposed:
            return self.padding_mode == "zeros" and isinstance(self.padding[0], int)
        return isinstance(self.padding[0], int) or (self.padding in ("same", "valid") and max(self.stride) == 1)

    def _keep(self, padding: LayerPadding, padding_mode: str, method: str) -> None:
        """Set the attributes to what PyTorch's constructor could not take."""
        self.padding, self.padding_mode, self.method = padding, padding_mode, method
        if isinstance(padding[0], tuple):  # in the order of F.pad
            self._reversed_padding_repeated_twice = [n for pair in reversed(self.padding) for n in pair]


class _Direct(_Convolution):
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
            check_channels(groups, in_channels=in_channels, out_channels=out_channels)
            kernel_size = positive_per_axis(kernel_size, self._ndim, "kernel_size")
            check_weight(in_channels, out_channels, kernel_size)
            stride = positive_per_axis(stride, self._ndim, "stride")
            dilation = positive_per_axis(dilation, self._ndim, "dilation")
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
            return self._computed(input, self._conv_forward)
        if (memory_format := self._format_of_passed(kind)) is not None:
            return passing.laid_out(super()._conv_forward(input, self.weight, self.bias), memory_format)  # type: ignore[misc]
        return self._computed(input, partial(self._conv_forward, kind=kind))

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
        if kind is not None and not passing.is_known(self, kind):
            key = functional.key_of_conv(self._ndim, input, weight, bias, *_arguments_of(self), activation)
            passing.learn(self, kind, functional.format_of_pytorchs(key))
        return output


class _Transposed(_Convolution):
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
            check_channels(groups, in_channels=in_channels, out_channels=out_channels)
            kernel_size = positive_per_axis(kernel_size, self._ndim, "kernel_size")
            check_weight(in_channels, out_channels, kernel_size)
            stride = positive_per_axis(stride, self._ndim, "stride")
            dilation = positive_per_axis(dilation, self._ndim, "dilation")
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
        return self._computed(input, partial(_convolve_transpose_by, self, output_size, kind))


def _arguments_of(layer: _Direct) -> tuple[Any, Any, Any, int, str, str]:
    return layer.stride, layer.padding, layer.dilation, layer.groups, layer.padding_mode, layer.method


def _convolve_by(
    layer: _Direct, input: Tensor, weight: Tensor, bias: Tensor | None, activation: Activation | None
) -> Tensor:
    return _convolve(input, weight, bias, *_arguments_of(layer), activation)


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
    sizes = layer.stride, layer.padding, layer.output_padding, layer.groups, layer.dilation
    arguments = *sizes, output_size, layer.padding_mode, layer.method, activation
    output = _convolve_transpose(input, weight, bias, *arguments)
    if kind is not None and not passing.is_known(layer, kind):
        key = functional.key_of_conv_transpose(layer._ndim, input, weight, bias, *arguments)
        is_pytorchs = layer._is_pytorchs(transposed=True)
        passing.learn(layer, kind, functional.format_of_pytorchs(key) if is_pytorchs else None)
    return output


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
    return functional.convolve(len(stride), input, weight, bias, *arguments)


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
    return functional.convolve_transposed(
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
