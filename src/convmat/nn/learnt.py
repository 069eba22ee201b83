"""What a layer was computed by, found again by little: small layers would notice if all was asked again."""

from __future__ import annotations

from collections.abc import Callable
from operator import is_
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from convmat.planning.freezing import threads_here
from convmat.tensors.watching import has_any_autocast

_MOST = 64  # computations

Computation: TypeAlias = Callable[[Tensor, Tensor, Tensor | None], Tensor]  # of input, weight and bias


class Learnt:
    """Computations while no gradient is recorded, with operands that stay the same objects."""

    def __init__(self) -> None:
        self._known: dict[Any, tuple[Computation, Any, tuple[Any, ...]]] = {}

    def keep(self, key: Any, computation: Computation | None, *operands: Any) -> None:
        """Keep a computation, if there is one.

        Args:
            key: all that it depends on, besides its operands, autograd and the number of threads.
            computation: what was decided.
            operands: weight and bias, and what else it was decided for.
        """
        if computation is None or torch.is_grad_enabled():
            return
        if len(self._known) >= _MOST:
            self._known.clear()
        self._known[key] = computation, threads_here(), operands

    def find(self, key: Any, *operands: Any) -> Computation | None:
        """What was kept, if it still holds, for the very same operands."""
        computation, threads, known = self._known.get(key, (None, None, ()))
        if computation is None or torch.is_grad_enabled() or has_any_autocast() or threads != threads_here():
            return None
        return computation if all(map(is_, operands, known)) else None

    def clear(self) -> None:
        """Forget all of it."""
        self._known.clear()


class LearntByLayout:
    """What a layer is computed by that is not frozen: with any parameters that lie in memory as these did.

    It holds none of them, so that a layer that moves to a GPU, or whose numbers are kept on a disk, leaves no memory
    behind. The kernel itself notices other numbers.
    """

    def __init__(self) -> None:
        self._learnt = Learnt()

    def learn(self, key: Any, computation: Computation | None, weight: Tensor, bias: Tensor | None) -> None:
        """Keep what the layer was computed by, from a weight and a bias; see :meth:`Learnt.keep`."""
        if _is_known_kind(weight) and _is_known_kind(bias):
            self._learnt.keep((key, _layout(weight), _layout(bias)), computation)

    def compute(self, layer: nn.Module, key: Any, input: Tensor) -> Tensor | None:
        """Compute a layer as it was before; ``None`` where it must be decided anew how."""
        weight, bias = layer._parameters.get("weight"), layer._parameters.get("bias")
        if weight is None or not (_is_known_kind(weight) and _is_known_kind(bias)):
            return None
        computation = self._learnt.find((key, _layout(weight), _layout(bias)))
        return None if computation is None else computation(input, weight, bias)


def _is_known_kind(parameter: Tensor | None) -> bool:
    return parameter is None or type(parameter) is nn.Parameter


def _layout(parameter: Tensor | None) -> Any:
    """All that decisions depend on, besides the numbers, while no gradient is recorded."""
    return None if parameter is None else (parameter.shape, parameter.stride(), parameter.dtype, parameter.device)
