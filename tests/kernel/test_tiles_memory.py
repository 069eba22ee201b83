"""The kernel reads and writes raw memory: what belongs to it, and not a byte more. In processes that may crash."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(*arguments: str) -> str:
    """What Python prints, and it must not crash."""
    finished = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=600, cwd=ROOT)
    assert finished.returncode == 0, finished.stderr[-3000:]
    return finished.stdout


@pytest.mark.skipif(sys.platform != "linux", reason="by system calls of Linux")
def test_nothing_is_touched_beside_any_tensor():
    result = json.loads(run(str(ROOT / "tests" / "kernel" / "guard_pages.py"), "150", "0"))
    assert result == {"computed": 150, "wrong": []}


CALL = """
import copy, pickle, sys
import torch
import convmat
from convmat import Geometry
from convmat.planning import run

torch.manual_seed(0)
input, weight, bias = (torch.randn(shape, dtype=torch.float64) for shape in ((2, 4, 5, 6), (4, 3, 3, 4), (3,)))
operands = input, weight, bias

def agree(*operands):
    with torch.no_grad():
        output = convmat.conv_transpose2d(*operands, 2, method="tiles")
        torch.testing.assert_close(output, torch.conv_transpose2d(*operands, 2))
"""

SITUATIONS = {
    "new tensors are made on another device": """
with torch.device("meta"):
    with torch.no_grad():
        output = convmat.conv_transpose2d(*operands, 2, method="tiles")
torch.testing.assert_close(output, torch.conv_transpose2d(*operands, 2))
""",
    "zeros without memory": """
for n in range(3):
    zeros = torch._efficientzerotensor(operands[n].shape, dtype=torch.float64)
    agree(*operands[:n], zeros, *operands[n + 1:])
""",
    "a geometry that was used, copied and pickled": """
geometry = Geometry.conv_transpose((5, 6), (3, 4), 2, in_channels=4, out_channels=3)
with torch.no_grad():
    expected = run(geometry, *operands, "tiles")
    pickled = pickle.dumps(geometry)
    copied = copy.deepcopy(geometry)
    del geometry
    others = [torch.randn(50, 50) for _ in range(100)]
    assert len(pickled) < 1000, "it takes along what was worked out for it, with addresses of memory"
    for other in (copied, pickle.loads(pickled)):
        assert torch.equal(run(other, *operands, "tiles"), expected)
""",
}


def test_no_crash():
    """In one process; it says what it does, and so which situation it did not survive."""
    run("-c", CALL + "".join(f"print({name!r}, file=sys.stderr){situation}" for name, situation in SITUATIONS.items()))
