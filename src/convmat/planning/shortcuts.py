"""The short way for a transposed convolution that was computed before.

Checking arguments, building the geometry and choosing a method takes tens of microseconds, as long as a small layer
itself. What they led to is written down under all that they depend on, so that the same call again only has to look it
up. That is done for plain calls on the CPU of which no gradient is asked; all others go the long way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from torch import Tensor

from convmat.kernel.threads import thread_count
from convmat.methods import tiles
from convmat.tensors.arguments import has_autocast, is_plain

Computation: TypeAlias = Callable[[Tensor, Tensor, Tensor | None], Tensor]

_MOST = 512
_known: dict[Any, Computation] = {}


def key_of(input: Tensor, weight: Tensor, bias: Tensor | None, arguments: tuple[Any, ...]) -> Any:
    """All that the way of computing depends on; ``None`` where there is no short way.

    Args:
        input, weight, bias: the tensors of the call, whatever they are.
        arguments: the others, which are found again if they are integers and strings, or tuples of them.
    """
    if not (tiles.takes(input, weight, bias) and is_plain(arguments)):
        return None
    if tiles.needs_gradient(input, weight, bias) or has_autocast("cpu"):
        return None
    kinds = (input.dtype, weight.dtype, None if bias is None else bias.dtype)
    shapes = (input.shape, input.stride(), weight.shape, None if bias is None else bias.shape)
    return arguments, kinds, shapes, thread_count()


def find(key: Any) -> Computation | None:
    """What was written down."""
    return _known.get(key)


def write_down(key: Any, computation: Computation) -> None:
    """Write down what to do."""
    if len(_known) >= _MOST:
        _known.clear()
    _known[key] = computation


def forget() -> None:
    """Forget all of it."""
    _known.clear()
