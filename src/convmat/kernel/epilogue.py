"""What becomes of the sums before they are stored: a bias is added to each channel, and an activation may follow.

In compiled functions an *epilogue* is a tuple of numbers, those of one channel: the bias alone, or bias, slope and the
two limits of an :class:`~convmat.tensors.activations.Activation`. Code is emitted for either, so that layers without an
activation take no instruction more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor

if TYPE_CHECKING:
    from convmat.kernel.microkernel.vectors import Vectors


@dataclass(frozen=True)
class Epilogue:
    """The epilogue of a call.

    Args:
        bias: of shape (out_channels,). Default: ``None``
        activation: its numbers for so many channels, contiguous: of shape (out_channels + 2,). Default: ``None``
    """

    bias: Tensor | None = None
    activation: Tensor | None = None

    def contiguous(self) -> Epilogue:
        """The same, as the kernel reads it."""
        return self if self.bias is None else Epilogue(self.bias.detach().contiguous(), self.activation)

    @property
    def bias_address(self) -> int:
        """Where the bias lies, 0 if there is none."""
        return 0 if self.bias is None else self.bias.data_ptr()

    @property
    def activation_address(self) -> int:
        """Where the numbers of the activation lie, 0 if there is none."""
        return 0 if self.activation is None else self.activation.data_ptr()


def emit_epilogue(builder: Any, sums: Any, operands: Sequence[Any]) -> Any:
    """Emit the code that finishes a vector of sums, or a single one.

    Args:
        operands: the bias, or bias, slope and limits, of the channels of the sums.
    """
    bias, *activation = operands
    sums = builder.fadd(sums, bias)
    if not activation:
        return sums
    slope, low, high = activation
    # Every comparison with a NaN is false, so it passes all of them and stays one.
    limited = builder.select(builder.fcmp_ordered(">", low, sums), low, sums)
    limited = builder.select(builder.fcmp_ordered("<", high, limited), high, limited)
    is_positive = builder.fcmp_ordered(">", limited, limited.type(None))
    return builder.select(is_positive, limited, builder.fmul(limited, slope))


def unpacked(builder: Any, epilogue: Any) -> list[Any]:
    """The numbers of an epilogue."""
    return [builder.extract_value(epilogue, n) for n in range(len(epilogue.type))]


def spread_epilogue(v: Vectors, builder: Any, epilogue: Any) -> list[Any]:
    """A vector of each number of an epilogue."""
    return [v.spread(builder, number) for number in unpacked(builder, epilogue)]
