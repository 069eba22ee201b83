"""Finding the model that a command names, and something to call it with."""

from __future__ import annotations

import importlib
import inspect
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from convmat.terminal.texts import InputError

_FILES = (".pt", ".pth")


def load(model: str) -> nn.Module:
    """A model by its name.

    Args:
        model: ``package.module:name``, where the name is a model or makes one without arguments (the classes of
            ``transformers`` from their default configuration), or a file (.pt, .pth) that ``torch.save(model)`` wrote;
            opening one runs the code that it holds.

    Raises:
        GeometryError: if there is no such model.
    """
    if model.endswith(_FILES):
        return _checked(_from_file(Path(model)), model)
    module, colon, name = model.partition(":")
    if not colon:
        raise InputError("wrong.model", model=model)
    sys.path.insert(0, "")  # a module of the working folder, too
    try:
        made: Any = importlib.import_module(module)
        for part in name.split("."):
            made = getattr(made, part)
    except (ImportError, AttributeError) as error:
        raise InputError("wrong.import", model=model, error=error) from None
    finally:
        sys.path.remove("")
    if isinstance(made, type) and hasattr(made, "config_class"):
        made = made(made.config_class())
    if not isinstance(made, nn.Module) and callable(made):
        made = _made_by(made, model)
    return _checked(made, model)


def _made_by(build: Callable[[], Any], model: str) -> Any:
    try:
        inspect.signature(build).bind()
    except TypeError as error:
        raise InputError("wrong.arguments", model=model, error=error) from None
    return build()


def _from_file(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=False)
    except (pickle.UnpicklingError, EOFError, RuntimeError, AttributeError, ImportError) as error:
        raise InputError("wrong.model_file", path=path, error=error) from None


def _checked(model: Any, name: str) -> nn.Module:
    if not isinstance(model, nn.Module):
        raise InputError("wrong.no_module", model=name, kind=type(model).__name__)
    return model


def random_input(model: nn.Module, shape: tuple[int, ...]) -> Tensor:
    """Standard normal numbers, of the dtype and on the device of a model's parameters."""
    parameter = next(model.parameters(), torch.empty(0))
    numbers = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    return numbers.to(parameter.device, parameter.dtype)
