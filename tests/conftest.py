"""Settings for every test."""

import os

import pytest
import torch
from hypothesis import HealthCheck, settings

from convmat.kernel import compiled

torch.set_num_threads(1)
os.environ["LC_ALL"] = "C.UTF-8"  # the command line speaks the language of the locale

_common = {"deadline": None, "print_blob": True, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("ci", max_examples=150, **_common)
settings.register_profile("thorough", max_examples=2000, **_common)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


def pytest_configure() -> None:
    """Compile the kernel, or load it, before any test and before other processes start that would compile it too."""
    if compiled.is_installed():
        for dtype in (torch.float32, torch.float64):
            compiled.kernel(dtype)


@pytest.fixture
def threads():
    """Lets PyTorch compute with so many threads, and as before after the test."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)
