"""Layers that follow each other: a convolution, what alone reads its output, and so on.

In a ``Sequential`` the order says it. In other modules that run layers, ``torch.fx`` traces what one ``forward`` does
with the layers that it calls; where that cannot be traced, nothing is known.
"""

from __future__ import annotations

import inspect
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Any

from torch import fx, nn

from convmat.models.examples import undisturbed
from convmat.nn.accelerated import OURS
from convmat.nn.folded import ACTIVATIONS, NORMS
from convmat.nn.folding import install, installed, remove


@dataclass(frozen=True)
class Chain:
    """A convolution and the layers behind it, each of which alone reads what the one before it makes.

    Attributes:
        owner: the module whose ``forward`` calls them.
        conv: a convolution or transposed convolution.
        norm: the BatchNorm of as many axes that follows, if one does.
        activation: the activation that follows then, if one of those that can be folded does.
        arguments: of ``owner.forward``, all positional and none by name, for which this is known.
        looks_at_attributes: whether it may depend on attributes of the owner besides its children.
    """

    owner: nn.Module
    conv: nn.Module
    norm: nn.Module | None
    activation: nn.Module | None
    arguments: int
    looks_at_attributes: bool


def chains(model: nn.Module) -> Iterator[Chain]:
    """All convolutions that are followed by a BatchNorm, such an activation or both, as far as that can be known.

    Modules that a model holds in several places are left out: their neighbours may be others elsewhere.
    """
    places = Counter(child for module in model.modules() for child in module._modules.values() if child is not None)
    for owner in model.modules():
        if not any(map(_is_convolution, owner._modules.values())):
            continue
        if "forward" in vars(owner) and not installed(owner):
            continue  # it is not that of its class
        if type(owner).forward is nn.Sequential.forward:
            yield from _in_order(owner, places)
        else:
            yield from _in_graph(owner, places)


def _is_convolution(module: nn.Module | None) -> bool:
    return isinstance(module, tuple(OURS))


def _in_order(owner: nn.Module, places: Counter[nn.Module]) -> Iterator[Chain]:
    layers = [*owner._modules.values()]
    for at, conv in enumerate(layers):
        yield from _chain(owner, conv, layers[at + 1 : at + 3], places, arguments=1, looks=False)


def _in_graph(owner: nn.Module, places: Counter[nn.Module]) -> Iterator[Chain]:
    traced = _traced(owner)
    if traced is None:
        return
    graph, arguments = traced
    calls = Counter(node.target for node in graph.nodes if node.op == "call_module")
    for node in graph.nodes:
        if calls[node.target] == 1:
            followers = [_called(owner, follower) for follower in _followers(node)]
            yield from _chain(owner, _called(owner, node), followers, places, arguments, looks=True)


def _chain(
    owner: nn.Module,
    conv: Any,
    followers: list[Any],
    places: Counter[nn.Module],
    arguments: int,
    looks: bool,
) -> Iterator[Chain]:
    if not _is_convolution(conv) or places[conv] > 1:
        return
    known = list(takewhile(lambda layer: places[layer] == 1, followers))
    is_norm = bool(known) and NORMS.get(type(known[0])) == len(conv.kernel_size)
    norm = known.pop(0) if is_norm else None
    activation = known[0] if known and type(known[0]) in ACTIVATIONS else None
    if norm is not None or activation is not None:
        yield Chain(owner, conv, norm, activation, arguments, looks)


# -- what one forward does ---------------------------------------------------------------------------------------------


class _Tracer(fx.Tracer):
    """Traces one ``forward``, and none of the modules that it calls."""

    def is_leaf_module(self, module: nn.Module, name: str) -> bool:
        return True


def _traced(owner: nn.Module) -> tuple[fx.Graph, int] | None:
    """What a module does in eval mode, and the number of arguments for which it does; optional ones are left out."""
    parameters = [*inspect.signature(type(owner).forward).parameters.values()][1:]
    kinds = {parameter.kind for parameter in parameters if parameter.default is parameter.empty}
    if not kinds <= {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD}:
        return None
    optional = {each.name: each.default for each in parameters if each.default is not each.empty}
    with undisturbed(owner), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for module in owner.modules():
            module.training = False
        try:
            return _Tracer().trace(owner, concrete_args=optional or None), len(parameters) - len(optional)
        except Exception:  # whatever a forward may raise that is handed no numbers
            return None


def _called(owner: nn.Module, node: fx.Node) -> nn.Module | None:
    """The child of a module that a node calls with one argument."""
    if node.op != "call_module" or len(node.args) != 1 or node.kwargs:
        return None
    return owner._modules.get(str(node.target))


def _followers(node: fx.Node) -> Iterator[fx.Node]:
    """What alone reads what a node makes, what alone reads what that makes, and no further."""
    for _ in range(2):
        users = [*node.users]
        if len(users) != 1 or users[0].args != (node,):
            return
        node = users[0]
        yield node


# -- folding -----------------------------------------------------------------------------------------------------------


def fold(model: nn.Module, convolutions: set[nn.Module]) -> dict[nn.Module, tuple[nn.Module, ...]]:
    """Let convolutions of ours fold what is behind them; which do, and what."""
    remove_folds(model)
    by_owner: dict[nn.Module, list[Chain]] = {}
    for chain in map(_foldable, chains(model)):
        if chain is not None and chain.conv in convolutions:
            by_owner.setdefault(chain.owner, []).append(chain)
    for owner, found in by_owner.items():
        layers = [(chain.conv, chain.norm, chain.activation) for chain in found]
        install(owner, layers, found[0].arguments, found[0].looks_at_attributes)
    return {
        chain.conv: tuple(layer for layer in (chain.norm, chain.activation) if layer is not None)
        for found in by_owner.values()
        for chain in found
    }


def _foldable(chain: Chain) -> Chain | None:
    """A chain up to the first layer whose ``forward`` is not that of its class; ``None`` if nothing is left of it."""
    if chain.norm is not None and "forward" in vars(chain.norm):
        return None
    if chain.activation is not None and "forward" in vars(chain.activation):
        chain = replace(chain, activation=None)
    return None if chain.norm is chain.activation is None else chain


def remove_folds(model: nn.Module) -> None:
    """Let all modules compute as they are again."""
    for module in model.modules():
        remove(module)
