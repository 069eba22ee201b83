"""Activations that are straight lines on both sides of zero, computed along with a convolution."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Activation:
    """``y = min(max(x, low), high)``, and ``slope * y`` instead where that is not positive.

    That is ReLU, ReLU6 and the like with a slope of 1, and LeakyReLU and PReLU without limits: bit for bit as PyTorch
    computes them, for infinities, NaN and negative zeros as well.

    Args:
        slopes: one, or one for each channel. Default: 1
        low, high: the limits. Default: none

    >>> Activation(low=0.0, high=6.0).applied_to(torch.tensor([[-1.0, 2.0, 7.0]]))
    tensor([[0., 2., 6.]])
    """

    slopes: tuple[float, ...] = (1.0,)
    low: float = -math.inf
    high: float = math.inf

    @cached_property
    def _slopes(self) -> Tensor:
        return torch.tensor(self.slopes, dtype=torch.float64, device="cpu")

    def numbers(self, channels: int, dtype: torch.dtype) -> Tensor:
        """The slope of each channel, then both limits."""
        limits = torch.tensor([self.low, self.high], dtype=torch.float64, device="cpu")
        return torch.cat([self._slopes.expand(channels), limits]).to(dtype)

    def applied_to(self, output: Tensor) -> Tensor:
        """Compute it by PyTorch.

        Args:
            output: of shape (batch, channels, *sizes), or without the batch where there is one slope; nobody else's, as
                it is written in place where PyTorch can.
        """
        if (self.low, self.high) == (0.0, math.inf):
            output = output.relu_()
        elif self.low > -math.inf or self.high < math.inf:
            output = output.clamp_(self.low, self.high)
        if len(self.slopes) > 1:
            return torch.prelu(output, self._slopes.to(output.dtype))
        return output if self.slopes == (1.0,) else F.leaky_relu_(output, self.slopes[0])
