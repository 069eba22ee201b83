"""ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnxruntime
import torch
from torch import Tensor

from benchmarks.peers.base import Peer, Problem
from benchmarks.peers.onnx_model import onnx_model


class OnnxRuntime(Peer):
    """An inference session; input and output are its own values, so that nothing is copied.

    Its threads may spin between calls, as they do by default: it is the faster for it, and the pause between the turns
    is long enough for them to fall asleep.
    """

    name = "onnxruntime"

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self._session = _session(onnx_model(problem), problem.threads)

    def prepare(self, input: Tensor) -> Any:
        """As a value of the session."""
        return onnxruntime.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(input.numpy()))

    def __call__(self, prepared: Any) -> Any:
        """Run the session."""
        return self._session.run_with_ort_values(["y"], {"x": prepared})[0]

    def tensor(self, output: Any) -> Tensor:
        """By way of NumPy."""
        return torch.from_numpy(output.numpy())


def model_call(model: bytes, inputs: Sequence[Any], threads: int) -> Callable[[], Any]:
    """A call that computes a whole model of one output, as an array."""
    session = _session(model, threads)
    values = [onnxruntime.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(input)) for input in inputs]
    feed = {input.name: value for input, value in zip(session.get_inputs(), values, strict=True)}
    names = [output.name for output in session.get_outputs()]
    return lambda: session.run_with_ort_values(names, feed)[0].numpy()


def _session(model: bytes, threads: int) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
