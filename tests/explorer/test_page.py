"""What the page does under hands: linked views, pins, keys, the frame, wrong values, links, and code of others."""

from __future__ import annotations

import itertools
import operator
from random import Random

import numpy as np
import pytest
import torch

import convmat
from convmat.explorer.states import LIMITS, geometry_of_state, geometry_state
from convmat.geometry import Geometry, GeometryError
from tests.explorer.geometries import random_cases, random_geometry

CASES = random_cases(40, seed=3)


@pytest.fixture
def page(opened, bare):
    with opened(bare(), reduced_motion="reduce") as page:
        yield page


def settle(page) -> None:
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


# -- linked views ------------------------------------------------------------------------------------------------------


def test_every_cell_meets_what_the_table_says(page):
    """Outputs, inputs and weights: all that is lit, against Geometry.reads and feeds."""
    links = """(states) => states.map((state) => {
      app.update(state);
      const { model } = app, cells = (sizes) => sizes[0] * sizes[1];
      const pick = (term) => [term.coarse, term.fine, term.weight];
      const of = (count, terms) => Array.from({ length: count }, (_, index) => terms(index).map(pick));
      return {
        fine: of(cells(model.fine), (index) => model.termsOfFine(0, index)),
        coarse: of(cells(model.coarse), (index) => model.termsOfCoarse(0, index)),
      };
    })"""
    cases = [case for case in CASES if case.geometry.in_channels == case.geometry.out_channels == 1]
    assert len(cases) > 8
    for case, linked in zip(cases, page.evaluate(links, [case.state for case in cases]), strict=True):
        geometry = case.geometry
        for index, fine in enumerate(np.ndindex(*geometry.inputs)):
            wanted = {
                (flat(o, geometry.outputs), index, flat(t, geometry.kernel_size)) for t, o in geometry.feeds(fine)
            }
            assert {tuple(term) for term in linked["fine"][index]} == wanted
        for index, coarse in enumerate(np.ndindex(*geometry.outputs)):
            wanted = {
                (index, flat(i, geometry.inputs), flat(t, geometry.kernel_size)) for t, i in geometry.reads(coarse)
            }
            assert {tuple(term) for term in linked["coarse"][index]} == wanted


def flat(index, sizes) -> int:
    return int(np.ravel_multi_index(index, sizes))


LOOK = """() => ({
  sum: app.sum.sum.textContent,
  lit: ["coarse", "kernel", "canvas"].map((name) => app.stage[name].cells.map((cell) => cell.className)),
})"""


@pytest.mark.parametrize("direct", [False, True])
@pytest.mark.parametrize("grid", ["coarse", "kernel", "canvas"])
def test_focus_shows_all_that_hovering_shows(grid, direct, page):
    if direct:
        page.evaluate("app.setDirection(false)")
    cells = page.locator(f".cells.{grid} [role=gridcell]")
    count = cells.count()
    page.evaluate(f"app.stage.{grid}.cells[0].focus()")
    seen = set()
    for index in range(min(count, 12)):
        row, column = divmod(index, page.evaluate(f"app.stage.{grid}.shape[1]"))
        page.evaluate(f"app.stage.{grid}.cells[{index}].focus()")
        settle(page)
        by_focus = page.evaluate(LOOK)
        page.evaluate("document.activeElement.blur()")
        page.evaluate(
            f"app.stage.{grid}.cells[{index}].dispatchEvent(new PointerEvent('pointerover', {{ bubbles: true }}))"
        )
        settle(page)
        assert page.evaluate(LOOK) == by_focus, (row, column)
        page.evaluate(f"app.stage.{grid}.element.dispatchEvent(new PointerEvent('pointerleave'))")
        seen.add(by_focus["sum"])
    assert len(seen) > (3 if direct and grid == "canvas" else 5)


def test_arrows_walk_the_grids_with_one_tab_stop_each(page):
    stops = """() => ["coarse", "kernel", "canvas"].map((name) =>
      app.stage[name].cells.filter((cell) => cell.tabIndex === 0).length)"""
    assert page.evaluate(stops) == [1, 1, 1]
    page.evaluate("app.stage.canvas.cells[0].focus()")
    at = "() => app.stage.canvas.cells.indexOf(document.activeElement)"
    for key, wanted in [
        ("ArrowRight", 1),
        ("ArrowDown", 8),
        ("End", 13),
        ("Home", 7),
        ("Control+End", 34),
        ("ArrowUp", 27),
    ]:
        page.keyboard.press(key)
        assert page.evaluate(at) == wanted
    assert page.evaluate(stops) == [1, 1, 1]
    settle(page)
    assert "z" in page.evaluate("app.sum.live.textContent")  # said aloud, as it was the user who moved


def test_the_matrix_is_one_cell_that_moves(page):
    page.evaluate("app.matrix.cell.focus()")
    for _ in range(7):
        page.keyboard.press("ArrowDown")
    settle(page)
    assert page.evaluate("[app.matrix.at, app.lit.selection]") == [[7, 0], ["fine", 0, 1, 1]]
    assert "Row 7, column 0: 2 = w₂₂" in page.evaluate("app.matrix.cell.getAttribute('aria-label')")
    page.keyboard.press("Enter")
    assert page.evaluate("app.state.pin") == ["fine", 0, 1, 1]


def test_a_click_pins_and_escape_lets_go(page):
    page.locator(".cells.canvas [role=gridcell]").nth(9).click()
    pinned = page.evaluate("app.state.pin")
    page.locator(".cells.coarse [role=gridcell]").nth(2).hover()
    settle(page)
    assert page.evaluate("app.lit.selection") == pinned == ["fine", 0, 0, 1]
    page.keyboard.press("Escape")
    assert page.evaluate("app.state.pin") is None


def test_long_sums_are_cut_when_said(page):
    geometry = Geometry.conv_transpose((6, 6), 5, padding=2)
    page.evaluate("(geometry) => app.update({ geometry })", geometry_state(geometry))
    page.evaluate("app.stage.canvas.cells[55].focus()")
    settle(page)
    text = page.evaluate("app.sum.live.textContent")
    assert text.count("·") == 9
    assert "and 16 more" in text


def test_playing_says_nothing(page):
    page.evaluate("app.stage.canvas.cells[10].focus()")
    settle(page)
    said = page.evaluate("app.sum.live.textContent")
    page.evaluate("document.activeElement.blur()")
    for _ in range(3):
        page.evaluate("app.timeline.go(1)")
    assert page.evaluate("app.sum.live.textContent") == said


def test_space_plays_on_the_stage_and_presses_buttons(page):
    page.evaluate("app.stage.canvas.cells[0].focus()")
    page.keyboard.press("Space")
    assert page.evaluate("app.timeline.timer !== null")
    page.keyboard.press("Space")
    assert page.evaluate("app.timeline.timer === null")
    page.evaluate("app.parameters.first[3].more.focus()")
    page.keyboard.press("Space")
    assert page.evaluate("app.state.geometry.stride") == [3, 3]
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("Space")  # the focus is outside of the page
    assert page.evaluate("app.timeline.timer === null")


def test_stamps_come_one_by_one(page):
    sums = page.evaluate("""() => {
      const seen = [];
      for (let step = 0; step <= 6; step++) {
        app.setStep(step === 6 ? null : step);
        seen.push(app.stage.canvas.cells.map((cell) => cell.textContent));
      }
      return seen;
    }""")
    geometry = Geometry.conv_transpose((2, 3), 3, 2, 1, output_padding=1)
    counts = [sum(text != "" for text in texts) for texts in sums]
    assert counts == [0, 9, 15, 21, 27, 31, 35]
    assert len(set(map(tuple, sums))) == 7
    assert counts[-1] == 35 == 5 * 7
    assert geometry.written == (4, 6)


# -- the frame and the steppers ----------------------------------------------------------------------------------------


def test_the_edges_of_the_frame_can_be_dragged(page):
    def drag(name: str, cells: int) -> None:
        box = page.locator(f".handle.{name}").bounding_box()
        x, y, side = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, page.evaluate("app.stage.frame.side")
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x + cells * side, y, steps=4)
        page.mouse.up()

    numbers = "[app.state.geometry.padding[1], app.state.geometry.output_padding[1], app.model.fine[1]]"
    assert page.evaluate(numbers) == [[1, 1], 1, 6]
    drag("axis1.near", 1)
    assert page.evaluate(numbers) == [[2, 1], 1, 5]
    drag("axis1.far", -1)  # inwards: first output_padding gives way
    assert page.evaluate(numbers) == [[2, 1], 0, 4]
    drag("axis1.far", -1)
    assert page.evaluate(numbers) == [[2, 2], 0, 3]
    page.locator(".handle.axis1.near").focus()
    page.keyboard.press("ArrowLeft")
    assert page.evaluate(numbers) == [[1, 2], 0, 4]


def test_focus_is_never_lost_by_a_change(page):
    controls = page.locator(".parameters button:visible, .parameters input:visible")
    for index in range(controls.count()):
        control = controls.nth(index)
        control.focus()
        before = control.get_attribute("aria-label") or control.text_content()
        page.keyboard.press(
            "ArrowUp" if control.get_attribute("type") == "text" and control.get_attribute("inputmode") else "Enter"
        )
        now = "() => document.activeElement.getAttribute('aria-label') || document.activeElement.textContent"
        assert page.evaluate(now) == before
        page.evaluate("app.update({})")
    page.evaluate("app.stage.kernel.cells[4].focus()")
    page.keyboard.press("+")
    assert page.evaluate("[app.stage.kernel.cells.indexOf(document.activeElement), app.model.weight[4]]") == [4, 4]
    page.evaluate("app.tryNumbers([['kernel_size', 0], ['kernel_size', 1]], [2, 2])")
    assert page.evaluate("document.activeElement.getAttribute('role')") == "gridcell"


def test_a_wrong_value_says_why_and_what_would_do(page):
    page.get_by_label("output_padding: one more").click()
    message = page.locator(".message")
    assert "need 0 ≤ output_padding < max(stride, dilation) = 2" in message.text_content()
    assert page.locator(".cells.canvas [role=gridcell]").count() == 35  # the last picture that exists
    assert page.get_by_label("output_padding", exact=True).nth(1).get_attribute("aria-invalid") == "true"
    message.get_by_role("button", name="Use output_padding = 1").click()
    assert message.is_hidden()
    page.get_by_label("kernel", exact=True).nth(1).fill("0")
    page.keyboard.press("Enter")
    assert "need 1 ≤ kernel_size" in message.text_content()
    message.get_by_role("button", name="Undo").click()
    assert page.evaluate("app.wrong") is None


# What Python says of each thing that may be wrong.
RULES = {
    "wrong.extent": "spans",
    "wrong.output_padding": "out of range",
    "wrong.cropped": "crops away",
    "wrong.reflect": "'reflect' reads",
    "wrong.circular": "'circular' reads",
    "wrong.groups": "multiple of groups",
}


def test_wrong_by_the_same_rules_as_python(page):
    """Of 600 random geometries, the page refuses those that Python refuses, and mends each to one that exists."""
    random = Random(5)
    states = []
    for _ in range(600):
        state = geometry_state(random_geometry(random))
        for name in random.sample(["input_size", "kernel_size", "stride", "dilation", "output_padding"], 2):
            state[name] = [random.randint(LIMITS[name][0], 6) for _ in state[name]]
        state["padding"] = [[random.randint(0, 7), random.randint(0, 7)] for _ in state["padding"]]
        if random.random() < 0.1:
            state["groups"] = random.randint(1, 4)
        states.append(state)
    told = page.evaluate("(states) => states.map((state) => (convmat.whatIsWrong(state) || {}).key || null)", states)
    mended = page.evaluate("(states) => states.map((geometry) => convmat.cleanState({ geometry }).geometry)", states)
    wrong = 0
    for state, key, near in zip(states, told, mended, strict=True):
        try:
            geometry_of_state(state)
        except GeometryError as error:
            wrong, message = wrong + 1, str(error)
        else:
            assert key in (None, "wrong.large", "wrong.entries"), state
            message = None
        geometry_of_state(near)
        if message is not None:
            assert RULES[key] in message, (state, key)
    assert 100 < wrong < 500


def test_links_hold_the_whole_state(page):
    states = [case.state | {"panel": "sizes", "show": "symbols", "pin": ["fine", 0, 0, 0]} for case in CASES]
    states += [
        {"geometry": geometry_state(random_geometry(Random(k))), "seed": k, "kernel": "bilinear"} for k in range(20)
    ]
    same = """(states) => states.map((given) => {
      const state = convmat.cleanState(given), again = convmat.cleanState(convmat.fromHash(convmat.toHash(state)));
      return JSON.stringify(state) === JSON.stringify(again) || [convmat.toHash(state), state, again];
    })"""
    assert page.evaluate(same, states) == [True] * len(states)


# -- panels ------------------------------------------------------------------------------------------------------------


def test_breaking_it_shows_which_checks_notice(page):
    noticed = {
        (mistake, square, symmetric): page.evaluate(
            "([mistake, square, symmetric]) => convmat.noticed(mistake, { square, symmetric })",
            [mistake, square, symmetric],
        )
        for mistake, square, symmetric in itertools.product(("swapped", "flip", "zeros"), (True, False), (True, False))
    }
    assert noticed["swapped", True, False] == [True, True, False, False]  # the round trip does not see it
    assert noticed["swapped", False, False] == [True, True, True, False]
    assert noticed["flip", True, False] == [False, True, True, True]
    assert noticed["flip", True, True] == [False, False, False, False]
    assert noticed["zeros", True, False] == [False, True, True, True]


def test_a_prediction_is_answered_with_its_explanation(page):
    page.evaluate("app.openPanel('practice')")
    page.get_by_role("button", name="Hide the size").click()
    assert page.locator(".pane.canvas .board").is_hidden()
    assert page.locator(".size .result b").nth(1).text_content() == "?"
    size, full = page.evaluate("[app.model.axes[1].fine, app.model.axes[1].full]")
    answer = page.get_by_label("Your answer")
    answer.fill(str(full + 100))
    page.keyboard.press("Enter")
    assert f"Not {full + 100}" in page.locator("section [role=status]").first.text_content()
    page.get_by_label("Your answer").fill(str(size))
    page.keyboard.press("Enter")
    assert f"= {size}." in page.locator("section [role=status]").first.text_content()
    assert page.locator(".pane.canvas .board").is_visible()
    page.get_by_role("button", name="Hide a cell").click()
    hidden = page.evaluate("app.state.predict")
    assert page.evaluate("app.stage.canvas.cells[app.state.predict.cell].textContent") == "?"
    assert "?" in page.locator(".sum .total").text_content()
    page.get_by_label("Your answer").fill(str(int(page.evaluate(f"app.model.output[{hidden['fine']}]"))))
    page.keyboard.press("Enter")
    assert "Right" in page.locator("section [role=status]").first.text_content()


def test_the_verdict_on_checkerboards_is_by_sums(page):
    def verdict(weight: list[float], kernel: int) -> str:
        state = geometry_state(Geometry.conv_transpose((5,), kernel, 2, 1))
        page.evaluate("(state) => app.update(state)", {"geometry": state, "weight": weight, "panel": "checkerboard"})
        return page.locator(".panel p").first.text_content()

    assert "counts are uneven, and yet" in verdict([1, 2, 1], 3)
    assert "counts are even, and yet" in verdict([1, 2, 3, 4], 4)
    assert verdict([1, 3, 3, 1], 4).startswith("Balanced: every phase sums to the same")
    page.evaluate("app.update({ geometry: { ...app.state.geometry, dilation: [2] }, panel: 'checkerboard' })")
    assert "fed by no tap" in page.locator(".panel p").first.text_content()


def test_the_ruler_names_the_direct_size_that_output_padding_leaves(page):
    geometry = Geometry.conv_transpose((3,), 2, 1, 0, output_padding=3, dilation=4)
    page.evaluate("(geometry) => app.update({ geometry, panel: 'sizes' })", geometry_state(geometry))
    text = page.locator(".panel").text_content()
    assert "output_padding = 3 ≥ stride = 1: the direct convolution of 10 cells makes 6, not 3" in text


def test_the_story_has_ten_steps_and_one_key(page):
    page.evaluate("app.openPanel('story')")
    page.locator("[data-key=story-next]").focus()
    titles = []
    for _ in range(10):
        titles.append(page.locator(".story h3").text_content())
        page.keyboard.press("n")
    assert len(set(titles)) == 10
    links = page.locator(".story ol a").evaluate_all("(links) => links.map((link) => link.getAttribute('href'))")
    assert len(set(links)) == 10
    steps = page.evaluate("(links) => links.map((link) => convmat.cleanState(convmat.fromHash(link)).story)", links)
    assert steps == list(range(10))


def test_a_picture_is_upsampled_live(page):
    page.evaluate("app.openPanel('kernel')")
    pixels = """() => [...app.panels.kernel.large.getContext("2d").getImageData(0, 0, 65, 65).data]
      .filter((_, at) => at % 4 === 0)"""
    before = page.evaluate(pixels)
    page.get_by_role("button", name="bilinear").click()
    after = page.evaluate(pixels)
    assert before != after
    kernel = torch.tensor([0.5, 1.0, 0.5])
    picture = torch.tensor(page.evaluate("[...app.panels.kernel.picture]")).reshape(1, 1, 32, 32)
    wanted = convmat.conv_transpose2d(picture, (kernel[:, None] * kernel)[None, None], stride=2)[0, 0]
    assert np.abs(np.array(after).reshape(65, 65) - 255 * wanted.numpy()).max() <= 1


def test_pictures_to_take_away(page):
    page.evaluate("app.openPanel('code')")
    with page.expect_download() as download:
        page.get_by_role("button", name="Save SVG").click()
    text = download.value.path().read_text(encoding="utf-8")
    assert text.startswith("<svg") and text.count("<text") > 40 and "Sum of stamps" in text  # noqa: PT018
    with page.expect_download() as download:
        page.get_by_role("button", name="Save PNG").click()
    assert download.value.path().read_bytes().startswith(b"\x89PNG")


# -- code of others ----------------------------------------------------------------------------------------------------


def codes(page, lens: str, cases) -> list[str]:
    write = """([lens, states]) => states.map((state) => {
      const { geometry } = state, model = convmat.modelOf(convmat.cleanState(state));
      return convmat.codeOf(lens, geometry, model.axes.slice(2 - model.ndim));
    })"""
    return page.evaluate(write, [lens, [case.state for case in cases]])


def test_the_code_for_pytorch_and_convmat_is_the_same_map(page):
    run = 0
    for case, theirs, ours in zip(CASES, codes(page, "torch", CASES), codes(page, "convmat", CASES), strict=True):
        shared: dict = {}
        exec(ours, shared)
        assert shared["y"].shape[1:] == case.geometry.out_shape
        assert torch.allclose(shared["C"] @ shared["x"].flatten(), shared["y"].flatten(), atol=1e-4)
        if theirs.startswith("#"):
            continue
        run += 1
        *making, calling = theirs.splitlines()
        layer: dict = {}
        exec("\n".join(making), layer)
        layer["layer"].weight.data, layer["x"] = shared["weight"], shared["x"]
        exec(calling, layer)
        assert torch.allclose(layer["y"], shared["y"], atol=1e-4), theirs
    assert run > 15


def test_the_attributes_for_onnx_are_the_same_map(page):
    onnx, runtime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    run = 0
    for case, code in zip(CASES, codes(page, "onnx", CASES), strict=True):
        if code.startswith("#"):
            continue
        shared: dict = {}
        exec(code, shared)
        attributes = {one.name: list(one.ints) for one in shared["node"].attribute}
        if any(map(operator.ge, attributes.get("output_padding", ()), attributes["strides"])):
            continue  # ONNX Runtime refuses it; older ones compute something else
        kinds = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in "xwy"]
        graph = onnx.helper.make_graph([shared["node"]], "one", kinds[:2], kinds[2:])
        model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
        inputs = {"x": case.input[None].float().numpy(), "w": case.weight.float().numpy()}
        session = runtime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        assert np.array_equal(session.run(None, inputs)[0].flatten(), case.output), code
        run += 1
    assert run > 10


def test_the_call_of_explore_opens_the_same_geometry(page):
    cases = [case for case in CASES if case.geometry.in_channels * case.geometry.out_channels == 1]
    for case in cases:
        page.evaluate("(state) => app.update({ ...state, panel: 'code' })", case.state)
        call = page.locator(".code code").nth(1).text_content()
        opened = eval(call, {"convmat": convmat, "torch": torch})
        assert opened.state["geometry"] == case.state["geometry"], call
