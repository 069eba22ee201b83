"""Commands about whole models: their norms, and how fast they are on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from convmat.cli.application import command
from convmat.cli.options import (
    Language,
    argument,
    layer_option,
    option,
    read_integer,
    read_number,
    read_sizes,
    takes_a_layer,
)
from convmat.geometry import Geometry
from convmat.terminal.texts import InputError


@command("norm")
@takes_a_layer()
def norm(
    context: typer.Context,
    model: Annotated[str | None, argument("model", "MODEL")] = None,
    input: Annotated[str, layer_option("model_input", "--input")] = "3x224x224",
    kernel: Annotated[str | None, layer_option("model_kernel")] = None,
    geometry: Geometry | None = None,
    lang: Language = None,
) -> None:
    """Print the true norm of every convolution of a model, or of one layer with random weights, and bounds on it."""
    from convmat.terminal.loading import load
    from convmat.terminal.norms import layer_of, print_norms

    if (model is None) == (geometry is None):
        raise InputError("wrong.model_or_layer")
    if model is not None:
        print_norms(load(model), read_sizes(input, "--input"), Console(), context.obj)
    if geometry is not None:
        print_norms(layer_of(geometry), geometry.in_shape, Console(), context.obj)


@command("accelerate")
def accelerate(
    context: typer.Context,
    model: Annotated[str, argument("model", "MODEL")],
    input: Annotated[str, option("model_input_only", "--input", metavar="SIZES")] = "3x224x224",
    batch: Annotated[str, option("batch", metavar="N>=1")] = "1",
    freeze: Annotated[bool, option("freeze", "--freeze")] = False,
    fold: Annotated[bool, option("fold", "--fold")] = False,
    lang: Language = None,
) -> None:
    """Measure what a model gains by convmat: each convolution on the inputs that it meets, and the whole."""
    from convmat.terminal.accelerating import print_gains
    from convmat.terminal.loading import load, random_input

    in_shape = read_integer(batch, "--batch", 1), *read_sizes(input, "--input")
    loaded = load(model)
    example = random_input(loaded, in_shape)
    print_gains(loaded, example, Console(), context.obj, freeze=freeze, fold=fold)


@command("tune")
def tune(
    context: typer.Context,
    out: Annotated[Path | None, option("tuning_file", metavar="FILE")] = None,
    seconds: Annotated[str, option("tuning_seconds", metavar="X>=1")] = "60",
    lang: Language = None,
) -> None:
    """Measure for a minute, so that ``auto`` chooses better on this machine."""
    from convmat.terminal.tuning import tune_machine

    tune_machine(out, read_number(seconds, "--seconds", 1), Console(), context.obj)
