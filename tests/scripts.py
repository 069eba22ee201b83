"""Running a script of the tests in a process of its own, for what it measures of itself."""

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path


def result_of(path: Path, *arguments: str, **environment: str):
    """What a script prints, as JSON, on its last line."""
    quiet = {**os.environ, "KINETO_LOG_LEVEL": "5", **environment}
    finished = subprocess.run([sys.executable, str(path), *arguments], capture_output=True, text=True, env=quiet)
    assert finished.returncode == 0, finished.stderr
    return json.loads(finished.stdout.splitlines()[-1])


def run_in(folder: Path, program: str, *arguments: str, **environment: str) -> str:
    """What a program prints that runs in a folder, from where it also imports."""
    finished = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), **environment},
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


IMPORTS = """
import json, sys
loaded = {}
for program in sys.argv[1:]:
    exec(program)
    loaded[program] = sorted(sys.modules)
print(json.dumps(loaded))
"""
CONVOLVE = "convmat.conv2d(torch.ones(1, 1, 4, 4), torch.ones(1, 1, 3, 3))"


@cache
def loaded() -> dict[str, set[str]]:
    """The modules that are there after each of these lines, one after the other; warnings are errors."""
    command = [sys.executable, "-W", "error", "-c", IMPORTS, "import torch", "import convmat", CONVOLVE]
    return {program: set(names) for program, names in json.loads(subprocess.check_output(command)).items()}
