"""convmat.explore: from layers, weights, geometries and arguments to a page; the command; the widget."""

from __future__ import annotations

import sys

import pytest
import torch
from torch import nn

import convmat
from convmat.cli import main
from convmat.explorer.page import Page
from convmat.explorer.states import LIMITS, geometry_of_state, geometry_state
from convmat.geometry import Geometry, GeometryError
from tests.explorer.geometries import random_cases

UP = {"stride": 2, "padding": 1, "output_padding": 1}


@pytest.mark.parametrize(
    "layer",
    [
        nn.ConvTranspose2d(2, 3, (3, 4), **UP),
        nn.Conv2d(4, 6, 3, padding=1, groups=2, padding_mode="circular"),
        nn.Conv1d(2, 2, 3, stride=3, dilation=2),
        nn.ConvTranspose1d(4, 4, 4, 2, 1, groups=4),
        convmat.nn.ConvTranspose2d(2, 3, 4, stride=2, padding="same", padding_mode="reflect"),
        nn.Conv2d(2, 2, 3).double(),
        nn.Conv2d(2, 2, 3).half(),
    ],
)
def test_a_layer_comes_with_its_weights(layer):
    size = (6, 7)[: len(layer.kernel_size)]
    state = convmat.explore(layer, size).state
    geometry = Geometry.of(layer, (layer.in_channels, *size))
    assert state["geometry"] == geometry_state(geometry)
    assert torch.equal(torch.tensor(state["weight"], dtype=layer.weight.dtype), layer.weight.detach().flatten())
    assert "note" not in state


def test_of_large_layers_a_window_is_shown():
    layer = nn.Conv2d(3, 64, 7, stride=2, padding=3)
    state = convmat.explore(layer, (224, 224)).state
    shown = geometry_of_state(state["geometry"])
    assert (shown.in_channels, shown.out_channels) == (3, 8)
    assert all(axis.padded <= LIMITS["canvas"] for axis in shown.axes)
    assert torch.equal(torch.tensor(state["weight"]), layer.weight.detach()[:8].flatten())
    assert state["note"]["values"]["allChannels"] == "3×64"
    depthwise = convmat.explore(nn.ConvTranspose2d(64, 64, 4, 2, 1, groups=64), 8).state["geometry"]
    assert (depthwise["in_channels"], depthwise["out_channels"], depthwise["groups"]) == (8, 8, 8)


@pytest.mark.parametrize("case", random_cases(60, seed=8), ids=lambda case: "")
def test_states_and_geometries_are_the_same(case):
    geometry = case.geometry
    page = convmat.explore(geometry, weight=case.weight, input=case.input)
    if not geometry.transposed and any(axis.slack >= axis.stride for axis in geometry.axes):
        geometry = geometry.transpose()
    assert geometry_of_state(page.state["geometry"]) == geometry
    assert page.state["weight"] == case.weight.flatten().tolist()
    assert page.state["input"] == case.input.flatten().tolist()


def test_weights_and_arguments():
    weight = torch.arange(24.0).reshape(2, 3, 4)
    by_weight = convmat.explore(weight, (5,), 2, 1)
    assert by_weight.state["geometry"] == geometry_state(
        Geometry.conv_transpose((5,), 4, 2, 1, in_channels=2, out_channels=3)
    )
    direct = convmat.explore(weight, (5,), padding=((1, 2),), transposed=False, padding_mode="circular")
    assert direct.state["geometry"]["padding"] == [[1, 2]]
    assert direct.state["geometry"]["transposed"] is False
    plain = convmat.explore(input_size=4, kernel_size=3, **UP, panel="sizes", lang="zh")
    assert plain.state["geometry"]["input_size"] == [4, 4]
    assert (plain.state["panel"], plain.state["lang"]) == ("sizes", "zh")
    assert convmat.explore().state == {}


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: convmat.explore(nn.Conv3d(1, 1, 3), (4, 4, 4)), GeometryError, "1 or 2 spatial axes, not 3"),
        (lambda: convmat.explore(nn.Conv2d(1, 1, 3)), TypeError, "needs an input_size"),
        (lambda: convmat.explore(nn.Linear(2, 2), (4,)), TypeError, "source is a Linear"),
        (lambda: convmat.explore("layer"), TypeError, "source is a str"),
        (lambda: convmat.explore(input_size=(4, 4)), TypeError, "together with kernel_size"),
        (lambda: convmat.explore(nn.Conv2d(1, 1, 31, padding=15), (40, 40)), GeometryError, "need at most 12"),
        (lambda: convmat.explore(input_size=4, kernel_size=3, output_padding=5), GeometryError, "output_padding=5"),
        (lambda: convmat.explore(panel="nothing"), GeometryError, "panel='nothing' is unknown"),
        (lambda: convmat.explore(lang="fr"), GeometryError, "'en', 'zh'"),
        (lambda: convmat.explore(torch.full((1, 1, 3), torch.nan), (4,)), GeometryError, "not finite"),
        (lambda: convmat.explore(torch.ones(1, 1, 3, dtype=torch.complex64), (4,)), GeometryError, "complex"),
        (lambda: convmat.explore(Geometry.conv((4,), 3), (4,)), TypeError, "a geometry has its sizes"),
        (
            lambda: convmat.explore(Geometry.conv((4,), 3), weight=torch.ones(1, 1, 2)),
            GeometryError,
            "must be of shape (1, 1, 3)",
        ),
        (
            lambda: convmat.explore(input_size=4, kernel_size=3, transposed=False, output_padding=1),
            GeometryError,
            "need transposed=True",
        ),
    ],
)
def test_what_cannot_be_shown_says_why(call, error, words):
    with pytest.raises(error) as caught:
        call()
    assert words in str(caught.value)
    assert len(str(caught.value)) < 500


def test_a_page_is_one_file_and_a_frame_in_notebooks(tmp_path, monkeypatch):
    page = convmat.explore(input_size=(2, 3), kernel_size=3, **UP)
    assert page.save(tmp_path / "page.html").read_text(encoding="utf-8") == page.html()
    assert page._repr_html_().startswith('<iframe srcdoc="&lt;!doctype html&gt;')
    launched = []
    monkeypatch.setattr("webbrowser.open", launched.append)
    assert page.open().read_text(encoding="utf-8") == page.html()
    assert launched[0].startswith("file:")
    assert "save(path)" in repr(page)


def test_a_layer_in_the_browser_computes_what_it_computes(opened):
    layer = nn.ConvTranspose2d(3, 2, 4, 2, 1, bias=False).double()
    x = torch.randn(1, 3, 3, 5, dtype=torch.float64)
    with opened(convmat.explore(layer, (3, 5), input=x[0]).html()) as page:
        output = page.evaluate("[...document.querySelector('main').convmat.model.output]")
    assert torch.allclose(torch.tensor(output, dtype=torch.float64), layer(x).detach().flatten(), rtol=0, atol=1e-12)


# -- the command -------------------------------------------------------------------------------------------------------


def run(monkeypatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["convmat", "explore", *arguments])
    with pytest.raises(SystemExit) as end:
        main()
    return end.value.code or 0


def test_the_command_writes_the_page(tmp_path, monkeypatch, capsys):
    out = tmp_path / "page.html"
    layer = ["--input", "4x5", "--kernel", "3x2", "--stride", "2", "--transposed", "--output-padding", "1"]
    opened = []
    monkeypatch.setattr("typer.launch", opened.append)
    assert run(monkeypatch, *layer, "--out", str(out), "--open") == 0
    assert "open it in a browser" in capsys.readouterr().out
    assert opened == [str(out)]
    wanted = Geometry.conv_transpose((4, 5), (3, 2), 2, output_padding=1)
    assert out.read_text(encoding="utf-8") == Page({"lang": "en", "geometry": geometry_state(wanted)}).html()
    assert run(monkeypatch, "--lang", "zh", "--out", str(out)) == 0
    assert "已写出" in capsys.readouterr().out
    assert run(monkeypatch, "--input", "4x5", "--out", str(out)) == 2
    assert "--input and --kernel go together" in capsys.readouterr().err


# -- the widget --------------------------------------------------------------------------------------------------------


@pytest.fixture
def widget():
    pytest.importorskip("anywidget")
    return convmat.explore(torch.tensor([[[1.0, 2.0, 3.0]]]), (4,), 2).widget()


def test_a_widget_holds_geometry_weight_and_selection(widget):
    assert widget.geometry == geometry_state(Geometry.conv_transpose((4,), 3, 2))
    assert widget.weight == [1, 2, 3]
    assert widget.selected is None
    with pytest.raises(GeometryError, match="output_padding=7"):
        widget.geometry = {**widget.geometry, "output_padding": [7]}
    widget.geometry = geometry_state(Geometry.conv((7,), 3))
    assert widget.geometry["transposed"] is False


def test_a_widget_is_in_sync_both_ways(widget, opened):
    """Its script, with a model as Jupyter gives it: what is set there is shown, what is touched is set there."""
    state = {name: getattr(widget, name) for name in ("geometry", "weight", "selected", "state")}
    host = """async ([esm, css, state]) => {
      const { default: widget } = await import(URL.createObjectURL(new Blob([esm], { type: "text/javascript" })));
      const listeners = {}, style = document.createElement("style");
      style.textContent = css;
      document.head.append(style);
      globalThis.saved = 0;
      globalThis.model = {
        get: (name) => state[name],
        set: (name, value) => { state[name] = value; (listeners[`change:${name}`] || []).forEach((one) => one()); },
        on: (name, one) => { (listeners[name] ||= []).push(one); },
        off: (name, one) => { listeners[name] = listeners[name].filter((other) => other !== one); },
        save_changes: () => { globalThis.saved += 1; },
      };
      globalThis.leave = widget.render({ model, el: document.body });
      const taps = () => [...document.querySelectorAll(".cells.kernel [role=gridcell]")];
      globalThis.cells = () => taps().map((one) => one.textContent);
    }"""
    with opened("<!doctype html><html><body></body></html>", reduced_motion="reduce") as page:
        page.evaluate(host, [widget._esm, widget._css, state])
        assert page.evaluate("cells()") == ["1", "2", "3"]
        page.evaluate("model.set('weight', [4, 5, 6])")
        assert page.evaluate("cells()") == ["4", "5", "6"]
        page.evaluate("model.set('selected', ['fine', 0, 0, 2])")
        assert page.locator(".cells.canvas .chosen").text_content() == page.evaluate(
            "document.querySelectorAll('.cells.canvas [role=gridcell]')[2].textContent"
        )
        before = page.evaluate("saved")
        page.get_by_label("stride: one more").click()
        assert page.evaluate("[model.get('geometry').stride, saved]") == [[3], before + 1]
        page.locator(".cells.canvas [role=gridcell]").nth(5).click()
        assert page.evaluate("model.get('selected')") == ["fine", 0, 0, 5]
        page.locator(".cells.kernel [role=gridcell]").nth(0).focus()
        page.keyboard.press("+")
        assert page.evaluate("model.get('weight')") == [5, 5, 6]
        page.evaluate("leave()")
        assert page.locator(".cells").count() == 0
