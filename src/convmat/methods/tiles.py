"""Our compiled kernel for the CPU, both directions: matrix products of register-blocked tiles.

C and each phase of Cᵀ are matrix products that sum over input channels and taps. The kernel reads the input where it
lies, window by window (of C with a stride, the phases of the input apart), and writes the phases of Cᵀ interleaved, so
that neither columns nor zeros are ever stored.

It takes float32 and float64. All else goes to PyTorch's own functions: other numbers and devices, and whoever watches
the operations (``torch.export``, ``torch.func``, forward-mode derivatives). For autograd and ``torch.compile`` it is an
operator of PyTorch (:mod:`convmat.planning.torch_ops`).

At its borders the input is extended by zeros, and zero times a weight that is infinite or NaN is a NaN. In Winograd's
form (:mod:`convmat.kernel.tiling.winograd`) such a weight reaches all outputs of its channel. An infinity or a NaN of
the input also reaches the other outputs of its cells there, if these have three taps, and an infinity may become a NaN.
"""

from __future__ import annotations

from functools import partial

from torch import Tensor

from convmat.geometry import Geometry
from convmat.kernel import computing
from convmat.methods import native
from convmat.methods.common import Computation
from convmat.methods.numbers import prepare_numbers
from convmat.tensors.calls import Call
from convmat.tensors.strides import MemoryFormat

refuses = native.refuses


def prepare(geometry: Geometry, call: Call) -> Computation:
    """The kernel where it can compute, else PyTorch's own function; the kernel knows nothing of gradients."""
    if not (is_for_kernel(geometry, call) and computing.is_ready(call.dtype)):
        return native.prepare(geometry, call)
    computation = prepare_numbers(
        geometry,
        call.batch,
        call.dtype,
        contiguous=will_be_contiguous(call),
        keep=call.keeps_weight,
        activation=call.activation,
    )
    return partial(_copy_first, computation) if call.memory_format is MemoryFormat.APART else computation


def is_for_kernel(geometry: Geometry, call: Call) -> bool:
    """Whether the kernel could compute a call, if it is installed."""
    return call.is_plain and geometry.ndim <= computing.AXES and computing.takes(call.dtype)


def will_be_contiguous(call: Call) -> bool:
    """Whether the kernel reads a contiguous input: one that is, or a copy."""
    return call.memory_format in (MemoryFormat.CONTIGUOUS, MemoryFormat.APART)


def _copy_first(computation: Computation, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Copying costs less than reading numbers that are no neighbours, once for each window that they are in."""
    return computation(input.contiguous(), weight, bias)
