"""Many products with one weight: a large kernel is transformed once, and the others are products of spectra."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor

from convmat.geometry import Geometry

_LARGE_KERNEL = 12  # taps; from some 4 x 4 on, spectra are the faster way on pictures of any size
_LARGE_INPUT = 1024  # cells


@dataclass(frozen=True)
class Products:
    """An operator and its adjoint as functions of batches, for numbers alone.

    Spectra round globally: relative to the largest value of all.
    """

    forward: Callable[[Tensor], Tensor]
    adjoint: Callable[[Tensor], Tensor]
    rounds_globally: bool


def by_spectra(geometry: Geometry, weight: Tensor, method: str) -> Products | None:
    """Products by spectra, where they serve and pay; a convolution with another method of its own keeps it."""
    if not _is_plain(geometry) or method not in ("auto", "fft"):
        return None
    is_large = prod(geometry.inputs) >= _LARGE_INPUT and prod(geometry.kernel_size) > _LARGE_KERNEL
    if method != "fft" and not is_large:
        return None
    spectra = _Spectra(geometry, weight)
    return Products(spectra.forward, spectra.adjoint, True)


def _is_plain(geometry: Geometry) -> bool:
    """Whether spectra serve without more: channels one by one, every cell, no padding that reads cells."""
    one_by_one = geometry.groups == geometry.in_channels == geometry.out_channels
    return one_by_one and not geometry.transposed and max(geometry.stride) == 1 and geometry.padding_mode == "zeros"


class _Spectra:
    def __init__(self, geometry: Geometry, weight: Tensor) -> None:
        from scipy.fft import next_fast_len

        self._geometry, self._is_complex = geometry, weight.is_complex()
        self._dims = tuple(range(-geometry.ndim, 0))
        self._sizes = [next_fast_len(axis.padded, not self._is_complex) for axis in geometry.axes]
        kernel = weight[:, 0]
        for dim, axis in zip(self._dims, geometry.axes, strict=True):
            spread = kernel.new_zeros(
                [axis.extent if d - kernel.ndim == dim else n for d, n in enumerate(kernel.shape)]
            )
            kernel = spread.index_copy(dim, torch.arange(axis.kernel, device=kernel.device) * axis.dilation, kernel)
        self._kernel = self._transform(kernel.conj()).conj()  # of a correlation
        self._adjoint_kernel = self._kernel.conj().resolve_conj()
        self._kernel = self._kernel.resolve_conj()

    def forward(self, x: Tensor) -> Tensor:
        """The convolution."""
        return self._inverse(self._transform(self._with_padding(x)).mul_(self._kernel), self._geometry.outputs)

    def adjoint(self, y: Tensor) -> Tensor:
        """Its adjoint."""
        padded = self._inverse(
            self._transform(y).mul_(self._adjoint_kernel), [axis.padded for axis in self._geometry.axes]
        )
        for dim, axis in zip(self._dims, self._geometry.axes, strict=True):
            padded = padded.narrow(dim, axis.lo, axis.inputs)
        return padded

    def _with_padding(self, x: Tensor) -> Tensor:
        """The input with its zeros before it; those after it come with the transform."""
        if not any(axis.lo for axis in self._geometry.axes):
            return x
        amounts = [n for axis in reversed(self._geometry.axes) for n in (axis.lo, 0)]
        return torch.nn.functional.pad(x, amounts)

    def _transform(self, x: Tensor) -> Tensor:
        transform = torch.fft.fftn if self._is_complex else torch.fft.rfftn
        return transform(x, self._sizes, self._dims)

    def _inverse(self, spectrum: Tensor, sizes: list[int] | tuple[int, ...]) -> Tensor:
        inverse = torch.fft.ifftn if self._is_complex else torch.fft.irfftn
        x = inverse(spectrum, self._sizes, self._dims)
        for dim, size in zip(self._dims, sizes, strict=True):
            x = x.narrow(dim, 0, size)
        return x
