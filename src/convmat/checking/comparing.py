"""Every method against PyTorch: error, time, memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from convmat.checking.measure import median_seconds, peak_bytes
from convmat.checking.reference import reference
from convmat.geometry import Geometry, GeometryError, check_positive, geometry_of, shown
from convmat.methods import METHODS
from convmat.planning import check_method, run
from convmat.tensors.arguments import check_is_tensor, shape_of


@dataclass(frozen=True)
class Comparison:
    """How one method did on one layer.

    Attributes:
        method: its name.
        max_error: the largest difference from PyTorch's answer in float64.
        seconds: the median time of a call.
        peak: the most bytes held during a call beyond its input and weight, output included.
        refused: why the method cannot take the layer; then the figures are NaN and 0.

    >>> (result,) = compare_methods(Geometry.conv((8, 9), (3, 3)), methods="phases")
    >>> result.method, result.max_error < 1e-5, result.refused
    ('phases', True, None)
    """

    method: str
    max_error: float = float("nan")
    seconds: float = float("nan")
    peak: int = 0
    refused: str | None = None


def compare_methods(
    geometry: Geometry | nn.Module,
    input: Tensor | None = None,
    weight: Tensor | None = None,
    *,
    in_shape: Sequence[int] | None = None,
    methods: Iterable[str] = tuple(METHODS),
    repeats: int = 3,
) -> Iterator[Comparison]:
    """Run every method on a layer, one by one, and compare with PyTorch.

    Args:
        geometry: the layer, direct or transposed: its geometry, or a convolution layer of PyTorch or of
            :mod:`convmat.nn`, whose own weight is taken then.
        input: of shape (batch, *geometry.in_shape). Default: random numbers, a batch of one, of the weight's dtype
        weight: of shape ``geometry.weight_shape``. Default: random numbers, float32
        in_shape: with a layer, channels and spatial sizes of its input. Default: those of ``input``
        methods: names from :func:`convmat.available_methods`. Default: all but ``"auto"``
        repeats: how often to time each. Default: 3

    Returns:
        An iterator: one :class:`Comparison` per method, as soon as it is done.

    Raises:
        GeometryError: at once, if the tensors do not go with the layer, or a method is unknown.
        TypeError: at once, if they are no tensors, or a layer comes with neither an input nor ``in_shape``.

    >>> results = compare_methods(Geometry.conv((8, 9), (3, 3), padding=1))
    >>> all(result.max_error < 1e-5 for result in results)
    True
    """
    for name, tensor in (("input", input), ("weight", weight)):
        if tensor is not None:
            check_is_tensor(tensor, name)
    if isinstance(geometry, nn.Module):
        if in_shape is None and input is not None:
            in_shape = input.shape[1:]
        weight = cast("Tensor", geometry.weight).detach() if weight is None else weight
    geometry = geometry_of(geometry, in_shape)
    names = [methods] if isinstance(methods, str) else list(methods)
    for name in names:
        check_method(name)
    check_positive(repeats=repeats)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(1, *geometry.in_shape, generator=generator) if input is None else input
    w = torch.randn(geometry.weight_shape, generator=generator) if weight is None else weight
    if input is None:
        x = x.to(w.device, w.dtype)
    if x.ndim != geometry.ndim + 2 or not len(x) or tuple(x.shape[1:]) != geometry.in_shape:
        raise GeometryError(f"input of shape {shape_of(x)}: need (batch of at least 1, *{shown(geometry.in_shape)})")
    if tuple(w.shape) != geometry.weight_shape:
        raise GeometryError(f"weight of shape {shape_of(w)}: need {shown(geometry.weight_shape)}")
    return _comparisons(geometry, x, w, names, repeats)


def _comparisons(geometry: Geometry, x: Tensor, w: Tensor, methods: list[str], repeats: int) -> Iterator[Comparison]:
    expected = reference(geometry, x.double(), w.double())
    for method in methods:
        yield _compare(method, lambda name: run(geometry, x, w, None, name), expected, repeats)


def _compare(method: str, compute: Callable[[str], Tensor], expected: Tensor, repeats: int) -> Comparison:
    try:
        error = (compute(method) - expected).abs().max().item()
    except GeometryError as refusal:
        return Comparison(method, refused=refusal.sentence)
    peak = peak_bytes(lambda: compute(method))
    return Comparison(method, error, median_seconds(lambda: compute(method), repeats), peak)
