"""What convolution layers of both directions have in common."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from convmat.functional import convolving
from convmat.geometry import Sentence
from convmat.nn import passing
from convmat.nn.checks import LayerPadding, name_functions
from convmat.nn.folding import FOLD, Fold
from convmat.nn.frozen import FROZEN, FrozenWeight
from convmat.nn.learnt import LearntByLayout
from convmat.planning import freezing, weight_of
from convmat.tensors.activations import Activation
from convmat.tensors.watching import wants_pytorchs_function


class ConvolutionLayer(nn.Module):
    """What all have: the attributes of PyTorch's layers and ``method``.

    PyTorch's constructors are called with what they can hold, for the parameters and their initialisation; what is
    beyond them is set afterwards.
    """

    _ndim: ClassVar[int]
    _shown_channels: ClassVar[tuple[str, ...]] = ("in_channels", "out_channels")

    method: str = "auto"
    _accelerated_from: ClassVar[type | None] = None
    in_channels: int
    out_channels: int
    kernel_size: tuple[int, ...]
    stride: tuple[int, ...]
    padding: Any
    output_padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int
    padding_mode: Any
    weight: Tensor
    bias: Tensor | None

    def __init_subclass__(cls, **options: Any) -> None:
        """Give public classes functions of their own name, which Python's errors show, and not that of a base."""
        super().__init_subclass__(**options)
        name_functions(cls)

    def extra_repr(self) -> str:
        """The constructor's arguments: ``eval`` of the layer's ``repr`` makes such a layer again."""
        shown = [str(getattr(self, name)) for name in self._shown_channels]
        shown += [f"kernel_size={self.kernel_size}", f"stride={self.stride}"]
        defaults = {
            "padding": (0,) * self._ndim,
            "dilation": (1,) * self._ndim,
            "output_padding": (0,) * self._ndim,
            "groups": 1,
            "bias": True,
            "padding_mode": "zeros",
            "method": "auto",
        }
        values = {name: getattr(self, name) for name in defaults} | {"bias": self.bias is not None}
        shown += [f"{name}={value!r}" for name, value in values.items() if value != defaults[name]]
        return ", ".join(shown)

    def __prepare_scriptable__(self) -> nn.Module:
        """What ``torch.jit.script`` asks for first: say what would do, before it fails on an annotation."""
        instead = "use torch.jit.trace or torch.export"
        if self._accelerated_from is not None:
            instead = f"call convmat.restore(model) before, or {instead}"
        raise TypeError(f"torch.jit.script cannot compile {type(self).__name__}, a layer of convmat: {instead}")

    def _warn_of_fx(self, input: Any) -> None:
        """Say that tools on graphs will miss an accelerated layer, where ``torch.fx`` traces it."""
        if isinstance(input, torch.fx.Proxy) and self._accelerated_from is not None:
            warnings.warn(
                Sentence(
                    "torch.fx does not see layers that convmat.accelerate has swapped, so quantizing or fusing this "
                    "graph leaves them as they are: call convmat.restore(model) before, and accelerate last"
                ),
                stacklevel=3,
            )

    def _weight_of(self, input: Tensor) -> Tensor:
        """The weight: where it is frozen and no gradient of it is asked for, that with its packed copies."""
        frozen = self.__dict__.get(FROZEN)  # torch.compile of PyTorch 2.8 traces no vars(self)
        if frozen is None or not freezing.is_of_use(input):
            return self.weight
        if "weight" in self._parameters and not input.is_contiguous():  # mostly PyTorch's case, which does not pack
            return self.weight
        if torch.is_grad_enabled() and any(parameter.requires_grad for parameter in self.parameters()):
            return self.weight
        return frozen.of(self)

    def _computed(self, input: Tensor, compute: Callable[..., Tensor], kind: Any, transposed: bool) -> Tensor:
        """Compute with weight and bias, and with what follows folded in where something does that may be.

        Where no gradient is recorded and all is as it was before, it is computed as it was before.

        Args:
            input: of the layer.
            compute: a function of input, weight and bias, and of an activation if one follows, that decides how.
            kind: of the input; ``None`` where somebody watches.
            transposed: the direction of the layer.
        """
        fold: Fold | None = self.__dict__.get(FOLD)
        now = None if fold is None else fold.now(self, input)
        if fold is None or now is None:
            learnt: FrozenWeight | LearntByLayout | None = self.__dict__.get(FROZEN) or passing.learnt_of(self)
            known = None
            if learnt is not None and self._may_recall(kind, transposed):
                known = learnt.compute(self, (kind, self._arguments()), input)
            return compute(input, self._weight_of(input), self.bias) if known is None else known
        weight, bias = now.operands or (self._weight_of(input), self.bias)
        computation = None
        if now.operands is not None and self._may_recall(kind, transposed):
            computation = fold.computation_of((kind, self._arguments()), weight, bias, now.activation)
        output = (
            compute(input, weight, bias, now.activation) if computation is None else computation(input, weight, bias)
        )
        return fold.note(output, now.followers)

    def _may_recall(self, kind: Any, transposed: bool) -> bool:
        """Whether an input of a kind may be computed as before: nobody watches, nor PyTorch's function alone."""
        return kind is not None and not wants_pytorchs_function(self._ndim, transposed)

    def _arguments(self) -> tuple[Any, ...]:
        """All attributes that the layer computes by, besides its parameters."""
        raise NotImplementedError

    def _may_pass_on(self) -> bool:
        """Whether PyTorch's own layer may take the place of this one."""
        return True

    def _is_to_be_noted(self, kind: Any) -> bool:
        """Whether how an input of a kind was computed is of use, and not known yet."""
        if kind is None:
            return False
        return not (torch.is_grad_enabled() and passing.is_known(self, kind))

    def _take_note(
        self, kind: Any, key: Any, weight: Tensor, bias: Tensor | None, activation: Activation | None
    ) -> None:
        """Take note of how an input of a kind was computed, so that the next one need not be decided upon.

        Args:
            kind: of the input.
            key: what the call is remembered by.
            weight, bias, activation: what was computed with.
        """
        own, computation, seen = self.__dict__, convolving.computation_of(key), (kind, self._arguments())
        if not passing.is_known(self, kind):
            passing.learn(self, kind, convolving.format_of_pytorchs(key) if self._may_pass_on() else None)
        if FOLD in own:
            own[FOLD].learn(seen, computation, weight, activation)
        if activation is None:
            learnt: FrozenWeight | LearntByLayout = own.get(FROZEN) or passing.learnt_to_be(self)
            learnt.learn(seen, computation, weight, bias)

    def _format_of_passed(self, kind: Any) -> torch.memory_format | None:
        """The memory format for what PyTorch's own layer makes of an input of a kind; ``None`` where ours computes.

        It is asked first of all: small layers that gain nothing would notice each further question.
        """
        own = self.__dict__
        if FOLD in own or (FROZEN in own and "weight" not in self._parameters):  # a weight that is computed once
            return None
        return passing.format_of_output(self, kind)

    def _is_pytorchs(self, transposed: bool) -> bool:
        """Whether PyTorch's own layer computes what this one does, by PyTorch's function as this one may."""
        if self.method not in ("auto", "native", "tiles") or not weight_of(self).is_floating_point():
            return False
        if transposed:
            return self.padding_mode == "zeros" and isinstance(self.padding[0], int)
        return isinstance(self.padding[0], int) or (self.padding in ("same", "valid") and max(self.stride) == 1)

    def _keep(self, padding: LayerPadding, padding_mode: str, method: str) -> None:
        """Set the attributes to what PyTorch's constructor could not take."""
        self.padding, self.padding_mode, self.method = padding, padding_mode, method
        if isinstance(padding[0], tuple):  # in the order of F.pad
            self._reversed_padding_repeated_twice = [n for pair in reversed(self.padding) for n in pair]
