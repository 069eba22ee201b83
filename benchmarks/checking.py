"""Is a peer's answer right? Only then is it timed."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.layers import Layer
from benchmarks.peers import Peer, RefusedError
from benchmarks.peers.base import memory_format, one_line

# Of the largest output. Sums of thousands of products round to a few 1e-6; bfloat16 in disguise would be 1e-3.
_TOLERANCE = {torch.float32: 3e-5, torch.float64: 1e-12}


def exact(layer: Layer, input: Tensor, weight: Tensor) -> Tensor:
    """What PyTorch computes in float64."""
    return getattr(F, layer.function)(input.double(), weight.double(), **layer.options)


def relative_error(output: Tensor, expected: Tensor) -> float:
    """The largest difference, in units of the largest number expected."""
    return ((output.double() - expected).abs().max() / expected.abs().max()).item()


def answer(peer: Peer, input: Tensor) -> Tensor:
    """What a peer computes.

    Raises:
        RefusedError: if the peer fails.
    """
    try:
        with torch.inference_mode():
            return peer.tensor(peer(peer.prepare(input)))
    except Exception as error:  # whatever the libraries raise
        raise RefusedError(f"fails: {one_line(error)}") from error


def check(peer: Peer, input: Tensor, expected: Tensor) -> None:
    """Compare a peer's answer with the exact one.

    Raises:
        RefusedError: if the peer fails, or its answer is not the one.
    """
    output = answer(peer, input)
    if output.shape != expected.shape or output.dtype != input.dtype:
        raise RefusedError(f"disagrees: its output is {tuple(output.shape)}, {output.dtype}")
    error = relative_error(output, expected)
    if not error <= _TOLERANCE[input.dtype]:  # NaN too
        raise RefusedError(f"disagrees with PyTorch in float64 by {error:.1e} of the largest output")
    if peer.channels_last and not output.is_contiguous(memory_format=memory_format(peer.layer)):
        raise RefusedError("disagrees: its output does not have the channels last")
