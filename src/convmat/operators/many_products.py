"""Many products with one weight: a large kernel is transformed once, and the others are products of spectra."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod

from torch import Tensor

from convmat.geometry import Geometry
from convmat.tensors.fourier import fast_lengths, from_spectrum, to_spectrum
from convmat.tensors.im2col import crop_padding, padded_sizes, zero_padding
from convmat.tensors.padding import insert_zeros, pad_zeros

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
    if not pays_by_spectra(geometry, method):
        return None
    spectra = _Spectra(geometry, weight)
    return Products(spectra.forward, spectra.adjoint, True)


def pays_by_spectra(geometry: Geometry, method: str) -> bool:
    """Whether spectra serve a direct geometry, and pay."""
    if not _is_plain(geometry) or method not in ("auto", "fft"):
        return False
    is_large = prod(geometry.inputs) >= _LARGE_INPUT and prod(geometry.kernel_size) > _LARGE_KERNEL
    return method == "fft" or is_large


def _is_plain(geometry: Geometry) -> bool:
    """Whether spectra serve without more: channels one by one, every cell, no padding that reads cells."""
    one_by_one = geometry.groups == geometry.in_channels == geometry.out_channels
    return one_by_one and not geometry.transposed and max(geometry.stride) == 1 and geometry.padding_mode == "zeros"


class _Spectra:
    def __init__(self, geometry: Geometry, weight: Tensor) -> None:
        self._geometry, self._is_complex = geometry, weight.is_complex()
        self._padded = padded_sizes(geometry)
        self._lengths = fast_lengths(self._padded, self._is_complex)
        kernel = insert_zeros(weight[:, 0], geometry.dilation)
        self._adjoint_kernel = to_spectrum(kernel.conj(), self._lengths)
        self._kernel = self._adjoint_kernel.conj().resolve_conj()  # of a correlation

    def forward(self, x: Tensor) -> Tensor:
        """The convolution."""
        # The zeros after the input come with the transform.
        padded = pad_zeros(x, [(before, 0) for before, _ in zero_padding(self._geometry)])
        return self._product(padded, self._kernel, self._geometry.outputs)

    def adjoint(self, y: Tensor) -> Tensor:
        """Its adjoint."""
        return crop_padding(self._product(y, self._adjoint_kernel, self._padded), self._geometry)

    def _product(self, x: Tensor, kernel: Tensor, sizes: Sequence[int]) -> Tensor:
        """The first cells, so many along each axis, of the product of spectra."""
        product = to_spectrum(x, self._lengths).mul_(kernel)
        cells = from_spectrum(product, self._lengths, self._is_complex)
        for dim, size in enumerate(sizes, start=-len(sizes)):
            cells = cells.narrow(dim, 0, size)
        return cells
