"""Weights that stay as they are for a while, and their packed copies."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

from convmat.planning.freezing import content_of, freeze

FROZEN = "_frozen_weight"  # the attribute of a layer that holds its frozen weight


class FrozenWeight:
    """The weight of a layer, which keeps its packed copies; where it is computed (weight norm), it is computed once.

    They are made anew after any change of a bit of the tensors that the weight is made of. For that, a digest is
    compared in every call, which takes the time of reading these tensors once. So no write goes unnoticed.
    """

    def __init__(self) -> None:
        self._alias: Tensor | None = None  # of the parameter
        self._computed: tuple[tuple[Any, ...], Tensor] | None = None  # from tensors of this content

    def of(self, layer: nn.Module) -> Tensor:
        """The weight of a layer, with its packed copies; it knows nothing of gradients."""
        stored = layer._parameters.get("weight")
        if stored is None:
            stored = vars(layer).get("weight")  # as hooks set it before the layer computes
        if stored is None or stored.is_inference():
            return self._compute(layer, [*layer.parameters(), *layer.buffers()] if stored is None else [stored])
        alias = self._alias
        if alias is None or alias.dtype != stored.dtype or not alias.is_set_to(stored):
            with torch.inference_mode(False), torch.no_grad():
                alias = self._alias = stored.detach()
            freeze(alias, is_constant=False)  # the kernel compares its content, where the kernel computes
        return alias

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
