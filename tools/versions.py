"""Run the test suite with every promised Python and PyTorch, and install the wheel in every promised way.

``make versions`` does all of it, one after the other: it takes hours, and downloads each PyTorch. A part of it::

    python -m tools.versions --python python3.11 /opt/python3.14/bin/python3 --torch 2.8 2.13 --skip-installs

The tests are run against the built wheel, in an environment of its own for each pair, with the versions of
``constraints.txt`` for all that PyTorch does not choose itself.
"""

from __future__ import annotations

import argparse
import re
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from tools.environments import CommandError, Environment, environment, version_of
from tools.installs import check_install, choices
from tools.wheel import ROOT, Wheel, build

PYTHONS = ("python3.10", "python3.11", "python3.12", "python3.13", "python3.14")
CONSTRAINTS = ROOT / "constraints.txt"
_LINE = "{:<10} {:<14} {:>7} {:>7} {:>8} {:>8}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the arguments ask for; 0 if nothing failed."""
    options = _parse(arguments)
    folder = options.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    pip_args = shlex.split(options.pip_args)
    wheel = build(folder, pip_args)
    found = {python: version_of(python) for python in options.python}
    failed = False

    if not options.skip_installs:
        python = next((python for python, version in found.items() if version), sys.executable)
        for extras in choices(wheel.extras):
            outcome = check_install(wheel, extras, python, folder, pip_args, options.keep)
            failed |= outcome != "ok"
            print(f"pip install convmat[{extras}]: {outcome}", flush=True)

    if not options.skip_tests:
        print(_LINE.format("Python", "PyTorch", "passed", "failed", "skipped", "seconds"), flush=True)
        for python, version in found.items():
            for torch in options.torch or minor_versions(wheel.oldest("torch"), _pinned("torch")):
                if version is None:
                    line, fine = f"{python:<10} {torch:<14} left out: no such Python here", True
                else:
                    line, fine = _row(wheel, python, version, torch, folder, pip_args, options)
                failed |= not fine
                print(line, flush=True)
    return int(failed)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tools.versions", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument(
        "--python",
        nargs="+",
        default=PYTHONS,
        metavar="PYTHON",
        help="names on the PATH, or paths (default: %(default)s)",
    )
    parser.add_argument(
        "--torch",
        nargs="+",
        metavar="VERSION",
        help="2.8 for the newest 2.8.x, or 2.8.0 (default: from the oldest that convmat takes to that of constraints)",
    )
    parser.add_argument("--skip-installs", action="store_true", help="do not try the wheel with each extra")
    parser.add_argument("--skip-tests", action="store_true", help="try the wheel only, with the first Python there is")
    parser.add_argument(
        "--keep", action="store_true", help="keep the environments, several gigabytes each, for the next time"
    )
    parser.add_argument(
        "--folder",
        type=Path,
        default=ROOT / "build" / "versions",
        help="for environments and logs (default: build/versions)",
    )
    parser.add_argument("--jobs", default="2", help="processes that run tests (default: 2)")
    parser.add_argument("--pip-args", default="", help="for pip, as in --pip-args='--extra-index-url URL'")
    parser.add_argument("--pytest-args", default="", help="for pytest, as in --pytest-args='-k export'")
    return parser.parse_args(arguments)


def minor_versions(oldest: str, newest: str) -> list[str]:
    """Every minor version from one to another: ``2.8``, ``2.9``, ``2.10``."""
    (major, first), (same, last) = (map(int, version.split(".")[:2]) for version in (oldest, newest))
    if major != same:
        raise SystemExit(f"which versions there are from {oldest} to {newest} is not known: name them after --torch")
    return [f"{major}.{minor}" for minor in range(first, last + 1)]


def _pinned(name: str) -> str:
    return next(line.split("==")[1] for line in _constraints() if line.startswith(f"{name}=="))


def _constraints() -> list[str]:
    return CONSTRAINTS.read_text(encoding="utf-8").splitlines()


def _row(
    wheel: Wheel,
    python: str,
    version: str,
    torch: str,
    folder: Path,
    pip_args: Sequence[str],
    options: argparse.Namespace,
) -> tuple[str, bool]:
    """The line of a pair, and whether it is fine."""
    start = time.monotonic()
    try:
        with environment(python, folder / f"python{version}-torch{torch}", pip_args, options.keep) as made:
            exact = _newest(made, torch)
            if exact is None:
                return f"{version:<10} {torch:<14} left out: no such PyTorch for this Python", True
            made.install(f"torch=={exact}")
            _install_convmat(made, wheel)
            passed, failed, skipped = _run_tests(made, options.jobs, shlex.split(options.pytest_args))
    except CommandError as error:
        return f"{version:<10} {torch:<14} {error}", False
    line = _LINE.format(version, exact, passed, failed, skipped, round(time.monotonic() - start))
    return (f"{line}  {made.log}", False) if failed or not passed else (line, True)


def _newest(made: Environment, version: str) -> str | None:
    """The newest PyTorch of a version that there is for this Python."""
    listed = made.python("pip index", "-m", "pip", "index", "versions", "torch", *made.pip_args, read=True)
    found = re.search(r"^Available versions: (.*)$", listed, re.MULTILINE)
    every = found[1].split(", ") if found else []
    return next((one for one in every if one.split("+")[0] == version or one.startswith(f"{version}.")), None)


def _install_convmat(made: Environment, wheel: Wheel) -> None:
    """Install the wheel and what the tests need; what PyTorch brought stays as it is."""
    installed = made.installed()
    names = {re.sub(r"[-_.]+", "-", name).lower() for name in installed}  # as the constraints spell them
    lines = [f"{name}=={version}" for name, version in installed.items()]
    lines += [line for line in _constraints() if line.split("==")[0] not in names]
    constraints = made.folder / "constraints.txt"
    constraints.write_text("\n".join(lines) + "\n", encoding="utf-8")
    made.install("-c", str(constraints), f"{wheel.path}[dev]")


def _run_tests(made: Environment, jobs: str, pytest_args: Sequence[str]) -> tuple[int, int, int]:
    """How many tests passed, failed and were skipped: those of ``tests``, and the examples in the installed modules."""
    results = made.folder / "results.xml"
    command = ["-m", "pytest", "-n", jobs, "--dist", "worksteal", "-q", "-rs", f"--junitxml={results}", *pytest_args]
    try:
        made.python("pytest", *command, "tests", "--pyargs", "convmat", cwd=ROOT)
    except CommandError:
        if not results.exists():  # it did not come as far as the tests
            raise
    suite = next(ElementTree.parse(results).iter("testsuite"))
    total, skipped = int(suite.attrib["tests"]), int(suite.attrib["skipped"])
    failed = int(suite.attrib["failures"]) + int(suite.attrib["errors"])
    return total - failed - skipped, failed, skipped


if __name__ == "__main__":
    sys.exit(main())
