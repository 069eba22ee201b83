"""What is kept from call to call, and letting go of it."""

from __future__ import annotations

from convmat.kernel import pages, weights
from convmat.planning import shortcuts
from convmat.tensors import arguments


def empty_cache() -> None:
    """Give back the memory that convmat keeps to compute the same layers faster again.

    That is: packed copies of weights (at most 256 MB; those of frozen layers stay with their layers), memory of deleted
    outputs of 32 MB and more (at most 256 MB), memory to work in, and what was worked out for each layer and size. It
    changes no result: all of it is made again when needed.

    >>> empty_cache()
    """
    shortcuts.forget()
    weights.forget()
    pages.forget()
    arguments.forget()
