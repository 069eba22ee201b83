"""Derivatives of a convolution without keeping anything but its two operands.

A convolution is one trilinear form ``T(x, w, y) = <y, C(w) x>``. Three maps come from it, each linear in what it takes:

- ``y = C(w) x``, the convolution;
- ``x = C(w)ᵀ y``, the transposed one;
- ``w = ∂T/∂w``, the gradient with respect to the weight.

The gradient of any of them is given by the other two. So a method that can compute all three can be differentiated as
often as one likes, and recomputes what others would have to store.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch._functorch import eager_transforms

from convmat.tensors.watching import is_traced_by_jit


@dataclass(frozen=True)
class TrilinearMaps:
    """The three maps of one trilinear form; each takes the two operands that it does not make, in the order x, w, y."""

    y: Callable[[Tensor, Tensor], Tensor]
    x: Callable[[Tensor, Tensor], Tensor]
    w: Callable[[Tensor, Tensor], Tensor]


_ROLES = ("x", "w", "y")


def trilinear(maps: TrilinearMaps, role: str, **operands: Tensor) -> Tensor:
    """Compute the operand ``role`` from the other two, differentiably.

    Args:
        maps: the three maps.
        role: ``"y"``, ``"x"`` or ``"w"``.
        operands: the other two, by name.
    """
    first, second = (operands[name] for name in _others(role))
    return _apply(first, second, maps, role)


def own_storage(result: Tensor) -> Tensor:
    """A result as it is, or copied if it is a view, which a custom function must not return."""
    return result.clone() if result._is_view() else result


def _refuse_nested_forward_mode() -> None:
    """Raise where PyTorch loses tangents without a word (https://github.com/pytorch/pytorch/issues/197867)."""
    if getattr(eager_transforms, "JVP_NESTING", 0) > 1:
        raise NotImplementedError(
            "forward mode over forward mode, as in jacfwd(jacfwd(f)), goes wrong in PyTorch for operations with a rule "
            "of their own, as methods 'unfold' and 'sparse' have: use jacrev for one of the two, or another method"
        )


def _others(role: str) -> list[str]:
    return [name for name in _ROLES if name != role]


def _apply(first: Tensor, second: Tensor, maps: TrilinearMaps, role: str) -> Tensor:
    if is_traced_by_jit():  # which would freeze the result of the example into the graph
        raise NotImplementedError("methods 'unfold' and 'sparse' cannot be traced by torch.jit: use another method")
    result: Tensor = _Trilinear.apply(first, second, maps, role)  # type: ignore[no-untyped-call]
    return result


class _Trilinear(torch.autograd.Function):
    @staticmethod
    def forward(first: Tensor, second: Tensor, maps: TrilinearMaps, role: str) -> Tensor:
        result: Tensor = getattr(maps, role)(first, second)
        return own_storage(result)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, TrilinearMaps, str], output: Tensor) -> None:
        first, second, ctx.maps, ctx.role = inputs
        ctx.save_for_backward(first, second)
        ctx.save_for_forward(first, second)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        names = _others(ctx.role)
        operands = dict(zip(names, ctx.saved_tensors, strict=True))
        grads = [
            trilinear(ctx.maps, name, **{ctx.role: grad, other: operands[other].conj()}) if needed else None
            for name, other, needed in zip(names, reversed(names), ctx.needs_input_grad, strict=False)
        ]
        return grads[0], grads[1], None, None

    @staticmethod
    def jvp(ctx: Any, first_t: Tensor | None, second_t: Tensor | None, *_: None) -> Tensor:
        _refuse_nested_forward_mode()
        first, second = ctx.saved_tensors
        terms = []
        if first_t is not None:
            terms.append(_apply(first_t, second, ctx.maps, ctx.role))
        if second_t is not None:
            terms.append(_apply(first, second_t, ctx.maps, ctx.role))
        return terms[0] if len(terms) == 1 else terms[0] + terms[1]

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[int | None, ...], first: Tensor, second: Tensor, maps: TrilinearMaps, role: str
    ) -> tuple[Tensor, int]:
        mapped = {name for name, dim in zip(_others(role), in_dims, strict=False) if dim is not None}
        if "w" in mapped or role == "w":  # every instance has a weight of its own
            operands = [
                _unbind(tensor, dim, info.batch_size) for tensor, dim in zip((first, second), in_dims, strict=False)
            ]
            return torch.stack([_apply(a, b, maps, role) for a, b in zip(*operands, strict=True)]), 0
        # Only x or y is mapped over: let the instances join its batch.
        first, second = _join(first, in_dims[0]), _join(second, in_dims[1])
        return _apply(first, second, maps, role).unflatten(0, (info.batch_size, -1)), 0


def _join(tensor: Tensor, dim: int | None) -> Tensor:
    return tensor if dim is None else tensor.movedim(dim, 0).flatten(0, 1)


def _unbind(tensor: Tensor, dim: int | None, count: int) -> Sequence[Tensor]:
    return [tensor] * count if dim is None else tensor.unbind(dim)
