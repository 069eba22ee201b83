"""To be run in a fresh process: one whole model, by everybody who computes it, in turn."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn

import convmat
from benchmarks.checking import relative_error
from benchmarks.peers.base import RefusedError, one_line
from benchmarks.real_models import MODELS, Model
from benchmarks.statistic import summary
from benchmarks.timing import CLOCKS, Blocks, Call, time_rounds

# Of the largest output, in float32: errors of one layer may grow in those after it.
_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Subject:
    """A model to compute, and what it is called with.

    Attributes:
        model: how to make it, and how to call it.
        dtype: of its weights and inputs.
        device: where they are.
        threads: how many everybody uses.
        quick: whether to make the small one.
    """

    model: Model
    dtype: torch.dtype
    device: str
    threads: int
    quick: bool

    def module(self) -> nn.Module:
        """The module, with the same weights each time."""
        torch.manual_seed(0)
        return self.model.build(self.quick).eval().to(self.device, self.dtype)

    def inputs(self) -> tuple[Tensor, ...]:
        """What it is called with, the same each time."""
        torch.manual_seed(1)
        return tuple(tensor.to(self.device, self.dtype) for tensor in self.model.inputs(self.quick))


# Those who compute one and the same module, which is changed in between, as it is or compiled: the times of copies
# differ by where their parameters lie in memory.
_COMPILED: dict[str, Callable[[nn.Module], Any]] = {
    "torch-compile": convmat.restore,
    "convmat-compiled": convmat.accelerate,
}
_CHANGES: dict[str, Callable[[nn.Module], Any]] = {
    "torch": convmat.restore,
    "convmat": convmat.accelerate,
    "convmat-frozen": partial(convmat.accelerate, freeze=True),
    "convmat-folded": partial(convmat.accelerate, freeze=True, fold=True),
    **_COMPILED,
}


def _in_turn(subject: Subject) -> dict[str, Call]:
    """A call of each; the module is changed in the first one of a turn, which is not counted."""
    module, inputs, now = subject.module(), subject.inputs(), [""]
    compiled: Callable[[], Any] = cache(partial(torch.compile, module))

    def call(name: str) -> Tensor:
        if now[0] != name:
            _CHANGES[name](module)
            now[0] = name
        return subject.model.call(compiled() if name in _COMPILED else module, *inputs)

    return {name: partial(call, name) for name in _CHANGES}


def _exported(subject: Subject, reader: str) -> Call:
    module: Any = import_module(f"benchmarks.peers.{reader}")
    onnx_model: Any = import_module("benchmarks.peers.onnx_model")
    model = onnx_model.exported(subject.module(), subject.model.call, subject.inputs())
    return module.model_call(model, [tensor.numpy() for tensor in subject.inputs()], subject.threads)


_OTHERS: dict[str, Callable[[Subject], Call]] = {
    "onnxruntime": partial(_exported, reader="ort"),
    "openvino": partial(_exported, reader="ov"),
}
PEERS = (*_CHANGES, *_OTHERS)


def _measure(subject: Subject, names: list[str], blocks: Blocks) -> dict[str, Any]:
    calls = _in_turn(subject)
    row: dict[str, Any] = {"layer": subject.model.name, "errors": {}, "refused": {}}
    with torch.inference_mode():
        expected = calls["torch"]().double().clone()
        ready = {}
        for name in (name for name in PEERS if name in names):
            try:
                ready[name] = calls[name] if name in calls else _OTHERS[name](subject)
                row["errors"][name] = _checked(ready[name], expected)
            except Exception as error:  # not installed, not exported, or wrong
                ready.pop(name, None)
                row["refused"][name] = str(error) if isinstance(error, RefusedError) else one_line(error)
        rounds = time_rounds(ready, blocks, CLOCKS[subject.device])
    return row | {"peers": {name: summary(times) for name, times in rounds.items()}}


def _checked(call: Call, expected: Tensor) -> float:
    """The error of a call, if it is small.

    Raises:
        RefusedError: if it is not.
    """
    error = relative_error(torch.as_tensor(call()), expected)
    if not error <= _TOLERANCE:
        raise RefusedError(f"disagrees by {error:.1e} of the largest output")
    return error


def main() -> None:
    """Measure the model of that key, as the JSON says, and print a row."""
    warnings.filterwarnings("ignore")  # those of the libraries
    key, options = sys.argv[1], json.loads(sys.argv[2])
    model = next(model for model in MODELS if model.key == key)
    torch.set_num_threads(options["threads"])
    dtype = getattr(torch, options["dtype"])
    subject = Subject(model, dtype, options["device"], options["threads"], options["quick"])
    print(json.dumps(_measure(subject, options["peers"], Blocks(**options["blocks"]))))


if __name__ == "__main__":
    main()
