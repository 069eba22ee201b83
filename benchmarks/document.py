"""The figures of the documentation: tables made of the results, in both languages, written between two markers.

A page says where: ``<!-- figures: NAME -->``, then whatever stands there now, then ``<!-- end of figures -->``.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from benchmarks.modes.fixed import CONTESTS
from benchmarks.modes.models import CONTESTS as OF_MODELS
from benchmarks.modes.regret import summary_lines
from benchmarks.tables import Contests, against, contest_lines, median, number

Row: TypeAlias = dict[str, Any]
Lines: TypeAlias = list[str]

DOCS = Path(__file__).parents[1] / "docs"
RESULTS = DOCS / "assets" / "performance.json"
PAGES = {
    "en": (DOCS / "performance.md", DOCS.parent / "README.md"),
    "zh": (DOCS / "zh" / "performance.md", DOCS.parent / "README.zh-CN.md"),
}
_MARKED = re.compile(r"(<!-- figures: ([\w-]+) -->\n\n).*?(\n\n<!-- end of figures -->)", re.DOTALL)

_NOT_SHOWN = ("refused", "network", "errors")
_PEERS = {
    "torch": "PyTorch",
    "onnxruntime": "ONNX Runtime",
    "openvino": "OpenVINO",
    "jax": "JAX",
    "convmat": "convmat",
}
_OF_MODELS = {
    "torch": "PyTorch",
    "torch-compile": "torch.compile",
    "onnxruntime": "ONNX Runtime",
    "openvino": "OpenVINO",
    "convmat": "accelerated",
    "convmat-frozen": "frozen",
    "convmat-folded": "folded",
    "convmat-compiled": "compiled",
}
_CHINESE = {
    "speedup": "加速比",
    "geometric mean": "几何平均",
    "layers": "层数",
    "worst": "最差",
    "on": "哪一层",
    "layer": "层",
    "not frozen": "不冻结",
    "speedup over PyTorch": "相对 PyTorch 的加速比",
    "share": "占比",
    "method": "算法",
    "model": "模型",
    "models": "模型数",
    "accelerated": "加速后",
    "frozen": "冻结后",
    "folded": "折叠后",
    "compiled": "加速并编译后",
    "frozen against PyTorch": "冻结后相对 PyTorch 的加速比",
    "folded against PyTorch": "折叠后相对 PyTorch 的加速比",
    "accelerated against torch": "加速后相对 PyTorch",
    "frozen against torch": "冻结后相对 PyTorch",
    "folded against torch": "折叠后相对 PyTorch",
    "frozen against the better of ONNX Runtime and OpenVINO": "冻结后相对 ONNX Runtime 和 OpenVINO 中较快的",
    "folded against the better of ONNX Runtime and OpenVINO": "折叠后相对 ONNX Runtime 和 OpenVINO 中较快的",
    "compiled, accelerated against not": "编译后：加速的相对未加速的",
    "compiled and accelerated against the better of the two alone": "既加速又编译，相对只用其一中较快的",
    "call": "调用",
    "median": "中位数",
    "beyond PyTorch": "比 PyTorch 多",
    "largest": "最大",
    "peer": "参与者",
    "convmat against torch": "convmat 相对 PyTorch",
    "convmat, weights not frozen, against torch": "convmat（权重不冻结）相对 PyTorch",
    "convmat against the best contiguous peer": "convmat 相对其他连续格式中最快的",
    "both with channels last": "双方都用 channels last",
    "convmat, contiguous, against torch, channels last": "convmat（连续）相对 PyTorch（channels last）",
    "layers and choice": "哪些层，怎样选",
    "transposed, auto": "转置卷积，auto",
    "transposed, auto, uncorrected": "转置卷积，auto（不修正）",
    "direct, auto": "普通卷积，auto",
    "direct, auto, uncorrected": "普通卷积，auto（不修正）",
    "layer and layout": "层与内存布局",
    "PyTorch, channels last": "PyTorch（channels last）",
    "convmat, channels last": "convmat（channels last）",
}


def write(results: dict[str, Any]) -> None:
    """Keep the results, beside those of modes that were not measured, and put their figures into the pages."""
    kept, found = json.loads(RESULTS.read_text(encoding="utf-8")), trimmed(results)
    if "fixed" not in found["modes"]:  # the machine that the page names is that of the main table
        found |= {"machine": kept["machine"], "roofline": kept["roofline"]}
    found["modes"] = kept["modes"] | found["modes"]
    RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    for language, pages in PAGES.items():
        for page in pages:
            page.write_text(filled(page.read_text(encoding="utf-8"), found, language), encoding="utf-8")


def trimmed(results: dict[str, Any]) -> dict[str, Any]:
    """The results without what no table shows, all figures with five digits."""
    modes = {
        mode: [{key: value for key, value in row.items() if key not in _NOT_SHOWN} for row in rows]
        for mode, rows in results["modes"].items()
    }
    return {"machine": results["machine"], "roofline": results["roofline"], "modes": _rounded(modes)}


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(inner) for key, inner in value.items() if key not in ("calls", "quartiles_ms")}
    if isinstance(value, list):
        return [_rounded(inner) for inner in value]
    return float(f"{value:.5g}") if isinstance(value, float) else value


def filled(text: str, results: dict[str, Any], language: str) -> str:
    """A page with the figures of these results; a table whose mode was not measured stays as it is."""

    def fill(match: re.Match[str]) -> str:
        before, name, after = match.groups()
        lines = FIGURES[name](results, language)
        return before + "\n".join(lines) + after if lines else match.group()

    return _MARKED.sub(fill, text)


def _table(language: str, titles: Sequence[str], rows: Sequence[Sequence[str]]) -> Lines:
    """Markdown, the first column to the left and all others to the right."""
    if language == "zh":
        titles = [_CHINESE.get(title, title) for title in titles]
        rows = [[_CHINESE.get(row[0], row[0]), *row[1:]] for row in rows]
    lines = ["| " + " | ".join(cells) + " |" for cells in (titles, *rows)]
    return [lines[0], "|---|" + "---:|" * (len(titles) - 1), *lines[1:]] if rows else []


def _rows(results: dict[str, Any], mode: str) -> list[Row]:
    rows: list[Row] = results["modes"].get(mode, [])
    return [row for row in rows if row["peers"]]


def _ms(row: Row, peer: str) -> str:
    return number(row["peers"].get(peer, {}).get("ms"))


def _ratio(found: dict[str, list[float]], row: Row) -> str:
    values = found.get(row["layer"], [])
    return f"{median(values):.2f}" if values else "–"


def _machine(results: dict[str, Any], language: str) -> Lines:
    machine, rates = results["machine"], results["roofline"]
    names = {"torch": "PyTorch", "onnxruntime": "ONNX Runtime", "openvino": "OpenVINO", "jax": "JAX", "numba": "Numba"}
    versions = [f"{name} {machine['versions'][key]}" for key, name in names.items() if machine["versions"].get(key)]
    parts = [machine["processor"], f"{machine['cores']} cores", f"{machine['threads']} threads", *versions]
    if rates:
        parts.append(f"{rates['flops'] / 1e9:.0f} GFLOP/s")
    return [("Machine: " if language == "en" else "机器：") + ", ".join(parts)]


def _summary(mode: str, contests: Contests, what: str, results: dict[str, Any], language: str) -> Lines:
    """Of each contest the geometric mean of the speedups, and the worst."""
    lines = contest_lines(_rows(results, mode), contests)
    return _table(language, ["speedup", "geometric mean", what, "worst", "on"], lines)


def _layers(mode: str, results: dict[str, Any], language: str) -> Lines:
    found = against(_rows(results, mode), "convmat")
    rows = [
        [
            row["layer"],
            *(_ms(row, peer) for peer in (*_PEERS, "convmat-unfrozen")),
            _ratio(found, row),
            _share(row),
            row["plan"].partition(":")[0],
        ]
        for row in _rows(results, mode)
    ]
    return _table(language, ["layer", *_PEERS.values(), "not frozen", "speedup over PyTorch", "share", "method"], rows)


def _share(row: Row) -> str:
    if "convmat" not in row["peers"] or "bound_ms" not in row:
        return "–"
    return f"{row['bound_ms'] / row['peers']['convmat']['ms']:.0%}"


def _channels_last(mode: str, results: dict[str, Any], language: str) -> Lines:
    measured = [row for row in _rows(results, mode) if "torch-channels-last" in row["peers"]]
    found = against(measured, "convmat-channels-last", "torch-channels-last")
    rows = [
        [row["layer"], _ms(row, "torch-channels-last"), _ms(row, "convmat-channels-last"), _ratio(found, row)]
        for row in measured
    ]
    return _table(language, ["layer", "PyTorch", "convmat", "speedup over PyTorch"], rows)


def _varying(results: dict[str, Any], language: str) -> Lines:
    varying, peers = _rows(results, "varying"), [peer for peer in _PEERS if peer != "jax"]
    found = against(varying, "convmat")
    rows = [
        [row["layer"], *(_ms(row, peer) for peer in (*peers, "convmat-unfrozen")), _ratio(found, row)]
        for row in varying
    ]
    titles = ["layer", *(_PEERS[peer] for peer in peers), "not frozen", "speedup over PyTorch"]
    return _table(language, titles, rows)


def _layouts(results: dict[str, Any], language: str) -> Lines:
    layouts = _rows(results, "layouts")
    found = against(layouts, "convmat")
    rows = [[row["layer"], _ms(row, "torch"), _ms(row, "convmat"), _ratio(found, row)] for row in layouts]
    return _table(language, ["layer and layout", "PyTorch", "convmat", "speedup over PyTorch"], rows)


def _overhead(results: dict[str, Any], language: str) -> Lines:
    calls = {
        "torch": "`torch.nn.functional.conv_transpose2d`",
        "torch.nn.ConvTranspose2d": "`torch.nn.ConvTranspose2d`",
        "convmat.conv_transpose2d": "`convmat.conv_transpose2d`",
        "convmat.accelerate": "`convmat.accelerate`",
        "convmat": "`convmat.accelerate(freeze=True)`",
    }
    rows = []
    for row in _rows(results, "overhead"):
        base = row["peers"]["torch"]["rounds_ms"]
        for name in (name for name in calls if name in row["peers"]):
            peer = row["peers"][name]
            beyond = median([1e3 * (own - other) for own, other in zip(peer["rounds_ms"], base, strict=True)])
            rows.append([calls[name], f"{1e3 * peer['ms']:.0f}", f"{beyond:+.0f}"])
    return _table(language, ["call", "median", "beyond PyTorch"], rows)


def _rounding(table: str, results: dict[str, Any], language: str) -> Lines:
    errors = [row for row in _rows(results, "error") if row["table"] == table]
    rows = []
    for peer in (peer for peer in _PEERS if peer != "jax"):
        found = [row["peers"][peer]["error"] for row in errors if peer in row["peers"]]
        if found:
            rows.append([_PEERS[peer], f"{max(found):.1e}", f"{median(found):.1e}"])
    return _table(language, ["peer", "largest", "median"], rows)


def _regret(results: dict[str, Any], language: str) -> Lines:
    lines = [[f"{table}, {of}", *figures] for table, of, *figures in summary_lines(_rows(results, "regret"))]
    return _table(language, ["layers and choice", "geometric mean", "layers", "worst", "on"], lines)


def _models(results: dict[str, Any], language: str) -> Lines:
    rows = _rows(results, "models")
    peers = {peer: title for peer, title in _OF_MODELS.items() if any(peer in row["peers"] for row in rows)}
    best = _for_inference(rows)
    found = against(rows, best)
    lines = [[row["layer"], *(_ms(row, peer) for peer in peers), _ratio(found, row)] for row in rows]
    return _table(language, ["model", *peers.values(), f"{_OF_MODELS[best]} against PyTorch"], lines)


def _for_inference(rows: list[Row]) -> str:
    """What the README recommends for inference, if it was measured."""
    return "convmat-folded" if any("convmat-folded" in row["peers"] for row in rows) else "convmat-frozen"


def _models_in_words(results: dict[str, Any], language: str) -> Lines:
    """A line for those who read no table: the speedups of whole models over PyTorch, the highest first."""
    rows = _rows(results, "models")
    found = against(rows, _for_inference(rows))
    speedups = sorted(((median(ratios), model) for model, ratios in found.items()), reverse=True)
    words = [f"{model} {ratio:.2f}" for ratio, model in speedups]
    if language == "zh":
        return ["，".join(words) + "。"] if words else []
    return textwrap.wrap(", ".join(words) + ".", 120) if words else []


FIGURES: dict[str, Callable[[dict[str, Any], str], Lines]] = {
    "machine": _machine,
    "summary": partial(_summary, "fixed", CONTESTS, "layers"),
    "fixed": partial(_layers, "fixed"),
    "channels-last": partial(_channels_last, "fixed"),
    "direct-summary": partial(_summary, "direct", CONTESTS, "layers"),
    "direct": partial(_layers, "direct"),
    "direct-channels-last": partial(_channels_last, "direct"),
    "varying": _varying,
    "layouts": _layouts,
    "overhead": _overhead,
    "rounding": partial(_rounding, "transposed"),
    "direct-rounding": partial(_rounding, "direct"),
    "regret": _regret,
    "models-summary": partial(_summary, "models", OF_MODELS, "models"),
    "models": _models,
    "models-in-words": _models_in_words,
}
