"""Packed weights that are kept and found again by content: never a stale one, and no more of them than promised."""

import gc
import os
import signal
import threading
import time
from collections import Counter

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import convmat
from convmat.kernel import compiled, pages, weights
from convmat.kernel.schedule import Schedule
from tests.kernel.kernels import DTYPES

SHAPES = {
    "within one vector": (1, 3, 3),
    "a vector and a bit": (1, 5, 5),
    "blocks and a bit": (7, 9, 11),
    "several pieces": (64, 33, 4, 4),
    "as many pieces as may be": (257, 129, 3, 3),
}
every_shape = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
every_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=str)


@pytest.fixture(autouse=True)
def nothing_kept():
    convmat.empty_cache()
    yield
    convmat.empty_cache()


@pytest.fixture
def packed(monkeypatch):
    """Counts how often a weight of each number of elements is packed."""
    counts, pack = Counter(), Schedule.pack

    def counting(self, kernel, weight, threads):
        counts[weight.numel()] += 1
        return pack(self, kernel, weight, threads)

    monkeypatch.setattr(Schedule, "pack", counting)
    return counts


def digest(weight, threads=2):
    kernel = compiled.kernel(weight.dtype)
    assert kernel
    return weights.digest(kernel, weight, threads)


@every_shape
@every_dtype
def test_a_digest_sees_every_number(shape, dtype):
    weight = torch.randn(shape, dtype=dtype)
    before, flat = digest(weight), weight.view(-1)
    some = range(len(flat)) if len(flat) < 2000 else [*range(600), *range(600, len(flat), 997), len(flat) - 1]
    for place in some:
        number = flat[place].item()
        flat[place] = -number
        assert digest(weight) != before
        flat[place] = number
    assert digest(weight) == before


@every_shape
@every_dtype
def test_a_digest_sees_what_a_sum_would_not(shape, dtype):
    weight = torch.randn(shape, dtype=dtype)
    changed = [
        -weight,
        2 * weight,
        weight.flip(0, 1),
        weight.view(-1).roll(1).view(shape),
        weight.view(-1).roll(64).view(shape),
        torch.zeros_like(weight),
        -torch.zeros_like(weight),
        torch.ones_like(weight),
    ]
    seen = [digest(weight), *map(digest, changed)]
    same = [(a, b) for a in range(len(seen)) for b in range(a) if seen[a] == seen[b]]
    contents = [weight, *changed]
    assert all(contents[a].numpy().tobytes() == contents[b].numpy().tobytes() for a, b in same)


@every_shape
def test_a_digest_is_the_same_for_any_number_of_threads_and_place(shape):
    weight = torch.randn(shape)
    expected = digest(weight)
    assert all(digest(weight, threads) == expected for threads in (1, 2, 3, 8))
    shifted = torch.empty(weight.numel() + 1)[1:].view(shape)
    shifted.copy_(weight)
    assert digest(shifted) == expected


LAYER = {"stride": 2, "padding": 1}


def compute(input, weight, **options):
    with torch.no_grad():
        output = convmat.conv_transpose2d(input, weight, method="tiles", **LAYER, **options)
        expected = F.conv_transpose2d(input, weight, **LAYER, **options)
    torch.testing.assert_close(output, expected)


def test_what_is_used_again_is_packed_twice_and_kept(packed):
    # Too few channels for another form, which would need another order where a processor is faster with it.
    input, weight = torch.randn(2, 7, 5, 7), torch.randn(7, 11, 4, 4)
    for _ in range(5):
        compute(input, weight)
    assert packed[weight.numel()] == 2  # the first time might have been the only one
    compute(torch.randn(1, 7, 9, 30), weight)
    compute(input, weight.clone())
    assert packed[weight.numel()] == 2  # for other sizes, and wherever it lies


WRITES = {
    "data": lambda weight: weight.data[3, 2, 1].fill_(7),
    "data of one number": lambda weight: weight.data.view(-1)[-1:].zero_(),
    "numpy": lambda weight: weight.detach().numpy().__setitem__((0, 0, 0, 0), 5),
    "storage": lambda weight: weight.untyped_storage().copy_(torch.randn(8, 12, 4, 4).untyped_storage()),
    "in place": lambda weight: weight.mul_(-1),
    "swapped": lambda weight: weight.data.copy_(weight.data.flip(0)),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES.keys())
@pytest.mark.parametrize("inference", [False, True])
def test_no_write_goes_unnoticed(write, inference):
    with torch.inference_mode(inference), torch.no_grad():
        input, weight = torch.randn(2, 8, 5, 7), torch.randn(8, 12, 4, 4)
        for _ in range(3):
            compute(input, weight)
        for _ in range(3):
            write(weight)
            compute(input, weight)
            compute(input, weight)


def test_other_groups_are_other_weights():
    """The same numbers in the same shape, in another order when packed."""
    weight = torch.randn(12, 6, 4, 4)
    for _ in range(3):
        for groups in (1, 2, 3):
            compute(torch.randn(2, 12, 5, 7), weight, groups=groups)


def test_weights_with_their_channels_last_are_found_as_they_lie(packed):
    weight = torch.randn(8, 12, 4, 4)
    memory = weight.view(8, 4, 4, 12).movedim(-1, 1)  # the same bytes, in another order
    assert memory.is_contiguous(memory_format=torch.channels_last)
    for _ in range(3):
        compute(torch.randn(2, 8, 5, 7), weight)
        compute(torch.randn(2, 8, 5, 7), memory)
    assert packed[weight.numel()] == 4
    memory[-1, -1, -1, -1] += 1
    compute(torch.randn(2, 8, 5, 7), memory)


def computes_in_a_forked_child() -> bool:
    child = os.fork()
    if not child:
        signal.alarm(20)
        try:
            compute(torch.randn(2, 8, 5, 7), torch.randn(8, 12, 4, 4))
            pages.empty((1 << 20, 9), torch.empty(0))
            os._exit(0)
        finally:
            os._exit(1)
    return os.waitpid(child, 0)[1] == 0


forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")


@forks
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_finds_no_lock_that_its_parent_holds():
    """The thread that forks may hold them: a signal may have come at any time."""
    with weights._kept._lock, pages._used._lock:
        assert computes_in_a_forked_child()


@forks
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_finds_no_lock_that_another_thread_holds():
    taken = threading.Event()

    def hold():
        with weights._kept._lock, pages._used._lock:
            taken.set()
            time.sleep(0.2)

    holder = threading.Thread(target=hold)
    holder.start()
    taken.wait()
    assert computes_in_a_forked_child()
    holder.join()


def test_a_layer_in_training_keeps_nothing(packed):
    layer = nn.ConvTranspose2d(8, 12, 4, **LAYER)
    convmat.accelerate(layer, method="tiles")
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    for _ in range(4):
        layer(torch.randn(2, 8, 5, 7)).square().sum().backward()
        optimizer.step()
    assert packed[layer.weight.numel()] == 4
    assert not weights._kept._packed


def test_weights_of_one_use_are_not_kept(packed):
    for _ in range(5):
        compute(torch.randn(1, 8, 5, 7), torch.randn(8, 12, 4, 4))
    assert packed[8 * 12 * 16] == 5
    assert not weights._kept._packed


def test_a_weight_computed_anew_is_found_by_its_content(packed):
    layer = nn.utils.parametrizations.weight_norm(nn.ConvTranspose2d(8, 12, 4, **LAYER))
    convmat.accelerate(layer, method="tiles")
    with torch.no_grad():
        for _ in range(5):
            layer(torch.randn(2, 8, 5, 7))
    assert packed[8 * 12 * 16] == 2


def test_no_more_is_kept_than_promised(monkeypatch):
    monkeypatch.setattr(weights, "_MOST_BYTES", 5 * 8 * 12 * 16 * 4)
    monkeypatch.setattr(weights, "_MOST_SEEN", 7)
    many = [torch.randn(8, 12, 4, 4) for _ in range(12)]
    for weight in many:
        for _ in range(3):
            compute(torch.randn(1, 8, 5, 7), weight)
    assert len(weights._kept._packed) == 5
    for weight in many:  # those kept last, in turn, and those let go
        compute(torch.randn(1, 8, 5, 7), weight)
    for _ in range(20):
        compute(torch.randn(1, 8, 5, 7), torch.randn(8, 12, 4, 4))
    assert len(weights._kept._seen) <= 7
    convmat.empty_cache()
    gc.collect()
    assert not weights._kept._packed
    assert not weights._kept._seen
