"""Every example runs as its readers would run it."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.scripts import result_of

EXAMPLES = Path(__file__).parent.parent / "examples"
SAYS = {
    "lipschitz.py": ["reshaped weight", "the layer's own norm", "(wrong: it may lengthen by"],
    "vocoder.py": [
        "10240 samples",
        "78 swapped",
        "upsampler.0",
        "The plan for 64 channels, 40 columns:",
        "auto, frozen",
        "Restored",
    ],
    "microscopy.py": ["in 8 chunks", "restored on the disk", "convmat, on a disk", "scikit-image, tile by tile"],
    "segmentation.py": ["10 layers swapped", "state_dict is as before: True", "Dice loss", "Restored"],
    "super_resolution.py": ["8 swapped", "kernel 9, stride 3", "zero_insertion", "auto, frozen", "Restored"],
}


def test_every_example_is_run():
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(SAYS)


@pytest.mark.parametrize("name", ["microscopy.py", "super_resolution.py"])  # the others take no arguments
def test_help_says_what_an_example_does(name):
    path = EXAMPLES / name
    done = subprocess.run([sys.executable, path, "--help"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) in done.stdout


@pytest.fixture(scope="module")
def ran(tmp_path_factory) -> dict[str, dict]:
    """What each example prints, leaves and fails with."""
    script, folder = Path(__file__).with_name("run_examples.py"), tmp_path_factory.mktemp("examples")
    return result_of(script, str(folder), *(str(EXAMPLES / name) for name in SAYS), HF_HUB_OFFLINE="1")


@pytest.mark.parametrize(("name", "words"), SAYS.items(), ids=SAYS)
def test_example(name, words, ran):
    assert ran[name]["error"] is None
    assert [word for word in words if word not in ran[name]["printed"]] == []
    assert ran[name]["left"] == []
