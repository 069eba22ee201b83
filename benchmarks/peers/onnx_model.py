"""A layer or a whole model in ONNX, for those who read that."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from typing import Any

import onnx
import torch
from onnx import helper, numpy_helper
from torch import Tensor, nn

from benchmarks.peers.base import Problem

# Older than what is current, so that older runtimes read it too; neither Conv nor ConvTranspose has changed since.
_OPSET, _IR_VERSION = 11, 8


def onnx_model(problem: Problem) -> bytes:
    """A model of one convolution, from ``x`` to ``y``, the weight a constant; varying sizes have no numbers."""
    layer, weight = problem.layer, problem.weight.numpy()
    element = helper.np_dtype_to_tensor_dtype(weight.dtype)
    operation = "ConvTranspose" if layer.transposed else "Conv"
    node = helper.make_node(operation, ["x", "w"], ["y"], **_attributes(problem))
    shapes = {"x": layer.in_shape, "y": layer.out_shape}
    x, y = (
        helper.make_tensor_value_info(name, element, _maybe_dynamic(shape, problem.varying))
        for name, shape in shapes.items()
    )
    graph = helper.make_graph([node], layer.name, [x], [y], [numpy_helper.from_array(weight, "w")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def _attributes(problem: Problem) -> dict[str, Any]:
    axes = problem.layer.geometry.axes
    slack = {"output_padding": [axis.slack for axis in axes]} if problem.layer.transposed else {}
    return slack | {
        "kernel_shape": [axis.kernel for axis in axes],
        "strides": [axis.stride for axis in axes],
        "dilations": [axis.dilation for axis in axes],
        "pads": [axis.lo for axis in axes] + [axis.hi for axis in axes],
        "group": problem.layer.groups,
    }


def _maybe_dynamic(shape: tuple[int, ...], varying: bool) -> list[int | None]:
    return [*shape[:2], *(None if varying else size for size in shape[2:])]


def exported(module: nn.Module, call: Callable[..., Tensor], inputs: tuple[Tensor, ...]) -> bytes:
    """A whole model as PyTorch exports it, its weights constants; ``call(module, *inputs)`` gives its only output."""
    file: Any = io.BytesIO()
    with torch.inference_mode(False), torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(_Called(module, call).eval(), inputs, file, dynamo=False)  # the other one refuses EnCodec
    model: bytes = file.getvalue()
    return model


class _Called(nn.Module):
    def __init__(self, module: nn.Module, call: Callable[..., Tensor]) -> None:
        super().__init__()
        self._module, self._call = module, call

    def forward(self, *inputs: Tensor) -> Tensor:
        return self._call(self._module, *inputs)
