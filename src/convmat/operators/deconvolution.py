"""Deconvolution of what has been counted: Richardson-Lucy, and the blur as an operator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import permutations
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from convmat.geometry import GeometryError, Sentence, ints, middle_start
from convmat.operators.algebra import LinearOperator
from convmat.operators.blocks import is_dask
from convmat.operators.convolution import ConvOperator
from convmat.operators.counting import (
    Stopping,
    check_counts,
    check_iterations,
    check_sensitivity,
    done_reason,
    smallest_image,
    unseen,
)
from convmat.operators.many_products import Products
from convmat.operators.reasons import ZERO
from convmat.operators.solvers.batches import Callback, Items, keep, norms
from convmat.operators.solvers.implicit import warn_unless_converged
from convmat.operators.solvers.solution import Solution
from convmat.operators.solvers.solving import check_stored
from convmat.tensors.arguments import check_is_tensor, no_tensor

if TYPE_CHECKING:
    import dask.array as da

    from convmat.operators.volumes.job import Stored


def blur_operator(psf: Tensor, data_size: Sequence[int]) -> ConvOperator:
    """The blur of a point-spread function (PSF) as an operator from the scene to the data.

    The scene is larger than the data by the PSF less one cell along each axis: all of what reached the data, and
    nothing is assumed of what lies beyond. (Zeros there would be a lie that shows as bright borders.)
    :func:`crop_to_data` takes the part of it that lies under the data.

    Args:
        psf: of shape (*kernel), one to three axes, in the order of the data's axes and sampled on the data's grid: one
            value for each cell, so that voxels twice as deep as wide take half as many samples along the depth. It is
            normalised to the sum 1. The middle of an even number of cells is the one before the middle, as in
            ``scipy.signal.convolve(mode="same")``.
        data_size: the sizes of the data along these axes.

    Returns:
        The :class:`ConvOperator` from (1, *scene) to (1, *data_size).

    Raises:
        GeometryError: if the PSF is larger than the data along an axis (its axes are in another order, mostly), has
            negative or non-finite values, or nothing but zeros.

    >>> blur_operator(torch.ones(3, 5), (20, 30))
    ConvOperator((1, 22, 34) -> (1, 20, 30), kernel 3x5, torch.float32, method 'auto')
    """
    check_is_tensor(psf, "psf")
    sizes = ints(data_size, "data_size")
    if psf.ndim != len(sizes) or not sizes:
        raise GeometryError.of(
            "psf of shape {shape} and data of {sizes}: need one axis of the PSF for each of the data",
            shape=_joined(psf.shape),
            sizes=_joined(sizes),
        )
    if not _fits(psf.shape, sizes):
        orders = permutations(range(psf.ndim))
        order = next((order for order in orders if _fits([psf.shape[a] for a in order], sizes)), None)
        permuted = Sentence("psf.permute{order} would fit", order=order)
        way = permuted if order else Sentence("crop it to where it is not zero")
        raise GeometryError.of(
            "psf {shape} on data {sizes}: along an axis the PSF is the larger. Its axes must be in the order of "
            "the data's; {way}",
            shape=_joined(psf.shape),
            sizes=_joined(sizes),
            way=way,
        )
    psf = psf if psf.is_floating_point() else psf.to(torch.get_default_dtype())
    check_counts(psf, "psf")
    total = psf.sum()
    if not total > 0:
        raise GeometryError("psf is zero everywhere: need a positive sum")
    weight = (psf / total).flip(tuple(range(psf.ndim)))[None, None]
    return ConvOperator(weight, [n + k - 1 for n, k in zip(sizes, psf.shape, strict=True)])


def crop_to_data(x: Tensor, data_size: Sequence[int]) -> Tensor:
    """The part of a scene of :func:`blur_operator` that lies under the data.

    Args:
        x: of shape (..., *scene).
        data_size: the sizes of the data.

    Returns:
        A view of shape (..., *data_size).

    >>> crop_to_data(torch.arange(7.0), (3,))
    tensor([2., 3., 4.])
    """
    sizes = ints(data_size, "data_size")
    if x.ndim < len(sizes) or any(n < size for n, size in zip(x.shape[x.ndim - len(sizes) :], sizes, strict=True)):
        raise GeometryError(f"x of shape {tuple(x.shape)} is smaller than the data, {sizes}")
    for dim, size in enumerate(sizes, start=-len(sizes)):
        x = x.narrow(dim, middle_start(x.shape[dim], size), size)
    return x


def richardson_lucy(
    op: LinearOperator | Tensor,
    y: Tensor | da.Array,
    iterations: int = 50,
    stop: float | str | None = None,
    callback: Callback | None = None,
    *,
    noise: float | str = "poisson",
    x0: Tensor | None = None,
    store: str | PathLike[str] | None = None,
    memory: int | str = "2GiB",
    overwrite: bool = False,
    resume: bool = False,
) -> Solution:
    r"""Deconvolve by Richardson-Lucy: the likeliest non-negative scene behind data with Poisson noise.

    Each iteration is ``x <- x * opᵀ(y / (op x)) / opᵀ 1`` (Richardson 1972, Lucy 1974). Dividing by ``opᵀ 1`` makes it
    right for any operator without negative entries, of any scale and at every border: after each iteration the sum of
    ``op x`` is that of y, and x stays non-negative. Noise is amplified as iterations go on: stop early.

    Of a dask array y the iterations are done on a disk, block by block, within a bounded memory, by threads or by a
    cluster, as dask is told. Blocks are exact, so there are no seams.

    Args:
        op: an operator, or a PSF of shape (\*kernel). A PSF stands for :func:`blur_operator`, the right default: it
            assumes nothing of the scene beyond the data, where zero padding makes bright borders.
        y: the data, at least 0: of shape (\*batch, \*out_shape), or (\*batch, \*sizes) with a PSF. For other negative
            values subtract the offset of the camera, or clamp them. Or a dask array of shape out_shape, or sizes.
        iterations: how many at most. Default: 50
        stop: when to stop before: a number, once ``|x - x before| <= stop * |x before|``; ``"discrepancy"``, once
            ``op x`` is as near to y as the noise allows. Default: after all iterations
        callback: called as ``callback(iteration, x)`` after each iteration.
        noise: for ``"discrepancy"``: ``"poisson"``, for y in counts, where it is the deviance that falls to one per
            cell (Bertero et al. 2010), or the standard deviation of Gaussian noise, in the units of y. Default:
            ``"poisson"``
        x0: where to start, positive, of the shape of x; not for a dask array. Default: a flat scene with the sum of the
            data
        store: for a dask array: a folder for x and what is needed on the way, four times the data in all, which is
            checked to fit; at the end x alone is kept, as an array in the zarr format.
        memory: for a dask array: bytes that all processes may take together, or a text as ``"2GiB"``. Default:
            ``"2GiB"``
        overwrite: whether to delete what an earlier call has left in the store. Default: ``False``
        resume: whether to go on with it, from the last iteration that is whole; data and operator must be the same.
            Default: ``False``

    Returns:
        A :class:`~convmat.operators.Solution`; ``x`` has the shape (\*batch, \*in_shape), or, with a PSF,
        (\*batch, \*scene): :func:`crop_to_data` takes the part under the data. No gradients flow.

    Warns:
        RuntimeWarning: where ``stop`` was not reached.

    Raises:
        GeometryError: if y or the operator has negative or non-finite values, or shapes do not go together.

    >>> psf, scene = torch.tensor([1.0, 2.0, 1.0]), torch.tensor([0.0, 0, 8, 0, 0, 0, 4, 0])
    >>> solution = richardson_lucy(psf, convolved := torch.tensor([2.0, 4, 2, 0, 1, 2]), iterations=200)
    >>> solution.x.round()
    tensor([0., 0., 8., 0., 0., 0., 4., 0.])
    >>> solution.reason
    'all 200 iterations done'
    """
    is_psf = isinstance(op, Tensor)
    from convmat.operators.volumes.job import Stored

    stored = Stored(store, memory, overwrite, resume)
    check_stored(y, stored)
    if is_dask(y):
        if x0 is not None:
            raise GeometryError("x0 does not go with dask arrays: they start from a flat scene")
        return restore_stored(op, y, iterations, stop, noise, callback, stored)
    if not isinstance(y, Tensor):
        raise no_tensor(y, "y")
    operator = _operator(op, y)
    y, batch = _data(operator, y.unsqueeze(-1 - op.ndim) if isinstance(op, Tensor) else y)
    rule = Stopping(stop, noise)
    check_iterations(iterations)
    in_shape = operator.in_shape[1:] if is_psf else operator.in_shape
    shape = (*batch, *in_shape)
    if x0 is not None:
        if tuple(x0.shape) != shape:
            raise GeometryError(f"x0 of shape {tuple(x0.shape)}: need {shape}")
        check_counts(x0, "x0")
        x0 = x0.detach().to(y).reshape(-1, *operator.in_shape)
    told = None if callback is None else lambda iteration, x: callback(iteration, x.reshape(shape))
    with torch.no_grad():
        items = Items(y.new_zeros(len(y), *operator.in_shape), told)
        products = operator.products()
        _iterate(products, y, x0, iterations, rule, items)
        found = items.found
        residual = torch.linalg.vector_norm((y - products.forward(found.x)).flatten(1), dim=1)
    warn_unless_converged(found)
    return Solution(
        x=found.x.reshape(shape),
        iterations=torch.from_numpy(found.iterations).reshape(batch),
        residual=residual.reshape(batch),
        reason=found.reasons.reshape(batch).tolist(),
        converged=torch.from_numpy(found.converged).reshape(batch),
    )


def restore_stored(
    op: LinearOperator | Tensor,
    y: da.Array,
    iterations: int,
    stop: float | str | None,
    noise: float | str,
    callback: Callback | None,
    stored: Stored,
) -> Solution:
    """:func:`richardson_lucy` of a dask array."""
    from convmat.operators.volumes import lucy

    check_iterations(iterations)
    rule = Stopping(stop, noise)
    if not isinstance(op, Tensor):
        return lucy.richardson_lucy(_operator(op, y), y, iterations, rule, callback, stored)
    if op.ndim != y.ndim:
        raise GeometryError(f"psf of shape {_joined(op.shape)} and data of {_joined(y.shape)}: need equally many axes")
    psf = op.to(getattr(torch, y.dtype.name, op.dtype))
    told = None if callback is None else lambda iteration, x: callback(iteration, x[0])
    found = lucy.richardson_lucy(blur_operator(psf, y.shape), y[None], iterations, rule, told, stored)
    return replace(found, x=found.x[0])


def _iterate(products: Products, y: Tensor, x: Tensor | None, iterations: int, rule: Stopping, items: Items) -> None:
    forward, adjoint = products.forward, products.adjoint
    sensitivity = adjoint(torch.ones_like(y[:1]))
    check_sensitivity(sensitivity.max())
    dark = unseen(sensitivity, sensitivity.max())
    kept = dark.to(y.dtype)
    weights = torch.where(dark, torch.zeros_like(sensitivity), 1 / sensitivity)
    if x is None:
        totals = y.flatten(1).sum(1) / sensitivity.sum()
        x = totals.reshape(-1, *(1,) * (y.ndim - 1)).expand(-1, *sensitivity.shape[1:]).contiguous()
    # What no data reaches keeps its value; what is darker than rounding is not divided by.
    smallest = smallest_image(y.dtype, products.rounds_globally)
    floor = smallest * y.flatten(1).amax(1).reshape(-1, *(1,) * (y.ndim - 1))
    zero = norms(y) == 0
    stay = items.finish(zero, torch.zeros_like(x), 0, ZERO)
    x, y, floor = keep(stay, x), keep(stay, y), keep(stay, floor)
    for iteration in range(iterations + 1):
        if not len(items) or (iteration == iterations and not rule.asks_discrepancy):
            break
        image = forward(x)
        if rule.asks_discrepancy:
            stay = items.finish(rule.discrepancy(y, image) <= 1, x, iteration, rule.reason)
            x, y, floor, image = keep(stay, x), keep(stay, y), keep(stay, floor), keep(stay, image)
        if iteration == iterations or not len(items):
            break
        ratio = torch.div(y, torch.maximum(image, floor, out=image), out=image)
        before, x = x, adjoint(ratio).mul_(weights).add_(kept).clamp_min_(0).mul(x)
        items.report(iteration + 1, x)
        if rule.change is not None:
            small = norms(x - before) <= rule.change * norms(before)
            stay = items.finish(small, x, iteration + 1, rule.reason)
            x, y, floor = keep(stay, x), keep(stay, y), keep(stay, floor)
    everyone = np.ones(len(items), bool)
    items.finish(everyone, x, iterations, done_reason(iterations, rule), converged=rule.reason is None)


def _operator(op: LinearOperator | Tensor, y: Any) -> LinearOperator:
    if isinstance(op, Tensor):
        if y.ndim < op.ndim:
            raise GeometryError.of(
                "psf of shape {shape} and data of {sizes}: the PSF has more axes",
                shape=_joined(op.shape),
                sizes=_joined(y.shape),
            )
        return blur_operator(op.to(y), y.shape[y.ndim - op.ndim :])
    if not isinstance(op, LinearOperator):
        raise TypeError(f"op must be a ConvOperator or a PSF as a torch.Tensor, not {type(op).__name__}")
    for weight in op.weights():
        check_counts(weight, "the operator's weight")
    return op


def _data(op: LinearOperator, y: Tensor) -> tuple[Tensor, tuple[int, ...]]:
    """The data as a flat batch, and its batch dimensions."""
    if not y.is_floating_point():
        raise TypeError(f"y must be floating-point, not {y.dtype}: y.float() would do")
    shape = op.out_shape
    found = tuple(y.shape)
    if len(found) < len(shape) or found[len(found) - len(shape) :] != shape:
        raise GeometryError(f"y of shape {found} does not go with an operator from {op.in_shape} to {shape}")
    if y.dtype != op.dtype or y.device != op.device:
        raise GeometryError(f"y is {y.dtype} on {y.device}, but the operator {op.dtype} on {op.device}")
    check_counts(y, "y")
    return y.detach().reshape(-1, *shape), found[: len(found) - len(shape)]


def _fits(kernel: Sequence[int], sizes: Sequence[int]) -> bool:
    return all(k <= n for k, n in zip(kernel, sizes, strict=True))


def _joined(sizes: Sequence[int]) -> str:
    return " x ".join(map(str, sizes))
