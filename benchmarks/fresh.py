"""Measuring in a fresh process: a module of this folder that prints its findings as JSON."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any


def run_fresh(module: str, *arguments: str, environment: dict[str, str] | None = None) -> dict[str, Any]:
    """Run ``python -m benchmarks.MODULE ARGUMENTS`` and read what it prints last.

    Raises:
        RuntimeError: if it fails, with what it said.
    """
    command = [sys.executable, "-m", f"benchmarks.{module}", *arguments]
    variables = os.environ | (environment or {})
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{module} failed: {(done.stderr.strip().splitlines() or ['it said nothing'])[-1]}")
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found
