"""A convolution is a matrix, and a transposed convolution is that matrix transposed."""

from importlib import import_module as _import_module
from typing import TYPE_CHECKING as _TYPE_CHECKING

from convmat import nn
from convmat.caches import empty_cache
from convmat.functional import (
    conv1d,
    conv2d,
    conv3d,
    conv_transpose1d,
    conv_transpose2d,
    conv_transpose3d,
    fold,
    unfold,
)
from convmat.geometry import Axis, Geometry, GeometryError
from convmat.matrices import conv_matrix, conv_transpose_matrix, matrix, to_scipy
from convmat.matrices.symbols import symbolic_matrix
from convmat.methods.unfold import column_memory
from convmat.planning import Plan, available_methods, plan

if _TYPE_CHECKING:
    from convmat import draw
    from convmat.checking.comparing import Comparison, compare_methods
    from convmat.checking.tuning import Tuning, tune
    from convmat.explorer import explore
    from convmat.models.accelerating import accelerate, restore
    from convmat.models.norms import layer_norms
    from convmat.models.reports import InputFigures, LayerReport, ModelReport
    from convmat.operators import ConvOperator, blur_operator, crop_to_data, dot_test, richardson_lucy
    from convmat.upsampling import upsample

__version__ = "0.1.0"

__all__ = [
    "Axis",
    "Comparison",
    "ConvOperator",
    "Geometry",
    "GeometryError",
    "InputFigures",
    "LayerReport",
    "ModelReport",
    "Plan",
    "Tuning",
    "accelerate",
    "available_methods",
    "blur_operator",
    "column_memory",
    "compare_methods",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_matrix",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "conv_transpose_matrix",
    "crop_to_data",
    "dot_test",
    "draw",
    "empty_cache",
    "explore",
    "fold",
    "layer_norms",
    "matrix",
    "nn",
    "plan",
    "restore",
    "richardson_lucy",
    "symbolic_matrix",
    "to_scipy",
    "tune",
    "unfold",
    "upsample",
]


# Loaded when first used, as most programs do without many of them.
_LATER = {
    "explore": "convmat.explorer",
    "upsample": "convmat.upsampling",
    "Comparison": "convmat.checking.comparing",
    "compare_methods": "convmat.checking.comparing",
    "Tuning": "convmat.checking.tuning",
    "tune": "convmat.checking.tuning",
    "accelerate": "convmat.models.accelerating",
    "restore": "convmat.models.accelerating",
    "layer_norms": "convmat.models.norms",
    **dict.fromkeys(("InputFigures", "LayerReport", "ModelReport"), "convmat.models.reports"),
    **dict.fromkeys(
        ("ConvOperator", "blur_operator", "crop_to_data", "dot_test", "richardson_lucy"), "convmat.operators"
    ),
}


def __getattr__(name: str) -> object:
    """A public name that has not been used before."""
    if name == "draw":
        return _import_module("convmat.draw")
    if name in _LATER:
        return getattr(_import_module(_LATER[name]), name)
    raise AttributeError(f"module 'convmat' has no attribute {name!r}")


def __dir__() -> list[str]:
    """The public names, without the modules that they come from."""
    return [*__all__, "__version__"]
