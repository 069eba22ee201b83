"""Every example runs as its readers would run it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

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


@pytest.mark.parametrize(("name", "words"), SAYS.items(), ids=SAYS)
def test_example(name, words, tmp_path):
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    run = subprocess.run(
        [sys.executable, EXAMPLES / name], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120
    )
    assert run.returncode == 0, run.stderr
    assert [word for word in words if word not in run.stdout] == []
    assert list(tmp_path.iterdir()) == []
