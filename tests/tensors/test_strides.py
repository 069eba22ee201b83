"""Axes of size 1 get the strides that they usually have; all else of a tensor stays."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import convmat
from convmat.tensors.strides import MemoryFormat, memory_format_of, output_format_of, with_usual_strides

FORMATS = {4: torch.channels_last, 5: torch.channels_last_3d}


@st.composite
def odd_tensors(draw):
    """A tensor of 3 to 5 axes, some of size 1 with any strides, in channels-first or channels-last order."""
    ndim = draw(st.integers(3, 5))
    shape = [draw(st.sampled_from([1, 1, 2, 3])) for _ in range(ndim)]
    is_last = draw(st.booleans())
    dense = torch.arange(torch.Size(shape).numel(), dtype=torch.float64).reshape(shape)
    if is_last:
        dense = dense.movedim(1, -1).contiguous().movedim(-1, 1)
    strides = [
        draw(st.integers(1, 50)) if size == 1 else stride for size, stride in zip(shape, dense.stride(), strict=True)
    ]
    return dense, dense.as_strided(shape, strides), is_last


@given(odd_tensors())
def test_dense_tensors_lie_as_pytorch_makes_them(made):
    dense, odd, is_last = made
    usual = with_usual_strides(odd)
    assert torch.equal(usual, dense)
    assert usual.data_ptr() == odd.data_ptr()
    spatial = dense.shape[2:]
    if dense.shape[1] == 1 or not is_last:
        usuals = [torch.empty(dense.shape).stride()]
        if dense.ndim in FORMATS and dense.shape[1] == 1 != dense.shape[0]:  # as the weight of a depthwise layer
            usuals.append(torch.empty(dense.shape, memory_format=FORMATS[dense.ndim]).stride())
        assert usual.stride() in usuals or torch.Size(spatial).numel() == 1
    elif torch.Size(spatial).numel() > 1:
        order = dense.movedim(1, -1).contiguous().movedim(-1, 1)
        assert usual.stride() == order.stride()


@given(odd_tensors())
def test_it_settles_at_once(made):
    usual = with_usual_strides(made[1])
    assert with_usual_strides(usual) is usual


def test_gradients_and_transforms_pass():
    odd = torch.randn(5, 4, 3, dtype=torch.float64).movedim(-1, 0)[None].requires_grad_()
    assert with_usual_strides(odd).stride() != odd.stride()
    assert torch.autograd.gradcheck(with_usual_strides, odd)
    mapped = torch.vmap(with_usual_strides)(odd.detach()[None].expand(2, 1, 3, 5, 4))
    assert torch.equal(mapped[0], odd)


@pytest.mark.parametrize(
    ("tensor", "memory_format"),
    [
        (torch.zeros(2, 3, 4, 5), MemoryFormat.CONTIGUOUS),
        (torch.zeros(2, 3, 4, 5).contiguous(memory_format=torch.channels_last), MemoryFormat.CHANNELS_LAST),
        (torch.zeros(2, 3, 4, 9)[..., :5], MemoryFormat.NEIGHBOURS),
        (torch.zeros(2, 3, 4, 10)[..., ::2], MemoryFormat.APART),
        (torch.zeros(2, 3, 5, 4).mT, MemoryFormat.APART),
        (torch.zeros(2, 5, 3).mT, MemoryFormat.NEIGHBOURS),
        (torch.zeros(1, 3, 4, 5), MemoryFormat.CONTIGUOUS),
        (torch.zeros(4, 5, 3).movedim(-1, 0)[None], MemoryFormat.CHANNELS_LAST),
    ],
)
def test_memory_formats(tensor, memory_format):
    usual = with_usual_strides(tensor)
    assert memory_format_of(usual) is memory_format
    channels_last = FORMATS.get(tensor.ndim, torch.contiguous_format)
    expected = channels_last if memory_format is MemoryFormat.CHANNELS_LAST else torch.contiguous_format
    assert output_format_of(usual) is expected


@pytest.mark.parametrize("direction", ["conv2d", "conv_transpose2d"])
def test_outputs_lie_as_those_of_a_picture_made_channels_last(direction):
    """A picture read by ``movedim`` is computed as one made by ``to(memory_format=channels_last)``."""
    weight = torch.randn(6, 6, 3, 3)
    read = torch.randn(9, 7, 6).movedim(-1, 0)[None]
    made = read.contiguous(memory_format=torch.channels_last)
    function = getattr(convmat, direction)
    with torch.no_grad():
        assert torch.equal(function(read, weight), function(made, weight))
        assert function(read, weight).stride() == function(made, weight).stride()


def test_weights_of_depthwise_layers_stay_as_pytorch_makes_them():
    """Else their layers with the channels last are never passed on to PyTorch's own at once."""
    weight = torch.nn.Conv2d(6, 6, 3, groups=6).to(memory_format=torch.channels_last).weight
    assert with_usual_strides(weight) is weight
