"""What becomes of the sums before they are stored: so far, a bias is added to each channel.

An activation would be applied here as well: :class:`Epilogue` would name it, and :func:`emit_epilogue` emit it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor


@dataclass(frozen=True)
class Epilogue:
    """The epilogue of a call.

    Args:
        bias: of shape (out_channels,). Default: ``None``
    """

    bias: Tensor | None = None

    def contiguous(self) -> Epilogue:
        """The same, as the kernel reads it."""
        return self if self.bias is None else Epilogue(self.bias.detach().contiguous())

    @property
    def bias_address(self) -> int:
        """Where the bias lies, 0 if there is none."""
        return 0 if self.bias is None else self.bias.data_ptr()


def emit_epilogue(builder: Any, sums: Any, bias: Any) -> Any:
    """Emit the code that finishes a vector of sums, or a single one, with the bias of its channels."""
    return builder.fadd(sums, bias)
