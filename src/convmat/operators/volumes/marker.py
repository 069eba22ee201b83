"""What is known to be whole of a volume that is being solved for: a small file beside its arrays."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from convmat.geometry import Sentence
from convmat.operators.base import Operator
from convmat.operators.volumes.disk import is_full

_FILE = "convmat.json"


@dataclass
class Marker:
    """What is known to be whole; written when an iteration is.

    Attributes:
        problem: a hash of the operator and of what decides about the numbers: method, damping.
        blocks: channels, sizes of chunks and blocks of both sides, which decide about rounding.
        data: of the data, when they are copied.
        iteration: the last that is whole. ``None``: not even the data are.
        whole: which of the two arrays of a name holds it: ``"even"`` or ``"odd"``.
        numbers: of a recurrence, after it.
        reason: why it ended, if it did: the key of the sentence, and its values.
        converged: whether a rule ended it.
    """

    problem: str
    blocks: dict[str, dict[str, list[int]]]
    data: dict[str, Any] | None = None
    iteration: int | None = None
    whole: str = "even"
    numbers: dict[str, Any] = field(default_factory=dict)
    reason: dict[str, Any] | None = None
    converged: bool = False

    @classmethod
    def read(cls, folder: Path) -> Marker:
        """The marker in a folder.

        Raises:
            OSError: if there is none.
            ValueError: if it holds no JSON.
            TypeError: if it holds something else than a marker.
        """
        return cls(**json.loads((folder / _FILE).read_text(encoding="utf-8")))

    def write(self, folder: Path) -> None:
        """Write it: wholly, or not at all, whoever is killed.

        It is not forced onto the disk: that would wait for all numbers that the system still has to write, each time.
        """
        beside = folder / f"{_FILE}.new"
        beside.write_text(json.dumps(asdict(self)), encoding="utf-8")
        os.replace(beside, folder / _FILE)


def hash_of(op: Operator, method: str, parameters: dict[str, Any]) -> str:
    """The hash of a problem, by which a marker knows it again."""
    made = hashlib.blake2b(repr((repr(op), method, sorted(parameters.items()))).encode(), digest_size=16)
    for weight in op.weights():
        made.update(weight.detach().cpu().contiguous().numpy().tobytes())
    return made.hexdigest()


def parity(iteration: int) -> str:
    """Which of two arrays an iteration is kept in."""
    return "odd" if iteration % 2 else "even"


@contextmanager
def telling_what_is_kept(folder: Path, marker: Marker) -> Iterator[None]:
    """Say of a disk that becomes full what is kept."""
    try:
        yield
    except OSError as error:
        if not is_full(error):
            raise
        kept = marker.iteration
        full = (
            Sentence("the disk is full; nothing is kept yet")
            if kept is None
            else Sentence("the disk is full; iteration {kept} is kept: free some, then resume", kept=kept)
        )
        raise OSError(errno.ENOSPC, full, str(folder)) from error
