"""A program as small as can be, from Python to machine code."""

import ctypes
import py_compile
import re
from pathlib import Path

import pytest
import torch

import convmat
from convmat.kernel import compiled

pytest.importorskip("numba")

from numba.core import config
from numba.core.errors import TypingError

from convmat.kernel import machine_code, program
from convmat.kernel.stages.pieces import Pieces
from tests.scripts import run_in


@pytest.fixture
def pieces():
    return Pieces("float32", 8, (4, 2), (1, 2))


def run(modules, name="work", numbers=(20, 1)):
    """The first numbers of a task after a function of an address has worked on it."""
    (address,) = machine_code.place(machine_code.generate(modules, [name]), [name])
    task = (ctypes.c_int64 * program.FIELDS)(*numbers)
    ctypes.CFUNCTYPE(None, ctypes.c_void_p)(address)(ctypes.addressof(task))
    return task[: len(numbers)]


def test_functions_call_each_other(pieces):
    @pieces.compiled
    def both(a, b):
        return a + b, min(a, b)

    @pieces.compiled
    def add(t, to):
        t[to], least = both(t[0], t[1])
        return least

    @pieces.compiled
    def work(t):
        t[1] += add(t, 0)
        t[1] += add(t, 0)

    assert run(program.translated(pieces, {"work": work})) == [21 + 2, 2 + 2]


def test_each_function_is_translated_once_for_each_kind_of_arguments(pieces):
    translated = []

    @pieces.compiled
    def same(number):
        return number

    @pieces.compiled
    def work(t):
        t[0] = same(t[1]) + same(3) + int(same(2.5)) + int(same(3.5))

    modules = program.translated(pieces, {"work": work, "again": work})
    for module in modules:
        translated += [line for line in module.splitlines() if line.startswith("define") and "same" in line]
    assert len(translated) == 2
    assert run(modules, "again") == [9, 1]


def test_numba_optimizes_for_others_as_before(pieces, monkeypatch):
    seen = []

    @pieces.compiled
    def work(t):
        t[0] = 0

    def modules(self):
        seen.append(int(config.OPT))
        return []

    before = config.OPT
    monkeypatch.setattr(Pieces, "modules", modules)
    program.translated(pieces, {"work": work})
    assert (seen, config.OPT) == ([0], before)
    assert config.OPT is before

    @pieces.compiled
    def wrong(t):
        return t.no_such_thing

    with pytest.raises(TypingError, match="no_such_thing"):
        program.translated(pieces, {"wrong": wrong})
    assert config.OPT is before


def test_a_program_that_lacks_a_function_is_no_program(pieces):
    """Where Numba came to lay out its libraries in another way: to call what is not there would end the process."""

    @pieces.compiled
    def other(t):
        t[0] = 0

    @pieces.compiled
    def work(t):
        other(t)

    modules = program.translated(pieces, {"work": work})
    lacking = [module for module in modules if not re.search(r"^define .*5other", module, re.MULTILINE)]
    assert len(lacking) == len(modules) - 1
    with pytest.raises(ValueError, match=r"the program calls .*other.*, which is not in it"):
        machine_code.generate(lacking, ["work"])


WITHOUT_SOURCES = """
from convmat.kernel import compiled, machine_code, program
from convmat.kernel.stages.pieces import Pieces

assert compiled.__file__.endswith(".pyc")
pieces = Pieces("float32", 8, (4, 2), (1, 2))
works = program.functions(pieces)
assert machine_code.generate(program.translated(pieces, {"digest": works["digest"]}), ["digest"])
"""


def test_no_sources_are_needed(tmp_path):
    """Only .pyc files, as some images have them to be smaller."""
    package = Path(convmat.__file__).parent
    for path in package.rglob("*.py"):
        place = tmp_path / "convmat" / path.relative_to(package).with_suffix(".pyc")
        place.parent.mkdir(parents=True, exist_ok=True)
        py_compile.compile(str(path), str(place))
    run_in(tmp_path, WITHOUT_SOURCES)
    versions = {compiled.version_of(tmp_path / "convmat" / room) for room in ("kernel", "methods")}
    assert len(versions) == 2


def test_there_are_all_instructions_of_this_processor():
    name, instructions = machine_code.processor()
    assert name
    assert machine_code.features().get("fma", False) == ("+fma" in instructions.split(","))
    assert compiled.processor(torch.float32, 1).lanes in (4, 8, 16)
