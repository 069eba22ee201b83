"""Weights that stay as they are for a while, and their packed copies."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

from convmat.nn.learnt import Computation, Learnt
from convmat.planning.freezing import content_of, freeze

FROZEN = "_frozen_weight"  # the attribute of a layer that holds its frozen weight


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
        self._bias: Tensor | None = None  # an alias as well
        self._learnt = Learnt()

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
            self._learnt.clear()  # the memory of the old one
        return alias

    def learn(self, key: Any, computation: Computation | None, weight: Tensor, bias: Tensor | None) -> None:
        """Keep what the layer was computed by, from a weight and a bias; see :meth:`Learnt.keep`."""
        if weight is not self._alias:
            return
        if not _still_is(self._bias, bias):
            with torch.inference_mode(False):
                self._bias = None if bias is None else bias.detach()
        self._learnt.keep(key, computation, weight, self._bias)

    def compute(self, layer: nn.Module, key: Any, input: Tensor) -> Tensor | None:
        """Compute a layer as it was before; ``None`` where it must be decided anew how."""
        weight, bias, parameters = self._alias, self._bias, layer._parameters
        computation = self._learnt.find(key, weight, bias)
        if computation is None or weight is None or not _still_is(weight, parameters.get("weight")):
            return None
        return computation(input, weight, bias) if _still_is(bias, parameters.get("bias")) else None

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
