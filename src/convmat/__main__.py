"""``python -m convmat`` is the command line."""

from convmat.cli import main

main()
