"""How long PyTorch's own convolutions take, about; see :mod:`convmat.planning.costs`.

PyTorch leaves most layers to oneDNN, which computes with 16 channels at a time and reorders contiguous tensors before
and after. Small ones it computes by itself, by im2col and a matrix product.
"""

from __future__ import annotations

from math import prod
from typing import NamedTuple

import torch

from convmat.geometry import Geometry
from convmat.kernel import computing
from convmat.planning.correcting import Terms
from convmat.tensors.calls import Call
from convmat.tensors.strides import MemoryFormat

CLOCK = 3.5e9  # cycles per second
# Seconds for a call where PyTorch computes by itself, and where it calls oneDNN for a transposed layer.
_PYTORCH_CALL, _ONEDNN_CALL = 8e-6, 40e-6
_ONEDNN_FROM = 20480  # numbers of an input, from which on PyTorch always calls oneDNN
# Of the arithmetic at best: transposed, contiguous or with the channels last; direct, also over one axis.
_USED, _USED_LAST, _USED_DIRECT, _USED_DIRECT_1D = 0.78, 0.87, 0.93, 0.89
_SHORT_VECTORS = 0.8  # of these, where a vector has 32 bytes or fewer, and 16 registers hold fewer sums


class _Direct(NamedTuple):
    """Direct layers, most of them by oneDNN.

    Attributes:
        call, call_depthwise: seconds for a call. Depthwise layers are measured by themselves; among others they take
            longer.
        used, used_wide, used_strided: of what is used of the arithmetic otherwise: by all, by first layers with wide
            kernels, and with strides over one axis.
        input, output, weight: seconds per byte to reorder them.
        call_last, call_depthwise_last: seconds for a call with the channels last.
        weight_last, depthwise_last: seconds per byte of a weight, and for a number of a depthwise output, there.
        depthwise: how many times as long a number of a depthwise layer takes as with the longest vectors.
        input_back: of the time of a gradient with respect to the input that is estimated otherwise, up to two axes.
        used_alone, used_product: of the arithmetic where PyTorch computes by itself, by im2col, and without for layers
            of one tap.
    """

    call: float
    call_depthwise: float
    used: float
    used_wide: float
    used_strided: float
    input: float
    output: float
    weight: float
    call_last: float
    call_depthwise_last: float
    weight_last: float
    depthwise_last: float
    depthwise: float
    input_back: float
    used_alone: float
    used_product: float


# With the longest vectors and with shorter ones.
_DIRECT_LONG = _Direct(
    call=50e-6,
    call_depthwise=55e-6,
    used=1.0,
    used_wide=1.0,
    used_strided=1.0,
    input=0.05e-9,
    output=0.03e-9,
    weight=0.05e-9,
    call_last=37e-6,
    call_depthwise_last=37e-6,
    weight_last=0.035e-9,
    depthwise_last=0.024e-9,
    depthwise=1.0,
    input_back=1.0,
    used_alone=0.35,
    used_product=0.35,
)
_DIRECT_SHORTER = _Direct(
    call=80e-6,
    call_depthwise=100e-6,
    used=0.87 / _SHORT_VECTORS,
    used_wide=0.5,
    used_strided=0.95,
    input=0.1e-9,
    output=0.045e-9,
    weight=0.08e-9,
    call_last=60e-6,
    call_depthwise_last=85e-6,
    weight_last=0.12e-9,
    depthwise_last=0.1e-9,
    depthwise=2.5,
    input_back=0.85,
    used_alone=0.55 / _SHORT_VECTORS,
    used_product=0.63 / _SHORT_VECTORS,
)
_GROUPED, _GROUPED_BLOCK = 0.76, 0.09  # of the products of groups, and of those of whole blocks, that take time
_BLOCK = 16  # channels that oneDNN computes at least, over two axes and more
# Seconds per byte: to reorder tensors of transposed layers, in memory used before and in fresh memory; inputs and
# outputs of direct layers with the channels last; columns.
_REORDER, _REORDER_FRESH = 0.1e-9, 0.7e-9
_FRESH = 16 << 20
_FIRST, _WIDE = 3, 7  # channels of the input of a first layer, which oneDNN reads as they are; taps that are not wide
_READ_LAST = 0.01e-9
_WEIGHT_FRESH, _KEPT = 0.25e-9, 64 << 20  # of weights so large that the memory to reorder them is new in each call
_COLUMN = 0.2e-9
# Seconds per byte: of a weight for images with their channels last, and of fresh pages for a large output.
_WEIGHT_LAST = 0.2e-9
_PAGES, _LARGE = 0.24e-9, 32 << 20
# Of depthwise layers, seconds for a number of the output: transposed, contiguous or with the channels last; direct, for
# a number of the input or output.
_DEPTHWISE, _DEPTHWISE_LAST = 0.6e-9, 0.15e-9
_DEPTHWISE_DIRECT, _DEPTHWISE_DILATED, _DEPTHWISE_VOLUME = 0.045e-9, 0.175e-9, 0.235e-9
_USED_DEPTHWISE = 0.75  # of the arithmetic, with direct layers
# Where channels do not come last, oneDNN computes number by number with kernels wider than this, and dilated volumes;
# seconds for a product.
_WIDEST_DEPTHWISE, _NUMBER = 13, 0.3e-9
# Of gradients with respect to the input: seconds for a product of such depthwise layers; the time without oneDNN, in
# units of that of the layer; that of direct layers with a stride, in units of a transposed layer's. With respect to the
# weight: the time with oneDNN, in units of that of the layer; seconds per byte to cut tensors into halves.
_NUMBER_BACK, _ALONE_BACK, _STRIDED_BACK = 0.14e-9, 1.25, 1.25
_WEIGHT_BACK, _HALVES = 1.15, 0.2e-9
# With respect to the weight of groups, oneDNN computes number by number where kernels are wider than this, dilated or
# volumes, if each channel has its own; and where there are fewer channels in each than this. Seconds for a product:
# contiguous and with the channels last, and of few channels.
_WIDEST_DEPTHWISE_BACK, _FEWEST = 3, 8
_NUMBER_WEIGHT, _NUMBER_WEIGHT_LAST, _NUMBER_FEW, _NUMBER_FEW_LAST = 0.4e-9, 0.15e-9, 0.11e-9, 0.04e-9


def terms(geometry: Geometry, call: Call, threads: int) -> Terms:
    """The seconds of PyTorch's own function."""
    if geometry.transposed:
        in_order = _transposed(geometry, call, threads)
    elif is_depthwise(geometry):
        in_order = _depthwise(geometry, call, threads)
    elif _calls_onednn(geometry, call):
        in_order = _direct_by_onednn(geometry, call, threads)
    else:
        in_order = _direct_alone(geometry, call, threads)
    return in_order._replace(moving=in_order.moving + copying(geometry, call))


def copying(geometry: Geometry, call: Call) -> float:
    """Seconds to copy an input whose numbers are no neighbours, as PyTorch's function and our kernel do first."""
    size = call.batch * prod(geometry.in_shape) * call.dtype.itemsize
    return size * _REORDER_FRESH if call.memory_format is MemoryFormat.APART else 0.0


def is_depthwise(geometry: Geometry) -> bool:
    """Whether each channel has a group of its own."""
    return geometry.in_channels == geometry.out_channels == geometry.groups


# -- transposed --------------------------------------------------------------------------------------------------------


def _transposed(geometry: Geometry, call: Call, threads: int) -> Terms:
    batch, dtype, channels_last = call.batch, call.dtype, call.memory_format is MemoryFormat.CHANNELS_LAST
    outputs = batch * prod(geometry.out_shape)
    if is_depthwise(geometry):
        return Terms(_PYTORCH_CALL, outputs * (_DEPTHWISE_LAST if channels_last else _DEPTHWISE) * 2 / threads, 0.0)
    block = _BLOCK if geometry.ndim > 1 else 1
    products = _products(geometry, batch, block, block)
    arithmetic = _arithmetic(products, dtype, threads, _USED_LAST if channels_last else _USED)
    if channels_last:
        size = outputs * dtype.itemsize
        pages = size * _PAGES if size >= _LARGE else 0.0
        return Terms(_ONEDNN_CALL, arithmetic, pages + prod(geometry.weight_shape) * dtype.itemsize * _WEIGHT_LAST)
    call_seconds = _ONEDNN_CALL if _calls_onednn(geometry, call) else _PYTORCH_CALL
    return Terms(call_seconds, arithmetic, _moved(geometry, call))


def _moved(geometry: Geometry, call: Call) -> float:
    """Seconds to reorder input, output and weight."""
    counts = call.batch * prod(geometry.in_shape), call.batch * prod(geometry.out_shape), prod(geometry.weight_shape)
    sizes = [count * call.dtype.itemsize for count in counts]
    return sum(size * (_REORDER if size < _FRESH else _REORDER_FRESH) for size in sizes)


# -- direct ------------------------------------------------------------------------------------------------------------


def _direct_costs() -> _Direct:
    return _DIRECT_LONG if computing.has_long_vectors() else _DIRECT_SHORTER


def _depthwise(geometry: Geometry, call: Call, threads: int) -> Terms:
    costs, outputs = _direct_costs(), call.batch * prod(geometry.out_shape)
    products = outputs * prod(geometry.kernel_size)
    blocks = -(-geometry.groups // _BLOCK) * _BLOCK / geometry.groups
    if call.memory_format is MemoryFormat.CHANNELS_LAST:
        arithmetic = _arithmetic(products * blocks, call.dtype, threads, _USED_DEPTHWISE)
        return Terms(costs.call_depthwise_last, outputs * costs.depthwise_last * 2 / threads + arithmetic, 0.0)
    is_dilated, is_volume = max(geometry.dilation) > 1, geometry.ndim > 2
    if geometry.kernel_size[-1] > _WIDEST_DEPTHWISE or (is_dilated and is_volume):
        return Terms(costs.call_depthwise, products * _NUMBER, 0.0)
    arithmetic = _arithmetic(products * blocks, call.dtype, threads, _USED_DEPTHWISE)
    of_number = _DEPTHWISE_VOLUME if is_volume else _DEPTHWISE_DILATED if is_dilated else _DEPTHWISE_DIRECT
    numbers = call.batch * prod(geometry.in_shape) + outputs
    return Terms(costs.call_depthwise, numbers * of_number * costs.depthwise * 2 / threads + arithmetic, 0.0)


def _direct_by_onednn(geometry: Geometry, call: Call, threads: int) -> Terms:
    costs, size, batch = _direct_costs(), call.dtype.itemsize, call.batch
    products = _products(geometry, batch, 1, _BLOCK)
    if geometry.groups > 1:
        products = _GROUPED * _products(geometry, batch, 1, 1) + _GROUPED_BLOCK * _products(
            geometry, batch, _BLOCK, _BLOCK
        )
    is_first = geometry.in_channels <= _FIRST
    used = costs.used * (_USED_DIRECT_1D if geometry.ndim == 1 else _USED_DIRECT)
    if is_first and geometry.kernel_size[-1] > max(_WIDE, geometry.stride[-1]):
        used *= costs.used_wide
    elif geometry.ndim == 1 and geometry.stride[0] > 1:
        used *= costs.used_strided
    arithmetic = _arithmetic(products, call.dtype, threads, used)
    inputs, outputs, weights = (
        count * size
        for count in (batch * prod(geometry.in_shape), batch * prod(geometry.out_shape), prod(geometry.weight_shape))
    )
    if call.memory_format is MemoryFormat.CHANNELS_LAST:
        moved = (inputs + outputs) * _READ_LAST + weights * costs.weight_last
        return Terms(costs.call_last, arithmetic, moved * 2 / threads)
    moved = outputs * costs.output + weights * (costs.weight if weights < _KEPT else _WEIGHT_FRESH)
    moved += 0 if is_first else inputs * costs.input
    return Terms(costs.call, arithmetic, moved * 2 / threads)


def _direct_alone(geometry: Geometry, call: Call, threads: int) -> Terms:
    costs, products = _direct_costs(), _products(geometry, call.batch, 1, 1)
    if _is_product(geometry):
        return Terms(_PYTORCH_CALL, _arithmetic(products, call.dtype, threads, costs.used_product), 0.0)
    arithmetic = _arithmetic(products, call.dtype, threads, costs.used_alone)
    columns = call.batch * geometry.in_channels * prod(geometry.kernel_size) * prod(geometry.outputs)
    return Terms(_PYTORCH_CALL, arithmetic, columns * call.dtype.itemsize * _COLUMN)


def _is_product(geometry: Geometry) -> bool:
    """Whether the input of a direct layer has its columns already, as PyTorch notices up to two axes."""
    return geometry.ndim <= 2 and prod(geometry.kernel_size) == 1 and geometry.in_shape[1:] == geometry.out_shape[1:]


# -- gradients ---------------------------------------------------------------------------------------------------------


def input_gradient(geometry: Geometry, call: Call, threads: int) -> float:
    """Seconds for the gradient with respect to the input, by PyTorch's backward pass of a layer."""
    transposed = geometry.transpose()
    if is_depthwise(geometry):
        if geometry.transposed or max(geometry.kernel_size) <= _WIDEST_DEPTHWISE:
            return terms(transposed, call, threads).total
        return _direct_costs().call + _products(geometry, call.batch, 1, 1) * _NUMBER_BACK
    if call.memory_format is MemoryFormat.CHANNELS_LAST:
        return terms(transposed, call, threads).total
    if not _calls_onednn(geometry, call):
        return _ALONE_BACK * _direct_alone(_direct(geometry), call, threads).total
    if not geometry.transposed:
        products = _products(transposed, call.batch, *(_BLOCK if geometry.ndim > 1 else 1,) * 2)
        strided = _STRIDED_BACK if max(geometry.stride) > 1 else 1.0
        in_order = _arithmetic(products, call.dtype, threads, _USED) + _moved(geometry, call)
        if geometry.ndim < 3:
            in_order *= _direct_costs().input_back
        return _ONEDNN_CALL + strided * in_order
    products = _products(transposed, call.batch, 1, _BLOCK)
    return _ONEDNN_CALL + _arithmetic(products, call.dtype, threads, _USED_DIRECT) + _moved(geometry, call)


def weight_gradient(geometry: Geometry, call: Call, threads: int, *, halved: bool = False) -> float:
    """Seconds for the gradient with respect to the weight, by PyTorch's backward pass of a layer.

    Args:
        geometry: direct or transposed, as PyTorch is called.
        call: of its input.
        threads: how many compute.
        halved: whether it is given two halves of the outputs as a batch. Default: ``False``
    """
    direct, is_last = _direct(geometry), call.memory_format is MemoryFormat.CHANNELS_LAST
    # With shorter vectors, this uses no more of the arithmetic than other layers do.
    weight_back = _WEIGHT_BACK * _direct_costs().used
    if direct.groups > 1 and (number := _number(direct, is_last)):
        return _direct_costs().call + _products(direct, call.batch, 1, 1) * number
    if is_depthwise(geometry):
        return terms(direct, call, threads).total
    if halved:
        sizes = call.batch * (prod(direct.in_shape) + prod(direct.out_shape))
        return _direct_by_onednn(direct, call, threads).total * weight_back + sizes * call.dtype.itemsize * _HALVES
    if not _calls_onednn(geometry, call):
        return _direct_alone(direct, call, threads).total
    return _direct_by_onednn(direct, call, threads).total * weight_back


def _number(direct: Geometry, is_last: bool) -> float:
    """Seconds for a product of the gradient with respect to the weight of groups; 0 where vectors are computed."""
    if is_depthwise(direct):
        is_wide = max(direct.kernel_size) > _WIDEST_DEPTHWISE_BACK or max(direct.dilation) > 1 or direct.ndim > 2
        return (_NUMBER_WEIGHT_LAST if is_last else _NUMBER_WEIGHT) if is_wide else 0.0
    has_few = min(direct.in_channels, direct.out_channels) < _FEWEST * direct.groups
    return (_NUMBER_FEW_LAST if is_last else _NUMBER_FEW) if has_few else 0.0


def _direct(geometry: Geometry) -> Geometry:
    return geometry.transpose() if geometry.transposed else geometry


# -- both --------------------------------------------------------------------------------------------------------------


def _products(geometry: Geometry, batch: int, block: int, out_block: int) -> float:
    """How many products are computed, with channels rounded up to blocks."""
    channels, out_channels = geometry.in_channels // geometry.groups, geometry.out_channels // geometry.groups
    blocks = -(-channels // block) * block * -(-out_channels // out_block) * out_block
    return batch * geometry.groups * blocks * prod(axis.kernel * axis.outputs for axis in geometry.axes)


def _arithmetic(products: float, dtype: torch.dtype, threads: int, used: float) -> float:
    if not computing.has_long_vectors():
        used *= _SHORT_VECTORS
    return products / (computing.products_per_cycle(dtype) * CLOCK * used * threads)


def _calls_onednn(geometry: Geometry, call: Call) -> bool:
    """Whether PyTorch leaves a layer to oneDNN: not a small one (``ConvParams::use_mkldnn`` in its Convolution.cpp)."""
    has_large_kernel = geometry.ndim > 1 and min(geometry.kernel_size[-2:]) > 3
    counted = geometry.in_shape[:3]  # PyTorch does not count the width of volumes
    is_large = call.batch > 1 or prod(counted) > _ONEDNN_FROM
    return call.dtype == torch.float32 and (geometry.groups > 1 or has_large_kernel or is_large)
