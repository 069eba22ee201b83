"""Layers: PyTorch's, which they subclass, with the arguments of convmat's functions.

Parameters, initialisation and ``state_dict`` are PyTorch's, and so are the attributes. A layer adds one to these,
``method``, whose default stands on the class: a PyTorch layer becomes one of these by ``layer.__class__ =
convmat.nn.ConvTranspose2d``, and goes back the same way.
"""

from convmat.nn import saved as _saved  # noqa: F401  # which gives names to what pickles hold
from convmat.nn.convolutions import Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from convmat.nn.lazy import (
    LazyConv1d,
    LazyConv2d,
    LazyConv3d,
    LazyConvTranspose1d,
    LazyConvTranspose2d,
    LazyConvTranspose3d,
)
from convmat.nn.spectral import spectral_norm
from convmat.nn.unfolding import Fold, Unfold

__all__ = [
    "Conv1d",
    "Conv2d",
    "Conv3d",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "ConvTranspose3d",
    "Fold",
    "LazyConv1d",
    "LazyConv2d",
    "LazyConv3d",
    "LazyConvTranspose1d",
    "LazyConvTranspose2d",
    "LazyConvTranspose3d",
    "Unfold",
    "spectral_norm",
]

for _name in __all__:
    globals()[_name].__module__ = __name__  # where users find them, and pickles too
