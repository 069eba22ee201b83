"""The wheel, built here: it holds the library and nothing else, and says what it needs."""

import ast
import re
import sys
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

from tools.installs import choices, first_example
from tools.versions import minor_versions
from tools.wheel import ROOT, Wheel

SOURCE = ROOT / "src"
# Libraries that come with one that is required.
BROUGHT_BY = {"PIL": "matplotlib", "llvmlite": "numba"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Wheel:
    (path,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path_factory.mktemp("wheel")), versions=["standard"])
    return Wheel(Path(path))


def test_it_holds_every_module_and_nothing_else(wheel):
    held = {name for name in wheel.names if ".dist-info/" not in name}
    kinds = ("*.py", "*.js", "*.css", "*.html", "*.json")
    expected = {path.relative_to(SOURCE).as_posix() for kind in kinds for path in SOURCE.rglob(kind)}
    assert held == expected | {"convmat/py.typed"}
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in wheel.names)


def test_it_requires_what_the_source_imports(wheel):
    imported = set()
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add(node.module.split(".")[0])
    others = {BROUGHT_BY.get(name, name) for name in imported - sys.stdlib_module_names - {"convmat"}}
    required = {re.match(r"[\w.-]+", line)[0] for line in wheel.requirements if not re.search(r"extra == .dev", line)}
    assert {"torch", "numpy"} <= others <= required


def test_it_has_a_command(wheel):
    assert any(name.endswith(".dist-info/entry_points.txt") for name in wheel.names)
    assert wheel.metadata["Name"] == "convmat"
    assert "# convmat" in wheel.metadata.get_payload()  # the page that a package index shows


def test_every_way_to_install_it_is_tried(wheel):
    assert "dev" in wheel.extras
    assert choices(wheel.extras) == ["", *wheel.extras, ",".join(wheel.extras)]
    assert choices(["dev"]) == ["", "dev"]
    assert choices([]) == [""]
    assert first_example().startswith(">>> import torch\n>>> import convmat\n")


def test_every_minor_version_from_the_oldest_on(wheel):
    assert minor_versions("2.8", "2.11.1") == ["2.8", "2.9", "2.10", "2.11"]
    assert minor_versions(wheel.oldest("torch"), wheel.oldest("torch")) == [wheel.oldest("torch")]
    with pytest.raises(SystemExit, match="--torch"):
        minor_versions("2.8", "3.0")
