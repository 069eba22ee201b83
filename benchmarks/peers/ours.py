"""convmat: ``method="auto"``, with the channels last, and each method by itself."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

from torch import Tensor, nn

import convmat
from benchmarks.layers import Layer
from benchmarks.peers.base import Peer, Problem, memory_format
from benchmarks.peers.pytorch import torch_layer


class Convmat(Peer):
    """convmat with ``method="auto"``, the weight frozen, as the others compile it in."""

    name = "convmat"
    devices = ("cpu", "cuda")
    method: ClassVar[str] = "auto"

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self._compute = self._make(problem)

    def _make(self, problem: Problem) -> Any:
        return frozen_layer(problem.layer, problem.weight, self.method)

    def prepare(self, input: Tensor) -> Tensor:
        """As it is."""
        return input

    def __call__(self, prepared: Tensor) -> Tensor:
        """Call convmat."""
        return self._compute(prepared)

    def tensor(self, output: Tensor) -> Tensor:
        """As it is."""
        return output


class ConvmatUnfrozen(Convmat):
    """convmat as a plain function, which packs the weight in every call."""

    name = "convmat-unfrozen"

    def _make(self, problem: Problem) -> Any:
        function = getattr(convmat, problem.layer.function)
        return partial(function, weight=problem.weight, **problem.layer.options)


class ConvmatChannelsLast(Convmat):
    """convmat, input, weight and output with their channels last."""

    name = "convmat-channels-last"
    channels_last = True

    def __init__(self, problem: Problem) -> None:
        self._format = memory_format(problem.layer)
        super().__init__(replace(problem, weight=problem.weight.contiguous(memory_format=self._format)))

    def prepare(self, input: Tensor) -> Tensor:
        """With the channels last."""
        return input.contiguous(memory_format=self._format)


def method_peer(method: str) -> type[Convmat]:
    """The peer that is one method of convmat."""
    return type(f"Convmat_{method}", (Convmat,), {"name": f"convmat:{method}", "method": method})


def frozen_layer(layer: Layer, weight: Tensor, method: str = "auto") -> Any:
    """The layer, accelerated and frozen."""
    model = nn.Sequential(torch_layer(layer, weight))
    convmat.accelerate(model, method=method, freeze=True)
    return model[0]
