"""Which layers of a model there are, and what is to be done with each; nothing is done here."""

from __future__ import annotations

from collections.abc import Iterator
from types import MethodType
from typing import Any

import torch
from torch import nn
from torch.nn.modules.lazy import LazyModuleMixin
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

from convmat.geometry import Geometry
from convmat.models.layer_classes import COMPUTES, own_class
from convmat.models.reports import LayerReport
from convmat.nn.accelerated import OURS, original_of, torch_class_of
from convmat.planning import choose, run, weight_of
from convmat.tensors.calls import Call


def places(model: nn.Module) -> Iterator[tuple[nn.Module, list[str]]]:
    """Every module once, with the name that PyTorch gives it, and with others that it goes by."""
    names = {module: [name] for name, module in model.named_modules()}
    for parent, (prefix, *_) in names.items():
        for child_name, child in parent._modules.items():
            name = f"{prefix}.{child_name}" if prefix else child_name
            if child is not None and name not in names[child]:
                names[child].append(name)
    yield from names.items()


def kind_of_layer(layer: nn.Module) -> str | None:
    """The name of PyTorch's convolution that a layer is one of, or is named after, as quantized ones are."""
    if not isinstance(layer, tuple(OURS)) and layer._modules:
        return None  # a module that wraps a layer, which is found by itself
    known = {torch_class.__name__ for torch_class in OURS}
    return next((cls.__name__ for cls in type(layer).__mro__ if cls.__name__ in known), None)


def look_at(layer: Any, names: list[str], kinds: dict[type, type], method: str) -> LayerReport:
    """What to do with a layer; nothing is done yet."""
    obstacle = _is_no_layer_of_pytorch(layer, kinds) or _is_not_to_be_swapped(layer) or _refuses(layer, method)
    if obstacle:
        now = str(getattr(layer, "method", "")) if isinstance(layer, tuple(OURS.values())) else ""
        return report_of(layer, names, "left alone", now, obstacle)
    why = "chosen for each input" if method == "auto" else "asked by you"
    if not was_accelerated(layer):
        return report_of(layer, names, "swapped", method, why)
    if layer.method == method:
        return report_of(layer, names, "unchanged", method, "accelerated before")
    return report_of(layer, names, "method changed", method, f"{why}; it was {layer.method!r}")


def _is_no_layer_of_pytorch(layer: Any, kinds: dict[type, type]) -> str | None:
    if isinstance(layer, tuple(kinds)):
        return None
    cls = type(layer)
    return f"{cls.__module__}.{cls.__qualname__} is no torch.nn.{kind_of_layer(layer)}"


def _is_not_to_be_swapped(layer: Any) -> str | None:
    """The reason why a layer must keep its class, if there is one."""
    if was_accelerated(layer):
        return was_changed(layer)
    if isinstance(layer, tuple(OURS.values())):
        return "it is a convmat layer already, with a method of its own"
    if isinstance(layer, LazyModuleMixin):
        return "it has no weight yet: run the model once before"
    cls, torch_class = type(layer), torch_class_of(type(layer))
    for name in COMPUTES:
        if getattr(cls, name, None) is not getattr(torch_class, name, None):
            return f"{cls.__name__} has a {name} of its own"
        if _is_replaced(layer, name):
            return f"its {name} was replaced"
    if hasattr(layer, "method"):
        return "it has an attribute 'method' of its own"
    return None


def was_accelerated(layer: nn.Module) -> bool:
    """Whether a layer computes with ours because :func:`convmat.accelerate` swapped it."""
    return getattr(type(layer), "_accelerated_from", None) is not None


def was_changed(layer: Any) -> str | None:
    """What others did since to an accelerated layer, that would be lost or left over if its class changed again."""
    if original_of(own_class(layer)) is None:
        return f"it has become a {type(layer).__name__} since"
    replaced = [name for name in COMPUTES if _is_replaced(layer, name)]
    return f"its {replaced[0]} was replaced since" if replaced else None


def _is_replaced(layer: nn.Module, name: str) -> bool:
    """Whether a layer has a method that its class does not have.

    A method of its class, bound to the layer and set on it, is none: hooks of Hugging Face's accelerate leave such a
    ``forward`` when they are removed.
    """
    method = vars(layer).get(name)
    is_of_class = isinstance(method, MethodType) and method.__func__ is getattr(type(layer), name, None)
    return method is not None and not (is_of_class and method.__self__ is layer)


def _refuses(layer: Any, method: str) -> str | None:
    """The reason why a method cannot compute a layer, whatever its input, if there is one."""
    stored = weight_of(layer)
    if is_traceable_wrapper_subclass(stored):
        return f"its weight is a {type(stored).__name__}"
    try:
        geometry = _smallest_geometry(layer)
        chosen = choose(geometry, Call(stored.dtype, is_plain=False), method)
    except (ValueError, TypeError) as error:  # PyTorch checks some arguments only when it computes
        return str(error)
    return None if stored.is_meta else _fails(chosen.name, geometry, stored)


def _smallest_geometry(layer: Any) -> Geometry:
    """The geometry of a layer on an input that is large enough for it."""
    paddings = [0] if isinstance(layer.padding, str) else layer.padding
    sizes = [d * (k - 1) + 1 + 3 * max(paddings) for d, k in zip(layer.dilation, layer.kernel_size, strict=True)]
    options = {
        "groups": layer.groups,
        "dilation": layer.dilation,
        "in_channels": layer.in_channels,
        "out_channels": layer.out_channels,
    }
    if layer.transposed:
        return Geometry.conv_transpose(
            sizes, layer.kernel_size, layer.stride, layer.padding, layer.output_padding, **options
        )
    return Geometry.conv(sizes, layer.kernel_size, layer.stride, layer.padding, **options)


def _fails(method: str, geometry: Geometry, weight: torch.Tensor) -> str | None:
    """Try a method on one number of a layer's dtype and device: what runs there, PyTorch itself does not say."""
    sizes = (1,) * geometry.ndim
    one = Geometry.conv_transpose(sizes, 1) if geometry.transposed else Geometry.conv(sizes, 1)
    with torch.no_grad(), torch.autocast(weight.device.type, enabled=False):
        try:
            zero = torch.zeros(1, 1, *sizes, dtype=weight.dtype, device=weight.device)
            run(one, zero, zero, None, method)
        except Exception as error:  # of whatever type: kernels that are missing raise several
            reason = str(error).partition("\n")[0]
            return f"method={method!r} fails on {weight.dtype} on {weight.device}: {reason}"
    return None


def report_of(layer: Any, names: list[str], done: str, method: str, reason: str) -> LayerReport:
    """What to report of a layer that goes by these names."""
    return LayerReport(names[0], kind_of_layer(layer) or "", _shape(layer), done, method, reason, tuple(names[1:]))


def _shape(layer: Any) -> str:
    """Channels and kernel of a layer, and what of the rest is not as usual."""
    shape = f"{getattr(layer, 'in_channels', '?')} -> {getattr(layer, 'out_channels', '?')}"
    usual = {"kernel_size": None, "stride": 1, "padding": 0, "output_padding": 0, "dilation": 1, "groups": 1}
    for name, default in usual.items():
        value: Any = getattr(layer, name, default)
        values = set(value) if isinstance(value, tuple) else {value}
        if values != {default}:
            number = values.pop() if len(values) == 1 else "x".join(map(str, value))
            shape += f", {name.removesuffix('_size').replace('_', ' ')} {number}"
    return shape
