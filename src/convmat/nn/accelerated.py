"""The classes of accelerated layers: PyTorch's layers and subclasses of these, computing as ours do.

An accelerated layer remembers by its class what it was, so that whoever makes another layer of that class, as LoRA
does with ``type(layer)(...)``, makes one that can be restored too. Such a class takes the arguments of the original.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from torch import nn

from convmat.nn.direct import Conv1d, Conv2d, Conv3d
from convmat.nn.transposed import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from convmat.tensors.arguments import DIRECT_LAYERS, TRANSPOSED_LAYERS

TRANSPOSED: dict[type, type] = dict(
    zip(TRANSPOSED_LAYERS, (ConvTranspose1d, ConvTranspose2d, ConvTranspose3d), strict=True)
)
DIRECT: dict[type, type] = dict(zip(DIRECT_LAYERS, (Conv1d, Conv2d, Conv3d), strict=True))
OURS = {**TRANSPOSED, **DIRECT}


def torch_class_of(cls: type) -> type:
    """PyTorch's layer that a class is, or is derived from."""
    return next(torch_class for torch_class in cls.__mro__ if torch_class in OURS)


@cache
def accelerated_class(original: type) -> type:
    """The class that computes with ours where ``original`` computes with PyTorch's; of the same name, made once.

    A subclass of PyTorch's layer comes first in it, then ours, then PyTorch's. The class cannot be found by its name,
    so its instances are pickled and copied as those of ``original`` would be, with a note to make the class first.

    >>> class Sub(nn.Conv1d):
    ...     pass
    >>> accelerated = accelerated_class(Sub)
    >>> accelerated.__name__, issubclass(accelerated, Sub), issubclass(accelerated, Conv1d)
    ('Sub', True, True)
    """
    torch_class = torch_class_of(original)

    def reduce(self: nn.Module, protocol: Any) -> tuple[Any, ...]:
        reduced: tuple[Any, ...] = super(made, self).__reduce_ex__(protocol)  # type: ignore[arg-type]
        if type(self) is not made:
            return reduced
        function, (_, *arguments), *state = reduced
        return (rebuild_layer, (original, function, *arguments), *state)

    namespace = {"__reduce_ex__": reduce, "_accelerated_from": original}
    if original is torch_class:
        bases: tuple[type, ...] = (OURS[torch_class],)
        namespace |= {"__module__": __name__, "__init__": torch_class.__init__}  # type: ignore[misc]
    else:
        bases = (original, accelerated_class(torch_class))
        namespace |= {"__module__": original.__module__, "__qualname__": original.__qualname__}
    made = type(original)(original.__name__, bases, namespace)
    return made


def original_of(accelerated: type) -> type | None:
    """The class that an accelerated one was made from; ``None`` for all others, subclasses of accelerated ones too."""
    return vars(accelerated).get("_accelerated_from")


def rebuild_layer(original: type, function: Any, *arguments: Any) -> Any:
    """Make an accelerated layer, as pickles and copies ask for it, without its state.

    Args:
        original: the class that the layer had before it was accelerated.
        function: what makes an instance of a class, as in ``copyreg``.
        arguments: its arguments after the class.
    """
    return function(accelerated_class(original), *arguments)
