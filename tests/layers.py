"""One convolution as data, and what PyTorch makes of it.

Everything here that computes a number is PyTorch's own code: nothing of convmat is used as an oracle.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import torch
import torch.nn.functional as F

import convmat

METHODS = ("native", "dense", "sparse", "unfold", "zero_insertion", "phases", "fft", "tiles")
PADDING_MODES = ("zeros", "reflect", "replicate", "circular")
INTEGERS = (torch.int8, torch.uint8, torch.int16, torch.int32, torch.int64)


@dataclass(frozen=True, kw_only=True)
class Layer:
    """The arguments of one convolution, direct or transposed, and tensors that go with them."""

    sizes: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: Any = 1
    padding: Any = 0
    dilation: Any = 1
    groups: int = 1
    padding_mode: str = "zeros"
    transposed: bool = False
    output_padding: Any = 0
    output_size: tuple[int, ...] | None = None
    channels: tuple[int, int] = (1, 1)

    @property
    def ndim(self) -> int:
        return len(self.sizes)

    @property
    def is_dilated(self) -> bool:
        return max(self.per_axis(self.dilation)) > 1

    @property
    def name(self) -> str:
        return f"conv{'_transpose' if self.transposed else ''}{self.ndim}d"

    @property
    def options(self) -> dict[str, Any]:
        """The keyword arguments of a call."""
        both = {
            "stride": self.stride,
            "padding": self.padding,
            "dilation": self.dilation,
            "groups": self.groups,
            "padding_mode": self.padding_mode,
        }
        if not self.transposed:
            return both
        return {**both, "output_padding": self.output_padding, "output_size": self.output_size}

    @property
    def weight_shape(self) -> tuple[int, ...]:
        first, second = self.channels if self.transposed else self.channels[::-1]
        return (first, second // self.groups, *self.kernel)

    def __call__(self, input, weight, bias=None, method="auto"):
        """Call convmat's function."""
        return getattr(convmat, self.name)(input, weight, bias, method=method, **self.options)

    def matrix(self, weight, **layout):
        """Call convmat's function for the matrix."""
        function = convmat.conv_transpose_matrix if self.transposed else convmat.conv_matrix
        return function(weight, self.sizes, **self.options, **layout)

    def tensors(self, *batch: int, dtype=torch.float64, seed: int = 0):
        """An input, a weight and a bias."""
        generator = torch.Generator().manual_seed(seed)
        shapes = (*batch, self.channels[0], *self.sizes), self.weight_shape, (self.channels[1],)
        return tuple(random_tensor(shape, dtype, generator) for shape in shapes)

    # -- the numbers that follow from the arguments, by the formulas of the documentation ------------------------------

    def per_axis(self, value) -> tuple[Any, ...]:
        return tuple(value) if isinstance(value, tuple) else (value,) * self.ndim

    def numbers(self) -> list[tuple[int, int, int, int, int]]:
        """For each axis: ``lo``, ``hi``, ``output_padding``, and the sizes m and n of the direct convolution."""
        return [
            _axis_numbers(self.transposed, *arguments)
            for arguments in zip(
                self.sizes,
                self.kernel,
                self.per_axis(self.stride),
                self.per_axis(self.padding),
                self.per_axis(self.dilation),
                self.per_axis(self.output_padding),
                self.per_axis(self.output_size),
                strict=True,
            )
        ]

    @property
    def out_sizes(self) -> tuple[int, ...]:
        return tuple(m if self.transposed else n for _, _, _, m, n in self.numbers())


def _axis_numbers(transposed, size, kernel, stride, padding, dilation, output_padding, output_size):
    extent = dilation * (kernel - 1) + 1
    if padding == "valid":
        padding = 0
    if not transposed:
        n = -(-size // stride)
        total = max((n - 1) * stride + extent - size, 0)
        lo, hi = _pair(padding, total)
        return lo, hi, 0, size, (size + lo + hi - extent) // stride + 1 if padding != "same" else n
    full = (size - 1) * stride + extent
    if padding == "same":
        m = size * stride if output_size is None else output_size
        lo, hi = _pair(padding, max(full - m, 0))
    else:
        lo, hi = _pair(padding, 0)
        m = full - lo - hi + output_padding if output_size is None else output_size
    return lo, hi, m - (full - lo - hi), m, size


def _pair(padding, total):
    if padding == "same":
        return total // 2, total - total // 2
    return padding if isinstance(padding, tuple) else (padding, padding)


def random_tensor(shape, dtype, generator=None):
    """Small integers, or standard normal numbers."""
    if dtype == torch.bool:
        return torch.randint(2, shape, generator=generator).bool()
    if dtype in INTEGERS:
        return torch.randint(0 if dtype == torch.uint8 else -3, 4, shape, generator=generator).to(dtype)
    wide = torch.complex128 if dtype.is_complex else torch.float64
    return torch.randn(shape, dtype=wide, generator=generator).to(dtype)


# -- PyTorch as the oracle ---------------------------------------------------------------------------------------------


def reference(layer: Layer, input, weight, bias=None):
    """The layer as PyTorch computes it, where it has it; otherwise by its definition from what PyTorch has."""
    if input.ndim == layer.ndim + 1:
        return reference(layer, input[None], weight, bias)[0]
    if not (input.is_floating_point() or input.is_complex()):  # exact: the numbers are small
        bias = None if bias is None else bias.double()
        return reference(layer, input.double(), weight.double(), bias).to(input.dtype)
    if not layer.transposed:
        output = direct_reference(layer, input, weight)
    elif layer.padding_mode == "zeros":
        output = transposed_reference(layer, input, weight)
    else:
        output = adjoint_reference(layer, input, weight)
    return output if bias is None else output + bias.reshape(-1, *(1,) * layer.ndim)


def direct_reference(layer: Layer, input, weight):
    """``F.pad``, then ``F.conv*d``; the first outputs of these, if a transposed layer has fewer than there could be."""
    numbers = layer.numbers()
    flat = [amount for lo, hi, *_ in reversed(numbers) for amount in (lo, hi)]
    mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
    padded = F.pad(input, flat, mode=mode) if any(flat) else input
    convolve = getattr(F, f"conv{layer.ndim}d")
    output = convolve(padded, weight, stride=layer.stride, dilation=layer.dilation, groups=layer.groups)
    for dim, (*_, n) in enumerate(numbers, start=2):
        output = output.narrow(dim, 0, n)
    return output


def transposed_reference(layer: Layer, input, weight):
    """``F.conv_transpose*d`` unpadded, then zeros appended for ``output_padding`` and the padding cropped."""
    function = getattr(F, f"conv_transpose{layer.ndim}d")
    output = function(input, weight, stride=layer.stride, dilation=layer.dilation, groups=layer.groups)
    numbers = layer.numbers()
    output = F.pad(output, [amount for _, _, more, *_ in reversed(numbers) for amount in (0, more)])
    for dim, (lo, _, _, m, _) in enumerate(numbers, start=2):
        output = output.narrow(dim, lo, m)
    return output


def adjoint_reference(layer: Layer, input, weight):
    """The transpose of ``F.pad`` and ``F.conv*d`` from the output's size to the input's, by PyTorch's autograd."""
    zeros = input.new_zeros(input.shape[0], layer.channels[1], *layer.out_sizes)
    # Autograd applies the conjugate transpose; conjugating the weight leaves the transpose.
    _, transpose = torch.func.vjp(lambda z: direct_reference(layer, z, weight.conj()), zeros)
    return transpose(input)[0]


def jacobian(layer: Layer, weight):
    """The matrix of the layer, by differentiating PyTorch's own function: of shape (outputs, inputs), both flat."""
    if weight.is_complex():  # jacrev wants real tensors, and the matrix is linear in the weight
        return torch.complex(jacobian(layer, weight.real), jacobian(layer, weight.imag))
    if layer.transposed and layer.padding_mode != "zeros":  # by definition
        return _jacobian(lambda z: direct_reference(layer, z[None], weight), (layer.channels[1], *layer.out_sizes)).T
    return _jacobian(lambda x: reference(layer, x, weight), (layer.channels[0], *layer.sizes))


def _jacobian(function, in_shape):
    derivative = torch.func.jacrev(function)(torch.zeros(in_shape, dtype=torch.float64))
    return derivative.reshape(-1, prod(in_shape))


def refused(method: str, dtype: torch.dtype, *, transposed: bool = False, dilated: bool = False) -> bool:
    """Whether a method says by name that it does not take a dtype."""
    is_integer = dtype in INTEGERS
    if dtype == torch.bool:
        return True
    if method == "fft":
        return is_integer
    if dtype == torch.int64 or not is_integer:
        return False
    # PyTorch has these for int64 alone.
    return (method in ("native", "tiles") and (transposed or dilated)) or (method == "zero_insertion" and dilated)
