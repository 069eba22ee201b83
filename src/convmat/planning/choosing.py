"""Which method computes a layer, and why.

``"auto"`` is a static choice: our kernel where it takes the layer and :mod:`~convmat.planning.costs` expects it to be
the faster one, else PyTorch's own function, and unfold where PyTorch has none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, cast

import torch
from torch import Tensor, nn

from convmat.geometry import Geometry, GeometryError, Sentence, an_int, check_positive, kind_of, shown, unknown
from convmat.geometry.notes import Bounded
from convmat.kernel import computing
from convmat.methods import METHODS, Method
from convmat.methods.tiles import is_for_kernel
from convmat.planning import correcting
from convmat.planning.costs import estimate, estimate_tracked
from convmat.tensors.arguments import layer_geometry
from convmat.tensors.calls import Call
from convmat.tensors.watching import has_autocast

_plans: Bounded[Plan] = Bounded(2048)


def available_methods() -> dict[str, str]:
    """The methods to compute with, each with one line of description.

    >>> available_methods()["native"]
    "PyTorch's own convolutions."
    """
    automatic = {"auto": "The fastest by a static estimate: tiles or PyTorch's own; unfold where PyTorch has none."}
    return automatic | {name: method.summary for name, method in METHODS.items()}


def check_method(method: Any) -> None:
    """Check that there is a method of that name.

    Raises:
        GeometryError: if there is none.
    """
    if not isinstance(method, str) or (method not in METHODS and method != "auto"):
        raise unknown("method", method, available_methods())


def choose(geometry: Geometry, call: Call, method: str = "auto") -> Method:
    """The method of that name, or the one that ``"auto"`` stands for.

    Args:
        geometry: which pads with zeros.
        call: what the choice depends on besides.
        method: a name from :func:`available_methods`. Default: ``"auto"``

    Raises:
        GeometryError: if there is no such method, or it cannot take this case.
        TypeError: if the method is no string.
    """
    if not isinstance(method, str):
        raise TypeError(f"method={shown(method)} must be a string, not {kind_of(method)}")
    check_method(method)
    if method == "auto":
        method = explain(geometry, call).method  # which says why not, if none can
    reason = METHODS[method].refuses(geometry, call.dtype)
    if reason:
        able = [name for name, other in METHODS.items() if not other.refuses(geometry, call.dtype)]
        use = Sentence("use {methods}", methods=" or ".join(map(repr, able)))
        raise GeometryError.of(
            "method={method!r} cannot take this layer: {reason}; {instead}",
            method=method,
            reason=reason,
            instead=use if able else Sentence("no method can"),
        )
    return METHODS[method]


@dataclass(frozen=True)
class Plan:
    """Which method computes a layer, and why.

    Attributes:
        method: its name.
        reason: in a few words.

    >>> print(plan(nn.Conv1d(8, 4, kernel_size=3, dtype=torch.float16), (8, 10)))
    native: PyTorch's own function takes torch.float16 over 1 axes
    """

    method: str
    reason: str

    def __str__(self) -> str:
        return f"{self.method}: {self.reason}"


def explain(geometry: Geometry, call: Call) -> Plan:
    """What ``"auto"`` stands for: the same for all sizes that are alike, so a new length mostly finds it."""
    if not is_for_kernel(geometry, call):
        return _without_kernel(geometry, call.dtype)
    call = call.followed_by(None)  # which takes next to nothing in either
    threads = computing.thread_count()
    depends_on = geometry.alike, call, threads, correcting.now()
    return _plans.get_or_make(depends_on, lambda: _with_kernel(geometry.longest_alike(), call, threads))


def _without_kernel(geometry: Geometry, dtype: torch.dtype) -> Plan:
    """PyTorch's own function where there is one, else a matrix product with im2col, over any axes."""
    refusal = METHODS["native"].refuses(geometry, dtype)
    if refusal is None:
        return Plan("native", f"PyTorch's own function takes {dtype} over {geometry.ndim} axes")
    if METHODS["unfold"].refuses(geometry, dtype) is None:
        return Plan("unfold", f"{refusal}; a matrix product with columns does")
    return Plan("native", refusal)


def _with_kernel(geometry: Geometry, call: Call, threads: int) -> Plan:
    refusal = METHODS["tiles"].refuses(geometry, call.dtype)
    if refusal is not None or not call.batch * prod(geometry.in_shape):
        return _without_kernel(geometry, call.dtype)
    if not computing.is_worthwhile():
        plan, obstacle = _without_kernel(geometry, call.dtype), computing.obstacle()
        return plan if obstacle is None else Plan(plan.method, f"{plan.reason}; {obstacle}")
    ours, theirs = (estimate_tracked if call.needs_gradient else estimate)(geometry, call, threads)
    name, than = ("tiles", "PyTorch") if ours <= theirs else ("native", "tiles")
    first, second = sorted((ours, theirs))
    return Plan(name, f"about {_duration(first)}, {than} about {_duration(second)}, by estimate")


def kernel_obstacle() -> str | None:
    """Why our kernel is not there and what mends it, in one line; ``None`` where it is."""
    return computing.obstacle()


def _duration(seconds: float) -> str:
    return f"{seconds * 1e3:.2g} ms" if seconds < 0.1 else f"{seconds:.2g} s"


def plan(layer: nn.Module, in_shape: Sequence[int], batch: int = 1) -> Plan:
    """Which method ``"auto"`` takes for a layer and an input, and why.

    Nothing is computed, and the layer stays as it is.

    Args:
        layer: a convolution or transposed convolution of PyTorch or of :mod:`convmat.nn`. One with a method of its own
            is planned as that says.
        in_shape: channels and spatial sizes of its input, without the batch.
        batch: number of inputs. Default: 1

    Returns:
        The :class:`Plan` for contiguous inputs, where no gradient and no transform is asked for. It is an estimate from
        geometry, dtype (under autocast, that of autocast), batch and number of threads; nothing is measured.

    Raises:
        GeometryError: if layer and input do not go together, or no method takes them.
        TypeError: if the layer is no convolution.

    >>> plan(nn.Conv2d(8, 4, kernel_size=3, dtype=torch.float16), (8, 10, 12))
    Plan(method='native', reason="PyTorch's own function takes torch.float16 over 2 axes")
    """
    geometry = layer_geometry(layer, in_shape).unpadded()
    check_positive(batch=an_int(batch, "batch"))
    stored = weight_of(layer)
    device = stored.device.type
    autocast = has_autocast(device) and stored.is_floating_point() and stored.dtype != torch.float64
    dtype = torch.get_autocast_dtype(device) if autocast else stored.dtype
    call = Call(dtype, device == "cpu", batch)
    method = str(getattr(layer, "method", "auto"))
    choose(geometry, call, method)
    if method != "auto":
        return Plan(method, f"the layer says method={method!r}")
    return explain(geometry, call)


def weight_of(layer: nn.Module) -> Tensor:
    """A tensor with the dtype and device of a layer's weight, found without computing a parametrized one.

    Computing it may change the layer: spectral norm takes another step of its power iteration.
    """
    for name, stored in (*layer.named_parameters(), *layer.named_buffers()):
        if name != "bias" and not name.startswith("parametrizations.bias."):
            return stored
    return cast("Tensor", layer.weight)
