"""Running a script of the tests in a process of its own, for what it measures of itself."""

import json
import os
import subprocess
import sys
from pathlib import Path


def result_of(path: Path, *arguments: str):
    """What a script prints, as JSON, on its last line."""
    quiet = {**os.environ, "KINETO_LOG_LEVEL": "5"}
    finished = subprocess.run([sys.executable, str(path), *arguments], capture_output=True, text=True, env=quiet)
    assert finished.returncode == 0, finished.stderr
    return json.loads(finished.stdout.splitlines()[-1])
