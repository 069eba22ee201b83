"""What a peer is: somebody who computes a layer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from benchmarks.layers import Layer


@dataclass(frozen=True)
class Problem:
    """What every peer is given.

    Attributes:
        layer: its geometry.
        weight: a constant.
        threads: how many to use.
        varying: whether the sizes of the input will change.
    """

    layer: Layer
    weight: Tensor
    threads: int
    varying: bool = False


class RefusedError(Exception):
    """A peer that is not there, or does not take a layer; says why."""


class Peer(ABC):
    """Computes one layer, whose weight is known when the peer is made.

    A call, the only thing that is timed, takes what :meth:`prepare` made of the input, and makes a new output.
    """

    name: ClassVar[str]
    channels_last: ClassVar[bool] = False
    devices: ClassVar[tuple[str, ...]] = ("cpu",)

    def __init__(self, problem: Problem) -> None:
        self.layer = problem.layer

    @abstractmethod
    def prepare(self, input: Tensor) -> Any:
        """The input as the peer likes it."""

    @abstractmethod
    def __call__(self, prepared: Any) -> Any:
        """The output as the peer makes it, ready to be used."""

    @abstractmethod
    def tensor(self, output: Any) -> Tensor:
        """The output as a tensor, to be checked."""


def memory_format(layer: Layer) -> torch.memory_format:
    """The format that has the channels last.

    Raises:
        RefusedError: in one dimension, where PyTorch has none.
    """
    if layer.ndim == 1:
        raise RefusedError("PyTorch knows channels_last in 2-d and 3-d alone")
    return torch.channels_last if layer.ndim == 2 else torch.channels_last_3d


def one_line(error: Exception) -> str:
    """An error, for a line of the report."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:200]}"
