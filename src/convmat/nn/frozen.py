"""Weights that stay as they are for a while, and their packed copies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from convmat.planning.freezing import content_of, freeze, threads_here
from convmat.tensors.watching import has_any_autocast

FROZEN = "_frozen_weight"  # the attribute of a layer that holds its frozen weight
_MOST = 64  # computations of a layer


class _Learnt(NamedTuple):
    """A computation that was decided upon; it holds for this bias and so many threads."""

    computation: Callable[[Tensor, Tensor, Tensor | None], Tensor]
    bias: Tensor | None  # an alias of the parameter
    threads: Any


class FrozenWeight:
    """The weight of a layer, which keeps its packed copies; where it is computed (weight norm), it is computed once.

    They are made anew after any change of a bit of the tensors that the weight is made of. For that, a digest is
    compared in every call, which takes the time of reading these tensors once. So no write goes unnoticed.

    What the layer computes by is kept here, too, for inputs of each kind: small layers would notice if it were looked
    for by all that it depends on.
    """

    def __init__(self) -> None:
        self._alias: Tensor | None = None  # of the parameter
        self._computed: tuple[tuple[Any, ...], Tensor] | None = None  # from tensors of this content
        self._learnt: dict[Any, _Learnt] = {}  # with the alias as weight, while no gradient is recorded

    def of(self, layer: nn.Module) -> Tensor:
        """The weight of a layer, with its packed copies; it knows nothing of gradients."""
        stored = layer._parameters.get("weight")
        if stored is None:
            stored = vars(layer).get("weight")  # as hooks set it before the layer computes
        if stored is None or stored.is_inference():
            return self._compute(layer, [*layer.parameters(), *layer.buffers()] if stored is None else [stored])
        alias = self._alias
        if alias is None or not _is_alias(alias, stored):
            with torch.inference_mode(False), torch.no_grad():
                alias = self._alias = stored.detach()
            freeze(alias, is_constant=False)  # the kernel compares its content, where the kernel computes
            self._learnt.clear()
        return alias

    def learn(self, key: Any, computation: Any, weight: Tensor, bias: Tensor | None) -> None:
        """Take note of what the layer computes by, if it is of use the next time.

        Args:
            key: all that it depends on, besides the tensors of the layer and the number of threads.
            computation: a function of input, weight and bias; ``None`` if it is not known.
            weight, bias: what it was called with.
        """
        if computation is None or weight is not self._alias:
            return
        with torch.inference_mode(False):
            alias = None if bias is None else bias.detach()
        if len(self._learnt) >= _MOST:
            self._learnt.clear()
        self._learnt[key] = _Learnt(computation, alias, threads_here())

    def compute(self, layer: nn.Module, key: Any, input: Tensor) -> Tensor | None:
        """Compute a layer as before; ``None`` where it must be decided anew how."""
        learnt, parameters = self._learnt.get(key), layer._parameters
        if learnt is None or torch.is_grad_enabled() or has_any_autocast() or learnt.threads != threads_here():
            return None
        weight, bias = self._alias, learnt.bias
        is_same = _still_is(weight, parameters.get("weight")) and _still_is(bias, parameters.get("bias"))
        return learnt.computation(input, weight, bias) if is_same and weight is not None else None

    def _compute(self, layer: nn.Module, made_of: list[Tensor]) -> Tensor:
        content = tuple(map(content_of, made_of))
        if self._computed is None or self._computed[0] != content:
            with torch.inference_mode(False), torch.no_grad():
                weight = cast("Tensor", layer.weight).detach()
                weight = weight.clone() if weight.is_inference() else weight
            freeze(weight, is_constant=True)
            self._computed = content, weight
        return self._computed[1]

    def __reduce__(self) -> Any:
        """Copied and saved empty: a copy of the layer has a weight of its own."""
        return FrozenWeight, ()


def _still_is(alias: Tensor | None, parameter: Tensor | None) -> bool:
    """Whether a tensor is still the memory of a parameter, and none where there is none."""
    if alias is None or parameter is None:
        return alias is parameter
    return type(parameter) is nn.Parameter and _is_alias(alias, parameter)


def _is_alias(alias: Tensor, parameter: Tensor) -> bool:
    """Whether a tensor is still the memory of all of a parameter."""
    return alias.dtype == parameter.dtype and alias.is_set_to(parameter)
