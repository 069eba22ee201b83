"""Spectra over the last axes, of lengths that transforms are fast at."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from convmat.tensors.watching import is_compiling


def fast_lengths(sizes: Sequence[int], is_complex: bool) -> list[int]:
    """The next lengths that are fast to transform.

    While PyTorch traces, the sizes as they are: these may stand for many, and any length gives the same numbers.
    """
    if is_compiling():
        return list(sizes)
    from scipy.fft import next_fast_len

    return [next_fast_len(size, not is_complex) for size in sizes]


def to_spectrum(tensor: Tensor, lengths: Sequence[int]) -> Tensor:
    """Transform the last axes, with zeros up to these lengths; of a real tensor, half of the frequencies."""
    dims = tuple(range(-len(lengths), 0))
    return (torch.fft.fftn if tensor.is_complex() else torch.fft.rfftn)(tensor, lengths, dims)


def from_spectrum(spectrum: Tensor, lengths: Sequence[int], is_complex: bool) -> Tensor:
    """Transform back; the lengths and the kind of number are those of the tensor before."""
    dims = tuple(range(-len(lengths), 0))
    return (torch.fft.ifftn if is_complex else torch.fft.irfftn)(spectrum, lengths, dims)
