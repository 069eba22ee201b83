"""Multiply spectra: worth it for large kernels.

Rounding is global: the error of each output is relative to the largest of them, and one NaN spreads over all.
Half precision is computed in float32.
"""

from __future__ import annotations

import torch
from torch import Tensor

from convmat.geometry import Geometry, Sentence
from convmat.methods.common import no_complex_half, take_every
from convmat.tensors.fourier import fast_lengths, from_spectrum, to_spectrum
from convmat.tensors.im2col import crop_padding, padded_sizes, zero_padding
from convmat.tensors.padding import insert_zeros, pad_zeros


def direct(input: Tensor, weight: Tensor, geometry: Geometry) -> Tensor:
    """Correlate the padded input with the dilated kernel, keep every stride-th element."""
    padded = pad_zeros(input, zero_padding(geometry))
    kernel = insert_zeros(weight, geometry.dilation)
    rows = "bgcf,grcf->bgrf"
    everywhere = _filter(padded, kernel, geometry, rows, correlate=True)
    return take_every(everywhere, geometry.stride, geometry.outputs)


def transposed(input: Tensor, weight: Tensor, geometry: Geometry) -> Tensor:
    """Convolve the input, with zeros between its cells, with the dilated kernel, and crop."""
    spread = insert_zeros(input, geometry.stride)
    kernel = insert_zeros(weight, geometry.dilation)
    columns = "bgrf,grcf->bgcf"
    everywhere = _filter(spread, kernel, geometry, columns, correlate=False)
    return crop_padding(take_every(everywhere, (1,) * geometry.ndim, padded_sizes(geometry)), geometry)


def _filter(signal: Tensor, kernel: Tensor, geometry: Geometry, equation: str, correlate: bool) -> Tensor:
    """Cyclic correlation or convolution of (batch, channels, *sizes), long enough for nothing to wrap around."""
    dtype = signal.dtype
    if dtype in (torch.float16, torch.bfloat16):
        signal, kernel = signal.float(), kernel.float()
    signal, signal_scale = _near_one(signal)
    kernel, kernel_scale = _near_one(kernel)
    sizes = fast_lengths(padded_sizes(geometry), dtype.is_complex)
    if correlate:
        kernel = kernel.conj()
    signal_f, kernel_f = to_spectrum(signal, sizes), to_spectrum(kernel, sizes)
    bins = signal_f.shape[2:]
    signal_f = signal_f.flatten(2).unflatten(1, (geometry.groups, signal_f.shape[1] // geometry.groups))
    kernel_f = kernel_f.flatten(2).unflatten(0, (geometry.groups, kernel_f.shape[0] // geometry.groups))
    product = torch.einsum(equation, signal_f, kernel_f.conj() if correlate else kernel_f)
    result = from_spectrum(product.flatten(1, 2).unflatten(2, bins), sizes, dtype.is_complex)
    # First the smaller one: then only what is too large itself becomes infinite.
    scales = torch.minimum(signal_scale, kernel_scale), torch.maximum(signal_scale, kernel_scale)
    return (result * scales[0] * scales[1]).to(dtype)


def _near_one(tensor: Tensor) -> tuple[Tensor, Tensor]:
    """Divide by a power of two, so that spectra stay finite where outputs do; the tensor and that power.

    Both are exact, and constants to autograd.
    """
    numbers = tensor.detach()
    parts = (numbers.real, numbers.imag) if numbers.is_complex() else (numbers,)
    largest = torch.stack([part.abs().amax() for part in parts]).amax()  # the modulus itself might be infinite
    usable = torch.isfinite(largest) & (largest > 0)
    largest = torch.where(usable, largest, 1.0)
    mantissa = torch.frexp(largest).mantissa
    # Of subnormal numbers the inverse would be infinite.
    power = (largest / mantissa).clamp(min=torch.finfo(largest.dtype).tiny)
    return tensor / power, power


def refuses(geometry: Geometry, dtype: torch.dtype) -> str | None:
    """Why the method cannot take a case, if it cannot."""
    if not (dtype.is_floating_point or dtype.is_complex):
        return Sentence("a spectrum of {dtype} would be rounded", dtype=dtype)
    return no_complex_half(dtype)
