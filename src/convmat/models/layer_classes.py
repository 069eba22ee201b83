"""Give a layer another class and keep the parametrizations that others added to it.

A layer with parametrizations has a class of its own, which PyTorch made as it went: ``ParametrizedConv1d``, with
nothing but properties, over the class that the layer had. To swap the latter, such a class is made anew.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import nn
from torch.nn.utils import parametrize

from convmat.nn.frozen import FROZEN

COMPUTES = ("forward", "_conv_forward", "_output_padding")  # what a layer of ours does in its own way
_CHANGED = (*COMPUTES, "method", FROZEN)
_MADE_FROM = "_convmat_made_from"  # the attribute of a parametrized class of ours that holds PyTorch's


def own_class(layer: nn.Module) -> type:
    """The class of a layer below its parametrizations."""
    return type(layer).__bases__[0] if _has_parametrized_class(layer) else type(layer)


def set_class(layer: nn.Module, cls: type) -> None:
    """Give a layer another class, below its parametrizations."""
    layer.__class__ = _parametrized(type(layer), cls) if _has_parametrized_class(layer) else cls


class LayerState(NamedTuple):
    """All of a layer that is changed when it is accelerated or restored."""

    cls: type
    attributes: dict[str, Any]


def state_of(layer: nn.Module) -> LayerState:
    """How a layer is, to be put back so."""
    return LayerState(type(layer), {name: vars(layer)[name] for name in _CHANGED if name in vars(layer)})


def put(layer: nn.Module, state: LayerState) -> None:
    """Put a layer back as it was."""
    layer.__class__ = state.cls
    for name in _CHANGED:
        vars(layer).pop(name, None)
    vars(layer).update(state.attributes)


def _has_parametrized_class(layer: nn.Module) -> bool:
    cls = type(layer)
    base = cls.__bases__[0]
    return parametrize.is_parametrized(layer) and cls.__name__ == f"Parametrized{base.__name__}"


def _parametrized(cls: type, base: type) -> type:
    """A parametrized class over another base; going back, the very class that it was made from.

    A new one, because copies of a layer share their class: others must keep theirs.
    """
    made_from = vars(cls).get(_MADE_FROM)
    if made_from is not None and made_from.__bases__ == (base,) and _properties(made_from) == _properties(cls):
        return made_from
    namespace = {name: value for name, value in vars(cls).items() if name != "__slotnames__"}  # a cache of copyreg's
    return type(cls.__name__, (base,), {**namespace, _MADE_FROM: cls})


def _properties(cls: type) -> dict[str, property]:
    """The parametrized tensors of a layer; others come and go with parametrizations."""
    return {name: value for name, value in vars(cls).items() if isinstance(value, property)}
