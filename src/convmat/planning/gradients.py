"""The gradient of a convolution with respect to its weight, without computing the convolution itself."""

from __future__ import annotations

from torch import Tensor

from convmat.geometry import Geometry
from convmat.methods import native, unfold
from convmat.tensors.padding import pad


def weight_gradient(geometry: Geometry, input: Tensor, output: Tensor) -> Tensor:
    """The gradient of ``<output, C(w) input>`` with respect to ``w``, which is linear in both; differentiable.

    Args:
        geometry: direct or transposed, with any padding mode.
        input: of shape (batch, *in_shape).
        output: of shape (batch, *out_shape).

    Returns:
        A tensor of shape ``geometry.weight_shape``.
    """
    x, y = (output, input) if geometry.transposed else (input, output)
    direct = geometry.transpose() if geometry.transposed else geometry
    padded, unpadded = pad(x, direct), direct.unpadded()
    if native.refuses(unpadded, x.dtype) or x.is_complex():  # of complex numbers, PyTorch's own lacks this one
        return unfold.weight_gradient(padded, y, unpadded)
    weight = y.new_empty(()).expand(geometry.weight_shape)  # of which only the shape is read
    _, gradient, _ = native.gradients(y, padded, weight, unpadded, (False, True, False))
    assert gradient is not None
    return gradient
