"""The command line: every command is one public function, in a file for each kind of commands.

Help is written as keys of :mod:`convmat.terminal.texts`, and put into words when it is printed (``help.py``).
"""

try:
    from convmat.cli.entry_point import main
except ModuleNotFoundError as error:
    raise SystemExit(f"convmat: {error.name} is missing; 'pip install {error.name}' installs it") from None

__all__ = ["main"]
