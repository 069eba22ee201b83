"""What follows a convolution is folded into it while a model runs: a BatchNorm in eval mode, an activation, or both.

Nothing is written to any of them. While a module runs of which it is known that one follows the other, the convolution
computes with a folded weight and writes what the activation makes of its sums, and the layers behind it hand on what
they get. Elsewhere, as in training, where gradients of the parameters are asked for, where hooks want to see what is
between, or where a layer is called by itself, all of them compute as they are.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from types import CodeType, MethodType
from typing import Any, NamedTuple, TypeAlias, cast

import torch
from torch import Tensor, nn

from convmat.nn.folded import (
    ACTIVATIONS,
    NORMS,
    Made,
    activation_of,
    made_of,
    parameters_of,
    statistics_of,
    weight_and_bias,
)
from convmat.nn.learnt import Computation, Learnt
from convmat.tensors.activations import Activation
from convmat.tensors.calls import is_plain
from convmat.tensors.watching import has_autocast, is_watched

FOLD = "_fold"  # the attribute of a convolution that holds its fold
_DTYPES = (torch.float32, torch.float64)


class Now(NamedTuple):
    """What a convolution does in one call.

    Attributes:
        operands: weight and bias, which know nothing of gradients, with a BatchNorm folded in, if one is.
        activation: what it makes of the sums, if it does.
        followers: the layers that have nothing to do then, in their order.
    """

    operands: tuple[Tensor, Tensor] | None
    activation: Activation | None
    followers: tuple[nn.Module, ...]


class Fold:
    """What follows a convolution, to be folded into it.

    Weight, bias and activation are made anew after any change that PyTorch counts: optimizers, ``load_state_dict``,
    what is written in place, and other tensors in place of these. Writes through ``.data`` or NumPy are not among them;
    to compare numbers would take as long as BatchNorm. Copied and saved empty.

    Args:
        norm, activation: what follows the convolution that holds this: one of them or both.

    Attributes:
        layers: the same, in its order.
    """

    def __init__(self, norm: nn.Module | None, activation: nn.Module | None) -> None:
        self._norm: Any = norm
        self._activation: Any = activation
        self.layers: tuple[nn.Module, ...] = tuple(layer for layer in (norm, activation) if layer is not None)
        self._operands: Made | None = None
        self._numbers: Made | None = None
        self._learnt = Learnt()

    def now(self, conv: Any, input: Any) -> Now | None:
        """What the convolution does for an input; ``None`` where all layers have to compute as they are.

        Args:
            conv: the convolution that holds this.
            input: of the convolution.
        """
        if self not in _running.folds or not self._may_fold(conv, input):
            return None
        operands = None
        if self._norm is not None:
            operands = self._operands_now(conv, input)
            if operands is None:
                return None
        if self._activation is None:
            return Now(operands, None, self.layers)
        activation = self._activation_now(conv, input)
        if activation is not None:
            return Now(operands, activation, self.layers)
        return None if operands is None else Now(operands, None, self.layers[:-1])

    def _may_fold(self, conv: Any, input: Any) -> bool:
        if conv.training or not isinstance(input, Tensor) or is_watched():
            return False
        if input.dtype not in _DTYPES or input.ndim != len(conv.kernel_size) + 2 or has_autocast(input.device.type):
            return False
        return not (_has_hooks_behind(conv) or nn.modules.module._has_any_global_hook())

    def _operands_now(self, conv: Any, input: Tensor) -> tuple[Tensor, Tensor] | None:
        norm = self._norm
        if norm.training or _has_hooks(norm) or type(norm) not in NORMS or _wants_gradients(conv, norm):
            return None
        mean = norm._buffers.get("running_mean")
        if mean is None or mean.shape[0] != conv.out_channels:
            return None
        if "weight" in vars(conv) or "bias" in vars(conv):  # as hooks set them anew in every call
            return None
        tensors = parameters_of(conv) + statistics_of(norm)
        made = self._operands
        if made is None or not made.is_of(tensors, norm.eps):
            made = self._operands = made_of(tensors, norm.eps, lambda: weight_and_bias(conv, norm))
            self._learnt.clear()  # the memory of the old ones
        return None if made is None or input.dtype is not tensors[0].dtype else made.result

    def _activation_now(self, conv: Any, input: Tensor) -> Activation | None:
        layer = self._activation
        settings_of = ACTIVATIONS.get(type(layer))
        if settings_of is None or _has_hooks(layer) or not is_plain(input):
            return None
        if torch.is_grad_enabled() and (input.requires_grad or _wants_gradients(conv, layer)):
            return None
        slopes = layer._parameters.get("weight")
        tensors = [] if slopes is None else [slopes]
        if slopes is not None and (slopes.dtype is not input.dtype or slopes.numel() not in (1, conv.out_channels)):
            return None
        settings, made = settings_of(layer), self._numbers
        if made is None or not made.is_of(tensors, settings):
            made = self._numbers = made_of(tensors, settings, lambda: activation_of(settings, slopes))
        return None if made is None else made.result

    def run(self, conv: Callable[[], Tensor]) -> Any:
        """Compute all layers, folded where they may be, given a call of the convolution."""

        def compute() -> Any:
            output = conv()
            for layer in self.layers:
                output = layer.forward(output)
            return output

        return folding((self,), compute)[0]

    def learn(self, key: Any, computation: Computation | None, weight: Tensor, activation: Activation | None) -> None:
        """Keep what the convolution was computed by, where a BatchNorm is folded in; see :meth:`Learnt.keep`."""
        operands = None if self._operands is None else self._operands.result
        if operands is not None and weight is operands[0]:
            self._learnt.keep(key, computation, *operands, activation)

    def computation_of(
        self, key: Any, weight: Tensor, bias: Tensor | None, activation: Activation | None
    ) -> Computation | None:
        """What the convolution was computed by before, if it is known; see :meth:`Learnt.find`."""
        return self._learnt.find(key, weight, bias, activation)

    def note(self, output: Tensor, followers: tuple[nn.Module, ...]) -> Tensor:
        """Remember an output until the layers that have nothing to do got it."""
        _running.waiting[id(output)] = output, followers
        return output

    def forget(self) -> None:
        """Make all anew when it is needed next."""
        self._operands = self._numbers = None
        self._learnt.clear()

    def __reduce__(self) -> Any:
        return Fold, (self._norm, self._activation)


def _has_hooks(layer: nn.Module) -> bool:
    """Whether hooks see what a layer gets or computes, or gradients of it."""
    return bool(layer._forward_pre_hooks) or _has_hooks_behind(layer)


def _has_hooks_behind(layer: nn.Module) -> bool:
    return bool(layer._forward_hooks or layer._backward_hooks or layer._backward_pre_hooks)


def _wants_gradients(*layers: nn.Module) -> bool:
    return torch.is_grad_enabled() and any(p.requires_grad for layer in layers for p in layer.parameters())


_Waiting: TypeAlias = dict[int, tuple[Tensor, tuple[nn.Module, ...]]]  # outputs and their followers, by id


class _Running(threading.local):
    """Of the innermost module that runs in this thread: what may be folded, and outputs whose followers are to come."""

    def __init__(self) -> None:
        self.folds: tuple[Fold, ...] = ()
        self.waiting: _Waiting = {}


_running = _Running()


def folding(folds: tuple[Fold, ...], compute: Callable[[], Any]) -> tuple[Any, bool]:
    """Compute something while these may fold; its result, and whether all followers got what was folded for them."""
    outer = _running.folds, _running.waiting
    waiting: _Waiting = {}
    _running.folds, _running.waiting = folds, waiting
    try:
        result = compute()
    finally:
        _running.folds, _running.waiting = outer
    return result, not waiting


def _has_nothing_to_do(layer: nn.Module, input: Tensor) -> bool:
    """Whether an input of a layer is what the layer would make of it already; it is asked once for each input."""
    if not _running.waiting:  # as under torch.compile, of which not all versions know an id
        return False
    output, followers = _running.waiting.get(id(input), (None, ()))
    if output is not input or followers[0] is not layer:
        return False
    del _running.waiting[id(input)]
    if followers[1:]:
        _running.waiting[id(input)] = output, followers[1:]
    return True


class FoldingForward:
    """The ``forward`` of a module in which something is folded into convolutions, set on the module itself.

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

    @property
    def __code__(self) -> CodeType:
        """That of the module's own ``forward``: ``torch.export`` asks for its name and its place in a file."""
        code: CodeType = cast("Any", type(self._owner)).forward.__code__
        return code

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
        elif _has_nothing_to_do(self._norm, input):
            return input
        return cast("Callable[..., Tensor]", type(self._norm).forward)(self._norm, input)


class ActivationForward:
    """The ``forward`` of an activation that may be folded, set on it.

    Args:
        activation: the layer.
    """

    def __init__(self, activation: nn.Module) -> None:
        self._activation = activation

    def __call__(self, input: Tensor) -> Tensor:
        """Hand on what is activated already, else compute."""
        if _has_nothing_to_do(self._activation, input):
            return input
        return cast("Callable[..., Tensor]", type(self._activation).forward)(self._activation, input)


def install(
    owner: nn.Module,
    chains: Sequence[tuple[nn.Module, nn.Module | None, nn.Module | None]],
    arguments: int,
    looks: bool,
) -> None:
    """Let convolutions of a module fold what is behind them.

    Args:
        owner, arguments, looks: as of :class:`FoldingForward`.
        chains: of a convolution of ours, the BatchNorm that alone reads its output, and the activation that alone reads
            the output of these; one of the two may be missing.
    """
    folds = []
    for conv, norm, activation in chains:
        fold = Fold(norm, activation)
        vars(conv)[FOLD] = fold
        if norm is not None:
            vars(norm)["forward"] = NormForward(norm, fold)
        if activation is not None:
            vars(activation)["forward"] = ActivationForward(activation)
        folds.append(fold)
    vars(owner)["forward"] = FoldingForward(owner, folds, arguments, looks)


def installed(module: nn.Module) -> dict[str, Any]:
    """The attributes of a module, be it one that runs others or one of a chain, that make it fold."""
    ours = (Fold, FoldingForward, NormForward, ActivationForward)
    return {name: value for name in (FOLD, "forward") if isinstance(value := vars(module).get(name), ours)}


def remove(module: nn.Module) -> None:
    """Let a module compute as it is again."""
    for name in installed(module):
        del vars(module)[name]
