"""The page's numbers are Python's: the matrix, the outputs, the sum of stamps, the frame, and the cells as drawn."""

from __future__ import annotations

import json

import numpy as np
import pytest

from convmat.explorer.files import script
from tests.explorer.geometries import Case, all_traits, random_cases

COUNT = 500
CASES = random_cases(COUNT)

# For every state: the numbers, then the cells of the document and the pixels of the matrix. As text, it crosses faster.
READ = """
(states) => JSON.stringify(JSON.parse(states).map((state) => {
  app.update({ ...state, lang: "en", theme: "light" });
  const model = app.model, places = app.root.querySelector(".cells.canvas");
  const texts = (name) => app.stage[name].cells.map((cell) => cell.textContent);
  const box = places.getBoundingClientRect();
  const cell = places.querySelector("[role=gridcell]").getBoundingClientRect();
  const frame = app.root.querySelector(".frame").getBoundingClientRect(), border = 3;
  const shade = app.matrix.numbers.getContext("2d"), { side, left, top, ratio, shape: [rows, columns] } = app.matrix;
  const pixels = shade.getImageData(0, 0, app.matrix.numbers.width, app.matrix.numbers.height);
  const drawn = [];
  for (let r = 0; r < rows; r++) for (let c = 0; c < columns; c++) {
    const inside = side > 4 ? side - 2 : side - 1; // beside the number and the lines
    const x = Math.floor((left + c * side + inside) * ratio), y = Math.floor((top + r * side + inside) * ratio);
    const at = (y * pixels.width + x) * 4;
    drawn.push(pixels.data[at] << 16 | pixels.data[at + 1] << 8 | pixels.data[at + 2]);
  }
  return {
    matrix: [...model.matrix()], output: [...model.output], canvas: [...model.canvasOf(0).values],
    gathered: model.transposed && state.geometry.padding_mode === "zeros" ? [...convmat.gathered(model, 0)] : null,
    coarse: texts("coarse"), kernel: texts("kernel"), cells: texts("canvas"), drawn, turned: app.matrix.turned,
    frame: [
      frame.top + border - box.top, frame.left + border - box.left, frame.height - 2 * border, frame.width - 2 * border,
    ].map((length) => length / cell.width),
    table: model.axes.map((axis) => axis.table()), wrong: app.wrong,
  };
}))
"""


def shown(values: np.ndarray) -> list[str]:
    return [f"{int(value)}".replace("-", "−") for value in values.flatten()]


def problems(case: Case, page: dict, tolerance: float = 0.0) -> list[str]:
    """What a page shows otherwise than it should."""
    geometry, direct, output, canvas = case.geometry, case.direct, case.output, case.canvas
    found = []

    def compare(name: str, given, wanted) -> None:
        given, wanted = np.asarray(given, dtype=float).flatten(), np.asarray(wanted, dtype=float).flatten()
        if given.shape != wanted.shape or np.abs(given - wanted).max(initial=0) > tolerance * np.abs(wanted).max(
            initial=1
        ):
            found.append(name)

    for axis, table in zip(geometry.axes, page["table"][-geometry.ndim :], strict=True):
        compare("table", table, axis.source())
    compare("matrix", page["matrix"], direct)
    compare("output", page["output"], output)
    compare("canvas", page["canvas"], canvas)
    written = output.reshape(geometry.out_shape)
    if page["gathered"] is not None:
        compare("gathered", page["gathered"], written[0])
    axes = ((1,) * (2 - geometry.ndim), (0,) * (2 - geometry.ndim))
    sizes = [*axes[0], *(axis.inputs for axis in geometry.axes)]
    starts = [*axes[1], *(axis.lo for axis in geometry.axes)]
    if np.abs(np.array(page["frame"]) - [*starts, *sizes]).max() > 0.1:
        found.append("frame")
    if tolerance:
        return found
    cells = canvas.copy()
    if (
        geometry.transposed and geometry.padding_mode != "zeros"
    ):  # the border is added back, and the frame holds the sum
        frame = tuple(slice(axis.lo, axis.lo + axis.inputs) for axis in geometry.axes)
        cells[frame] = written[0]
    read, wanted = page["cells"], shown(cells)
    reached = [index for index, text in enumerate(read) if text != ""]
    if len(read) != len(wanted) or any(read[index] != wanted[index] for index in reached):
        found.append("cells")
    inside = np.zeros(canvas.shape, dtype=bool)
    inside[tuple(slice(axis.lo, axis.lo + axis.inputs) for axis in geometry.axes)] = True
    if not set(np.flatnonzero(inside)) <= set(reached) or any(
        cells.flatten()[index] for index in set(range(cells.size)) - set(reached)
    ):
        found.append("blank cells")
    coarse = case.input[0] if geometry.transposed else written[0]
    if page["coarse"] != shown(np.asarray(coarse)):
        found.append("coarse cells")
    if page["kernel"] != shown(case.weight[0, 0].numpy()):
        found.append("taps")
    holds = direct + 1000 * case.structure
    found += drawn_otherwise(holds if page["turned"] else holds.T, np.array(page["drawn"]))
    return found


def drawn_otherwise(matrix: np.ndarray, pixels: np.ndarray) -> list[str]:
    """Equal entries must have equal colours, and others other ones: also those that hold a tap which is zero."""
    if pixels.size != matrix.size:
        return ["pixels"]
    pairs = {*zip(matrix.flatten().tolist(), pixels.tolist(), strict=True)}
    if len(pairs) != len({value for value, _ in pairs}) or len(pairs) != len({colour for _, colour in pairs}):
        return ["pixels"]
    return []


def differences(cases: list[Case], page, tolerance: float = 0.0) -> dict[int, list[str]]:
    shown_by_page = json.loads(page.evaluate(READ, json.dumps([case.state for case in cases])))
    found = {k: problems(case, one, tolerance) for k, (case, one) in enumerate(zip(cases, shown_by_page, strict=True))}
    return {k: names for k, names in found.items() if names}


def test_the_sweep_holds_every_kind():
    counts = all_traits(CASES)
    kinds = {"zeros", "reflect", "replicate", "circular", "1-d", "2-d", "transposed", "direct", "op >= stride"}
    kinds |= {"op > padding", "gcd > 1", "lo != hi", "even kernel", "untouched", "groups", "channels"}
    assert all(counts[kind] >= 25 for kind in kinds), counts


@pytest.mark.parametrize("part", range(2))
def test_integers_are_exactly_pythons(part, opened, bare):
    cases = CASES[part::2]
    with opened(bare(), reduced_motion="reduce") as page:
        assert differences(cases, page) == {}


def test_doubles_are_pythons(opened, bare):
    with opened(bare(), reduced_motion="reduce") as page:
        assert differences(random_cases(60, seed=1, doubles=True), page, 1e-12) == {}


MUTATIONS = {
    "swapped axes": ("i * this.fine[1] + j, s * this.taps[1] + t", "j * this.fine[0] + i, s * this.taps[1] + t"),
    "missing flip": ("const s = (first.extent - 1 - u) / first.dilation", "const s = u / first.dilation"),
    "hi = p": ("+ dilation * (kernel - 1) + 1 + outputPadding;", "+ dilation * (kernel - 1) + 1;"),
    "stamps with swapped taps": ("tap: s * this.taps[1] + t });", "tap: t * this.taps[0] + s });"),
    "frame at hi": ("const i = place - this.lo", "const i = place - this.hi"),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_mistakes_turn_the_sweep_red(name, opened, bare):
    right, wrong = MUTATIONS[name]
    assert script().count(right) == 1
    with opened(bare(script().replace(right, wrong)), reduced_motion="reduce") as page:
        assert differences(CASES[:20], page)
