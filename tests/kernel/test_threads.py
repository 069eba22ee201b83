"""Several threads, in the kernel and around it, and processes that are forked."""

import ctypes
import importlib.metadata
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import product
from pathlib import Path
from threading import Barrier, Thread

import pytest
import torch
from torch import nn

import convmat
from convmat.kernel import compiled
from convmat.kernel import threads as kernel_threads
from tests.kernel.kernels import DTYPES, Call, assert_right
from tests.layers import Layer

# For each, there is something to share: boxes, stripes of one box, groups, images. None of them has another form that
# may sum in another order, for which more threads might be a reason.
LAYERS = {
    "boxes": Layer(transposed=True, sizes=(61, 150), kernel=(4, 4), stride=2, padding=1, channels=(32, 5)),
    "stripes": Layer(transposed=True, sizes=(4, 5), kernel=(4, 4), stride=2, padding=1, channels=(16, 90)),
    "groups": Layer(transposed=True, sizes=(9, 20), kernel=(3, 3), stride=2, channels=(16, 16), groups=16),
    "a line": Layer(transposed=True, sizes=(3000,), kernel=(16,), stride=8, padding=4, channels=(8, 8)),
    "a volume": Layer(transposed=True, sizes=(5, 6, 17), kernel=(3, 2, 3), stride=(1, 2, 3), channels=(8, 9)),
    "next to nothing": Layer(transposed=True, sizes=(1,), kernel=(1,)),
}
every_layer = pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS.keys())
COUNTS = (1, 2, 4, 7, 19)  # of more than 16, several have a share together
ROOT = Path(__file__).parents[2]


def compute(layer, operands):
    with torch.no_grad():
        return layer(*operands, method="tiles")


@every_layer
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_the_same_to_the_last_bit_with_any_number_of_threads(layer, dtype, threads):
    """Each output is summed by one thread, in an order of its own; also where there are more threads than cores."""
    operands = Call(layer, 3, dtype).tensors()
    expected = compute(layer, operands)
    assert_right(expected, layer, *operands)
    for count in COUNTS:
        threads(count)
        for _ in range(3):
            assert torch.equal(compute(layer, operands), expected)


@pytest.mark.parametrize("count", [1, 2])
def test_several_threads_at_once(threads, count):
    threads(count)
    kinds = product(LAYERS.values(), (1, 2), DTYPES)
    cases = [(layer, Call(layer, batch, dtype).tensors()) for layer, batch, dtype in kinds]
    expected = [compute(*case) for case in cases]
    with ThreadPoolExecutor(6) as pool:
        outputs = list(pool.map(lambda case: compute(*case), cases * 4))
    assert all(torch.equal(output, wanted) for output, wanted in zip(outputs, expected * 4, strict=True))


def test_a_layer_that_several_threads_are_the_first_to_use(threads):
    """What is worked out for a layer is whole when others find it."""
    threads(2)
    for width in range(40, 60):
        layer = replace(LAYERS["boxes"], sizes=(7, width))
        operands = Call(layer, 1, torch.float32).tensors()
        start = Barrier(4)

        def first(layer=layer, operands=operands, start=start):
            start.wait()
            return compute(layer, operands)

        with ThreadPoolExecutor(4) as pool:
            outputs = [running.result() for running in [pool.submit(first) for _ in range(4)]]
        assert_right(outputs[0], layer, *operands)
        assert all(torch.equal(output, outputs[0]) for output in outputs)


def test_training_in_several_threads(threads):
    threads(2)
    layer = convmat.nn.ConvTranspose2d(8, 8, 4, 2, 1, method="tiles")
    input = torch.randn(2, 8, 9, 10)

    def gradients(_=None):
        return torch.autograd.grad(layer(input).square().sum(), list(layer.parameters()))

    expected = gradients()
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(gradients, range(12)):
            torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)


def test_inside_a_backward_pass(threads):
    threads(2)
    layer = convmat.nn.ConvTranspose1d(4, 4, 4, 2, 1, method="tiles")
    input, seen = torch.randn(2, 4, 300, requires_grad=True), []
    output = layer(input)
    output.register_hook(lambda grad: seen.append(layer(grad).detach()))
    output.sum().backward()
    with torch.no_grad():
        assert torch.equal(seen[0], layer(torch.ones_like(output)))


@pytest.mark.skipif(kernel_threads._openmp_parallel() is None, reason="PyTorch brings another OpenMP")
@pytest.mark.parametrize("count", [1, 2])
def test_inside_parallel_work_of_pytorchs_threads(threads, count):
    """Where threads of the pool call the kernel, which asks for threads of this pool, or for none.

    Whatever number such a thread has in its own team, it is the first or the only one that works on its task.
    """
    threads(count)
    layer = LAYERS["boxes"]
    operands = Call(layer, 2, torch.float32).tensors()
    expected, outputs = compute(layer, operands), []

    @ctypes.CFUNCTYPE(None, ctypes.c_void_p)
    def work(_):
        outputs.extend(compute(layer, operands) for _ in range(3))

    kernel_threads._openmp_parallel()(ctypes.cast(work, ctypes.c_void_p), None, 4, 0)
    assert len(outputs) == 12
    assert all(torch.equal(output, expected) for output in outputs)


@pytest.fixture
def started(monkeypatch):
    """Threads of Python that are started; PyTorch's own cannot be reached, and nobody remembers that they could."""
    started = []
    start = Thread.start
    monkeypatch.setattr(Thread, "start", lambda thread: (started.append(thread), start(thread)))
    monkeypatch.setattr(kernel_threads, "_openmp_parallel", lambda: None)
    monkeypatch.setattr(kernel_threads, "_helpers", kernel_threads._Helpers())
    monkeypatch.setattr(compiled, "_kernels", {torch.float32: compiled._build(torch.float32)})
    convmat.empty_cache()
    yield started
    convmat.empty_cache()


@pytest.mark.parametrize("count", [2, 4])
def test_threads_of_python_where_pytorchs_cannot_be_reached(threads, started, count):
    operands = {name: Call(layer, 2, torch.float32).tensors() for name, layer in LAYERS.items()}
    expected = {name: compute(layer, operands[name]) for name, layer in LAYERS.items()}
    assert not started
    threads(count)
    for name, layer in LAYERS.items():
        assert torch.equal(compute(layer, operands[name]), expected[name])
    assert len(started) == count - 1


def test_threads_of_python_are_kept(threads, started):
    """Starting them in every call took longer than they saved."""
    operands = Call(LAYERS["boxes"], 2, torch.float32).tensors()
    expected = compute(LAYERS["boxes"], operands)
    for count, most in ((2, 1), (4, 3), (3, 3)):
        threads(count)
        for _ in range(5):
            assert torch.equal(compute(LAYERS["boxes"], operands), expected)
        assert len(started) == most


@pytest.mark.parametrize("can_start", [1, 0])
def test_threads_of_python_that_cannot_be_started(threads, monkeypatch, can_start):
    """Where the system gives out no more threads, those that there are do all of the work."""
    left = [None] * can_start
    start = Thread.start

    def refuse(thread):
        if not left:
            raise RuntimeError("can't start new thread")
        left.pop()
        start(thread)

    monkeypatch.setattr(Thread, "start", refuse)
    helpers, calls = kernel_threads._Helpers(), []
    for _ in range(3):
        helpers.run(calls.append, 7, 4)
    assert 3 <= len(calls) <= 3 * (1 + can_start)
    assert helpers._work.qsize() <= 3 * can_start  # nothing is left for threads that are not there
    assert set(calls) == {7}


# -- the OpenMP library ------------------------------------------------------------------------------------------------

LIBRARY = """
import ctypes, sys, torch, convmat
from convmat.kernel import threads

class Place(ctypes.Structure):
    _fields_ = [(name, ctypes.c_void_p) for name in ("file", "base", "symbol", "address")]

place, address = Place(), ctypes.cast(threads._openmp_parallel(), ctypes.c_void_p)
assert ctypes.CDLL(None).dladdr(address, ctypes.byref(place))
torch.set_num_threads(2)
input, weight = torch.randn(2, 8, 30, 41), torch.randn(8, 6, 4, 4)
with torch.no_grad():
    ours = convmat.conv_transpose2d(input, weight, None, 2, method="tiles")
torch.testing.assert_close(ours, torch.conv_transpose2d(input, weight, None, 2), rtol=1e-4, atol=1e-4)
print(ctypes.string_at(place.file).decode())
"""


def intel_openmp():
    try:
        files = importlib.metadata.files("intel-openmp") or []
    except importlib.metadata.PackageNotFoundError:
        return None
    return next((str(file.locate().resolve()) for file in files if file.name == "libiomp5.so"), None)


@pytest.mark.skipif(kernel_threads._openmp_parallel() is None, reason="PyTorch brings another OpenMP")
@pytest.mark.skipif(intel_openmp() is None, reason="intel-openmp is not installed")
def test_an_openmp_library_that_was_preloaded():
    """PyTorch computes with it then, and two pools of threads would get in each other's way."""
    finished = subprocess.run(
        [sys.executable, "-c", LIBRARY],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=ROOT,
        env={**os.environ, "LD_PRELOAD": intel_openmp()},
    )
    assert finished.returncode == 0, finished.stderr
    assert Path(finished.stdout.strip()).name == "libiomp5.so"


# -- other processes ---------------------------------------------------------------------------------------------------

USED_WITH_TWO_THREADS = """
import os, sys, torch, convmat
torch.set_num_threads(2)
torch.manual_seed(0)
input, weight = torch.randn(2, 16, 40, 50), torch.randn(16, 8, 4, 4)

def compute():
    with torch.no_grad():
        return convmat.conv_transpose2d(input, weight, None, 2, method="tiles")

def is_right():  # by no function of PyTorch, whose threads are not there either
    return compute().numpy().tobytes() == expected

def succeeds(child):
    return os.waitpid(child, 0)[1] == 0

expected = compute().numpy().tobytes()
"""

FORKED = {
    "by hand": """
for _ in range(3):
    child = os.fork()
    if child == 0:
        os._exit(0 if is_right() else 1)
    assert succeeds(child) and is_right()
""",
    "by a data loader": """
class Images(torch.utils.data.Dataset):
    def __len__(self):
        return 6
    def __getitem__(self, n):
        return compute()[n % 2]

loader = torch.utils.data.DataLoader(Images(), batch_size=2, num_workers=2, multiprocessing_context="fork")
for batch in loader:
    assert batch.numpy().tobytes() == expected and is_right()
""",
    "that asks for threads": """
child = os.fork()
if child == 0:
    torch.set_num_threads(2)
    os._exit(0 if is_right() else 1)
assert succeeds(child)
""",
    "by a child": """
child = os.fork()
if child == 0:
    grandchild = os.fork()
    if grandchild == 0:
        os._exit(0 if is_right() else 1)
    os._exit(0 if succeeds(grandchild) and is_right() else 1)
assert succeeds(child)
""",
}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
def test_forked_processes():
    """A child would wait forever for threads that only its parent has; the last name printed says which one did."""
    script = USED_WITH_TWO_THREADS + "".join(
        f"print({name!r}, file=sys.stderr){forked}" for name, forked in FORKED.items()
    )
    finished = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=ROOT,
    )
    assert finished.returncode == 0, finished.stderr


FORKED_AT_WORK = """
import os, signal, sys, threading, time, torch
from convmat.kernel import compiled

os.environ["NUMBA_CACHE_DIR"] = "/nowhere"  # nothing is compiled yet, so Numba is imported

def fork_during(work, in_child):
    begun.clear()
    working = threading.Thread(target=work)
    working.start()
    begun.wait()
    child = os.fork()
    if child == 0:
        signal.alarm(10)
        os._exit(0 if in_child() else 1)
    working.join()
    return os.waitpid(child, 0)[1] == 0

begun = threading.Event()

class Slow:
    def find_spec(self, name, path=None, target=None):
        if name == "numba":
            begun.set()
            time.sleep(0.3)

sys.meta_path.insert(0, Slow())
assert fork_during(compiled.is_installed, compiled.is_installed), "importing"

from numba.core.compiler_lock import global_compiler_lock
parent = os.getpid()

def build(dtype):  # as long as to compile, with Numba's lock held
    with global_compiler_lock:
        if os.getpid() == parent:
            begun.set()
            time.sleep(0.3)
        return compiled.Kernel(None, None, None)

compiled._build = build
assert fork_during(
    lambda: compiled.kernel(torch.float32),
    lambda: compiled.kernel(torch.float32) and compiled.kernel(torch.float64),
), "compiling"
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
def test_forked_while_another_thread_makes_the_kernel_ready():
    """The locks that thread holds, ours, Numba's and those of modules, would never be released in the child."""
    finished = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKED_AT_WORK], capture_output=True, text=True, timeout=300, cwd=ROOT
    )
    assert finished.returncode == 0, finished.stderr


def test_frozen_layers_in_several_threads(threads):
    threads(2)
    model = nn.Sequential(nn.ConvTranspose2d(4, 4, 4, 2, 1), nn.ConvTranspose2d(4, 4, 4, 2, 1))
    convmat.accelerate(model, method="tiles", freeze=True)
    input = torch.randn(2, 4, 20, 21)
    with torch.inference_mode():
        expected = model(input)

    def infer(_):
        with torch.inference_mode():
            return model(input)

    with ThreadPoolExecutor(6) as pool:
        assert all(torch.equal(output, expected) for output in pool.map(infer, range(24)))
