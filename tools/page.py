"""Measures the interactive page in a headless browser against what is promised of it: size, load, frames, handlers.

    python -m tools.page

It needs Chrome or Chromium and Playwright, and a machine with nothing else to do.
"""

from __future__ import annotations

import gzip
import sys
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import convmat
from convmat.explorer.states import geometry_state
from convmat.geometry import Geometry

LARGE = geometry_state(Geometry.conv_transpose((16, 16), 3, 2, 0))  # 16x16 inputs, a matrix of 256 x 1089

# A task after the frame that follows, and how long the pointer's events take until then, and until their handlers end.
WATCH = """() => {
  globalThis.painted = () => new Promise((done) => {
    const channel = new MessageChannel();
    channel.port1.onmessage = done;
    channel.port2.postMessage(0);
  });
  globalThis.took = { frames: [], handlers: [], intervals: [] };
  let last = performance.now();
  const tick = (now) => {
    took.intervals.push(now - last);
    last = now;
    requestAnimationFrame(tick);
  };
  requestAnimationFrame(tick);
  for (const type of ["pointerover", "pointermove"]) {
    let start = 0;
    addEventListener(type, () => { start = performance.now(); }, { capture: true });
    addEventListener(type, (event) => {
      took.handlers.push(performance.now() - start);
      requestAnimationFrame(async () => {
        await painted();
        took.frames.push(performance.now() - event.timeStamp);
      });
    });
  }
}"""
LIGHT = """() => Array.from({ length: 200 }, (_, k) => {
  const start = performance.now();
  app.hovered = ["fine", 0, k % 33, (k * 7) % 33];
  app._light(false);
  return performance.now() - start;
})"""
FUZZ = """(links) => links.map((link) => {
  const start = performance.now();
  app.update(convmat.fromHash(link));
  return performance.now() - start;
})"""
CHANGE = """async () => {
  const took = [];
  for (let k = 0; k < 30; k++) {
    const start = performance.now();
    app.tryNumbers([["padding", 0, 0], ["padding", 1, 0]], k % 2 ? [0, 0] : [1, 1]);
    await new Promise((done) => requestAnimationFrame(done));
    await painted();
    took.push(performance.now() - start);
  }
  return took;
}"""


def p95(values: list[float]) -> float:
    """What 95 of 100 values stay below."""
    return sorted(values)[int(0.95 * (len(values) - 1))]


def line(what: str, value: float, bar: float, unit: str) -> None:
    """Print a figure beside what is promised."""
    verdict = "" if value <= bar else "  MISSED"
    print(f"{what:58} {value:8.1f} {unit:4} (at most {bar:g}){verdict}")


def hover(page: Any, where: str) -> dict[str, list[float]]:
    """Move the mouse over something, as a hand would, and give the times of what it causes, in milliseconds."""
    box = page.locator(where).bounding_box()
    width, height = min(box["width"], 350), min(box["height"], 300)
    page.evaluate("took = { frames: [], handlers: [], intervals: [] }")
    for k in range(300):
        page.mouse.move(box["x"] + k * 37 % width, box["y"] + k * 23 % height)
    found: dict[str, list[float]] = page.evaluate("took")
    return found


def measure(page: Any, url: str) -> None:
    """Print one line for each promise about time."""
    from tests.explorer.links import fuzzed

    page.set_content("<main style='height: 600px'></main>")
    page.evaluate(WATCH)
    empty = hover(page, "main")
    print(f"{'an empty page: frame to frame, p95':58} {p95(empty['intervals']):8.1f} ms")
    print(f"{'  (from the event until that frame is drawn, p95)':58} {p95(empty['frames']):8.1f} ms")
    loads = []
    for _ in range(7):
        page.goto(url)
        loads.append(page.evaluate("performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd"))
    line("load to interactive, median of 7", sorted(loads)[3], 300, "ms")
    page.evaluate(WATCH)
    page.evaluate("globalThis.app = document.querySelector('[data-convmat]').convmat")
    page.evaluate("(geometry) => app.update({ geometry })", LARGE)
    page.wait_for_timeout(300)
    for name, drawn in (("16x16, 3x3", False), ("matrix 256x1089", True)):
        found = hover(page, ".pane.matrix .board" if drawn else ".cells.canvas")
        line(f"{name}: frame to frame under the pointer, p95", p95(found["intervals"]), 20, "ms")
        print(f"{'  (from the event until that frame is drawn, p95)':58} {p95(found['frames']):8.1f} ms")
        line(f"{name}: handler, p95 of 300", p95(found["handlers"]), 4, "ms")
    page.evaluate("app.update({})")
    slowest = max(page.evaluate(FUZZ, [fuzzed(Random(k)) for k in range(200)]))
    line("200 hostile links, the slowest", slowest, 200, "ms")
    page.evaluate("(geometry) => app.update({ geometry })", LARGE)
    line("16x16, 3x3: lighting all views, p95 of 200", p95(page.evaluate(LIGHT)), 20, "ms")
    line("16x16, 3x3: parameter change to next frame, p95 of 30", p95(page.evaluate(CHANGE)), 100, "ms")


def main() -> None:
    """Measure, and print what was found."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from playwright.sync_api import sync_playwright

    from tests.explorer.browser import start_browser

    html = convmat.explore().html().encode()
    line("page", len(html) / 1024, 200, "KiB")
    line("page, gzipped", len(gzip.compress(html)) / 1024, 55, "KiB")
    with TemporaryDirectory() as folder, sync_playwright() as running:
        url = convmat.explore().save(Path(folder) / "page.html").as_uri()
        browser = start_browser(running)
        measure(browser.new_page(viewport={"width": 1280, "height": 720}), url)
        browser.close()


if __name__ == "__main__":
    main()
