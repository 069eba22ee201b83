"""What others have worked out for one geometry, so that they need not work it out again."""

from __future__ import annotations

import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar

Value = TypeVar("Value")

_MOST_PLANS = 32
_MOST_SCHEDULES = 32


class Bounded(Generic[Value]):
    """A cache of the values used last.

    Args:
        most: how many values it holds at most.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._values: OrderedDict[Hashable, Value] = OrderedDict()

    def get_or_make(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """The value of a key, made now if it is not there; of two threads that both make it, one is kept."""
        try:
            self._values.move_to_end(key)
            return self._values[key]
        except KeyError:  # not there, or another thread has just removed it
            value = make()
        self._values[key] = value
        while len(self._values) > self.most:
            try:
                self._values.popitem(last=False)
            except KeyError:  # another thread was faster
                break
        return value

    def __len__(self) -> int:
        return len(self._values)

    def clear(self) -> None:
        """Forget all values."""
        self._values.clear()


class Notes:
    """The notes on one geometry; what they hold is the business of those who write it.

    Attributes:
        unpadded: the geometry that methods see; see :meth:`Geometry.unpadded`.
        merged: the geometry over fewer axes; see :meth:`Geometry.merged`.
        transposed: the geometry of the transposed map; see :meth:`Geometry.transpose`.
        native: what PyTorch's own function has to do (:mod:`convmat.methods.native`).
        plans: what computes its gradients, by all that this depends on (:mod:`convmat.planning.gradients`).
        schedules: how the kernel computes it, by batch, dtype and threads (:mod:`convmat.kernel.computing`).
    """

    def __init__(self) -> None:
        self.plans: Bounded[Any] = Bounded(_MOST_PLANS)
        self.schedules: Bounded[Any] = Bounded(_MOST_SCHEDULES)
        self.clear()
        _all.add(self)

    def clear(self) -> None:
        """Forget all of it."""
        self.unpadded: Any = None
        self.merged: Any = None
        self.transposed: Any = None
        self.native: Any = None
        self.plans.clear()
        self.schedules.clear()


_all: weakref.WeakSet[Notes] = weakref.WeakSet()


def forget() -> None:
    """Forget the notes on every geometry there is."""
    for notes in list(_all):
        notes.clear()
