"""The peers, which compute the same layers, one file each; one that is not installed is left out, with the reason."""

from __future__ import annotations

from importlib import import_module

import convmat
from benchmarks.peers.base import Peer, Problem, RefusedError, one_line
from benchmarks.peers.ours import method_peer

__all__ = ["METHODS", "PEERS", "Peer", "Problem", "RefusedError", "find_peer", "make_peer"]

_CLASSES = {
    "torch": "pytorch.Torch",
    "torch-channels-last": "pytorch.TorchChannelsLast",
    "torch-compile": "pytorch.TorchCompile",
    "onnxruntime": "ort.OnnxRuntime",
    "openvino": "ov.OpenVino",
    "jax": "xla.Jax",
    "convmat": "ours.Convmat",
    "convmat-unfrozen": "ours.ConvmatUnfrozen",
    "convmat-channels-last": "ours.ConvmatChannelsLast",
}
PEERS = tuple(_CLASSES)
METHODS = tuple(f"convmat:{method}" for method in convmat.available_methods() if method != "auto")


def find_peer(name: str) -> type[Peer]:
    """The class of that name.

    Raises:
        RefusedError: if it cannot be imported.
    """
    if name in METHODS:
        return method_peer(name.removeprefix("convmat:"))
    module, _, cls = _CLASSES[name].partition(".")
    try:
        found: type[Peer] = getattr(import_module(f"benchmarks.peers.{module}"), cls)
    except ImportError as error:
        raise RefusedError(f"not installed: {one_line(error)}") from error
    return found


def make_peer(name: str, problem: Problem) -> Peer:
    """A peer that is ready to compute a layer.

    Raises:
        RefusedError: if it is not there, or does not take the layer.
    """
    peer, device = find_peer(name), problem.weight.device.type
    if device not in peer.devices:
        raise RefusedError(f"not measured on {device}")
    try:
        return peer(problem)
    except RefusedError:
        raise
    except Exception as error:  # whatever the libraries raise
        raise RefusedError(one_line(error)) from error
