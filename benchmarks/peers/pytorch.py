"""PyTorch: as it is, with the channels last, and compiled."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.layers import Layer
from benchmarks.peers.base import Peer, Problem, memory_format


class Torch(Peer):
    """PyTorch's own function."""

    name = "torch"
    devices = ("cpu", "cuda")

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        function = getattr(F, self.layer.function)
        self._compute: Any = partial(function, weight=problem.weight, **self.layer.options)

    def prepare(self, input: Tensor) -> Tensor:
        """As it is."""
        return input

    def __call__(self, prepared: Tensor) -> Tensor:
        """Call PyTorch."""
        return self._compute(prepared)

    def tensor(self, output: Tensor) -> Tensor:
        """As it is."""
        return output


class TorchChannelsLast(Torch):
    """PyTorch's own function, input, weight and output with their channels last."""

    name = "torch-channels-last"
    channels_last = True

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self._format = memory_format(self.layer)
        function = getattr(F, self.layer.function)
        weight = problem.weight.contiguous(memory_format=self._format)
        self._compute = partial(function, weight=weight, **self.layer.options)

    def prepare(self, input: Tensor) -> Tensor:
        """With the channels last."""
        return input.contiguous(memory_format=self._format)


class TorchCompile(Torch):
    """``torch.compile``, told that the weight is a constant."""

    name = "torch-compile"

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        torch.compiler.reset()  # or it would give up after so many layers of one class
        self._compute = torch.compile(torch_layer(problem.layer, problem.weight), options={"freezing": True})


def torch_layer(layer: Layer, weight: Tensor) -> nn.Module:
    """PyTorch's layer with a given weight that wants no gradient."""
    kind = getattr(nn, layer.module)
    module = kind(layer.in_channels, layer.out_channels, layer.kernel_size, bias=False, **layer.options)
    module.weight = nn.Parameter(weight, requires_grad=False)
    return module.eval()
