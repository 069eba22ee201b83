"""The product of the axes: shapes against PyTorch's, entries against the definition, and what it may import."""

import ast
from itertools import product
from math import prod
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given

import convmat
from convmat import Axis, Geometry, GeometryError
from convmat.matrices.convolutions import build
from tests.layers import Layer
from tests.strategies import layers


def geometry_of(layer: Layer) -> Geometry:
    build = Geometry.conv_transpose if layer.transposed else Geometry.conv
    in_channels, out_channels = layer.channels
    return build(layer.sizes, layer.kernel, **layer.options, in_channels=in_channels, out_channels=out_channels)


def positions_by_definition(geometry: Geometry):
    """The taps, as tuples with the kernel's position, that meet in each (row, column) of the map's matrix."""
    rows, columns = geometry.direct_channels
    rows_per_group, columns_per_group = rows // geometry.groups, columns // geometry.groups
    met: dict[tuple[int, int], list[tuple[int, ...]]] = {}
    for co, ci in product(range(rows), range(columns_per_group)):
        column_channel = ci + co // rows_per_group * columns_per_group
        for output in np.ndindex(geometry.outputs):
            for tap in np.ndindex(geometry.kernel_size):
                cells = [int(axis.source()[o, t]) for axis, o, t in zip(geometry.axes, output, tap, strict=True)]
                if min(cells) < 0:
                    continue
                row = np.ravel_multi_index((co, *output), (rows, *geometry.outputs))
                column = np.ravel_multi_index((column_channel, *cells), (columns, *geometry.inputs))
                at = (int(column), int(row)) if geometry.transposed else (int(row), int(column))
                met.setdefault(at, []).append(tap)
    return met


@given(layers())
def test_shapes(layer):
    geometry = geometry_of(layer)
    assert geometry.ndim == layer.ndim
    assert geometry.in_shape == (layer.channels[0], *layer.sizes)
    assert geometry.out_shape == (layer.channels[1], *layer.out_sizes)
    assert geometry.weight_shape == layer.weight_shape
    assert geometry.kernel_size == layer.kernel
    assert geometry.stride == layer.per_axis(layer.stride)
    assert geometry.dilation == layer.per_axis(layer.dilation)
    assert geometry.matrix_shape == (prod(geometry.out_shape), prod(geometry.in_shape))
    assert geometry.padding_mode == layer.padding_mode


@given(layers(padding_mode="zeros", strings=False))
def test_output_shapes_are_pytorchs(layer):
    if any(isinstance(item, tuple) for item in layer.per_axis(layer.padding)):
        return
    options = {name: value for name, value in layer.options.items() if name not in ("padding_mode", "output_size")}
    input, weight = torch.empty(3, layer.channels[0], *layer.sizes, device="meta"), torch.empty(layer.weight_shape)
    expected = getattr(F, layer.name)(input, weight.to("meta"), **options).shape
    assert (3, *geometry_of(layer).out_shape) == tuple(expected)


@given(layers(transposed=True, padding_mode="zeros", strings=False))
def test_output_sizes_of_pytorchs_layers_are_in_reach(layer):
    """What a ``ConvTranspose`` module accepts as its output_size gives the same output_padding here."""
    if any(isinstance(item, tuple) for item in layer.per_axis(layer.padding)):
        return
    stride, padding, dilation = (layer.per_axis(value) for value in (layer.stride, layer.padding, layer.dilation))
    module = getattr(torch.nn, f"ConvTranspose{layer.ndim}d")(
        1, 1, layer.kernel, stride, padding, dilation=dilation, device="meta"
    )
    smallest = [size - more for size, more in zip(layer.out_sizes, layer.per_axis(layer.output_padding), strict=True)]
    largest = [size + step - 1 for size, step in zip(smallest, stride, strict=True)]
    for wanted in (smallest, largest):
        if min(wanted) < 1:
            continue
        sized = Geometry.conv_transpose(
            layer.sizes, layer.kernel, stride, padding, dilation=dilation, output_size=wanted
        )
        assert module(torch.empty(1, 1, *layer.sizes, device="meta"), wanted).shape[2:] == sized.inputs


@given(layers(ndim=1, strings=False))
def test_one_number_serves_every_axis(layer):
    """A scalar, a sequence of one and a sequence for each axis say the same; in two axes too."""
    kernel, stride, dilation = layer.kernel[0], layer.per_axis(layer.stride)[0], layer.per_axis(layer.dilation)[0]
    options = {"padding": layer.padding, "padding_mode": layer.padding_mode}
    build = Geometry.conv_transpose if layer.transposed else Geometry.conv
    if layer.transposed:
        options["output_padding"] = layer.output_padding
    sizes = layer.sizes * 2
    whole = build(sizes, kernel, stride, dilation=dilation, **options)
    spelled = build(sizes, [kernel, kernel], (stride, stride), dilation=[dilation], **options)
    assert whole == spelled
    assert whole.axes[0] == whole.axes[1] == build(layer.sizes, kernel, stride, dilation=dilation, **options).axes[0]


@given(layers())
def test_transposing_twice_is_nothing(layer):
    geometry = geometry_of(layer)
    transpose = geometry.transpose()
    assert transpose.transpose() == geometry
    assert (transpose.in_shape, transpose.out_shape) == (geometry.out_shape, geometry.in_shape)
    assert transpose.matrix_shape == geometry.matrix_shape[::-1]
    assert transpose.weight_shape == geometry.weight_shape
    assert transpose.axes == geometry.axes


@given(layers(ndim=2))
def test_entries_are_the_places_where_taps_meet(layer):
    geometry = geometry_of(layer)
    counts, columns, taps = geometry.entries()
    met = positions_by_definition(geometry)
    cells = prod(geometry.out_shape[1:])
    first_channel = {at: found for at, found in met.items() if at[0] < cells}
    assert geometry.most_entries() >= len(met)
    if layer.padding_mode == "zeros":
        assert geometry.most_entries() == len(met)
    rows = np.repeat(np.arange(cells), counts)
    assert list(zip(rows.tolist(), columns.tolist(), strict=True)) == sorted(first_channel)
    per_group = geometry.in_channels // geometry.groups
    shape = (per_group, *(len(sets) for sets in geometry.tap_sets()))
    for row, column, position in zip(rows.tolist(), columns.tolist(), taps.tolist(), strict=True):
        channel, *numbers = np.unravel_index(position, shape)
        assert channel == column // prod(geometry.in_shape[1:])
        sets = [geometry.tap_sets()[a][number] for a, number in enumerate(numbers)]
        assert sorted(product(*sets)) == sorted(met[row, column])


@given(layers(ndim=2))
def test_reads_feeds_and_overlap_are_products_of_the_axes(layer):
    geometry = geometry_of(layer)
    fed = np.zeros(geometry.inputs, dtype=int)
    pairs = set()
    for output in np.ndindex(geometry.outputs):
        for tap, input in geometry.reads(output):
            assert input == tuple(axis.source()[o, t] for axis, o, t in zip(geometry.axes, output, tap, strict=True))
            fed[input] += 1
            pairs.add((tap, input, output))
    assert geometry.overlap().tolist() == fed.tolist()
    back = {(tap, input, output) for input in np.ndindex(geometry.inputs) for tap, output in geometry.feeds(input)}
    assert back == pairs


def test_axes_may_pad_in_different_modes():
    axes = Axis.conv(4, 3, padding=1), Axis.conv(5, 3, padding=1, padding_mode="circular")
    assert Geometry(axes).padding_mode == "mixed"
    assert Geometry(axes).unpadded().inputs == (4, 7)


def test_an_error_says_which_axis():
    with pytest.raises(GeometryError, match=r"^spatial axis 1: kernel_size=5 "):
        Geometry.conv((9, 3), (3, 5))
    with pytest.raises(GeometryError, match=r"^kernel_size=5 "):
        Geometry.conv((3,), (5,))


def test_geometries_compare_and_hash():
    made = [Geometry.conv((4, 5), 3, padding=padding) for padding in (1, (1, 1), [1], "same")]
    assert len(set(made)) == 1
    assert Geometry.conv((4, 5), 3, padding=((1, 1), (1, 2))) != made[0]


def geometry_sources() -> list[Path]:
    folder = Path(convmat.__file__).parent / "geometry"
    return sorted(folder.rglob("*.py"))


@pytest.mark.parametrize("path", geometry_sources(), ids=lambda path: path.stem)
def test_geometry_imports_neither_torch_nor_the_rest(path):
    allowed = {
        "__future__",
        "collections",
        "dataclasses",
        "functools",
        "itertools",
        "math",
        "numpy",
        "os",
        "pathlib",
        "reprlib",
        "typing",
        "weakref",
    }
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            names = [str(node.module)]
        for name in names:
            assert name.split(".")[0] in allowed or name.startswith("convmat.geometry")


@given(layer=layers(padding_mode="zeros"))
def test_merged_axes_make_the_same_matrix(layer):
    """Cells in row-major order stay where they are, so the matrices are equal as they are."""
    geometry = geometry_of(layer)
    merged = geometry.merged()
    assert merged.matrix_shape == geometry.matrix_shape
    pairs = zip(merged.axes, merged.axes[1:], strict=False)
    assert not any(first.passes_on and second.passes_on for first, second in pairs)
    weight = torch.randn(geometry.weight_shape, dtype=torch.float64)
    expected = build(geometry, weight, torch.strided)
    assert torch.equal(build(merged, weight.reshape(merged.weight_shape), torch.strided), expected)


@pytest.mark.parametrize(
    ("kernel", "inputs"), [((1, 1, 1), (120,)), ((3, 1, 1), (4, 30)), ((1, 1, 3), (24, 5)), ((1, 3, 1), (4, 6, 5))]
)
def test_neighbouring_axes_that_pass_cells_on_are_merged(kernel, inputs):
    padding = tuple(size // 2 for size in kernel)
    geometry = Geometry.conv((4, 6, 5), kernel, padding=padding, in_channels=2, out_channels=3)
    assert geometry.merged().inputs == inputs
    assert geometry.transpose().merged().inputs == inputs


def test_outputs_that_would_fit_beyond_those_there_are():
    axis = Axis.conv_transpose(3, kernel=2, dilation=4, output_padding=3)  # 10 cells, of which C would make 6
    assert (axis.inputs, axis.outputs, axis.further_outputs) == (10, 3, 3)
    assert Axis.conv(10, kernel=2, dilation=4).outputs == axis.outputs + axis.further_outputs


@given(layer=layers(padding_mode="zeros"))
def test_the_gradient_with_respect_to_the_weight_is_a_convolution(layer):
    """Of ``<y, C(w) x>``, from x with the kernel y."""
    geometry = geometry_of(layer)
    direct = geometry.transpose() if geometry.transposed else geometry
    of_weight, groups = direct.of_weight(batch=1), direct.groups
    for axis, exchanged in zip(direct.axes, of_weight.axes, strict=True):
        assert np.array_equal(exchanged.source(), axis.source().T)
    shapes = direct.in_shape, direct.out_shape, direct.weight_shape
    x, y, weight = (torch.randn(shape, dtype=torch.float64) for shape in shapes)
    form = y.flatten() @ build(direct, weight.requires_grad_(), torch.strided) @ x.flatten()
    (expected,) = torch.autograd.grad(form, weight)
    matrix = build(of_weight, y.unsqueeze(1), torch.strided)
    of_each_channel = [matrix @ channel.flatten() for channel in x.unflatten(0, (groups, -1)).unbind(1)]
    found = torch.stack([column.reshape(of_weight.out_shape) for column in of_each_channel], 1)
    torch.testing.assert_close(found, expected)
