"""The figures of the documentation are those that were measured."""

import json

import pytest

from benchmarks import document
from benchmarks.document import FIGURES, PAGES, RESULTS, filled


@pytest.mark.parametrize("language", PAGES)
def test_pages_hold_the_figures_of_the_results(language):
    results = json.loads(RESULTS.read_text(encoding="utf-8"))
    for path in PAGES[language]:
        page = path.read_text(encoding="utf-8")
        assert filled(page, results, language) == page


@pytest.mark.parametrize("language", PAGES)
def test_every_table_has_its_place(language):
    page = "\n".join(path.read_text(encoding="utf-8") for path in PAGES[language])
    for name in FIGURES:
        assert page.count(f"<!-- figures: {name} -->") == 1


def test_new_results_make_new_tables():
    row = {
        "layer": "small",
        "plan": "tiles: about 1 ms",
        "bound_ms": 0.25,
        "peers": {"torch": {"ms": 2.0, "rounds_ms": [2.0, 2.0]}, "convmat": {"ms": 0.5, "rounds_ms": [0.5, 0.5]}},
    }
    machine = {"processor": "a processor", "cores": 4, "threads": 2, "versions": {"torch": "2.13"}}
    results = {"machine": machine, "roofline": {"flops": 1e11}, "modes": {"fixed": [row]}}
    english = PAGES["en"][0].read_text(encoding="utf-8")
    page = filled(english, results, "en")
    assert "| convmat against torch | 4.00 | 1 | 4.00 | small |" in page
    assert "| small | 2.00 | – | – | – | 0.500 | – | 4.00 | 50% | tiles |" in page
    assert "a processor, 4 cores, 2 threads, PyTorch 2.13, 100 GFLOP/s" in page
    assert page != english


def test_modes_that_were_not_measured_stay(tmp_path, monkeypatch):
    row = {"layer": "small", "table": "direct", "peers": {"torch": {"error": 3e-7}}}
    results = tmp_path / "performance.json"
    results.write_text(RESULTS.read_text(encoding="utf-8"), encoding="utf-8")
    pages = {language: (tmp_path / f"{language}.md",) for language in PAGES}
    for language, (page,) in pages.items():
        page.write_text(PAGES[language][0].read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.setattr(document, "RESULTS", results)
    monkeypatch.setattr(document, "PAGES", pages)
    before = json.loads(results.read_text(encoding="utf-8"))
    document.write({"machine": before["machine"], "roofline": {}, "modes": {"error": [row]}})
    after = json.loads(results.read_text(encoding="utf-8"))
    assert after == before | {"modes": before["modes"] | {"error": [row]}}
    assert "| PyTorch | 3.0e-07 | 3.0e-07 |" in pages["en"][0].read_text(encoding="utf-8")
