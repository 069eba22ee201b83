"""Weights that stay as they are for a while, and their packed copies."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

from convmat.planning.freezing import content_of, freeze

FROZEN = "_frozen_weight"  # the attribute of a layer that holds its frozen weight


class FrozenWeight:
    """The weight of a layer, computed and packed once and again only after a change.

    A change is whatever changes a bit of the tensors that the weight is made of. They are digested in every call, which
    takes the time of reading them once; so no write goes unnoticed, whoever made it.
    """

    def __init__(self) -> None:
        self._known: tuple[tuple[Any, ...], Tensor] | None = None

    def of(self, layer: nn.Module) -> Tensor:
        """The weight of a layer, with its packed copies; it knows nothing of gradients."""
        content = tuple(map(content_of, _made_of(layer)))
        if self._known is None or self._known[0] != content:
            with torch.inference_mode(False), torch.no_grad():
                weight = cast("Tensor", layer.weight).detach()
                weight = weight.clone() if weight.is_inference() else weight
            freeze(weight)
            self._known = content, weight
        return self._known[1]

    def __reduce__(self) -> Any:
        """Copied and saved empty: a copy of the layer has a weight of its own."""
        return FrozenWeight, ()


def _made_of(layer: nn.Module) -> list[Tensor]:
    """The tensors that the weight of a layer is made of: itself, or all where reading it computes it."""
    stored = layer._parameters.get("weight")
    if stored is None:
        stored = vars(layer).get("weight")  # as hooks set it before the layer computes
    return [*layer.parameters(), *layer.buffers()] if stored is None else [stored]
