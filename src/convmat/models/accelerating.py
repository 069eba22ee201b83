"""Swap the convolutions of a model for ours, in place, and back.

A layer becomes ours by another ``__class__``: it stays the same object, with its parameters, hooks and flags, and keeps
its place in the model. What it was is written down in that class, so that it survives copying and saving.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from torch import jit, nn

from convmat.models.layer_classes import COMPUTES, own_class, put, set_class, state_of
from convmat.models.looking import kind_of_layer, look_at, places, report_of, was_accelerated, was_changed
from convmat.models.reports import LayerReport, ModelReport
from convmat.nn import folding
from convmat.nn.accelerated import OURS, TRANSPOSED, accelerated_class, original_of
from convmat.nn.frozen import FROZEN, FrozenWeight
from convmat.planning import available_methods, check_method, kernel_obstacle

if TYPE_CHECKING:
    from convmat.models.examples import Trial


def accelerate(
    model: nn.Module,
    *,
    conv: bool = True,
    method: str = "auto",
    freeze: bool = False,
    fold: bool = False,
    example: Any = None,
) -> ModelReport:
    """Let the convolutions of a model, direct and transposed, compute with convmat, in place.

    The layers stay the same objects: parameters, ``state_dict``, hooks, parametrizations (weight norm, spectral norm),
    pruning masks, optimizers that hold the parameters, train or eval mode, all is as before. So is what the model
    computes, to rounding, as our kernel sums in another order (exactly, with ``method="native"``). :func:`restore`
    takes it back.

    Left alone, and said so in the report: layers with a ``forward`` of their own, lazy ones without a weight, those
    whose dtype or device the method does not take, and those that are :mod:`convmat.nn` layers already. Calling it
    again is harmless, and with another method changes the method.

    Tools that look for PyTorch's layers by exact type do not find accelerated ones: quantize, fuse, count and
    initialise before, and accelerate last. ``torch.jit.script`` cannot compile these layers; restore before. A model
    saved whole (``torch.save(model, ...)``) needs convmat where it is loaded; one restored before, or saved as
    ``state_dict``, does not.

    Args:
        model: any module, such a layer itself included; layers are found wherever ``model.modules()`` finds them.
        conv: whether to swap direct convolutions too, or transposed ones only. Default: ``True``
        method: one of :func:`convmat.available_methods`. Default: ``"auto"``
        freeze: for inference: whether to keep weights in the order in which our kernel reads them, besides the
            parameters, as long as the layer lives. It takes as much memory again, and weight norm or the like is
            computed once. They are made when first needed, and anew after any change: in every call a digest of the
            parameters is compared, which takes the time of reading them once. It has an effect where no gradient of the
            weights is asked for, as under :func:`torch.no_grad`; calling again without it takes it back. Without it,
            sorted weights are kept as well, by the same digest, but at most 256 MB of all layers, and weight norm is
            computed in every call. Default: ``False``
        fold: for inference in eval mode: whether to fold what follows a convolution into it, a BatchNorm, then a ReLU,
            ReLU6, Hardtanh, LeakyReLU or PReLU, or one of the two, where the order in a ``Sequential`` or a trace by
            ``torch.fx`` shows that nothing else reads what is between. Parameters and ``state_dict`` stay; weights with
            a BatchNorm folded in are kept besides, which takes as much memory again. They are made anew after any
            change that PyTorch counts, but not after writes through ``.data`` or NumPy: call this again then. In train
            mode, where gradients are asked for (of a BatchNorm, of parameters), and where a layer has hooks or is
            called by itself, the layers compute as they are. Calling again without it takes it back.
            Default: ``False``
        example: inputs of the model, to measure what it gains: a tuple of positional arguments, a dict of arguments by
            name, or the only argument. The model runs on them without gradients, in train or eval mode as it is, about
            twenty times and some seconds more. Each layer is measured on the very inputs that it meets, PyTorch's own
            and ours in turns. Where ours is not faster, by 3 % or more, the layer stays or becomes PyTorch's own. Then
            the whole model is measured before and after. Buffers, attributes of modules and random numbers are put back
            after each run. A layer that is never called is treated as without an example. Default: ``None``

    Returns:
        A :class:`ModelReport` that prints layer by layer what was done, by which method, and why; with an example, also
        how long each layer took before and after, and the model.

    Raises:
        GeometryError: if there is no such method, or the model fails on the example; it stays as it was then.
        TypeError: if the model is no module, or ``conv``, ``freeze`` or ``fold`` no bool.

    >>> model = nn.Sequential(nn.ConvTranspose2d(8, 4, kernel_size=4, stride=2, padding=1), nn.ReLU())
    >>> report = accelerate(model, method="phases")
    >>> print(report)
    accelerate(Sequential): 1 swapped
    <BLANKLINE>
    swapped, method 'phases': asked by you
      0  ConvTranspose2d  8 -> 4, kernel 4, stride 2, padding 1
    >>> restore(model).restored
    ('0',)
    """
    _check_is_module(model)
    check_method(method)
    for name, value in (("conv", conv), ("freeze", freeze), ("fold", fold)):
        if not isinstance(value, bool):
            raise TypeError(f"{name} must be True or False, not {type(value).__name__}")
    kinds = OURS if conv else TRANSPOSED
    found = {
        layer: look_at(layer, names, kinds, method)
        for layer, names in places(model)
        if kind_of_layer(layer) in {kind.__name__ for kind in kinds}
    }
    times: tuple[float | None, float | None] = None, None
    if example is None or not any(report.done != "left alone" for report in found.values()):
        _swap(found, method, freeze)  # after all have been looked at: an error has changed nothing
        folded = _fold(model, found, fold)
    else:
        found, times, folded = _swap_what_gains(model, found, method, freeze, fold, example)
    reports = tuple(_with_folded(model, found, folded))
    nothing = f"no {'' if conv else 'transposed '}convolution in it, nothing to swap"
    if isinstance(model, jit.ScriptModule):
        nothing = "TorchScript hides its layers, nothing to swap: accelerate the model before torch.jit.trace"
    return ModelReport(_title("accelerate", model), reports, nothing, _note(reports, example is None), *times)


def _swap(found: dict[nn.Module, LayerReport], method: str, freeze: bool) -> None:
    """Do to each layer what its report says."""
    for layer, report in found.items():
        if report.done == "swapped":
            _set_class(layer, accelerated_class(own_class(layer)))
        if report.done in ("swapped", "method changed"):
            layer.method = method  # type: ignore[assignment]  # a module takes any attribute
        if report.done != "left alone":
            _freeze(layer, freeze)


def _fold(model: nn.Module, layers: Iterable[nn.Module], fold: bool) -> dict[nn.Module, tuple[nn.Module, ...]]:
    """Let accelerated layers fold what is behind them, or no more; which do, and what."""
    if not fold:
        for module in model.modules():
            folding.remove(module)
        return {}
    from convmat.models import neighbours

    return neighbours.fold(model, set(filter(was_accelerated, layers)))


def _swap_what_gains(
    model: nn.Module, found: dict[nn.Module, LayerReport], method: str, freeze: bool, fold: bool, inputs: Any
) -> tuple[dict[nn.Module, LayerReport], tuple[float, float], dict[nn.Module, tuple[nn.Module, ...]]]:
    """Swap the layers that are faster on an example; what was found of each, seconds of the model, what is folded."""
    from convmat.models.examples import Example, Trial, calls_of

    example = Example(inputs)
    layers = [layer for layer, report in found.items() if report.done != "left alone"]
    calls = calls_of(model, layers, example)
    before = {layer: state_of(layer) for layer in layers}
    folds = {module: folding.installed(module) for module in model.modules()}
    try:
        _swap(found, method, freeze)
        _fold(model, layers, fold)
        ours = {layer: state_of(layer) for layer in layers}
        for layer, state in before.items():
            if found[layer].done == "swapped":
                put(layer, state)
            else:
                _make_pytorchs(layer)
        trial = Trial(calls, {layer: state_of(layer) for layer in layers}, ours)
        trial.measure_layers(model, example)
        times = trial.measure_model(model, example)
        folded = _fold(model, layers, fold)  # without those that gain nothing
    except BaseException:
        for layer, state in before.items():
            put(layer, state)
        for module, attributes in folds.items():
            folding.remove(module)
            vars(module).update(attributes)
        raise
    return {layer: _tried(layer, report, trial) for layer, report in found.items()}, times, folded


def _tried(layer: nn.Module, report: LayerReport, trial: Trial) -> LayerReport:
    """What to report of a layer after the trial."""
    if report.done == "left alone":
        return report
    inputs = tuple(trial.figures[layer].values())
    if not trial.gains(layer):
        reason = trial.failed.get(layer)
        reason = "no faster on the example" if reason is None else f"fails on the example: {reason}"
        done = "left alone" if report.done == "swapped" else "restored"
        return replace(report, done=done, method="", reason=reason, inputs=inputs)
    reason = "faster on the example" if inputs else f"{report.reason}; not called by the example"
    return replace(report, reason=reason, inputs=inputs)


def _freeze(layer: nn.Module, freeze: bool) -> None:
    vars(layer).pop(FROZEN, None)
    if freeze:
        vars(layer)[FROZEN] = FrozenWeight()


def _set_class(layer: nn.Module, cls: type) -> None:
    """Give a layer another class, and let it compute as that does."""
    for name in COMPUTES:  # methods of the class that it had, as none was replaced
        vars(layer).pop(name, None)
    set_class(layer, cls)


def restore(model: nn.Module) -> ModelReport:
    """Undo :func:`accelerate`, in place: every layer gets back exactly the class it had.

    Layers that were :mod:`convmat.nn` layers to begin with stay so. A model that was not accelerated stays as it is.

    Args:
        model: any module.

    Returns:
        A :class:`ModelReport` that prints layer by layer what was done.

    Raises:
        TypeError: if the model is no module.

    >>> print(restore(nn.ConvTranspose1d(8, 4, kernel_size=4)))
    restore(ConvTranspose1d): no accelerated layer in it, nothing to restore
    """
    _check_is_module(model)
    for module in model.modules():
        folding.remove(module)
    reports = [_restore(layer, names) for layer, names in places(model) if was_accelerated(layer)]
    return ModelReport(_title("restore", model), tuple(reports), "no accelerated layer in it, nothing to restore")


def _restore(layer: Any, names: list[str]) -> LayerReport:
    obstacle = was_changed(layer)
    if obstacle:
        return report_of(layer, names, "left alone", layer.method, obstacle)
    _make_pytorchs(layer)
    return report_of(layer, names, "restored", "", "PyTorch's own again")


def _make_pytorchs(layer: nn.Module) -> None:
    """Give an accelerated layer the class that it had before."""
    original = original_of(own_class(layer))
    assert original is not None
    _set_class(layer, original)
    _freeze(layer, False)
    vars(layer).pop("method", None)


# -- what to tell ------------------------------------------------------------------------------------------------------


def _with_folded(
    model: nn.Module, found: dict[nn.Module, LayerReport], folded: dict[nn.Module, tuple[nn.Module, ...]]
) -> Iterator[LayerReport]:
    names = {module: name for name, module in model.named_modules()}
    for layer, report in found.items():
        yield replace(report, folded=tuple(names[each] for each in folded.get(layer, ())))


def _title(call: str, model: nn.Module) -> str:
    return f"{call}({own_class(model).__name__})"


def _note(reports: Sequence[LayerReport], estimated: bool) -> str:
    automatic = any(report.method == "auto" for report in reports)
    lines = []
    if automatic:
        lines.append(f"auto: {available_methods()['auto']} convmat.plan(layer, in_shape) says which.")
    if automatic and estimated:
        lines.append("accelerate(model, example=(input,)) measures what it gains, and leaves alone what gains nothing.")
    if automatic or any(report.method == "tiles" for report in reports):
        lines += filter(None, [kernel_obstacle()])
    return "\n".join(lines)


def _check_is_module(model: Any) -> None:
    if not isinstance(model, nn.Module):
        kind = f"the class {model.__name__}" if isinstance(model, type) else type(model).__name__
        raise TypeError(f"model must be a torch.nn.Module, not {kind}")
