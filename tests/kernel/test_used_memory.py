"""Large outputs lie in memory that was used before, once nobody holds it any more."""

import pytest
import torch
import torch.nn.functional as F
from torch.utils import dlpack

import convmat
from convmat.kernel import pages

SMALL, LARGE = (1, 3, 1024, 1040), (3, 3, 1024, 1040)  # bytes: less than 32 MB, and more
LARGER = (4, *LARGE[1:])
LIKE = torch.empty(0)


@pytest.fixture(autouse=True)
def nothing_held():
    convmat.empty_cache()
    pages.empty(LARGE, LIKE)  # memory is held from the second time on that an output of a size is asked for
    assert not pages._used._held
    yield
    convmat.empty_cache()


def test_memory_is_used_again_when_its_tensor_is_deleted():
    first = pages.empty(LARGE, LIKE)
    place, kept = first.data_ptr(), first
    second = pages.empty(LARGE, LIKE)
    assert second.data_ptr() != place
    del first
    third = pages.empty(LARGE, LIKE)
    assert third.data_ptr() not in (place, second.data_ptr())
    del kept
    again = pages.empty(LARGE, LIKE)
    assert again.data_ptr() == place
    assert len(pages._used._held) == 3
    assert again.shape == LARGE
    assert again.is_contiguous()


HOLDERS = {
    "view": lambda tensor: tensor[1, 2],
    "detached": lambda tensor: tensor.detach(),
    "numpy": lambda tensor: tensor.numpy(),
    "storage": lambda tensor: tensor.untyped_storage(),
    "dlpack": lambda tensor: dlpack.to_dlpack(tensor),
    "graph": lambda tensor: torch.ones((), requires_grad=True) * tensor,
    "numpy of a view": lambda tensor: tensor[2].numpy()[1:],
}


@pytest.mark.parametrize("hold", HOLDERS.values(), ids=HOLDERS.keys())
def test_memory_that_somebody_holds_is_not_given_out(hold):
    tensor = pages.empty(LARGE, LIKE)
    place, held = tensor.data_ptr(), hold(tensor)
    del tensor
    for _ in range(3):
        assert pages.empty(LARGE, LIKE).data_ptr() != place
    assert held is not None


def test_memory_that_was_changed_is_let_alone():
    tensor = pages.empty(LARGE, LIKE)
    tensor.resize_(2 * tensor.numel())
    del tensor
    assert pages.empty(LARGE, LIKE).untyped_storage().nbytes() == torch.Size(LARGE).numel() * 4
    shared = pages.empty(LARGE, LIKE).share_memory_()
    place = shared.data_ptr()
    del shared
    assert pages.empty(LARGE, LIKE).data_ptr() != place


def test_memory_of_one_use_is_not_held():
    for length in range(1, 9):
        pages.empty((length, *LARGER), LIKE)
    assert not pages._used._held


def test_formats_types_and_modes():
    for dtype, memory_format, inference in (
        (torch.float32, torch.channels_last, False),
        (torch.float64, torch.contiguous_format, True),
        (torch.float32, torch.contiguous_format, False),
    ):
        with torch.inference_mode(inference):
            for _ in range(2):
                tensor = pages.empty(LARGE, torch.empty(0, dtype=dtype), memory_format)
                like = torch.empty(LARGE, dtype=dtype, memory_format=memory_format)
                assert (tensor.shape, tensor.stride(), tensor.dtype) == (like.shape, like.stride(), dtype)
                assert tensor.is_inference() == inference
                assert tensor.storage_offset() == 0
                tensor.zero_()
                del tensor


def test_small_and_largest_outputs_are_not_held(monkeypatch):
    pages.empty(SMALL, LIKE)
    assert not pages._used._held
    monkeypatch.setattr(pages, "_MOST_HELD", 1 << 20)
    assert pages.empty(LARGE, LIKE).shape == LARGE
    assert not pages._used._held


def test_what_is_not_wanted_for_a_while_is_let_go(monkeypatch):
    monkeypatch.setattr(pages, "_LONGEST", 4)
    pages.empty(LARGE, LIKE)
    for _ in range(5):
        pages.empty(LARGER, LIKE)
    assert [size for _, size, _ in pages._used._held] == [torch.Size(LARGER).numel() * 4]


def test_without_counts_of_pytorch(monkeypatch):
    monkeypatch.delattr(torch._C, "_storage_Use_Count")
    assert pages.empty(LARGE, LIKE).shape == LARGE
    assert not pages._used._held


def test_outputs_that_are_kept_keep_their_numbers():
    y, weight = torch.randn(1, 16, 256, 264), torch.randn(16, 32, 2, 2)
    with torch.no_grad():
        expected = F.conv_transpose2d(y, weight, stride=2)
        outputs = [convmat.conv_transpose2d(n * y, weight, stride=2, method="tiles") for n in (1, 2, 3)]
        outputs[1] = convmat.conv_transpose2d(4 * y, weight, stride=2, method="tiles")
    for factor, output in zip((1, 4, 3), outputs, strict=True):
        torch.testing.assert_close(output, factor * expected, atol=1e-4, rtol=1e-4)
