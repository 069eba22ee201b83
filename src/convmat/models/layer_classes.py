"""Give a layer another class and keep what others did to its class: parametrizations and subclasses.

A layer with parametrizations has a class of its own, which PyTorch made as it went: ``ParametrizedConv1d``, with
nothing but properties, over the class that the layer had. To swap the latter, such a class is made anew.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from torch import nn
from torch.nn.utils import parametrize

_MADE_FROM = "_convmat_made_from"  # the attribute of a parametrized class of ours that holds PyTorch's


def own_class(layer: nn.Module) -> type:
    """The class of a layer below its parametrizations."""
    return type(layer).__bases__[0] if _has_parametrized_class(layer) else type(layer)


def set_class(layer: nn.Module, cls: type) -> None:
    """Give a layer another class, below its parametrizations."""
    layer.__class__ = _parametrized(type(layer), cls) if _has_parametrized_class(layer) else cls


def swapped_class(cls: type, torch_class: type, our_class: type) -> type:
    """The class that computes with ours where ``cls``, one of PyTorch's layers or a subclass, computes with PyTorch's.

    >>> class Ours(nn.Conv1d):
    ...     def forward(self, input):
    ...         return super().forward(input) + 1
    >>> class Sub(nn.Conv1d):
    ...     pass
    >>> swapped_class(nn.Conv1d, nn.Conv1d, Ours).__name__, swapped_class(Sub, nn.Conv1d, Ours).__name__
    ('Ours', 'Sub')
    """
    return our_class if cls is torch_class else _subclass(cls, our_class)


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


@cache
def _subclass(cls: type, our_class: type) -> type:
    """A subclass of both, of the same name, in which ours comes right after ``cls`` and before PyTorch's.

    It cannot be found by its name, so its instances are pickled and copied as those of ``cls`` would be, with a note to
    make the class first.
    """

    def reduce(self: nn.Module, protocol: Any) -> tuple[Any, ...]:
        function, (_, *arguments), *state = super(made, self).__reduce_ex__(protocol)  # type: ignore[arg-type]
        return (_rebuild, (cls, our_class, function, *arguments), *state)

    namespace = {"__module__": cls.__module__, "__qualname__": cls.__qualname__, "__reduce_ex__": reduce}
    made = type(cls)(cls.__name__, (cls, our_class), namespace)
    return made


def _rebuild(cls: type, our_class: type, function: Any, *arguments: Any) -> Any:
    return function(_subclass(cls, our_class), *arguments)
