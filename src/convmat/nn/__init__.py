"""Layers: PyTorch's, which they subclass, with the arguments of convmat's functions.

Parameters, initialisation and ``state_dict`` are PyTorch's, and so are the attributes. A layer adds one to these,
``method``, whose default stands on the class: a PyTorch layer becomes one of these by ``layer.__class__ =
convmat.nn.ConvTranspose2d``, and goes back the same way.
"""

from typing import TYPE_CHECKING as _TYPE_CHECKING

from convmat.nn import saved as _saved  # noqa: F401  # which gives names to what pickles hold
from convmat.nn.direct import Conv1d, Conv2d, Conv3d
from convmat.nn.lazy import (
    LazyConv1d,
    LazyConv2d,
    LazyConv3d,
    LazyConvTranspose1d,
    LazyConvTranspose2d,
    LazyConvTranspose3d,
)
from convmat.nn.transposed import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from convmat.nn.unfolding import Fold, Unfold

if _TYPE_CHECKING:
    from convmat.nn.spectral import spectral_norm

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

for _name in set(__all__) - {"spectral_norm"}:
    globals()[_name].__module__ = __name__  # where users find them, and pickles too


def __getattr__(name: str) -> object:
    """The spectral norm, loaded when first used: it needs the operators, which most programs do without."""
    if name == "spectral_norm":
        from convmat.nn.spectral import spectral_norm

        return spectral_norm
    raise AttributeError(f"module 'convmat.nn' has no attribute {name!r}")


def __dir__() -> list[str]:
    """The public names."""
    return list(__all__)
