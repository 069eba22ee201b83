"""Every code block of the pages is run, every figure drawn, every link followed, in both languages."""

import doctest
import importlib.util
import os
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path

import matplotlib
import numpy as np
import pytest

import convmat
from convmat.cli import main

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
CHINESE = DOCS / "zh"
FIGURES = DOCS / "assets" / "generated"
MEASURED = DOCS / "assets" / "performance.png"  # drawn by the benchmarks, on one machine, and kept
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(!?)\[[^\]]*\]\(([^)\s]+)\)")


def pages(language: Path) -> dict[str, Path]:
    found = {path.relative_to(language).as_posix(): path for path in sorted(language.rglob("*.md"))}
    return {name: path for name, path in found.items() if language == CHINESE or not name.startswith("zh/")}


ENGLISH = {name: path for name, path in pages(DOCS).items() if not name.startswith("reference/")}
EVERY_PAGE = list(pages(DOCS).values()) + list(pages(CHINESE).values())
every_page = pytest.mark.parametrize("page", EVERY_PAGE, ids=lambda page: page.relative_to(DOCS).as_posix())


def blocks(page: Path, language: str) -> list[str]:
    return [body for found, body in BLOCK.findall(page.read_text(encoding="utf-8")) if found == language]


def prose(page: Path) -> str:
    return BLOCK.sub("", page.read_text(encoding="utf-8"))


def figures():
    spec = importlib.util.spec_from_file_location("figures", DOCS / "figures.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# -- the code ----------------------------------------------------------------------------------------------------------


@every_page
def test_every_block_is_of_a_kind_that_is_run(page):
    text = page.read_text(encoding="utf-8")
    assert {language for language, _ in BLOCK.findall(text)} <= {"pycon", "console"}
    assert text.count("```") == 2 * len(BLOCK.findall(text))


@pytest.mark.parametrize("name", [name for name, page in ENGLISH.items() if blocks(page, "pycon")])
def test_python_blocks(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code = "\n".join(blocks(ENGLISH[name], "pycon"))
    session = doctest.DocTestParser().get_doctest(code, {}, name, name, 0)
    assert doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(session).failed == 0


def commands(page: Path) -> list[tuple[str, str]]:
    """The commands of a page, each with the output that it shows."""
    return [tuple(block.removeprefix("$ ").split("\n", 1)) for block in blocks(page, "console")]  # type: ignore[misc]


COMMANDS = [(*command, "en") for page in ENGLISH.values() for command in commands(page)]
COMMANDS += [(*command, "zh") for page in pages(CHINESE).values() for command in commands(page) if command[1]]


@pytest.mark.parametrize(("command", "shown", "language"), COMMANDS, ids=[f"{line} {to}" for line, _, to in COMMANDS])
def test_console_blocks(command, shown, language, tmp_path, monkeypatch, capsys):
    program, *arguments = shlex.split(command)
    if program == "make":  # what it does takes long, or is tested by itself
        assert subprocess.run(["make", "-n", *arguments], cwd=ROOT, capture_output=True).returncode == 0
        return
    assert program == "convmat"
    if arguments == ["tune"]:  # it takes a minute, changes what "auto" takes from then on, and is tested by itself
        arguments += ["--help"]
    photograph = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    (tmp_path / "photo.jpg").write_bytes(photograph.read_bytes())
    np.save(tmp_path / "data.npy", np.ones((6, 9, 8)))
    np.save(tmp_path / "psf.npy", np.ones((3, 2, 2)))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["convmat", *arguments, "--lang", language])
    with pytest.raises(SystemExit) as end:
        main()
    out, err = capsys.readouterr()
    assert (end.value.code or 0, err) == (0, "")
    if shown:
        assert [line.rstrip() for line in out.strip().splitlines()] == shown.strip().splitlines()


# -- the two languages -------------------------------------------------------------------------------------------------


def test_both_languages_have_the_same_pages():
    assert list(pages(CHINESE)) == list(ENGLISH)


@pytest.mark.parametrize("name", ENGLISH)
def test_both_languages_have_the_same_blocks_headings_and_figures(name):
    english, chinese = (pages(language)[name] for language in (DOCS, CHINESE))
    assert blocks(chinese, "pycon") == blocks(english, "pycon")
    assert [command for command, _ in commands(chinese)] == [command for command, _ in commands(english)]
    kinds = [[kind for kind, _ in BLOCK.findall(page.read_text(encoding="utf-8"))] for page in (english, chinese)]
    assert kinds[0] == kinds[1]
    for pattern in (r"^#+ ", r"!\[.*\]\(.*?(assets/.*)\)(\{.*\})", r"^    .*$", r"^\|", r"^(?:- |\d\. )"):
        per_language = [re.findall(pattern, prose(page), re.MULTILINE) for page in (english, chinese)]
        assert len(per_language[0]) == len(per_language[1]), pattern
        if "assets" in pattern:
            assert per_language[0] == [(path.replace("/zh/", "/"), size) for path, size in per_language[1]]


@pytest.mark.parametrize("name", ENGLISH)
def test_both_languages_link_to_the_same_pages(name):
    english, chinese = (
        {
            re.sub(r"^(\.\./)+", "", target).replace("generated/zh/", "generated/")
            for _, target in LINK.findall(prose(pages(language)[name]))
        }
        for language in (DOCS, CHINESE)
    )
    assert chinese == english


@pytest.mark.parametrize("page", pages(CHINESE).values(), ids=pages(CHINESE))
def test_chinese_punctuation(page):
    """Full-width beside Chinese characters, and no line break within a paragraph, which would show as a space."""
    text = re.sub(r"`[^`\n]*`|\]\([^)]*\)", "", prose(page))
    assert re.findall(r"[\u4e00-\u9fff] ?[,:;?!]|[,:;?!][\u4e00-\u9fff]", text) == []
    assert re.findall(r"[^\n]*[\u4e00-\u9fff\u3000-\u303f\uff00-\uffef]\n[\u4e00-\u9fff][^\n]*", text) == []


# -- links, figures, navigation ----------------------------------------------------------------------------------------


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings: explicit, or made of their words."""
    found = set()
    for heading in re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE):
        explicit = re.search(r"\{ #([\w-]+) \}", heading)
        found.add(explicit[1] if explicit else re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower()))
    return found


def drawn_files(module) -> set[str]:
    """What docs/figures.py draws for each language."""
    return {f"{name}.png" for name in module.FIGURES} | {f"{name}.gif" for name in module.ANIMATIONS}


@every_page
def test_links_lead_somewhere(page):
    names = drawn_files(figures())
    for image, target in LINK.findall(prose(page)):
        file, _, anchor = target.partition("#")
        path = Path(os.path.normpath(page.parent / file)) if file else page
        if path == MEASURED:
            assert path.is_file(), target
        elif image:
            assert path.parent == (FIGURES / "zh" if page.is_relative_to(CHINESE) else FIGURES), target
            assert path.name in names, target
        else:
            assert path.is_file(), target
            assert path.is_relative_to(DOCS), target
            assert not anchor or anchor in anchors(path), target


def test_every_figure_is_shown():
    module = figures()
    shown = {Path(target).stem for page in EVERY_PAGE for image, target in LINK.findall(prose(page)) if image}
    assert shown - {MEASURED.stem} == {*module.FIGURES, *module.ANIMATIONS}


def test_every_page_is_in_the_navigation_once():
    in_navigation = re.findall(r"^ +- .*: (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(in_navigation) == sorted(page.relative_to(DOCS).as_posix() for page in EVERY_PAGE)


def test_the_reference_holds_every_public_name():
    text = "\n".join(page.read_text(encoding="utf-8") for page in (DOCS / "reference").glob("*.md"))
    documented = re.findall(r"^::: convmat\.([\w.]+)$", text, re.MULTILINE)
    assert len(documented) == len(set(documented))
    assert set(convmat.__all__) <= {name.split(".")[0] for name in documented}
    assert {name.removeprefix("draw.") for name in documented if name.startswith("draw.")} == set(convmat.draw.__all__)


def test_the_site_builds_without_warnings_and_draws_every_figure(tmp_path):
    begun = time.time()
    for name in ("mkdocs", "material", "mkdocstrings_handlers.python"):
        pytest.importorskip(name)
    run = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
    )
    assert run.returncode == 0, run.stderr
    assert "WARNING" not in run.stderr
    for page in EVERY_PAGE:
        html = (tmp_path / page.relative_to(DOCS).with_suffix(".html")).read_text(encoding="utf-8")
        language = "zh" if page.is_relative_to(CHINESE) else "en"
        assert f'<html lang="{language}"' in html
        assert not re.findall(r'(?:src|<link[^>]*href)="?(?:https?:)?//', html)
    generated = tmp_path / "assets" / "generated"
    assert {"explore.html", "explore.js", "explore.css"} <= {path.name for path in generated.iterdir()}
    for folder in (generated, generated / "zh"):
        for name in drawn_files(figures()):
            assert (FIGURES / folder.relative_to(generated) / name).stat().st_mtime >= begun - 1, name
            assert (folder / name).stat().st_size > 5000, name
    for page in ("explore.html", "zh/explore.html"):
        assert "data-convmat=" in (tmp_path / page).read_text(encoding="utf-8")
    # Opened as a file, a page can neither fetch the search index nor start the worker that searches it.
    assert (tmp_path / "search" / "search_index.js").read_text(encoding="utf-8").startswith("var __index = {")
    home = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert home.index('src="assets/iframe-worker.js"') < home.index('src="assets/javascripts/bundle')
    assert "window.Worker = IFrameWorker" in (tmp_path / "assets" / "iframe-worker.js").read_text(encoding="utf-8")
