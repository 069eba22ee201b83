"""The public names, and what importing them costs."""

import doctest
import inspect
import types

import pytest

import convmat
from tests.scripts import CONVOLVE, loaded

RUN = [f"conv{direction}{ndim}d" for direction in ("", "_transpose") for ndim in (1, 2, 3)]
PUBLIC = [
    *RUN,
    "unfold",
    "fold",
    "available_methods",
    "column_memory",
    "conv_matrix",
    "conv_transpose_matrix",
    "matrix",
    "Axis",
    "Geometry",
    "GeometryError",
]


def test_public_names():
    assert set(PUBLIC) <= set(convmat.__all__)
    assert len(set(convmat.__all__)) == len(convmat.__all__)
    visible = {*convmat._LATER} | {
        name
        for name, value in vars(convmat).items()
        if not name.startswith("_") and not isinstance(value, types.ModuleType)
    }
    assert visible == {name for name in convmat.__all__ if not isinstance(getattr(convmat, name), types.ModuleType)}


def test_dir_shows_public_names_only():
    assert set(dir(convmat)) == {*convmat.__all__, "__version__"}
    assert convmat.geometry.Axis is convmat.Axis  # not shown, but there


@pytest.mark.parametrize("name", convmat.__all__)
def test_everything_public_is_there_and_explains_itself(name):
    documented = getattr(convmat, name)
    text = inspect.getdoc(documented)
    assert text
    assert text.splitlines()[0].endswith(".")


@pytest.mark.parametrize("name", [name for name in convmat.__all__ if callable(getattr(convmat, name))])
def test_everything_callable_has_an_example(name):
    documented = getattr(convmat, name)
    if isinstance(documented, type) and issubclass(documented, Exception):
        pytest.skip("an error is shown where it is raised")
    assert doctest.DocTestParser().get_examples(documented.__doc__)


@pytest.mark.parametrize("name", RUN)
def test_arguments_are_pytorchs_and_more_by_keyword(name):
    """PyTorch's parameters, in its order; the others by keyword only."""
    parameters = inspect.signature(getattr(convmat, name)).parameters.values()
    ours = [parameter.name for parameter in parameters if parameter.kind != parameter.KEYWORD_ONLY]
    theirs = ["input", "weight", "bias", "stride", "padding"]
    theirs += ["output_padding", "groups", "dilation"] if "transpose" in name else ["dilation", "groups"]
    assert ours == theirs
    more = [parameter.name for parameter in parameters if parameter.kind == parameter.KEYWORD_ONLY]
    assert more == (["output_size"] if "transpose" in name else []) + ["padding_mode", "method"]


def test_a_version():
    assert convmat.__version__.count(".") == 2


def test_import_loads_nothing_that_pytorch_does_not():
    heavy = {"scipy", "numba", "llvmlite", "matplotlib", "typer", "rich", "pandas", "sympy", "IPython"}
    assert loaded()["import convmat"] & heavy <= loaded()["import torch"]


def test_numba_is_imported_when_it_is_needed():
    assert not {"numba", "llvmlite"} & loaded()["import convmat"]


def test_import_leaves_pytorchs_compiler_for_later():
    assert "torch._dynamo" not in loaded()["import convmat"] - loaded()["import torch"]


def test_convolving_loads_nothing_for_pictures_or_terminals():
    assert not {"matplotlib", "typer", "rich"} & loaded()[CONVOLVE]
