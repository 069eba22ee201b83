"""Run a model on an example without a trace, and measure its layers on the inputs that they meet."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.lazy import LazyModuleMixin

from convmat.checking.measure import medians_in_turns
from convmat.geometry import GeometryError, Sentence, shown
from convmat.models.layer_classes import LayerState, put
from convmat.models.reports import InputFigures, gain_of
from convmat.nn.folding import FOLD, Fold
from convmat.planning import explain, weight_of
from convmat.tensors.arguments import layer_geometry
from convmat.tensors.calls import call_of
from convmat.tensors.watching import has_autocast

_SECONDS = 3.0  # for all layers, and again for the model
_LEAST_GAIN = 1.03  # less is noise

Calls = dict[nn.Module, dict[Any, int]]  # how often each layer is called, by kind of input


class Example:
    """Arguments for a model: a tuple of positional ones, a mapping of keyword ones, or the only one."""

    def __init__(self, example: Any) -> None:
        self._positional: tuple[Any, ...] = () if isinstance(example, Mapping) else (example,)
        if isinstance(example, tuple):
            self._positional = example
        self._by_name = dict(example) if isinstance(example, Mapping) else {}

    def call(self, model: nn.Module) -> Callable[[], Any]:
        """A call of the model with copies of the tensors, since a model may write to its inputs."""
        arguments, named = _copied(self._positional), _copied(self._by_name)
        device = next((tensor.device for tensor in _tensors(model)), torch.device("cpu"))

        def run() -> None:
            try:
                model(*arguments, **named)
            except Exception as error:
                raise refusal("example", model, arguments, named, error) from error
            _wait(device)

        return run


_NEED = {
    "example": "; need a tuple of the model's positional arguments, a dict of those by name, or its only argument",
    "inputs": "; need what the model is called with",
}


def refusal(
    argument: str, model: nn.Module, positional: tuple[Any, ...], by_name: Mapping[str, Any], error: Exception
) -> GeometryError:
    """What a model raised on its arguments, as an error of the argument of ours that holds them."""
    described = [*map(_described, positional), *(f"{name}={_described(each)}" for name, each in by_name.items())]
    reason = str(error).partition("\n")[0]
    need = _NEED[argument] if isinstance(error, (TypeError, AttributeError)) else ""  # not of wrong sizes
    for each in (positional, *positional):
        if isinstance(each, (tuple, list)) and each and all(type(size) is int for size in each):
            need = f"; {shown(tuple(each))} is a shape: torch.randn{shown(tuple(each))} would do"
    return GeometryError.of(
        "{argument}: {model}({described}) raised {kind}: {reason}{need}",
        argument=argument,
        model=type(model).__name__,
        described=", ".join(described),
        kind=type(error).__name__,
        reason=reason,
        need=Sentence(need),
    )


def _copied(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.detach().clone().requires_grad_(value.requires_grad)
    if type(value) in (list, tuple):
        return type(value)(map(_copied, value))
    return {name: _copied(each) for name, each in value.items()} if type(value) is dict else value


def _described(value: Any) -> str:
    return f"{'x'.join(map(str, value.shape)) or 'number'}" if isinstance(value, Tensor) else shown(value)


# -- without a trace ---------------------------------------------------------------------------------------------------


@contextmanager
def undisturbed(model: nn.Module) -> Iterator[None]:
    """Run a model without gradients, and put back what it changes: buffers, attributes of modules, random numbers."""
    with ExitStack() as stack:
        stack.enter_context(torch.random.fork_rng(_cuda_devices(model)))
        stack.callback(random.setstate, random.getstate())
        if numpy := sys.modules.get("numpy"):
            stack.callback(numpy.random.set_state, numpy.random.get_state())
        for module in model.modules():
            stack.callback(_put_back, *_kept(module))
        if "torch._dynamo" in sys.modules:  # or else nothing can be compiled
            stack.enter_context(torch.compiler.set_stance("force_eager"))  # not our hooks with it
        stack.enter_context(torch.no_grad())
        yield


def _cuda_devices(model: nn.Module) -> list[int]:
    return sorted({tensor.get_device() for tensor in _tensors(model) if tensor.is_cuda})


def _tensors(model: nn.Module) -> Iterator[Tensor]:
    yield from model.parameters()
    yield from model.buffers()


def _kept(module: nn.Module) -> tuple[list[tuple[dict[str, Any], dict[str, Any]]], list[tuple[Tensor, Tensor]]]:
    """The tables of a module that a forward pass may write to, with what they hold, and its buffers, with copies."""
    tables = [(table, dict(table)) for table in (vars(module), module._parameters, module._buffers, module._modules)]
    buffers = [buffer for buffer in module._buffers.values() if buffer is not None]
    return tables, [(buffer, buffer.detach().clone()) for buffer in buffers]


def _put_back(tables: list[tuple[dict[str, Any], dict[str, Any]]], numbers: list[tuple[Tensor, Tensor]]) -> None:
    for table, before in tables:
        for name in table.keys() - before.keys():
            del table[name]
        table.update(before)
    for buffer, content in numbers:
        if not torch.equal(buffer, content):
            with torch.inference_mode(buffer.is_inference()), torch.no_grad():
                buffer.copy_(content)


def _wait(device: torch.device) -> None:
    """Until all is computed, where that goes on beside Python."""
    if device.type not in ("cpu", "meta"):
        torch.accelerator.synchronize(device)


# -- layers ------------------------------------------------------------------------------------------------------------


def calls_of(model: nn.Module, layers: Iterable[nn.Module], example: Example) -> Calls:
    """How often a model calls its layers, by kind of input.

    Raises:
        GeometryError: if the model fails on the example; it is as it was.
    """
    layers = list(layers)
    calls: Calls = {layer: {} for layer in layers}
    for name, module in model.named_modules():
        if isinstance(module, LazyModuleMixin) and module.has_uninitialized_params():  # type: ignore[misc]
            raise GeometryError(f"example: {name!r} has no weight yet, and would get one: run the model once before")

    def note(layer: nn.Module, kind: Any, *_: Any) -> None:
        calls[layer][kind] = calls[layer].get(kind, 0) + 1

    with undisturbed(model), noting(layers, note):
        example.call(model)()
    return calls


@contextmanager
def noting(
    layers: Iterable[nn.Module], note: Callable[[nn.Module, Any, Tensor, Callable[[], Any]], None]
) -> Iterator[None]:
    """Tell of each call of each layer, after all hooks: the kind of input, the input, and the call itself."""

    def hook(layer: nn.Module, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        input, output_size = (*arguments, None, None)[:2]
        input = named.get("input", input)
        if isinstance(input, Tensor):  # else the layer says what is wrong
            kind = tuple(input.shape), input.stride(), input.dtype, str(named.get("output_size", output_size))
            note(layer, kind, input, lambda: layer.forward(*arguments, **named))

    handles = [layer.register_forward_pre_hook(hook, with_kwargs=True) for layer in layers]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


class Trial:
    """Measures layers, PyTorch's own against ours, on the very inputs that they meet while a model runs.

    Args:
        calls: as :func:`calls_of` found them.
        theirs, ours: of each layer, how it is as PyTorch's and as ours.

    Attributes:
        figures: of each layer, by kind of input.
        failed: why ours cannot compute what PyTorch's can, where that is so.
    """

    def __init__(self, calls: Calls, theirs: dict[nn.Module, LayerState], ours: dict[nn.Module, LayerState]) -> None:
        self._calls, self._theirs, self._ours = calls, theirs, ours
        self._seconds = _SECONDS / max(sum(map(len, calls.values())), 1)
        self.figures: dict[nn.Module, dict[Any, InputFigures]] = {layer: {} for layer in calls}
        self.failed: dict[nn.Module, str] = {}

    def measure_layers(self, model: nn.Module, example: Example) -> None:
        """Measure each layer once for each kind of input; all are PyTorch's before and after."""
        with undisturbed(model), noting(self._calls, self._measure):
            example.call(model)()

    def _measure(self, layer: nn.Module, kind: Any, input: Tensor, call: Callable[[], Any]) -> None:
        if kind in self.figures[layer] or layer in self.failed:
            return
        fold: Fold | None = vars(layer).get(FOLD)
        both = call if fold is None else partial(fold.run, call)  # with what may be folded into it

        def compute(states: dict[nn.Module, LayerState]) -> None:
            put(layer, states[layer])
            both()
            _wait(input.device)

        try:
            put(layer, self._ours[layer])
            method = _method_of(layer, input)
            times = medians_in_turns(partial(compute, self._theirs), partial(compute, self._ours), self._seconds)
        except Exception as error:  # as of a matrix that would not fit
            self.failed[layer] = f"{type(error).__name__}: {error}".partition("\n")[0]
        else:
            calls = self._calls[layer].get(kind, 1)
            self.figures[layer][kind] = InputFigures(tuple(input.shape), calls, method, *times)
        finally:
            put(layer, self._theirs[layer])

    def gains(self, layer: nn.Module) -> bool:
        """Whether ours is worth having; so it is taken to be where it was never called."""
        figures = self.figures[layer].values()
        if layer in self.failed:
            return False
        if not figures:
            return True
        differs = FOLD in vars(layer) or any(each.method != "native" for each in figures)
        return differs and gain_of(figures) >= _LEAST_GAIN

    def measure_model(self, model: nn.Module, example: Example) -> tuple[float, float]:
        """Seconds of the whole model as PyTorch's, and with ours where that gains something; so it stays."""
        better = {layer: (self._ours if self.gains(layer) else self._theirs)[layer] for layer in self._calls}

        def run(states: dict[nn.Module, LayerState], call: Callable[[], Any]) -> None:
            for layer, state in states.items():
                put(layer, state)
            call()

        with undisturbed(model):
            calls = partial(run, self._theirs, example.call(model)), partial(run, better, example.call(model))
            times = medians_in_turns(*calls, _SECONDS)
        for layer, state in better.items():
            put(layer, state)
        return times


def _method_of(layer: nn.Module, input: Tensor) -> str:
    """What computes a layer of ours with an input."""
    method = str(layer.method)
    if method != "auto":
        return method
    axes = weight_of(layer).ndim - 2
    call = call_of(input if input.ndim == axes + 2 else input.unsqueeze(0), weight_of(layer), None)
    if has_autocast(input.device.type):
        call = call._replace(dtype=torch.get_autocast_dtype(input.device.type))
    return explain(layer_geometry(layer, tuple(input.shape[-1 - axes :])).unpadded(), call).method
