"""A BatchNorm in eval mode is folded into the weight and bias of the convolution before it, while a model runs.

Nothing is written to either of them. While a module runs of which it is known that one follows the other, the
convolution computes with a folded weight, and the BatchNorm hands on what it gets. Elsewhere, as in training, where
gradients of the parameters are asked for, where hooks want to see what is between the two, or where a layer is called
by itself, both compute as they are.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from types import MethodType
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from convmat.planning import freezing
from convmat.tensors.watching import has_autocast, is_watched

FOLD = "_fold"  # the attribute of a convolution that holds its fold
NORMS: dict[type, int] = {nn.BatchNorm1d: 1, nn.BatchNorm2d: 2, nn.BatchNorm3d: 3}  # and over how many axes
_DTYPES = (torch.float32, torch.float64)


class _Made(NamedTuple):
    """Folded operands, if there are any, and what they were made of: tensors, aliases of their memory, and versions."""

    operands: tuple[Tensor, Tensor] | None
    tensors: list[tuple[Tensor, Tensor, int]]
    eps: float

    def is_of(self, tensors: list[Tensor], eps: float) -> bool:
        """Whether they were made of these tensors, as they are now."""
        if len(tensors) != len(self.tensors) or eps != self.eps:
            return False
        return all(
            tensor is other and tensor._version == version and alias.is_set_to(tensor)
            for tensor, (other, alias, version) in zip(tensors, self.tensors, strict=True)
        )


def _make(conv: nn.Module, norm: Any, tensors: list[Tensor]) -> _Made | None:
    if any(tensor.is_inference() for tensor in tensors):  # whose changes are not counted
        return None
    is_one = len({(tensor.dtype, tensor.device) for tensor in tensors}) == 1  # else PyTorch says what is wrong
    known = [(tensor, tensor.detach(), tensor._version) for tensor in tensors]
    return _Made(_folded(conv, norm) if is_one else None, known, norm.eps)


class Fold:
    """A convolution's weight and bias with the BatchNorm that follows folded in.

    They are made anew after any change that PyTorch counts: optimizers, ``load_state_dict``, what is written in place,
    and other tensors in place of these. Writes through ``.data`` or NumPy are not among them; to compare numbers would
    take as long as BatchNorm. Copied and saved empty.

    Args:
        norm: what follows the convolution that holds this.
    """

    def __init__(self, norm: nn.Module) -> None:
        self._norm: Any = norm
        self._made: _Made | None = None

    def operands(self, conv: Any, input: Any) -> tuple[Tensor, Tensor] | None:
        """Weight and bias, which know nothing of gradients; ``None`` where the two layers have to compute as they are.

        Args:
            conv: the convolution that holds this.
            input: of the convolution.
        """
        if _running.outputs.get(self, _OTHERS) is not None or not self._may_fold(conv, input):
            return None
        if torch.is_grad_enabled() and any(p.requires_grad for each in (conv, self._norm) for p in each.parameters()):
            return None
        statistics = self._norm._buffers
        made_of = _made_of(conv) + [
            tensor
            for tensor in (*self._norm._parameters.values(), statistics["running_mean"], statistics["running_var"])
            if tensor is not None
        ]
        made = self._made
        if made is None or not made.is_of(made_of, self._norm.eps):
            made = self._made = _make(conv, self._norm, made_of)
        return made.operands if made is not None and input.dtype is made_of[0].dtype else None

    def _may_fold(self, conv: Any, input: Any) -> bool:
        norm = self._norm
        if norm.training or conv.training or not isinstance(input, Tensor) or is_watched():
            return False
        if input.dtype not in _DTYPES or input.ndim != len(conv.kernel_size) + 2 or has_autocast(input.device.type):
            return False
        if norm._forward_pre_hooks or _is_seen(norm) or _is_seen(conv) or nn.modules.module._has_any_global_hook():
            return False
        mean = norm._buffers.get("running_mean")
        if mean is None or mean.shape[0] != conv.out_channels or type(norm) not in NORMS:
            return False
        return "weight" not in vars(conv) and "bias" not in vars(conv)  # as hooks set them anew in every call

    def run(self, conv: Callable[[], Tensor]) -> Any:
        """Compute the two layers, folded where they may be, given a call of the convolution."""
        return folding((self,), lambda: self._norm.forward(conv()))[0]

    def note(self, output: Tensor) -> Tensor:
        """Remember a folded output until the BatchNorm gets it."""
        _running.outputs[self] = output
        return output

    def forget(self) -> None:
        """Make weight and bias anew when they are needed next."""
        self._made = None

    def takes(self, input: Tensor) -> bool:
        """Whether the BatchNorm's input is normalised already."""
        if _running.outputs.get(self) is not input:
            return False
        _running.outputs[self] = None
        return True

    def __getstate__(self) -> dict[str, Any]:
        return vars(Fold(self._norm))


def _is_seen(layer: nn.Module) -> bool:
    """Whether hooks see what a layer computes, or gradients of it."""
    return bool(layer._forward_hooks or layer._backward_hooks or layer._backward_pre_hooks)


def _made_of(conv: Any) -> list[Tensor]:
    """The tensors that weight and bias are made of."""
    if "weight" in conv._parameters and "bias" in conv._parameters:
        return [tensor for tensor in conv._parameters.values() if tensor is not None]
    return [*conv.parameters(), *conv.buffers()]


def _folded(conv: Any, norm: Any) -> tuple[Tensor, Tensor] | None:
    """Weight and bias that make of an input what the two layers make of it; ``None`` where numbers are too large."""
    with torch.inference_mode(False), torch.no_grad():
        weight, bias = conv.weight, conv.bias
        scale = torch.rsqrt(norm.running_var.double() + norm.eps)
        if norm.weight is not None:
            scale = scale * norm.weight
        shift = -norm.running_mean * scale if bias is None else (bias - norm.running_mean) * scale
        if norm.bias is not None:
            shift = shift + norm.bias
        # Channels of the output are first in the weight of a convolution, and second in a transposed one, by group.
        groups = conv.groups if conv.transposed else 1
        by_group = weight.double().unflatten(0, (groups, -1))
        axis = 2 if conv.transposed else 1
        factors = scale.reshape(groups, *(-1 if a == axis else 1 for a in range(1, by_group.ndim)))
        folded = torch.empty_like(weight, requires_grad=False).copy_((by_group * factors).flatten(0, 1))
        shift = shift.to(weight.dtype)
        if not (folded.isfinite().all() and shift.isfinite().all()):
            return None
        freezing.freeze(folded, is_constant=True)
        return folded, shift


class _Running(threading.local):
    """What is folded in the innermost module that runs in this thread: its folded output, until that is taken."""

    def __init__(self) -> None:
        self.outputs: dict[Fold, Tensor | None] = {}


_running = _Running()
_OTHERS = object()


def folding(folds: Iterable[Fold], compute: Callable[[], Any]) -> tuple[Any, bool]:
    """Compute something while these may fold; its result, and whether a BatchNorm took each folded output."""
    outer = _running.outputs
    outputs = _running.outputs = dict.fromkeys(folds)
    try:
        result = compute()
    finally:
        _running.outputs = outer
    return result, not any(output is not None for output in outputs.values())


class FoldingForward:
    """The ``forward`` of a module in which convolutions are followed by a BatchNorm, set on the module itself.

    Args:
        owner: the module.
        folds: of its convolutions.
        arguments: with how many positional ones, and none by name, it is known what follows what.
        looks_at_attributes: whether that depends on attributes of the module, besides its children.
    """

    def __init__(self, owner: nn.Module, folds: Iterable[Fold], arguments: int, looks_at_attributes: bool) -> None:
        self._owner, self._arguments, self._looks = owner, arguments, looks_at_attributes
        self._folds: tuple[Fold, ...] = tuple(folds)
        self._forward: Any = type(owner).forward
        self._seen = self._state()

    @property
    def __signature__(self) -> inspect.Signature:
        return inspect.signature(MethodType(type(self._owner).forward, self._owner))

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """Run the module, with folding where it is as it was when it was looked at."""
        owner, forward = self._owner, cast("Any", type(self._owner)).forward
        if is_watched() or named or len(arguments) != self._arguments or not self._is_as_it_was():
            return forward(owner, *arguments, **named)
        result, is_right = folding(self._folds, partial(forward, owner, *arguments))
        if is_right:
            return result
        self._folds = ()  # what it does depends on what nobody saw: a folded output went elsewhere
        return forward(owner, *arguments)

    def _state(self) -> list[Any]:
        owner = self._owner
        if not self._looks:
            return [*owner._modules.values()]
        return [*owner._modules.values(), *({**vars(owner), "training": None, "forward": None}.values())]

    def _is_as_it_was(self) -> bool:
        if (self._owner.training and self._looks) or type(self._owner).forward is not self._forward:
            return False
        now, seen = self._state(), self._seen
        return len(now) == len(seen) and all(map(_is_same, now, seen))


def _is_same(one: Any, other: Any) -> bool:
    return one is other or (type(one) is type(other) and type(one) in (int, float, str) and one == other)


class NormForward:
    """The ``forward`` of a BatchNorm that may be folded, set on it.

    Args:
        norm: the BatchNorm.
        fold: of the convolution before.
    """

    def __init__(self, norm: nn.Module, fold: Fold) -> None:
        self._norm, self._fold = norm, fold

    def __call__(self, input: Tensor) -> Tensor:
        """Hand on what is normalised already, else compute."""
        if self._norm.training:
            self._fold.forget()  # PyTorch does not count that its statistics change
        elif self._fold.takes(input):
            return input
        return cast("Callable[..., Tensor]", type(self._norm).forward)(self._norm, input)


def install(owner: nn.Module, pairs: Sequence[tuple[nn.Module, nn.Module]], arguments: int, looks: bool) -> None:
    """Let convolutions of a module fold the BatchNorms behind them.

    Args:
        owner, arguments, looks: as of :class:`FoldingForward`.
        pairs: of a convolution of ours, and the BatchNorm that alone reads its output.
    """
    folds = [Fold(norm) for _, norm in pairs]
    for (conv, norm), fold in zip(pairs, folds, strict=True):
        vars(conv)[FOLD] = fold
        vars(norm)["forward"] = NormForward(norm, fold)
    vars(owner)["forward"] = FoldingForward(owner, folds, arguments, looks)


def installed(module: nn.Module) -> dict[str, Any]:
    """The attributes of a module, be it one that runs others or one of a pair, that make it fold."""
    ours = (Fold, FoldingForward, NormForward)
    return {name: value for name in (FOLD, "forward") if isinstance(value := vars(module).get(name), ours)}


def remove(module: nn.Module) -> None:
    """Let a module compute as it is again."""
    for name in installed(module):
        del vars(module)[name]
