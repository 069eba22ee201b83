"""What becomes of the sums before they are stored: a bias is added to each channel, and an activation may follow.

In compiled functions an *epilogue* is a tuple: the bias of a channel; slope and two limits of an
:class:`~convmat.tensors.activations.Activation`; and a number that is 0 where none follows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from torch import Tensor

if TYPE_CHECKING:
    from convmat.kernel.microkernel.vectors import Vectors


class Epilogue(NamedTuple):
    """The epilogue of a call.

    Args:
        bias: of shape (out_channels,). Default: ``None``
        activation: its numbers for so many channels, contiguous: of shape (out_channels + 2,). Default: ``None``
    """

    bias: Tensor | None = None
    activation: Tensor | None = None

    def contiguous(self) -> Epilogue:
        """The same, as the kernel reads it."""
        if self.bias is None or self.bias.is_contiguous():
            return self
        return Epilogue(self.bias.detach().contiguous(), self.activation)

    @property
    def bias_address(self) -> int:
        """Where the bias lies, 0 if there is none."""
        return 0 if self.bias is None else self.bias.data_ptr()

    @property
    def activation_address(self) -> int:
        """Where the numbers of the activation lie, 0 if there is none."""
        return 0 if self.activation is None else self.activation.data_ptr()


def emit_epilogue(builder: Any, all_sums: Sequence[Any], operands: Sequence[Any]) -> list[Any]:
    """Emit the code that finishes vectors of sums, or single ones: one branch for all of them.

    Args:
        operands: bias, slope and limits of the channels of the sums, and whether the activation follows.
    """
    bias, slope, low, high, is_activated = operands
    (finished,) = emit_epilogues(builder, [all_sums], [bias], lambda: ([slope], low, high), is_activated)
    return finished


def emit_epilogues(
    builder: Any,
    rows: Sequence[Sequence[Any]],
    biases: Sequence[Any],
    emit_numbers: Callable[[], tuple[Sequence[Any], Any, Any]],
    is_activated: Any,
) -> list[list[Any]]:
    """The same for rows of several channels.

    Args:
        biases: of the rows.
        emit_numbers: emits what the activation needs, where it follows: the slopes of the rows, and both limits.
    """
    rows = [[builder.fadd(sums, bias) for sums in row] for row, bias in zip(rows, biases, strict=True)]
    before = builder.block
    with builder.if_then(builder.icmp_signed("!=", is_activated, is_activated.type(0)), likely=False):
        slopes, low, high = emit_numbers()
        activated = [
            [_activated(builder, sums, slope, low, high) for sums in row]
            for row, slope in zip(rows, slopes, strict=True)
        ]
        inside = builder.block
    finished = [[builder.phi(sums.type) for sums in row] for row in rows]
    for row in zip(finished, rows, activated, strict=True):
        for phi, sums, after in zip(*row, strict=True):
            phi.add_incoming(sums, before)
            phi.add_incoming(after, inside)
    return finished


def _activated(builder: Any, sums: Any, slope: Any, low: Any, high: Any) -> Any:
    # Every comparison with a NaN is false, so it passes all of them and stays one.
    limited = builder.select(builder.fcmp_ordered(">", low, sums), low, sums)
    limited = builder.select(builder.fcmp_ordered("<", high, limited), high, limited)
    is_positive = builder.fcmp_ordered(">", limited, limited.type(None))
    return builder.select(is_positive, limited, builder.fmul(limited, slope))


def unpacked(builder: Any, epilogue: Any) -> list[Any]:
    """The numbers of an epilogue."""
    return [builder.extract_value(epilogue, n) for n in range(len(epilogue.type))]


def spread_epilogue(v: Vectors, builder: Any, epilogue: Any) -> list[Any]:
    """A vector of each number of an epilogue, and whether an activation follows."""
    *numbers, is_activated = unpacked(builder, epilogue)
    return [*(v.spread(builder, number) for number in numbers), is_activated]
