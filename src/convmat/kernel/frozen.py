"""Weights that stay as they are for a while, and their packed copies."""

from __future__ import annotations

from math import gcd
from typing import Any, cast

import torch
from torch import Tensor, nn

from convmat.geometry.tiling import RowTiling

FROZEN = "_frozen_weight"  # the attribute of a layer that holds its frozen weight
_COPIES = "_convmat_packed"  # the attribute of a frozen weight that holds its packed copies
# A tensor is compared, to notice what was written behind its back: all of a small one, as many numbers of a larger one.
_SMALL, _PROBED = 4096, 512


def packed_copies(weight: Tensor) -> dict[RowTiling, Tensor] | None:
    """The packed copies that a frozen weight has, to look up and add to; ``None`` for any other weight."""
    return getattr(weight, _COPIES, None)


class FrozenWeight:
    """The weight of a layer, computed and packed once and again only after a change.

    A change is a tensor of the layer replaced, moved, or written to (``load_state_dict``, an optimizer's step), which
    PyTorch counts. Writing through ``.data`` it does not count; that is noticed by comparing numbers: all of a tensor
    of up to 4096, 512 spread evenly over a larger one.
    """

    def __init__(self) -> None:
        self._state: list[tuple[int, int, Tensor]] = []
        self._weight: Tensor | None = None
        self._attribute: Tensor | None = None

    def of(self, layer: nn.Module) -> Tensor:
        """The weight of a layer, with its packed copies; it knows nothing of gradients."""
        tensors = _made_of(layer)
        attribute = vars(layer).get("weight")  # as hooks set it, from parameters of other names or from anything
        is_computed = any(name.startswith("weight_") for name in (*layer._parameters, *layer._buffers))
        if attribute is not None and not is_computed:
            tensors.append(attribute)
        if any(tensor.is_inference() for tensor in tensors):  # whose writes are not counted
            return cast("Tensor", layer.weight).detach()
        if self._weight is None or self._has_changed(tensors, attribute):
            with torch.inference_mode(False), torch.no_grad():
                weight = cast("Tensor", layer.weight).detach()
                self._weight = weight.clone() if weight.is_inference() or weight is attribute else weight
            setattr(self._weight, _COPIES, {})
            self._state = [(tensor.data_ptr(), tensor._version, _probe(tensor).clone()) for tensor in tensors]
            self._attribute = None if attribute is None else _probe(attribute).clone()
        return self._weight

    def _has_changed(self, tensors: list[Tensor], attribute: Tensor | None) -> bool:
        if len(tensors) != len(self._state) or (attribute is None) != (self._attribute is None):
            return True
        if attribute is not None and not torch.equal(_probe(attribute), cast("Tensor", self._attribute)):
            return True
        return any(
            tensor.data_ptr() != address or tensor._version != version or not torch.equal(_probe(tensor), probe)
            for tensor, (address, version, probe) in zip(tensors, self._state, strict=True)
        )

    def __reduce__(self) -> Any:
        """Copied and saved empty: a copy of the layer has a weight of its own."""
        return FrozenWeight, ()


def _made_of(layer: nn.Module) -> list[Tensor]:
    """The tensors that the weight of a layer is made of: itself, or all if it is computed."""
    weight = layer._parameters.get("weight")
    return [*layer.parameters(), *layer.buffers()] if weight is None else [weight]


def _probe(tensor: Tensor) -> Tensor:
    """Numbers from all over a tensor: the step divides no size, or whole taps or channels would be left out."""
    flat = tensor.detach().reshape(-1)
    if flat.numel() <= _SMALL:
        return flat
    step = flat.numel() // _PROBED
    while gcd(step, flat.numel()) > 1:
        step += 1
    return flat[::step]
