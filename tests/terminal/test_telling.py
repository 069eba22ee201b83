"""Notices and warnings of the library on the command line: one line each, in its language."""

import json
import os
import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch
from PIL import Image

from convmat.draw import words
from convmat.geometry import Sentence, own_message
from convmat.kernel import compiled
from convmat.kernel.computing import say
from convmat.operators.reasons import Reason
from convmat.operators.solvers.implicit import warn_unless_converged
from convmat.operators.solvers.solution import Found
from convmat.planning import correcting
from convmat.terminal.texts import CHINESE

LAYER = ("--input", "4x4", "--kernel", "3")

# A few bytes stand in for the kernel, which then fails.
IN_A_PROCESS = """
import warnings
from convmat.cli import main
from convmat.kernel import caching, compiled
from convmat.planning import correcting

def build(dtype):
    correcting.now()
    caching.compile_or_load("float32", "", bytes)
    warnings.warn("a word of others")
    raise OSError("no code\\nhere")

compiled._build = build
main()
"""
SAID = {
    "en": (
        "the tuning file bad.json is ignored: it is damaged, as it holds no JSON. 'convmat tune' writes it anew; "
        "CONVMAT_TUNING= (empty) uses none",
        "compiling its kernel for float32, once for this processor; it takes some seconds",
        "convmat's kernel cannot be compiled here, PyTorch's own functions are used instead: OSError: no code here",
    ),
    "zh": (
        "没有采用系数文件 bad.json：它已损坏，内容不是 JSON。'convmat tune' 会重新写一份；CONVMAT_TUNING=（空）"
        "则不用任何文件",
        "正在为 float32 编译内核（需要若干秒），对这种处理器只编译一次",
        "我们的内核在这里无法编译，改用 PyTorch 自己的函数：OSError: no code here",
    ),
}


@pytest.mark.skipif(not compiled.is_installed(), reason="needs Numba")
@pytest.mark.parametrize("language", SAID)
def test_each_is_one_line(language, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(IN_A_PROCESS)
    (tmp_path / "bad.json").write_text("{")
    Image.new("L", (4, 3)).save(tmp_path / "photo.png")
    command = ("upsample", "photo.png", "--scale", "2", "--method", "tiles", "--out", "large.png", "--lang", language)
    environment = {"CONVMAT_TUNING": "bad.json", "NUMBA_CACHE_DIR": str(tmp_path), "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(
        [sys.executable, script, *command],
        capture_output=True,
        encoding="utf-8",
        cwd=tmp_path,
        env=os.environ | environment,
    )
    lines = done.stderr.splitlines()
    ours = [line.removeprefix("convmat: ") for line in lines if line.startswith("convmat: ")]
    assert (done.returncode, ours) == (0, [*SAID[language]])
    others = [line for line in lines if not line.startswith("convmat: ")]
    number = IN_A_PROCESS.splitlines().index('    warnings.warn("a word of others")') + 1
    assert others == [f"{script}:{number}: UserWarning: a word of others", '  warnings.warn("a word of others")']


@pytest.fixture
def _no_chinese_font(monkeypatch):
    families = words.families
    monkeypatch.setattr(words, "families", lambda language, text: families("en", "") if language == "en" else None)


NO_FONT = (
    "convmat: 没有安装能写 lang='zh' 的字体，所以图用英文；装上 Noto Sans CJK SC 或文泉驿微米黑（Debian 上是 "
    "fonts-wqy-microhei）就行\n"
)
FILTERS = {"always": (0, NO_FONT), "ignore": (0, ""), "error": (2, NO_FONT)}


@pytest.mark.usefixtures("_no_chinese_font")
@pytest.mark.parametrize("action", FILTERS)
def test_filters_count_as_ever(action, run):
    with warnings.catch_warnings():
        warnings.simplefilter(action)
        done = run("draw", "slide", *LAYER, "--lang", "zh")
    assert (done.returncode, done.stderr) == FILTERS[action]


@pytest.mark.parametrize("kernel", ["3", "99"])
def test_afterwards_all_is_as_before(kernel, run, capsys):
    shown, filters = warnings.showwarning, list(warnings.filters)
    run("matrix", "--input", "6", "--kernel", kernel, "--lang", "zh")
    assert (warnings.showwarning, warnings.filters) == (shown, filters)
    say(Sentence("once for this processor"))
    assert capsys.readouterr().err == "once for this processor\n"


def test_without_standard_error_nothing_is_said(capsys, monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    say(Sentence("once for this processor"))
    assert capsys.readouterr().out == ""


# -- their Chinese -----------------------------------------------------------------------------------------------------

FACTORS = {name: dict.fromkeys(("call", "arithmetic", "moving"), 1) for name in ("kernel", "pytorch")}
DAMAGES = {
    "no table": ([1], "里面没有系数表"),
    "another processor": ({"processor": "none"}, "它是为 processor 'none' 写的，而这里是"),
    "no factors": ({"kernel": {}}, "kernel 必须有 call, arithmetic, moving"),
    "a large factor": ({"pytorch": FACTORS["pytorch"] | {"call": 99}}, "pytorch.call=99 必须在 1/16 到 16 之间"),
}


@pytest.mark.parametrize(("damage", "says"), DAMAGES.values(), ids=DAMAGES)
def test_what_is_wrong_with_a_tuning_file(damage, says, tmp_path, monkeypatch):
    path = tmp_path / "tuning.json"
    whole = correcting._made_for() | FACTORS
    path.write_text(json.dumps(whole | damage if isinstance(damage, dict) else damage))
    monkeypatch.setenv(correcting.VARIABLE, str(path))
    with pytest.warns(RuntimeWarning, match="is ignored: it ") as caught, correcting.using(None):
        correcting.now()
    assert says in CHINESE.sentence(own_message(caught[0].message))


@pytest.mark.parametrize(
    ("of_gradient", "english", "chinese"),
    [
        (False, "2 of 3 solutions did not converge: ", "3 个解中有 2 个没有收敛："),
        (True, "2 of 3 solutions of the gradient did not converge: ", "梯度的 3 个解中有 2 个没有收敛："),
    ],
)
def test_solutions_that_did_not_converge(of_gradient, english, chinese):
    reasons = np.empty(3, dtype=object)
    reasons[:] = [Reason("maxiter", most=9), Reason("rounding"), Reason("solved")]
    found = Found(torch.zeros(3, 1), np.zeros(3, np.int64), reasons, np.array([False, False, True]))
    with pytest.warns(RuntimeWarning) as caught:
        warn_unless_converged(found, of_gradient)
    message = own_message(caught[0].message)
    assert message == f"{english}maxiter=9 reached; normal equations to rounding"
    assert CHINESE.sentence(message) == f"{chinese}达到上限 9 次；正规方程的误差只剩舍入误差"
