"""What is kept from call to call: all of it is on one list, has a bound, and can be given back."""

import functools
import gc
import importlib
import pkgutil
import types
from collections import OrderedDict

import pytest
import torch

import convmat
from convmat.caches import CACHES
from convmat.geometry.notes import Bounded, Notes
from convmat.kernel import compiled
from convmat.operators.boxes import Box

# What never grows: facts of the machine and of the installation, found out once.
FACTS = {
    "convmat.kernel.compiled": {"_import_error", "_registers", "_window_bytes", "processor"},
    "convmat.kernel.machine_code": {"features"},
    "convmat.kernel.pages": {"_advise"},
    "convmat.kernel.threads": {"_openmp", "_openmp_parallel", "_state"},
}
# What grows with the classes of a program, with what is compiled, or with PyTorch's number of threads, and is needed as
# long as that is in use.
KEPT = {
    "convmat.kernel.compiled": {"_kernels", "_failed"},
    "convmat.kernel.caching": {"_told"},
    "convmat.kernel.machine_code": {"_engines"},
    "convmat.kernel.threads": {"_helpers"},
    "convmat.nn.accelerated": {"accelerated_class"},
}
CONSTANTS = (str, bytes, int, float, tuple, frozenset, type, types.FunctionType, types.ModuleType)


def modules():
    for found in pkgutil.walk_packages(convmat.__path__, "convmat."):
        if not found.name.endswith("__main__"):
            yield importlib.import_module(found.name)


def grows(value) -> bool:
    """Whether something in a module may hold more and more."""
    if isinstance(value, functools._lru_cache_wrapper | Bounded | Notes):
        return True
    if isinstance(value, CONSTANTS):
        return False
    return hasattr(value, "clear") or type(value).__module__.startswith("convmat.kernel")


def test_every_cache_is_on_the_list():
    listed = {tuple(place.split(":")) for place in CACHES}
    for module in modules():
        for name, value in vars(module).items():
            if getattr(value, "__module__", module.__name__) != module.__name__ and callable(value):
                continue  # imported from elsewhere
            if name.startswith("__") or name.isupper() or not grows(value):
                continue
            if name not in FACTS.get(module.__name__, ()) and name not in KEPT.get(module.__name__, ()):
                assert (module.__name__, name) in listed


def test_the_list_names_what_there_is():
    for place in CACHES:
        module, name = place.split(":")
        assert hasattr(importlib.import_module(module), name), place


def size_of(value) -> int:
    """How many things a cache holds."""
    if isinstance(value, functools._lru_cache_wrapper):
        return value.cache_info().currsize
    if hasattr(value, "__len__"):
        return len(value)
    held = [inner for inner in vars(value).values() if isinstance(inner, dict | list | OrderedDict)]
    return sum(map(len, held)) + (getattr(value, "held", None) is not None)


@pytest.mark.skipif(not compiled.is_installed(), reason="needs Numba")
def test_all_of_them_fill_and_are_emptied():
    layer = convmat.nn.ConvTranspose2d(6, 5, 4, 2, 1)
    direct = convmat.nn.Conv2d(6, 5, 4, 2, 1)
    wave = convmat.nn.Conv1d(8, 8, 5, padding=2, method="tiles")
    pointwise = convmat.nn.Conv2d(8, 16, 1, method="tiles")
    large = torch.randn(2, 1, 1100, 900)
    weight = torch.randn(1, 2, 2, 2)
    with torch.no_grad():
        for _ in range(3):
            layer(torch.randn(2, 6, 5, 7))
            direct(torch.randn(2, 6, 5, 7))
            wave(torch.randn(2, 8, 50))
            pointwise(torch.randn(2, 8, 5, 7))
            convmat.conv_transpose2d(torch.randn(2, 6, 5, 7), layer.weight, method="tiles")
            convmat.conv_transpose2d(large, weight, stride=2, method="tiles")
    geometry = convmat.Geometry.conv_transpose((5, 7), 3, in_channels=2, out_channels=3)
    blur = convmat.blur_operator(torch.ones(5, 5), (40, 40))
    blur.box(lambda ranges: torch.ones(1, 1, 44, 44), Box([(0, 40), (0, 40)]))
    convmat.plan(torch.nn.ConvTranspose2d(2, 3, 3), (2, 5, 7))
    geometry.notes.schedules.get_or_make("a key", list)
    caches = {place: getattr(importlib.import_module(place.split(":")[0]), place.split(":")[1]) for place in CACHES}
    for place, cache in caches.items():
        assert size_of(cache), place
    convmat.empty_cache()
    gc.collect()
    for place, cache in caches.items():
        if not place.startswith("convmat.geometry.notes"):
            assert not size_of(cache), place
    assert not len(geometry.notes.schedules)


def test_a_bounded_cache_keeps_what_was_used_last():
    cache: Bounded[int] = Bounded(3)
    for key in (1, 2, 3, 1, 4):
        assert cache.get_or_make(key, lambda key=key: key * 10) == key * 10
    assert len(cache) == 3
    assert cache.get_or_make(1, lambda: -1) == 10
    assert cache.get_or_make(2, lambda: -2) == -2


def test_many_ways_to_lie_in_memory_fill_nothing():
    """Views with ever other strides: each had its own task, for good."""
    layer = torch.nn.ConvTranspose1d(2, 3, 4, 2)
    geometry = convmat.Geometry.conv_transpose((9,), 4, 2, in_channels=2, out_channels=3)
    from convmat.kernel import computing

    if not computing.is_ready(torch.float32):
        pytest.skip("needs Numba")
    schedule = computing.schedule_of(geometry, 1, torch.float32, 1, contiguous=False, keep=False)
    compute = computing.prepare(geometry, 1, torch.float32, contiguous=False, keep=False)
    expected = None
    with torch.no_grad():
        for gap in range(200):
            input = torch.arange(18.0).reshape(2, 9)[None]
            view = torch.zeros(2 * (9 + gap))[: 2 * (9 + gap)].reshape(1, 2, 9 + gap)[..., :9].copy_(input)
            output = compute(view, layer.weight, layer.bias)
            expected = output if expected is None else expected
            assert torch.equal(output, expected)
    assert len(schedule._tasks) <= 16
