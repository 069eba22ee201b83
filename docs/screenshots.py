"""Take the pictures of the interactive page that the READMEs show: ``python docs/screenshots.py``."""

from __future__ import annotations

import sys
from io import BytesIO
from pathlib import Path

HERE = Path(__file__).parent


def main(out: Path = HERE / "assets") -> None:
    """Write ``explore.png`` and ``explore-zh.png``."""
    sys.path.insert(0, str(HERE.parent))
    from PIL import Image
    from playwright.sync_api import sync_playwright

    import convmat
    from tests.explorer.browser import start_browser

    with sync_playwright() as running:
        browser = start_browser(running)
        for name, lang in (("explore", "en"), ("explore-zh", "zh")):
            page = browser.new_page(viewport={"width": 1280, "height": 720}, reduced_motion="reduce")
            page.set_content(convmat.explore(lang=lang).html())
            picture = Image.open(BytesIO(page.screenshot())).convert("RGB").quantize(128)
            picture.save(out / f"{name}.png", optimize=True)
        browser.close()


if __name__ == "__main__":
    main()
