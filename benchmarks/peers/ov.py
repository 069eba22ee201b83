"""OpenVINO."""

from __future__ import annotations

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
        core = openvino.Core()
        config = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": "f64" if problem.weight.dtype == torch.float64 else "f32",
            "INFERENCE_NUM_THREADS": problem.threads,
        }
        self._request = core.compile_model(core.read_model(onnx_model(problem)), "CPU", config).create_infer_request()

    def prepare(self, input: Tensor) -> tuple[Any, tuple[int, ...], Any]:
        """As a tensor that shares its memory, with the shape and dtype of what comes out."""
        array = np.ascontiguousarray(input.numpy())
        shape = self.layer.resized(*input.shape[2:]).out_shape
        return openvino.Tensor(array, shared_memory=True), shape, array.dtype

    def __call__(self, prepared: tuple[Any, tuple[int, ...], Any]) -> Any:
        """Run the request."""
        input, shape, dtype = prepared
        output = np.empty(shape, dtype)
        self._request.set_input_tensor(input)
        self._request.set_output_tensor(openvino.Tensor(output, shared_memory=True))
        self._request.infer()
        return output

    def tensor(self, output: Any) -> Tensor:
        """By way of NumPy."""
        return torch.from_numpy(output)
