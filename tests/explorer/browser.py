"""A headless browser for the page: found on this machine, started once for each process of the tests."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome", "msedge")
PLACES = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "C:/Program Files/Google/Chrome/Application/chrome.exe",
    "C:/Program Files (x86)/Microsoft/Edge/Application/msedge.exe",
)
COMMAND = "apt-get install --no-install-recommends chromium fonts-wqy-microhei"


def find_browser() -> str | None:
    """Chrome or Chromium on this machine; ``CONVMAT_BROWSER`` names another one."""
    named = [os.environ["CONVMAT_BROWSER"]] if os.environ.get("CONVMAT_BROWSER") else []
    found = [path for path in map(shutil.which, (*named, *NAMES)) if path]
    return next(iter([*found, *(place for place in PLACES if Path(place).exists())]), None)


def start_browser(playwright: Any) -> Any:
    """Launch it, or skip the tests that need it; where ``CI`` is set, its absence is a failure."""
    path = find_browser()
    if path is None:
        message = f"no Chrome or Chromium found; on Debian, as root: {COMMAND}"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    is_root = hasattr(os, "geteuid") and os.geteuid() == 0
    at_once = ["--disable-frame-rate-limit", "--disable-gpu-vsync"]  # no key or click waits for the next of 60 frames
    return playwright.chromium.launch(executable_path=path, args=[*at_once, *(["--no-sandbox"] if is_root else [])])
