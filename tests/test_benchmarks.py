"""The benchmarks at their smallest: they run, and say who is missing or wrong."""

import gc
import json
import sys
from pathlib import Path

import pytest
import torch

import benchmarks
from benchmarks.bench import Bench, line_up
from benchmarks.document import RESULTS
from benchmarks.layers import load_layers
from benchmarks.options import MODES, parse
from benchmarks.peers.pytorch import Torch
from benchmarks.real_models import MODELS
from benchmarks.runner import run
from benchmarks.statistic import ratios
from benchmarks.timing import Blocks

_PEERS = ["torch", "torch-channels-last", "convmat", "convmat:phases", "convmat:dense"]


@pytest.fixture(autouse=True, scope="module")
def _left_by_other_tests():
    """Garbage is collected before each turn, and that would look through a million objects each time."""
    gc.collect()
    gc.freeze()


def test_main_table(tmp_path, capsys):
    results, picture = tmp_path / "results.json", tmp_path / "picture.svg"
    arguments = ["--quick", "--pause", "0", "--layers", "vae-k3op1", "mimi-dw", "--peers", *_PEERS]
    run(parse([*arguments, "--json", str(results), "--plot", str(picture)]), torch.get_num_threads())
    printed = capsys.readouterr().out
    assert "geometric mean" in printed
    assert "convmat:dense not measured on vae-k3op1: its matrix would take 1.2 GiB" in printed
    rows = json.loads(results.read_text())["modes"]["fixed"]
    assert [row["layer"] for row in rows] == ["vae-k3op1", "mimi-dw"]
    assert all(row["peers"]["convmat"]["ms"] > 0 for row in rows)
    assert picture.stat().st_size > 0

    run(parse(["--read", str(results)]), torch.get_num_threads())
    assert capsys.readouterr().out.strip() in printed

    older = json.loads(results.read_text())
    for row in older["modes"]["fixed"]:
        del row["flops"]
    results.write_text(json.dumps(older))
    run(parse(["--read", str(results)]), torch.get_num_threads())
    assert "mode fixed is not shown: its results lack 'flops', as those of older versions do" in capsys.readouterr().out


def test_the_results_of_the_pages_are_read(capsys):
    """Whatever version has written them, and though they hold no more than the pages show."""
    run(parse(["--read", str(RESULTS)]), torch.get_num_threads())
    assert "microseconds" in capsys.readouterr().out


def test_direct_layers_in_every_mode_of_layers(tmp_path):
    results, peers = tmp_path / "results.json", ["torch", "torch-channels-last", "onnxruntime", "convmat"]
    of_layers = ("direct", "error", "memory", "backward", "regret")
    arguments = ["--mode", "fixed", *of_layers, "--quick", "--pause", "0", "--peers", *peers]
    run(parse([*arguments, "--layers", "mobilenet-dw-s2", "--json", str(results)]), torch.get_num_threads())
    modes = json.loads(results.read_text())["modes"]
    assert not modes["fixed"]
    for mode in of_layers:
        assert [row["layer"] for row in modes[mode]] == ["mobilenet-dw-s2"]
    assert set(modes["direct"][0]["peers"]) == set(modes["error"][0]["peers"]) == set(peers)
    assert all(peer["error"] < 1e-5 for peer in modes["error"][0]["peers"].values())


def test_models(tmp_path, capsys):
    results, peers = tmp_path / "results.json", ["torch", "onnxruntime", "convmat"]
    arguments = ["--mode", "models", "--models", "fsrcnn", "--quick", "--pause", "0", "--peers", *peers]
    run(parse([*arguments, "--json", str(results)]), torch.get_num_threads())
    (row,) = json.loads(results.read_text())["modes"]["models"]
    assert set(row["peers"]) == {*peers, "convmat-frozen", "convmat-folded"}, row["refused"]
    assert all(error < 1e-5 for error in row["errors"].values())
    assert "frozen against the better of ONNX Runtime and OpenVINO" in capsys.readouterr().out.replace("\n", " ")


def test_every_model_can_be_made():
    for model in MODELS:
        try:
            module = model.build(True).eval()
        except ImportError:
            continue  # a library that is not installed
        with torch.no_grad():
            assert model.call(module, *model.inputs(True)).isfinite().all(), model.key


def test_who_is_wrong_is_not_timed(monkeypatch):
    monkeypatch.setattr(Torch, "__call__", lambda self, prepared: 1.001 * self._compute(prepared))
    (layer,) = load_layers(["vae-k3op1"])
    lined_up = line_up(Bench([layer], [], torch.get_num_threads(), Blocks()), layer, ["torch", "convmat"])
    assert list(lined_up.calls) == ["convmat"]
    assert lined_up.refused["torch"].startswith("disagrees with PyTorch in float64 by 1.0e-03")


def test_who_is_not_installed_is_left_out(monkeypatch):
    monkeypatch.delitem(sys.modules, "benchmarks.peers.xla", raising=False)
    monkeypatch.setitem(sys.modules, "jax", None)
    (layer,) = load_layers(["vae-k3op1"])
    lined_up = line_up(Bench([layer], [], torch.get_num_threads(), Blocks()), layer, ["jax", "convmat"])
    assert list(lined_up.calls) == ["convmat"]
    assert lined_up.refused["jax"].startswith("not installed: ")


def test_readme_names_every_mode():
    text = (Path(benchmarks.__file__).parent / "README.md").read_text(encoding="utf-8")
    assert all(f"| `{mode}` |" in text for mode in MODES)


def test_layers():
    layers = load_layers(["all", "aside"])
    assert [layer for layer in layers if not layer.transposed] == load_layers(["direct"])
    assert len({layer.name for layer in layers}) == len(layers)
    assert all(min(layer.out_shape) > 0 and layer.flops > 0 for layer in layers)
    with pytest.raises(SystemExit, match="no such layer: nobody"):
        load_layers(["nobody"])


def test_ratios_are_taken_within_rounds():
    rounds = {"a": [4.0, 40.0], "b": [6.0, 30.0], "c": [2.0, 20.0]}
    assert ratios(rounds, ["a", "b"], "c") == [2.0, 1.5]
    assert ratios(rounds, ["nobody"], "c") == []
