"""Steps, frames, stamps and phases: every number, tap, colour and frame is read back and compared with PyTorch."""

from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import convmat
from convmat import Geometry, GeometryError, draw
from convmat.draw import colors
from convmat.draw.subject import weight_in, with_weight
from tests.draw.reading import as_two_axes, numbers, read, stacks
from tests.layers import Layer, reference
from tests.strategies import layers

few = settings(max_examples=10)
drawn_layers = st.sampled_from([1, 2]).flatmap(lambda ndim: layers(ndim=ndim))
transposed_layers = st.sampled_from([1, 2]).flatmap(lambda ndim: layers(ndim=ndim, transposed=True))
zero_padded = st.sampled_from([1, 2]).flatmap(lambda ndim: layers(ndim=ndim, transposed=True, padding_mode="zeros"))


def options(layer: Layer) -> dict:
    given = {"transposed": True, **layer.options} if layer.transposed else layer.options
    return {**given, "in_shape": layer.sizes}


def tensors(layer: Layer):
    """Integers without a zero, so that no cell looks like another by chance."""
    generator = torch.Generator().manual_seed(3)
    x = torch.randint(1, 9, (layer.channels[0], *layer.sizes), generator=generator)
    return x, torch.randint(1, 9, layer.weight_shape, generator=generator)


def padded(layer: Layer, x: torch.Tensor) -> np.ndarray:
    pads = [(lo, hi) for lo, hi, *_ in layer.numbers()]
    mode = {"zeros": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}[layer.padding_mode]
    return np.pad(x.numpy(), [(0, 0), *pads], mode=mode)


def inserted(layer: Layer, x: torch.Tensor) -> np.ndarray:
    """Zeros inserted, then padded or cropped, by PyTorch."""
    strides, dilations = layer.per_axis(layer.stride), layer.per_axis(layer.dilation)
    pulled = x.new_zeros(len(x), *((n - 1) * s + 1 for n, s in zip(layer.sizes, strides, strict=True)))
    pulled[(slice(None), *(slice(None, None, s) for s in strides))] = x
    pads = []
    for (lo, hi, more, *_), kernel, dilation in zip(layer.numbers(), layer.kernel, dilations, strict=True):
        pads = [dilation * (kernel - 1) - lo, dilation * (kernel - 1) - hi + more, *pads]
    # PyTorch crops no more than there is, so zeros are added before.
    wider = torch.nn.functional.pad(pulled, [max(pad, 0) for pad in pads])
    return torch.nn.functional.pad(wider, [min(pad, 0) for pad in pads]).numpy()


@few
@given(st.one_of(zero_padded, st.sampled_from([1, 2]).flatmap(lambda n: layers(ndim=n, transposed=False))), st.data())
def test_gather(layer, data):
    x, weight = tensors(layer)
    expected = reference(layer, x, weight)
    at = data.draw(st.integers(0, expected.numel() - 1))
    boards, kernels, outputs = stacks(read(draw.arithmetic(weight, input=x, view="gather", at=at, **options(layer))))
    for channel, output in zip(expected, outputs, strict=True):
        np.testing.assert_array_equal(numbers(output), as_two_axes(channel))
    lit = np.unravel_index(at, expected.shape)
    cell = (0,) * (2 - layer.ndim) + tuple(int(i) for i in lit[1:])
    assert [output.colored(colors.MADE) for output in outputs] == [
        {cell} if channel == lit[0] else set() for channel in range(len(outputs))
    ]
    shown = inserted(layer, x) if layer.transposed else padded(layer, x)
    for channel, board in zip(shown, boards, strict=True):
        np.testing.assert_array_equal(numbers(board), as_two_axes(channel))
    check_sum(layer, boards, kernels, int(expected[lit]))


def check_sum(layer, boards, kernels, expected):
    """The taps in the corners are those of the kernel beside them, and the products add up to the output."""
    total, of_kernels = 0, []
    for board in boards:
        under = sorted(board.corners)
        assert set(under) == board.colored(colors.WINDOW)
        if under:
            taps = [int(board.corners[cell]) for cell in under]
            of_kernels.append(taps)
            total += sum(tap * int(board.cells[cell].text) for tap, cell in zip(taps, under, strict=True))
            rows, columns = zip(*under, strict=True)
            size = max(rows) - min(rows) + 1, max(columns) - min(columns) + 1
            assert board.frames == [(min(rows), min(columns), *size, colors.BLUE)]
    assert total == expected
    assert of_kernels == [[int(text) for text in kernel.texts.ravel()] for kernel in kernels]


@few
@given(transposed_layers, st.data())
def test_a_stamp_on_the_canvas(layer, data):
    x, weight = tensors(layer)
    at = data.draw(st.integers(0, x.numel() - 1))
    found = stacks(read(draw.arithmetic(weight, input=x, at=at, so_far=True, **options(layer))))
    inputs, _, canvases = found[:3]
    flat = x.reshape(-1).clone()
    flat[at + 1 :] = 0
    whole = uncropped(layer, flat.reshape(x.shape), weight)
    last = torch.zeros_like(flat)
    last[at] = flat[at]
    stamp = uncropped(layer, last.reshape(x.shape), weight)
    for channel, drawn in enumerate(canvases):
        sums, added = as_two_axes(whole[channel]), as_two_axes(stamp[channel])
        for cell, text in np.ndenumerate(drawn.texts):
            inside = all(i < size for i, size in zip(cell, sums.shape, strict=True))
            assert (int(text) if text else 0) == (sums[cell] if inside else 0)
            assert drawn.corners.get(cell, "+0") == f"+{int(added[cell]) if inside else 0}"
    lit = {i for grid in inputs for i in grid.colored(colors.READ)}
    assert sum(len(grid.colored(colors.READ)) for grid in inputs) == at + 1
    assert lit


def uncropped(layer: Layer, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """The transposed convolution without padding, by PyTorch."""
    function = getattr(torch.nn.functional, f"conv_transpose{layer.ndim}d")
    arguments = {"stride": layer.stride, "dilation": layer.dilation, "groups": layer.groups}
    return function(x[None].double(), weight.double(), **arguments)[0].long()


@few
@given(transposed_layers)
def test_the_frame(layer):
    x, weight = tensors(layer)
    figure = draw.frame(weight, input=x, **options(layer))
    canvases = stacks(read(figure))[2]
    whole, expected = uncropped(layer, x, weight), reference(layer, x, weight)
    places = [(lo, m) for lo, _, _, m, _ in layer.numbers()]
    (top, rows), (left, columns) = [(0, 1)] * (2 - layer.ndim) + places
    for channel, drawn in enumerate(canvases):
        assert [frame[:4] for frame in drawn.frames] == [(top, left, rows, columns)]
        assert drawn.frames[0][4] == colors.VERMILLION
        if layer.padding_mode == "zeros":  # what lies in the frame is the output
            shown = numbers(drawn)[top : top + rows, left : left + columns]
            np.testing.assert_array_equal(shown, as_two_axes(expected[channel]))
        stamped = as_two_axes(whole[channel])
        np.testing.assert_array_equal(
            np.nan_to_num(numbers(drawn))[: stamped.shape[0], : stamped.shape[1]], np.where(stamped, stamped, 0)
        )
        counts = as_two_axes(uncropped(layer, torch.ones_like(x), torch.ones_like(weight))[channel])
        reached = {cell for cell, count in np.ndenumerate(counts) if count}
        assert drawn.hatched == set(drawn.cells) - reached
        shades = {int(counts[cell]): drawn.cells[cell].color for cell in reached}
        assert all(drawn.cells[cell].color == shades[int(counts[cell])] for cell in reached)
        assert len(set(shades.values())) == len(shades)


def test_the_frame_without_numbers_counts():
    geometry = Geometry.conv_transpose((2, 3), (3, 2), stride=2, padding=(1, 0), output_padding=1)
    canvas = read(draw.frame(geometry))[-1]
    inside = numbers(canvas)[1:5, 0:7]
    np.testing.assert_array_equal(inside, geometry.overlap())


@few
@given(layers(ndim=2, transposed=False), st.data())
def test_scatter_of_a_convolution(layer, data):
    x, weight = tensors(layer)
    at = data.draw(st.integers(0, x.numel() - 1))
    found = read(draw.arithmetic(weight, input=x, view="scatter", at=at, so_far=True, **options(layer)))
    outputs = stacks(found)[2]
    flat = x.reshape(-1).clone()
    flat[at + 1 :] = 0
    expected = reference(layer, flat.reshape(x.shape), weight)
    flat[:at] = 0
    added = reference(layer, flat.reshape(x.shape), weight)
    for channel, drawn in enumerate(outputs):
        for cell, text in np.ndenumerate(drawn.texts):
            assert (int(text) if text else 0) == expected[channel][cell]
            terms = [int(term) for term in drawn.corners.get(cell, "").split("+") if term]
            assert sum(terms) == added[channel][cell]


@few
@given(zero_padded)
def test_phases(layer):
    strides = layer.per_axis(layer.stride)
    x, weight = tensors(layer)
    figure = draw.phases(weight, input=x, **options(layer))
    titles = [text.get_text() for text in figure.axes[0].texts if text.get_text().startswith("phase")]
    assert len(titles) == np.prod(strides)
    for title, residue in zip(titles, product(*(range(s) for s in strides)), strict=True):
        taps = taps_of_phase(layer, residue)
        total = sum(int(weight[0, 0][tap]) for tap in taps)
        words = f"taps {len(taps)}, sum {total}" if taps else "no tap: zeros"
        assert title == f"phase {','.join(map(str, residue))}, {words}"


def taps_of_phase(layer: Layer, residue) -> list[tuple[int, ...]]:
    """By what each tap alone reaches in an uncropped output of PyTorch."""
    strides, found = layer.per_axis(layer.stride), []
    one = torch.ones(1, 1, *(1 for _ in layer.sizes), dtype=torch.float64)
    function = getattr(torch.nn.functional, f"conv_transpose{layer.ndim}d")
    for tap in np.ndindex(*layer.kernel):
        weight = torch.zeros(1, 1, *layer.kernel, dtype=torch.float64)
        weight[(0, 0, *tap)] = 1
        (reached,) = torch.nonzero(function(one, weight, stride=layer.stride, dilation=layer.dilation)[0, 0])
        if tuple(int(i) % s for i, s in zip(reached, strides, strict=True)) == tuple(residue):
            found.append(tap)
    return found


def test_outputs_of_a_phase_share_its_colour():
    weight = torch.arange(1, 10).reshape(1, 1, 3, 3)
    grids = read(draw.phases(weight, (3, 4), stride=(2, 3), padding=1))
    outputs = max(grids, key=lambda grid: len(grid.cells))
    kernel = next(grid for grid in grids if grid.shape == (3, 3) and grid.texts[2, 2] == "9")
    for (row, column), cell in outputs.cells.items():
        taps = [(t, u) for t, u in kernel.cells if (row + 1 - t) % 2 == 0 and (column + 1 - u) % 3 == 0]
        assert {kernel.cells[tap].color for tap in taps} == {cell.color}
        assert {kernel.cells[tap].corner for tap in taps} == {cell.corner} == {f"{(row + 1) % 2},{(column + 1) % 3}"}
    assert len({cell.color for cell in outputs.cells.values()}) == 6


@settings(max_examples=6)  # the largest of all pictures
@given(layers(ndim=2, transposed=False))
def test_unfold(layer):
    x, weight = tensors(layer)
    expected = reference(layer, x, weight)
    windows = torch.nn.functional.unfold(
        torch.from_numpy(padded(layer, x))[None].double(), layer.kernel, layer.dilation, 0, layer.stride
    )[0].long()
    assume(windows.numel() + len(weight) * sum(windows.shape) <= 3500)  # others may be too large to draw
    grids = read(draw.unfold(weight, input=x, **options(layer)))
    lowest = max(grid.y for grid in grids)
    below = sorted((grid for grid in grids if abs(grid.y - lowest) < 1e-6), key=lambda grid: grid.x)
    kernels, outputs = below
    regions = next(
        g for g in grids if abs(g.x + g.shape[1] / 2 - outputs.x - outputs.shape[1] / 2) < 1e-6 and g is not outputs
    )
    np.testing.assert_array_equal(numbers(outputs), expected.flatten(1))
    np.testing.assert_array_equal(numbers(regions), windows)
    np.testing.assert_array_equal(np.nan_to_num(numbers(kernels)) @ numbers(regions), numbers(outputs))
    assert regions.y < outputs.y
    assert {frame[1] for frame in regions.frames} == {frame[1] for frame in outputs.frames}


def test_slide_draws_the_kernel_where_its_sum_is():
    x, weight = torch.arange(1, 19).reshape(3, 6), torch.arange(1, 7).reshape(1, 1, 2, 3)
    grids = read(draw.slide(weight, (3, 6), input=x, places=[(0, 0), (1, 3)]))
    expected = torch.nn.functional.conv2d(x[None, None], weight)[0, 0]
    for (board, output), place in zip(stacks(grids), [(0, 0), (1, 3)], strict=True):
        np.testing.assert_array_equal(numbers(board), x)
        np.testing.assert_array_equal(numbers(output), expected)
        corners = {(place[0] + t, place[1] + u): str(int(weight[0, 0, t, u])) for t in range(2) for u in range(3)}
        assert board.corners == corners
        assert output.frames == [(*place, 1, 1, colors.GREEN)]


def test_stamps_add_up():
    figure = draw.stamps(torch.tensor([[[1, 3, 3, 1]]]), (3,), stride=2, padding=1, input=torch.tensor([4, 8, 2]))
    *single, total = sorted((grid for grid in read(figure) if grid.shape == (1, 8)), key=lambda grid: grid.y)
    assert len(single) == 3
    np.testing.assert_array_equal(sum(np.nan_to_num(numbers(grid)) for grid in single), numbers(total))
    assert total.frames[0][:4] == (0, 1, 1, 6)
    np.testing.assert_array_equal(numbers(total)[0, 1:7], [12, 20, 28, 24 + 2, 8 + 6, 6])


@pytest.mark.parametrize(("sizes", "rows"), [((2, 3), [3, 3]), ((3, 2), [2, 2, 2]), ((2, 5), [3, 2, 3, 2])])
def test_stamps_stand_as_their_inputs_do(sizes, rows):
    weight, x = torch.arange(1, 5).reshape(1, 1, 2, 2), torch.arange(1, 1 + np.prod(sizes)).reshape(sizes)
    figure = draw.stamps(weight, sizes, stride=3, input=x)
    canvas = tuple(3 * size - 1 for size in sizes)
    *single, total = sorted((grid for grid in read(figure) if grid.shape == canvas), key=lambda grid: (grid.y, grid.x))
    assert [[*heights].count(y) for heights in [[grid.y for grid in single]] for y in dict.fromkeys(heights)] == rows
    assert [int(np.nanmin(numbers(grid))) for grid in single] == x.flatten().tolist()
    np.testing.assert_array_equal(sum(np.nan_to_num(numbers(grid)) for grid in single), numbers(total))


def test_zero_insertion_is_the_gather_view():
    geometry = Geometry.conv_transpose((2, 3), (2, 3), stride=(2, 3))
    names = [[grid.texts.tolist() for grid in read(figure)] for figure in both(geometry)]
    assert names[0] == names[1]
    board, kernel, output = read(draw.zero_insertion(geometry, at=(2, 4)))
    assert kernel.texts.tolist() == [["w12", "w11", "w10"], ["w02", "w01", "w00"]]
    assert board.corners[2, 4] == "w12"
    assert output.texts[2, 4] == "y24"
    hatches = {cell.text: cell.hatch for cell in board.cells.values()}
    assert not hatches["x11"]
    assert {board.cells[0, 0].hatch, board.cells[1, 3].hatch} == {colors.PADDED_HATCH, colors.INSERTED_HATCH}


def both(geometry):
    return draw.zero_insertion(geometry, at=5), draw.arithmetic(geometry, view="gather", at=5)


# -- what is drawn may be said in several ways -------------------------------------------------------------------------


def test_a_weight_a_layer_a_matrix_and_a_geometry_draw_the_same():
    layer = torch.nn.ConvTranspose2d(2, 4, (3, 2), stride=2, padding=1, groups=2, bias=False).double()
    weight = layer.weight.detach()
    geometry = Geometry.of(layer, (2, 3, 4))
    matrix = convmat.matrix(layer, (2, 3, 4)).detach()
    arguments = {"transposed": True, "stride": 2, "padding": 1, "groups": 2}
    ways = [
        draw.frame(weight, (3, 4), **arguments),
        draw.frame(weight, input_size=(3, 4), **arguments),
        draw.frame(weight.numpy(), (3, 4), **arguments),
        draw.frame(layer, (2, 3, 4)),
        draw.frame(geometry, weight=weight),
        draw.frame(matrix, geometry),
        draw.frame(matrix.to_sparse(), geometry),
        draw.frame(convmat.to_scipy(matrix), geometry),
    ]
    first, *others = [[grid.texts.tolist() for grid in read(figure)] for figure in ways]
    assert all(other == first for other in others)


@few
@given(drawn_layers)
def test_a_weight_is_read_off_its_matrix(layer):
    """Or off as much of it as stands alone: what draws the same is as good."""
    _, weight = tensors(layer)
    geometry, _ = with_weight(weight, **options(layer))
    matrix = layer.matrix(weight)
    if layer.padding_mode == "zeros":
        assert torch.equal(layer.matrix(weight_in(matrix, geometry)), matrix)
    if (matrix == 0).any():
        matrix[tuple(torch.nonzero(matrix == 0)[0])] = 99
        with pytest.raises(GeometryError, match="is no sum of taps"):
            weight_in(matrix, geometry)


WRONG = {
    "a matrix alone": (lambda: draw.frame(torch.ones(4, 5)), "does not say where its cells lie"),
    "a matrix of another": (lambda: draw.frame(torch.ones(4, 5), Geometry.conv_transpose((3,), 2)), "is not that of"),
    "no matrix of a convolution": (
        lambda: draw.frame(torch.arange(12).reshape(4, 3), Geometry.conv_transpose((3,), 2)),
        r"its entry \[\d, \d\] is no sum",
    ),
    "three axes": (lambda: draw.arithmetic(Geometry.conv((3, 3, 3), 2)), "over 3 axes cannot be drawn"),
    "a view": (lambda: draw.arithmetic(Geometry.conv((4,), 2), view="x"), "need one of 'gather', 'scatter'"),
    "a step": (lambda: draw.arithmetic(Geometry.conv((4,), 2), at=3), r"at=3 is no output cell"),
    "an index": (lambda: draw.arithmetic(Geometry.conv((4, 4), 2), at=(3, 3)), r"need an index into \(1, 3, 3\)"),
    "gather of a circular one": (
        lambda: draw.arithmetic(Geometry.conv_transpose((4,), 3, padding=1, padding_mode="circular"), view="gather"),
        "view='scatter' would do",
    ),
    "a direct frame": (lambda: draw.frame(Geometry.conv((4,), 2)), r"geometry\.transpose\(\) would do"),
    "a transposed unfold": (lambda: draw.unfold(Geometry.conv_transpose((4,), 2)), "direct convolutions"),
    "many stamps": (lambda: draw.stamps(Geometry.conv_transpose((4, 4), 2)), "need at most 12"),
    "many cells": (lambda: draw.arithmetic(Geometry.conv((70, 70), 3)), "too large to draw"),
    "many phases": (lambda: draw.phases(Geometry.conv_transpose((2, 2), 2, stride=7)), "need at most 36"),
    "many steps": (lambda: draw.animate(Geometry.conv((30, 30), 2)), "too many to animate"),
    "a language": (lambda: draw.frame(Geometry.conv_transpose((4,), 2), lang="fr"), "need 'en' or 'zh'"),
    "a font size": (lambda: draw.frame(Geometry.conv_transpose((4,), 2), font_size=0), "out of range"),
    "an input": (lambda: draw.frame(Geometry.conv_transpose((4,), 2), input=[1, 2]), r"need \(1, 4\)"),
    "places": (lambda: draw.slide(Geometry.conv((4,), 2), places=[]), "at least one output"),
    "an ending": (lambda: draw.animate(Geometry.conv((4,), 2), out="x.png"), r"must end in \.gif"),
    "rows": (lambda: draw.sparsity(Geometry.conv((4,), 2), rows=[3]), "need some of 0 to 2"),
    "entries": (lambda: draw.sparsity(Geometry.conv((4,), 2), entries="numbers"), "needs a weight"),
    "meta": (lambda: draw.sparsity(torch.ones(3, 3, device="meta")), "has no numbers to draw"),
}


@pytest.mark.parametrize(("call", "says"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_said(call, says):
    with pytest.raises(GeometryError, match=says) as error:
        call()
    assert len(str(error.value)) < 500


@pytest.mark.parametrize(
    "call",
    [
        lambda: draw.frame(torch.ones(1, 1, 2)),
        lambda: draw.frame(torch.ones(1, 1, 2), (3,), strides=2),
        lambda: draw.frame(Geometry.conv_transpose((4,), 2), ax="here"),
        lambda: draw.frame(Geometry.conv_transpose((4,), 2), font_size="large"),
        lambda: draw.frame(Geometry.conv_transpose((4,), 2), weight="w"),
        lambda: draw.upsampling("picture"),
    ],
)
def test_what_is_of_the_wrong_type_is_said(call):
    with pytest.raises(TypeError):
        call()
