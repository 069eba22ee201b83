"""The matrix of a module with a ``forward`` of its own, as ``x + conv(x)`` is.

First the module is traced with ``torch.fx``, and the matrices of its parts are added, scaled, stacked and multiplied as
the graph says: exact, and as sparse as they are. Where the graph holds something else, unit vectors are pushed through
the module, some at a time. Either way the result is compared with the module on random inputs, so that only what is
linear (but for a constant) gets a matrix.
"""

from __future__ import annotations

import operator
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod
from typing import Any, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn
from torch.utils._pytree import tree_map

from convmat.geometry import GeometryError, kind_of, shortened, shown
from convmat.matrices.entries import Entries, check_memory
from convmat.matrices.layers import LAYERS, Shape, known_kind, nonlinear_layer

_AT_A_TIME = 2**22  # elements of the outputs of the unit vectors that are pushed through together
_DO = "leave it out, or take the matrices of what comes before and after it"

# A function of batches, and the shape of one of its inputs and of its outputs.
Function: TypeAlias = Callable[[Tensor], Tensor]


def module_entries(
    module: nn.Module, in_shape: Shape, dtype: torch.dtype, device: torch.device
) -> tuple[Shape, Entries]:
    """The shape of the output and the entries of the matrix of any module that is linear but for a constant.

    Args:
        module: in eval mode where train mode makes a difference.
        in_shape: of its input, without the batch.
        dtype, device: of its parameters.

    Raises:
        GeometryError: if the shape does not fit, the module is in train mode where it matters, or the matrix would not
            fit in memory.
        TypeError: if the module is not linear, or takes something else than a tensor.
    """
    _check_mode(module)
    generator = torch.Generator().manual_seed(0)
    first, second = (torch.randn(in_shape, generator=generator, dtype=torch.float64) for _ in range(2))
    inputs = torch.stack([torch.zeros(in_shape, dtype=torch.float64), first, second, 64 * first - 3 * second])
    inputs = inputs.to(device, dtype)
    with torch.no_grad():
        constant, *outputs = _call(module, inputs)
        outputs = [output - constant for output in outputs]
        alone = _call(module, inputs[1:2])[0] - constant  # must not depend on the rest of the batch
    tolerance = _tolerance(dtype)
    is_linear = _is_close(64 * outputs[0] - 3 * outputs[1], outputs[2], tolerance)
    if not (is_linear and _is_close(alone, outputs[0], tolerance)):
        raise TypeError(_is_not_linear(module))
    out_shape = tuple(constant.shape)
    entries = _traced(module, in_shape)
    if entries is not None:
        entries = entries.to(dtype, device)
        if entries.shape[0] == constant.numel() and _agrees(entries, inputs[1], outputs[0], tolerance):
            return out_shape, entries
    entries = _pushed(module, in_shape, out_shape, dtype, device)
    if not _agrees(entries, inputs[1], outputs[0], tolerance):
        raise TypeError(_is_not_linear(module))
    return out_shape, entries


# -- what is asked of a module -----------------------------------------------------------------------------------------


def _check_mode(module: nn.Module) -> None:
    for name, part in module.named_modules():
        is_random = isinstance(part, nn.modules.dropout._DropoutNd) and part.p > 0
        if part.training and (is_random or isinstance(part, nn.modules.batchnorm._NormBase)):
            raise GeometryError(
                f"its part {shortened(name)!r}, a {kind_of(part)}, is in train mode, where it is not linear: call "
                "model.eval() first"
            )


def _call(module: nn.Module, inputs: Tensor) -> Tensor:
    """The outputs for a batch of inputs; what is wrong with them, in one line."""
    kind = kind_of(module)
    try:
        outputs = module.forward(inputs)
    except TypeError as error:
        raise TypeError(f"{kind} is not known to be linear: it takes no tensor alone ({_line(error)}); {_DO}") from None
    except NotImplementedError:
        raise TypeError(f"{kind} is not known to be linear: it has no forward; {_DO}") from None
    except (RuntimeError, ValueError, IndexError, AssertionError) as error:
        shape = shown(tuple(inputs.shape[1:]))
        raise GeometryError(f"in_shape={shape} (without the batch) does not fit: {_line(error)}") from None
    if not isinstance(outputs, Tensor):
        raise TypeError(f"{kind} returns a {kind_of(outputs)}: need one tensor; {_DO}")
    if not outputs.ndim or len(outputs) != len(inputs):
        raise GeometryError(
            f"it makes an output of shape {shown(tuple(outputs.shape))} of a batch of {len(inputs)}: it mixes the "
            "batch with the rest"
        )
    return outputs


def _line(error: Exception) -> str:
    return shortened((str(error) or type(error).__name__).splitlines()[0], most=150)


def _is_not_linear(module: nn.Module) -> str:
    part = nonlinear_layer(module)
    because = f" (its part {shortened(part[0])!r} is a {kind_of(part[1])})" if part else ""
    return f"{kind_of(module)} is not linear{because}: {_DO}"


def _tolerance(dtype: torch.dtype) -> float:
    return float(torch.finfo(dtype).eps) ** 0.5


def _is_close(computed: Tensor, expected: Tensor, tolerance: float) -> bool:
    largest = expected.abs().max() if expected.numel() else torch.zeros(())
    return bool(((computed - expected).abs() <= tolerance * (largest + 1e-30)).all())


def _agrees(entries: Entries, input: Tensor, output: Tensor, tolerance: float) -> bool:
    """Whether the matrix makes of an input what the module makes of it, but for the constant."""
    terms = entries.values.detach() * input.flatten()[entries.columns]
    product = terms.new_zeros(entries.shape[0]).index_add(0, entries.rows, terms)
    return _is_close(product, output.flatten(), tolerance)


# -- unit vectors ------------------------------------------------------------------------------------------------------


def _pushed(module: nn.Module, in_shape: Shape, out_shape: Shape, dtype: torch.dtype, device: torch.device) -> Entries:
    """Push all unit vectors through a linear module, as tangents, which know of no constant."""
    rows, columns = prod(out_shape), prod(in_shape)
    check_memory((rows, columns), rows * columns, 3 * dtype.itemsize + 8, device)
    step = max(min(_AT_A_TIME // max(rows, columns, 1), columns), 1)
    found = []
    for start in range(0, columns, step):
        units = torch.zeros(min(step, columns - start), columns, dtype=dtype, device=device)
        units[:, start:].fill_diagonal_(1)
        columns_of_part = _derivative(module, units.reshape(-1, *in_shape)).flatten(1)
        unit, row = columns_of_part.nonzero(as_tuple=True)
        found.append((row, unit + start, columns_of_part[unit, row]))
    parts = [torch.cat(part) for part in zip(*found, strict=True)] if found else [torch.empty(0, dtype=torch.int64)] * 3
    return Entries.summed((rows, columns), *parts)


def _derivative(module: nn.Module, directions: Tensor) -> Tensor:
    at = torch.zeros_like(directions)
    try:
        with warnings.catch_warnings():  # PyTorch's own, when forward derivatives are first asked for
            warnings.filterwarnings("ignore", message="`torch.jit.script", category=DeprecationWarning)
            return torch.func.jvp(module.forward, (at,), (directions,))[1]
    except (NotImplementedError, RuntimeError):  # an operation without a forward derivative
        return module.forward(directions) - module.forward(at)


# -- the graph ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Linear:
    """A value in the graph: a linear function of the input (a batch of one), but for a constant."""

    shape: tuple[int, ...]
    entries: Entries

    def size(self, dim: int | None = None) -> Any:
        """What ``x.size()`` tells."""
        return self.shape if dim is None else self.shape[dim]

    def dim(self) -> int:
        """What ``x.dim()`` tells."""
        return len(self.shape)


class _NotInTheAlgebraError(Exception):
    """The graph holds an operation that no rule here composes."""


def _traced(module: nn.Module, in_shape: Shape) -> Entries | None:
    """The entries by the graph of the module, if it consists of what is known here."""
    try:
        graph = _Tracer().trace(module)
        result = _Composer(module, graph).run(_Linear((1, *in_shape), Entries.identity(prod(in_shape))))
    except GeometryError:  # it does not fit, or a part is in a wrong state: both are worth saying
        raise
    except Exception:  # whatever user code does while it is traced; the unit vectors will tell
        return None
    return result.entries if isinstance(result, _Linear) else None


class _Tracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return known_kind(m, LAYERS) is not None


class _Composer(fx.Interpreter):
    """Runs a graph on matrices instead of tensors."""

    def __init__(self, module: nn.Module, graph: fx.Graph) -> None:
        super().__init__(module, graph=graph)

    def call_module(self, target: Any, args: Any, kwargs: Any) -> Any:
        (value,), part = args, self.fetch_attr(target)
        if kwargs or not isinstance(value, _Linear) or value.shape[0] != 1:
            raise _NotInTheAlgebraError
        out_shape, entries = LAYERS[known_kind(part, LAYERS)](part, value.shape[1:])  # type: ignore[index]
        return _Linear((1, *out_shape), _product(entries, value.entries))

    def call_function(self, target: Any, args: Any, kwargs: Any) -> Any:
        return _apply(target, args, kwargs)

    def call_method(self, target: Any, args: Any, kwargs: Any) -> Any:
        if target in ("size", "dim") and isinstance(args[0], _Linear):
            return getattr(args[0], target)(*args[1:], **kwargs)
        return _apply(_METHODS.get(target, getattr(torch.Tensor, target)), args, kwargs)


def _apply(function: Any, args: Any, kwargs: Any) -> Any:
    values = list(_linear_in((args, kwargs)))
    if not values or (function is getattr and args[1] == "shape"):
        return function(*args, **kwargs)
    if function in _SUMS and len(args) == 2 and not kwargs:
        return _sum(args[0], args[1], _SUMS[function])
    if function in _PRODUCTS and len(args) == 2 and not kwargs:
        return _scale(*args)
    if function in _QUOTIENTS and len(args) == 2 and not kwargs and isinstance(args[0], _Linear):
        return _scale(args[0], 1 / args[1])
    if function in (operator.neg, torch.neg) and not kwargs:
        return _scale(args[0], -1)
    if function in _SELECTIONS:
        return _select(function, args, kwargs, values)
    raise _NotInTheAlgebraError


def _linear_in(tree: Any) -> Iterator[_Linear]:
    if isinstance(tree, _Linear):
        yield tree
    elif isinstance(tree, dict):
        yield from _linear_in(tuple(tree.values()))
    elif isinstance(tree, list | tuple):
        for item in tree:
            yield from _linear_in(item)


def _sum(first: Any, second: Any, sign: int) -> _Linear:
    shape = torch.broadcast_shapes(_shape_of(first), _shape_of(second))
    terms = [
        (_broadcast(value, shape), factor) for value, factor in ((first, 1), (second, sign)) if _is_linear(value)
    ]  # anything else is a constant, which the matrix leaves out
    rows, columns = (torch.cat([getattr(term, name) for term, _ in terms]) for name in ("rows", "columns"))
    values = _alike([factor * term.values for term, factor in terms])
    return _Linear(tuple(shape), Entries.summed(terms[0][0].shape, rows, columns, torch.cat(values)))


def _scale(first: Any, second: Any) -> _Linear:
    value, factor = (first, second) if _is_linear(first) else (second, first)
    if _is_linear(factor):
        raise _NotInTheAlgebraError  # a product of two values is not linear
    shape = torch.broadcast_shapes(value.shape, _shape_of(factor))
    entries = _broadcast(value, shape)
    if isinstance(factor, Tensor):
        values, factors = _alike([entries.values, factor.expand(shape).flatten()[entries.rows]])
    else:
        values, factors = entries.values, factor
    return _Linear(tuple(shape), Entries(entries.shape, entries.rows, entries.columns, values * factors))


def _is_linear(value: Any) -> bool:
    return isinstance(value, _Linear)


def _shape_of(value: Any) -> tuple[int, ...]:
    return tuple(getattr(value, "shape", ()))


def _alike(values: list[Tensor]) -> list[Tensor]:
    """Values of one dtype: parts without parameters have float64."""
    dtypes = {value.dtype for value in values if value.dtype != torch.float64} or {torch.float64}
    if len(dtypes) > 1:
        raise _NotInTheAlgebraError
    return [value.to(next(iter(dtypes))) for value in values]


def _product(second: Entries, first: Entries) -> Entries:
    second_values, first_values = _alike([second.values, first.values])
    return Entries(second.shape, second.rows, second.columns, second_values) @ Entries(
        first.shape, first.rows, first.columns, first_values
    )


def _broadcast(value: _Linear, shape: tuple[int, ...]) -> Entries:
    if tuple(shape) == value.shape:
        return value.entries
    expanded: _Linear = _select(torch.Tensor.expand, (value, shape), {}, [value])
    return expanded.entries


def _select(function: Any, args: Any, kwargs: Any, values: list[_Linear]) -> Any:
    """Apply a function whose every output is an element of one of its inputs, or a zero, to their numbers."""
    stacked = _stacked(values)
    offset, numbers = 1, {}
    for value in values:
        count = prod(value.shape)
        numbers[id(value)] = torch.arange(offset, offset + count, dtype=torch.float64).reshape(value.shape)
        offset += count
    replaced_args, replaced_kwargs = tree_map(
        lambda item: numbers[id(item)] if _is_linear(item) else _zeros_like(item), (args, kwargs)
    )
    return tree_map(lambda result: _picked(result, stacked), function(*replaced_args, **replaced_kwargs))


def _zeros_like(item: Any) -> Any:
    """A constant among what is selected from counts as zeros; integers are indices."""
    is_constant = isinstance(item, Tensor) and (item.is_floating_point() or item.is_complex())
    return torch.zeros(item.shape, dtype=torch.float64) if is_constant else item


def _stacked(values: list[_Linear]) -> Entries:
    """The entries of several values, one below the other."""
    if len(values) == 1:
        return values[0].entries
    starts = [sum(prod(value.shape) for value in values[:index]) for index in range(len(values))]
    rows = torch.cat([value.entries.rows + start for value, start in zip(values, starts, strict=True)])
    columns = torch.cat([value.entries.columns for value in values])
    total = sum(prod(value.shape) for value in values)
    shape = total, values[0].entries.shape[1]
    return Entries(shape, rows, columns, torch.cat(_alike([value.entries.values for value in values])))


def _picked(result: Any, stacked: Entries) -> Any:
    if not isinstance(result, Tensor):
        return result
    sources = result.to(torch.int64).flatten() - 1
    rows = (sources >= 0).nonzero().flatten().to(stacked.values.device)
    ones = torch.ones(len(rows), dtype=torch.float64, device=rows.device)
    selection = Entries((len(sources), stacked.shape[0]), rows, sources.to(rows.device)[rows], ones)
    return _Linear(tuple(result.shape), _product(selection, stacked))


_METHODS = {"add": operator.add, "sub": operator.sub, "mul": operator.mul, "div": operator.truediv, "neg": operator.neg}
_SUMS = {operator.add: 1, operator.iadd: 1, torch.add: 1, operator.sub: -1, operator.isub: -1, torch.sub: -1}
_PRODUCTS = (operator.mul, operator.imul, torch.mul)
_QUOTIENTS = (operator.truediv, operator.itruediv, torch.div)
_SELECTION_NAMES = (
    "flatten reshape permute transpose movedim swapaxes unsqueeze squeeze flip roll narrow select unflatten chunk "
    "split repeat_interleave tile clone index_select"
)
_SELECTIONS = {
    operator.getitem,
    torch.cat,
    torch.concat,
    torch.stack,
    F.pixel_shuffle,
    F.pixel_unshuffle,
    torch.pixel_shuffle,
    torch.pixel_unshuffle,
    *(getattr(torch, name) for name in _SELECTION_NAMES.split() if hasattr(torch, name)),
    *(getattr(torch.Tensor, name) for name in _SELECTION_NAMES.split() if hasattr(torch.Tensor, name)),
    *(getattr(torch.Tensor, name) for name in ("view", "expand", "expand_as", "repeat", "contiguous", "unfold")),
}
