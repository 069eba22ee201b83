"""Spectral norm: a layer's weight divided by the true norm of the layer, as the linear operator that it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from convmat.geometry import Geometry, GeometryError, check_positive
from convmat.nn.checks import errors_of
from convmat.operators import ConvOperator
from convmat.planning import weight_gradient
from convmat.tensors.arguments import layer_geometry
from convmat.tensors.watching import has_autocast, is_watched

Layer = TypeVar("Layer", bound=nn.Module)


def spectral_norm(layer: Layer, *, in_shape: Sequence[int], steps: int = 1) -> Layer:
    """Divide a convolution layer's weight by the norm of the layer on inputs of ``in_shape``: it becomes 1-Lipschitz.

    :func:`torch.nn.utils.parametrizations.spectral_norm` divides by the norm of the *reshaped weight* (Miyato et
    al. 2018), which is not that of the layer: of random 8 -> 8 channels, 3 x 3, it is about two thirds of it.

    The norm is found to 0.1 % when the layer is wrapped. From then on each forward pass in train mode takes ``steps``
    steps from the vector of the one before, for the weight has changed little; in eval mode the vector stays. Gradients
    flow through the division, the norm's too. Where several singular values share the top, the norm has no unique
    gradient, and one of its subgradients is taken.

    Args:
        layer: a convolution or transposed convolution of PyTorch or of :mod:`convmat.nn`; it is changed in place.
        in_shape: channels and spatial sizes of its inputs, without the batch. On smaller inputs padded with zeros the
            norm is no larger, on larger ones it may be.
        steps: in each forward pass of training. Each takes two products with one input, and
            the pass one more and a gradient. Default: 1

    Returns:
        The layer. :func:`torch.nn.utils.parametrize.remove_parametrizations` makes the weight a plain one again.

    Raises:
        GeometryError: if layer and input do not go together, or the weight is zero or not finite.
        TypeError: if the layer is no convolution.

    >>> import torch, convmat
    >>> layer = spectral_norm(torch.nn.Conv2d(3, 8, kernel_size=3, padding=1), in_shape=(3, 16, 20))
    >>> 0.998 < convmat.ConvOperator.from_module(layer, (3, 16, 20)).norm() < 1.002
    tensor(True)
    """
    with errors_of(layer):
        geometry = layer_geometry(layer, in_shape)
        check_positive(steps=steps)
    weight: Any = layer.weight
    with errors_of(layer):
        parametrization = SpectralNorm(geometry, weight, steps)
    parametrize.register_parametrization(layer, "weight", parametrization)
    return layer


spectral_norm.__module__ = "convmat.nn"  # where users find it


class SpectralNorm(nn.Module):
    """The parametrization that :func:`spectral_norm` registers.

    Its one buffer, ``vector``, is of the layer's ``in_shape``: what the layer lengthens most.
    """

    vector: Tensor

    def __init__(self, geometry: Geometry, weight: Tensor, steps: int) -> None:
        super().__init__()
        self.geometry, self.steps = geometry, steps
        self.register_buffer("vector", _top_vector(ConvOperator.of(geometry, weight.detach())))

    def forward(self, weight: Tensor) -> Tensor:
        """The weight over the norm."""
        device = weight.device.type
        if has_autocast(device):  # whose numbers are too short for a norm
            with torch.autocast(device, enabled=False):
                return self.forward(weight)
        image = None
        if self.training and torch.is_grad_enabled():
            vector, image = _improved(ConvOperator.of(self.geometry, weight.detach()), self.vector, self.steps)
            self.vector.copy_(vector)
        # Cloned, since the next forward pass changes it before the backward pass of this one, if several are made.
        return _normalised(ConvOperator.of(self.geometry, weight), self.vector.clone(), image)

    def extra_repr(self) -> str:
        """What is normalised."""
        return f"in_shape={self.geometry.in_shape}, steps={self.steps}"


def _normalised(operator: ConvOperator, vector: Tensor, image: Tensor | None) -> Tensor:
    """The weight over the length of the vector's image, which may be known already."""
    weight = operator.weight
    if is_watched() or not (torch.is_grad_enabled() and weight.requires_grad):
        return weight / _length(operator.apply(vector))
    if image is None:
        with torch.no_grad():
            image = operator.apply(vector)
    normalised: Tensor = _Normalised.apply(weight, vector, image, operator.geometry)  # type: ignore[no-untyped-call]
    return normalised


class _Normalised(torch.autograd.Function):
    """``weight / |C(weight) vector|``, with a backward pass that reads and writes the weight as seldom as can be."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, vector: Tensor, image: Tensor, geometry: Geometry) -> Tensor:
        ctx.save_for_backward(weight, vector, image)
        ctx.geometry = geometry
        return weight / _length(image)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
        weight, vector, image = ctx.saved_tensors
        if torch.is_grad_enabled():  # a second derivative is wanted, so the image has to depend on the weight
            image = ConvOperator.of(ctx.geometry, weight).apply(vector)
        size = _length(image)
        # With G the gradient of the norm, that of the weight is grad / norm - <grad, weight> / norm^2 G.
        share = _inner(grad, weight) / size.square()
        gradient = weight_gradient(ctx.geometry, vector.conj(), image * (-share / size))
        return gradient.addcmul_(grad, size.reciprocal()), None, None, None


def _top_vector(operator: ConvOperator) -> Tensor:
    from convmat.operators import golub_kahan

    with torch.no_grad():
        top = golub_kahan.largest(operator, 1e-3)
        if not top.value:
            raise GeometryError("the weight is zero, or no input reaches it: it cannot be divided by its norm")
        return golub_kahan.right_vector(operator, top)


@torch.no_grad()
def _improved(operator: ConvOperator, vector: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """A unit vector with a longer image, and that image: in each step the best of the plane of vector and gradient."""
    adjoint = operator.H
    image = operator.apply(vector)
    for _ in range(steps):
        size = _length(image)
        other = adjoint.apply(image)
        for _ in range(2):  # once leaves little but rounding, near the end, and that need not be orthogonal
            other = other - vector * _inner(vector, other)
            other = other / _length(other).clamp(min=torch.finfo(other.dtype).tiny)
        beside = operator.apply(other)
        # The largest eigenvector of the plane's two by two matrix [[a, b], [b, c]], by its angle.
        a, b, c = size.square(), _inner(image, beside), _length(beside).square()
        angle = torch.atan2(2 * b, a - c) / 2
        vector = vector * angle.cos() + other * angle.sin()
        image = image * angle.cos() + beside * angle.sin()
    size = _length(vector)
    return vector / size, image / size


def _inner(x: Tensor, y: Tensor) -> Tensor:
    return torch.vdot(x.flatten(), y.flatten()).real


def _length(x: Tensor) -> Tensor:
    return torch.linalg.vector_norm(x)
