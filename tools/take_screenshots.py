"""Take the pictures of README and docs: the Explorer in real JupyterLab, light and dark, 900 pixels wide, and in a
column as wide as a phone.

python tools/take_screenshots.py
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tools")]

from browser import chromium  # noqa: E402
from lab.lab import Lab, serve  # noqa: E402

START = "import cnnvis_widgets as cnnvis\nexplorer = cnnvis.Explorer(layer='block4_add')\nexplorer"
PHONE = 480  # pixels
PICTURES = ROOT / "docs" / "images"


def main() -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as root, serve(Path(root)) as server, chromium() as browser:
        lab = Lab(server, browser)
        notebook = lab.open([START], width=1080, height=1200)
        notebook.command("application:toggle-left-area")
        notebook.run_all()
        page = notebook.page
        page.wait_for_function("Number(document.querySelector('.cnnvis-stage')?.dataset.frame) >= 2")
        page.get_by_role("button", name="What does this filter want?").click()
        page.wait_for_function(
            "document.querySelector('.cnnvis-stage').textContent.includes('recipe fourier')"
        )
        page.wait_for_timeout(1500)
        for theme in ("light", "dark"):
            notebook.theme(theme)
            page.wait_for_timeout(500)
            page.locator(".cnnvis-explorer").first.screenshot(path=PICTURES / f"explorer-{theme}.png")
        notebook.theme("light")
        width = 1080
        for _ in range(3):  # JupyterLab's own margins depend on the width
            width += PHONE - page.locator(".cnnvis-explorer").first.evaluate(
                "(element) => element.clientWidth"
            )
            page.set_viewport_size({"width": width, "height": 3600})
            page.wait_for_timeout(500)
        page.wait_for_timeout(1500)
        page.locator(".cnnvis-explorer").first.screenshot(path=PICTURES / "explorer-phone.png")
        lab.close()


if __name__ == "__main__":
    main()
