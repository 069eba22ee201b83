"""Settings for every test."""

import gc
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from convmat.kernel import compiled

torch.set_num_threads(1)
os.environ["OMP_NUM_THREADS"] = "1"  # of the processes that tests start; more would wait for one another
os.environ["OMP_WAIT_POLICY"] = "passive"  # else those that wait take the cores, as much of them as the tests
os.environ["TORCHINDUCTOR_VEC_ISA_OK"] = "1"  # else PyTorch compiles a program, for seconds, to see what it says anyway
os.environ["LC_ALL"] = "C.UTF-8"  # the command line speaks the language of the locale
os.environ["CONVMAT_TUNING"] = ""  # what somebody has measured here is not what is tested

MEMORY = Path("/dev/shm")  # files of tests, tens of thousands, are made and replaced sooner there than on a disk
if os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > 2**31:  # containers often have 64 MiB of it
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))

_common = {"deadline": None, "print_blob": True, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("ci", max_examples=100, **_common)
settings.register_profile("thorough", max_examples=2000, **_common)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


LOAD = "import gc, torch; gc.disable(); from convmat.kernel import compiled; compiled.kernel(torch.{})"
# They take longest, and are begun first: else one process would work on the last of them, and the other wait.
LONGEST = (
    "test_without_kernel",
    "test_examples",
    "test_docs",
    "test_cli",
    "test_torch_ops",
    "test_benchmarks",
    "test_export",
    "test_transforms",
    "test_bars",
    "test_tiles_memory",
    "test_threads",
    "test_compiled",
    "test_volumes",
)


def pytest_configure(config) -> None:
    """Compile the kernel, or load it, before any test and before other processes start that would compile it too."""
    if not compiled.is_installed():
        return
    dtypes = ("float32", "float64")
    if not hasattr(config, "workerinput"):  # both at the same time
        loading = [subprocess.Popen([sys.executable, "-c", LOAD.format(dtype)]) for dtype in dtypes]
        assert not any(process.wait() for process in loading)
    for dtype in dtypes:
        compiled.kernel(getattr(torch, dtype))


@settings(derandomize=True, max_examples=1, database=None)
@given(st.none())
def meet_hypothesis(_) -> None:
    """Let Hypothesis make the random numbers that it keeps for a process.

    It looks among all objects for those that hold them, and warns if it finds none. From Python 3.14 on, the one that
    does is not found where it was frozen before, so the first test with examples of its own would fail.
    """


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Look for no garbage in a million objects that stay, while they are made and later, and seldom in others."""
    meet_hypothesis()
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()
        gc.set_threshold(20_000, 20, 50)


def pytest_collection_modifyitems(items) -> None:
    """Begin with the longest."""
    items.sort(key=lambda item: item.path.stem not in LONGEST)


@pytest.fixture
def threads():
    """Lets PyTorch compute with so many threads, and as before after the test."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)
