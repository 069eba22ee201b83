"""OpenVINO."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import openvino
import torch
from torch import Tensor

from benchmarks.peers.base import Peer, Problem
from benchmarks.peers.onnx_model import onnx_model


class OpenVino(Peer):
    """An infer request that reads the input where it lies and writes into a new array."""

    name = "openvino"

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        dtype = str(problem.weight.dtype).removeprefix("torch.")
        self._request = _request(onnx_model(problem), dtype, problem.threads)

    def prepare(self, input: Tensor) -> tuple[list[Any], tuple[int, ...], Any]:
        """As a tensor that shares its memory, with the shape and dtype of what comes out."""
        array = np.ascontiguousarray(input.numpy())
        shape = self.layer.resized(*input.shape[2:]).out_shape
        return [openvino.Tensor(array, shared_memory=True)], shape, array.dtype

    def __call__(self, prepared: tuple[list[Any], tuple[int, ...], Any]) -> Any:
        """Run the request."""
        return _infer(self._request, *prepared)

    def tensor(self, output: Any) -> Tensor:
        """By way of NumPy."""
        return torch.from_numpy(output)


def model_call(model: bytes, inputs: Sequence[Any], threads: int) -> Callable[[], Any]:
    """A call that computes a whole model of one output, as an array."""
    dtype = inputs[0].dtype
    request = _request(model, str(dtype), threads)
    tensors = [openvino.Tensor(np.ascontiguousarray(input), shared_memory=True) for input in inputs]
    shape = tuple(request.model_outputs[0].shape)
    return lambda: _infer(request, tensors, shape, dtype)


def _request(model: bytes, dtype: str, threads: int) -> Any:
    core = openvino.Core()
    config = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": {"float32": "f32", "float64": "f64"}[dtype],
        "INFERENCE_NUM_THREADS": threads,
    }
    return core.compile_model(core.read_model(model), "CPU", config).create_infer_request()


def _infer(request: Any, inputs: list[Any], shape: tuple[int, ...], dtype: Any) -> Any:
    output = np.empty(shape, dtype)
    for index, input in enumerate(inputs):
        request.set_input_tensor(index, input)
    request.set_output_tensor(openvino.Tensor(output, shared_memory=True))
    request.infer()
    return output
