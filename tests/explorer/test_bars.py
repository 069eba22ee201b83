"""What is promised of the whole page: small, silent, accessible, nothing cut off, and safe from whatever it is fed."""

from __future__ import annotations

import gzip
import http.server
import json
import re
import threading
from functools import partial
from html import escape
from pathlib import Path
from random import Random

import pytest

import convmat
from convmat.explorer import exploring
from convmat.explorer.files import read, script
from convmat.explorer.page import Page
from tests.explorer.browser import start_browser
from tests.explorer.links import NASTY, fuzzed

ROOT = Path(__file__).parents[2]
PANELS = ("", "parameters", "ways", "sizes", "checkerboard", "questions", "practice", "story", "kernel", "code")
WIDTHS = {1280: 720, 768: 1024, 380: 780}


# -- small, silent -----------------------------------------------------------------------------------------------------


def test_the_page_is_small():
    page = convmat.explore().html().encode()
    assert len(page) <= 200 * 1024
    assert len(gzip.compress(page)) <= 55 * 1024


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    html = convmat.explore().html()
    (folder / "explore.html").write_text(html, encoding="utf-8")
    for name, more in (("srcdoc", ""), ("sandbox", ' sandbox="allow-scripts"')):
        frame = f'<iframe{more} srcdoc="{escape(html)}" title="page" width="1300" height="800"></iframe>'
        head = '<head><meta charset="utf-8"><title>frame</title><link rel="icon" href="data:,"></head>'
        (folder / f"{name}.html").write_text(
            f"<!doctype html><html>{head}<body>{frame}</body></html>", encoding="utf-8"
        )

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize("where", ["file", "localhost", "srcdoc", "sandbox"])
def test_it_asks_for_nothing_and_says_nothing(where, served, browser):
    from tests.explorer.conftest import Watched

    folder, address = served
    url = {"file": (folder / "explore.html").as_uri(), "localhost": f"{address}/explore.html"}.get(where)
    context = browser.new_context(viewport={"width": 1320, "height": 820})
    watched = Watched(context.new_page())
    watched.page.goto(url or f"{address}/{where}.html")
    frame = watched.page if url else watched.page.frames[1]
    frame.wait_for_selector(".convmat .cells")
    for panel in PANELS[1:]:
        frame.locator(f"[data-key='tab:{panel}']").click()
    frame.locator("[data-key='copy-call']").click()
    frame.locator(".play").click()
    frame.locator("[data-key='kernel_size:more']").click()
    watched.page.wait_for_timeout(350)
    links = frame.locator("[data-key=share]").count()
    if url:
        assert links == 1
        watched.page.wait_for_url(re.compile("kernel_size=4x4"))
    else:
        assert links == 0  # no address to share: the Python call instead
    assert [asked for asked in watched.asked if not asked.startswith(("data:", "blob:", "about:"))] == [
        watched.page.url.split("#")[0]
    ]
    assert watched.said == []
    context.close()


# -- the browser -------------------------------------------------------------------------------------------------------


def test_without_a_browser_tests_are_skipped_and_fail_where_ci_is_set(monkeypatch):
    monkeypatch.setattr("tests.explorer.browser.find_browser", lambda: None)
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="apt-get install --no-install-recommends chromium"):
        start_browser(None)
    monkeypatch.setenv("CI", "1")
    with pytest.raises(pytest.fail.Exception, match="no Chrome or Chromium"):
        start_browser(None)


# -- accessible, whole -------------------------------------------------------------------------------------------------

BOXES = """([width, height, firstScreen]) => {
  const wrong = [];
  for (const element of document.querySelectorAll("button, input, select, a[href], summary, [role=slider]")) {
    const box = element.getBoundingClientRect();
    if (!element.checkVisibility() || (box.width === 0 && box.height === 0)) continue;
    const name = element.getAttribute("aria-label") || element.textContent;
    if (box.left < -0.5 || box.right > width + 0.5) wrong.push(`outside: ${name} ${box.left}..${box.right}`);
    if (firstScreen && box.bottom > height + 0.5) wrong.push(`below: ${name} ${box.bottom}`);
    if (box.height < 23.9 || box.width < 23.9) wrong.push(`small: ${name} ${box.width}x${box.height}`);
    if (element.tagName === "BUTTON" && element.scrollWidth > element.clientWidth + 1) wrong.push(`cut: ${name}`);
  }
  for (const cell of document.querySelectorAll("[role=gridcell]")) {
    const box = cell.getBoundingClientRect();
    if (cell.closest(".cursor") || !cell.checkVisibility()) continue;
    if (box.height < 23.9 || box.width < 23.9) wrong.push(`small cell ${box.width}x${box.height}`);
  }
  for (const text of document.querySelectorAll("p, h1, h2, h3, .piece, .stepper-label, figcaption, td, th")) {
    if (!text.checkVisibility() || text.closest("figure, .table")) continue;
    if (text.getBoundingClientRect().right > width + 0.5) wrong.push(`text outside: ${text.textContent.slice(0, 40)}`);
  }
  return wrong;
}"""


@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_cut_off_and_everything_can_be_hit(width, lang, opened, bare):
    height = WIDTHS[width]
    with opened(bare(), width=width, height=height, reduced_motion="reduce") as page:
        for theme in ("light", "dark"):
            for panel in PANELS:
                page.evaluate("(state) => app.update(state)", {"panel": panel, "lang": lang, "theme": theme})
                if panel == "questions":
                    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
                first = panel == "" and width == 1280
                assert page.evaluate(BOXES, [width, height, first]) == [], (panel, theme)
            if width == 1280:
                assert page.evaluate("app.update({}); document.documentElement.scrollHeight") <= height
        if width == 380:  # the bottom sheet, and the matrix one tap away
            page.get_by_role("button", name={"en": "Parameters", "zh": "参数"}[lang], exact=True).click()
            page.locator(".only-phone").nth(1).click()
            assert page.evaluate(BOXES, [width, height, False]) == []
            assert page.locator(".pane.matrix canvas").first.is_visible()


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_the_total_of_many_terms_is_in_view(lang, opened):
    page_of_layer = convmat.explore(kernel_size=3, input_size=(5, 7), padding=1, transposed=False, lang=lang)
    with opened(page_of_layer.html()) as page:
        page.locator(".cells.coarse [role=gridcell]").nth(17).hover()
        assert page.locator(".sum .piece").count() == 9
        pane, total = page.locator(".pane-sum").bounding_box(), page.locator(".sum .total").bounding_box()
        assert total["y"] + total["height"] <= pane["y"] + pane["height"]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("lang", ["en", "zh"])
def test_axe_finds_nothing(theme, lang, opened, bare):
    axe = pytest.importorskip("axe_playwright_python.base")
    source = (Path(axe.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
    options = {"runOnly": ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"], "resultTypes": ["violations"]}
    with opened(bare(), reduced_motion="reduce") as page:
        page.evaluate(source)
        for panel in PANELS:
            page.evaluate("(state) => app.update(state)", {"panel": panel, "lang": lang, "theme": theme})
            if panel == "questions":
                page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
            # The first screen is looked at whole, and then what each panel adds to it.
            where = '".panel"' if panel else "document"
            found = page.evaluate(f"(options) => axe.run({where}, options)", options)["violations"]
            assert [(one["id"], [node["html"][:200] for node in one["nodes"]][:3]) for one in found] == [], panel


def test_a_walk_by_keyboard_alone_reaches_every_control(opened, bare):
    with opened(bare(), reduced_motion="reduce") as page:
        everything = """() => [
          ...document.querySelectorAll("button, input:not([hidden]), a[href], summary, [tabindex='0']"),
        ].filter((one) => one.checkVisibility()).length"""
        page.evaluate("""() => document.addEventListener("focusin", ({ target }) => {
          window.seen.add(target);
          if (getComputedStyle(target).outlineStyle === "none") window.plain.push(target.outerHTML.slice(0, 200));
        })""")
        for panel in PANELS:
            page.evaluate("(panel) => app.update({ panel, lang: 'en' })", panel)
            wanted = page.evaluate(everything)
            page.evaluate("document.activeElement.blur(); window.seen = new Set(); window.plain = [];")
            for _ in range(3):  # on a busy machine, keys may come before all of a panel is there
                for _ in range(wanted):
                    page.keyboard.press("Tab")
                seen, plain = page.evaluate("[window.seen.size, window.plain]")
                if seen >= wanted - 1:
                    break
            assert plain == [], panel  # without an outline
            assert seen >= wanted - 1, panel  # the body at the end of the round may stand for one


# -- two languages -----------------------------------------------------------------------------------------------------


def words() -> dict[str, list[str]]:
    found = {}
    for name in ("stage", "panels"):
        for key, pair in re.findall(r'^\s*("[^"]+"): (\[.*\]),$', read(f"script/texts/{name}.js"), re.MULTILINE):
            found[json.loads(key)] = json.loads(pair)
    return found


WORDS = words()


def test_python_and_the_page_name_the_same_panels():
    named = re.search(r"const PANELS = (\[.*?\]);", script())
    assert json.loads(named[1]) == list(exploring._PANELS) == list(PANELS[1:])


def test_both_languages_say_the_same():
    assert len(WORDS) > 250
    for key, (english, chinese) in WORDS.items():
        assert english.strip(), key
        assert chinese.strip(), key
        placeholders = [set(re.findall(r"\{(\w+)\}", text)) for text in (english, chinese)]
        assert placeholders[0] == placeholders[1], key
        assert not re.search(r"[\u4e00-\u9fff]", english), key
        assert not re.search(r"[\u4e00-\u9fff] ?[,;?!]|[,;?!][\u4e00-\u9fff]", chinese), key


def test_every_text_that_the_script_asks_for_is_there():
    code = script()
    asked = {key for key in re.findall(r'\bt\("([\w.]+)"', code) if not key.endswith(".")}
    asked |= {key for pair in re.findall(r'\? "([a-z_.]+)" : "([a-z_.]+)"', code) for key in pair if "." in key}
    assert len(asked) > 100
    assert asked <= set(WORDS) | {"wrong.back"}


def test_page_and_docs_share_one_glossary():
    """One Chinese word for each term, on the page and in the docs; a second word only where a tooltip names it."""
    glossary = json.loads(read("glossary.json"))
    docs = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "docs" / "zh").rglob("*.md"))
    page = "\n".join(chinese for _, chinese in WORDS.values())
    for term, word in glossary.items():
        assert word["zh"] in docs, term
        assert word["zh"] in page, term
        for key in word.get("keys", []):
            assert word["zh"] in WORDS[key][1], key
        for other in word.get("also", []):
            named = [key for key, (_, chinese) in WORDS.items() if other in chinese]
            assert all(key.endswith(".help") for key in named), (term, named)


def test_chinese_glyphs_are_there(opened, bare):
    characters = sorted(
        {character for _, text in WORDS.values() for character in text if "\u4e00" <= character <= "\u9fff"}
    )
    draw = """(characters) => {
      const canvas = document.createElement("canvas"), context = canvas.getContext("2d", { willReadFrequently: true });
      canvas.width = canvas.height = 24;
      context.font = `20px ${getComputedStyle(app.root).fontFamily}`;
      const ink = (character) => {
        context.clearRect(0, 0, 24, 24);
        context.fillText(character, 1, 20);
        return String(context.getImageData(0, 0, 24, 24).data);
      };
      const missing = ink("\\u0378");
      return characters.filter((character) => ink(character) === missing);
    }"""
    with opened(bare()) as page:
        assert page.evaluate(draw, characters) == []


# -- hostile -----------------------------------------------------------------------------------------------------------


def test_whatever_a_link_says_the_page_stands(opened, bare):
    random = Random(11)
    links = [fuzzed(random) for _ in range(198)] + ["weight=" + "1," * 500_000, "x" * 1_000_000]
    feed = """(links) => links.map((link) => {
      const start = performance.now();
      app.update(convmat.fromHash(link));
      const elements = app.root.querySelectorAll("script, img").length;
      return [performance.now() - start, convmat.whatIsWrong(app.state.geometry), elements];
    })"""
    with opened(bare(), reduced_motion="reduce") as page:
        for took, wrong, elements in page.evaluate(feed, links):
            assert wrong is None
            assert elements == 0
            assert took < 2000  # far above what it takes (`python -m tools.page` measures it), for busy machines
        assert page.locator(".cells.canvas [role=gridcell]").count() > 0


def hostile(name: str) -> dict:
    values = {"channels": name, "allChannels": name, "size": name, "allSize": name}
    return {"note": {"key": "note.window", "values": values}, "pin": [name], "panel": name, "kernel": name}


@pytest.mark.parametrize("name", NASTY[:3])
def test_names_in_a_page_stay_text(name, opened):
    with opened(Page(hostile(name)).html()) as page:
        assert page.locator(".note:not(.whose)").first.text_content().count(name) >= 4
        assert page.locator("img").count() == 0


def test_names_in_a_state_stay_text(opened, bare):
    with opened(bare()) as page:
        for name in NASTY:
            for state in (hostile(name), {"note": {"key": name, "values": {}}}):
                page.evaluate("(state) => app.update(state)", state)
                assert name[:200] in page.locator(".note:not(.whose)").first.text_content()
                assert page.locator("img").count() == 0
