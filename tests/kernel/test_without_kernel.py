"""Where the kernel cannot be compiled PyTorch computes, and where the processor is another one the kernel does."""

import os
import re
import subprocess
import sys
import warnings
from collections import Counter
from pathlib import Path

import pytest
import torch
from torch.testing import assert_close

import convmat
from convmat.kernel import compiled
from tests.cases import LAYERS
from tests.kernel.instructions import TARGETS, emitted, instructions
from tests.kernel.kernels import DTYPES, STRIDES, Call, assert_right
from tests.layers import Layer, reference

ROOT = Path(__file__).parents[2]
KERNEL = ROOT / "src" / "convmat" / "kernel"


def run(script: str, **environment: str) -> str:
    finished = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        capture_output=True,
        text=True,
        timeout=600,
        cwd=ROOT,
        env={**os.environ, **environment},
    )
    assert finished.returncode == 0, finished.stderr[-3000:]
    return finished.stderr


WITHOUT_NUMBA = """
import sys, warnings

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("numba", "llvmlite"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocker())
import torch, convmat
torch.manual_seed(0)

def agree(method):
    for dtype in (torch.float32, torch.float64):
        input, weight, bias = (torch.randn(shape, dtype=dtype) for shape in ((2, 4, 9, 8), (4, 3, 3, 4), (3,)))
        for tracked in (False, True):
            weight.requires_grad_(tracked)
            output = convmat.conv_transpose2d(input, weight, bias, 2, method=method)
            torch.testing.assert_close(output, torch.conv_transpose2d(input, weight, bias, 2))

agree("auto")  # warnings are errors here
model = torch.nn.Sequential(torch.nn.ConvTranspose2d(4, 3, 4, 2))
convmat.accelerate(model, freeze=True)
with torch.no_grad():
    model(torch.randn(1, 4, 5, 6))
assert convmat.plan(model[0], (4, 5, 6)).method == "native"
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("default")
    agree("tiles")
    agree("tiles")
assert {warning.category for warning in caught} == {RuntimeWarning}, caught
assert len(caught) == 1, [str(warning.message) for warning in caught]
assert "PyTorch's own functions are used instead" in str(caught[0].message)
agree("auto")
"""


def test_without_numba():
    """``"auto"`` says nothing, ``"tiles"`` says once that it is not there."""
    run(WITHOUT_NUMBA)


@pytest.fixture
def _broken(monkeypatch):
    """The kernel has not been built yet, and cannot be."""

    def fail(dtype):
        raise OSError(f"no code for {dtype}")

    monkeypatch.setattr(compiled, "_build", fail)
    monkeypatch.setattr(compiled, "_kernels", {})
    monkeypatch.setattr(compiled, "_failed", [])
    convmat.empty_cache()
    yield
    convmat.empty_cache()


def results(method, dtype):
    for layer in LAYERS.values():
        operands = layer.tensors(2, dtype=dtype)
        expected = reference(layer, *(operand.double() for operand in operands)).to(dtype)
        with torch.no_grad():
            assert_close(layer(*operands, method=method), expected, rtol=1e-4, atol=1e-4)
        tracked = [operand.requires_grad_() for operand in operands]
        assert_close(layer(*tracked, method=method), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.usefixtures("_broken")
@pytest.mark.parametrize("method", ["tiles", "auto"])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_a_kernel_that_fails_is_done_without(method, dtype):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        results(method, dtype)
        results(method, dtype)
    messages = [str(warning.message) for warning in caught if warning.category is RuntimeWarning]
    assert len(messages) <= 1
    assert method == "auto" or f"OSError: no code for {dtype}" in messages[0]
    assert not compiled.is_installed() or method == "auto"


@pytest.mark.usefixtures("_broken")
def test_auto_does_not_ask_again_for_a_kernel_that_failed():
    layer = LAYERS["transposed"]
    operands = layer.tensors(2)
    with torch.no_grad():
        with pytest.warns(RuntimeWarning, match="PyTorch's own functions are used instead"):
            layer(*operands, method="tiles")
        layer(*operands)
        model = torch.nn.ConvTranspose2d(4, 3, 4, 2)
        convmat.accelerate(model, freeze=True)
        input = torch.randn(1, 4, 5, 6)
        assert torch.equal(model(input), torch.conv_transpose2d(input, model.weight, model.bias, 2))


def test_every_instruction_is_looked_at():
    """As many as the source defines, so that none is missed below."""
    found = Counter(one.__name__ for one in instructions("float32", TARGETS["x86"]))
    defined = re.findall(
        r"@intrinsic\n *def (\w+)", "".join(path.read_text(encoding="utf-8") for path in KERNEL.rglob("*.py"))
    )
    assert found.keys() == set(defined)
    assert min(found[name] - count for name, count in Counter(defined).items()) >= 0


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", TARGETS)
def test_every_instruction_compiles_for_every_processor(name, dtype):
    """Even for one with other instructions than this one, where LLVM knows it."""
    target = TARGETS[name]
    assert len(target.compile(emitted(instructions(dtype, target), dtype))) > 10_000


OTHER_PROCESSORS = """
import os

import torch
from convmat.kernel import compiled, machine_code
from tests.kernel import test_without_kernel as tests

machine_code.processor = lambda: ("generic", "")
for number, (registers, dtype) in enumerate([((16, 32), torch.float64), ((16, 16), torch.float32)]):
    os.environ["NUMBA_CACHE_DIR"] = f"FOLDER/{number}"
    compiled._registers = lambda: registers
    compiled.processor.cache_clear()
    assert compiled.processor(dtype, 1).lanes == registers[0] // dtype.itemsize
    assert compiled.kernel(dtype)
    if CHECKED:
        tests.agree_on_many(dtype)
"""


def agree_on_many(dtype):
    """Layers with each step, and lines that end anywhere."""
    for stride in STRIDES:
        for size, channels in ((1, (1, 1)), (6, (3, 7)), (17, (2, 9)), (33, (5, 4))):
            layer = Layer(
                transposed=True,
                sizes=(2, size),
                kernel=(2, stride + size % 4),
                stride=(1, stride),
                padding=((0, 1), (size % 3 if stride > 3 else 0, 0)),
                channels=channels,
            )
            operands = Call(layer, 2, dtype).tensors()
            with torch.no_grad():
                assert_right(layer(*operands, method="tiles"), layer, *operands)


def test_other_processors(tmp_path):
    """With vectors of two and four numbers, and none of the instructions that not all processors have.

    The first process compiles for each type of number, and says so, and computes; the second finds all of it.
    """

    def said_and_kept(checked=False):
        script = OTHER_PROCESSORS.replace("FOLDER", str(tmp_path)).replace("CHECKED", str(checked))
        said = run(script)
        return said.splitlines(), {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.code")}

    said, kept = said_and_kept(checked=True)
    assert [line.partition(", ")[0] for line in said] == [
        f"convmat: compiling its kernel for {name}" for name in ("float64", "float32")
    ]
    assert {path.relative_to(tmp_path).parts[0] for path in kept} == {"0", "1"}
    assert said_and_kept() == ([], kept)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_many_on_this_processor(dtype):
    agree_on_many(dtype)
