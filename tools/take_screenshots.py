"""Take the pictures of README and docs: the Explorer in real JupyterLab, light and dark, 900 pixels wide, and in a
column as wide as a phone; and the first screen of each notebook as it is saved.

python tools/take_screenshots.py [explorer] [notebooks]     both where none is named
"""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tools")]

from browser import chromium  # noqa: E402
from lab.lab import Lab, serve  # noqa: E402
from PIL import Image  # noqa: E402

START = "import cnnvis_widgets as cnnvis\nexplorer = cnnvis.Explorer(layer='block4_add')\nexplorer"
PHONE = 480  # pixels
PICTURES = ROOT / "docs" / "images"
SCREEN = (900, 900)  # pixels of a notebook's first screen


def main() -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    wanted = sys.argv[1:] or ["explorer", "notebooks"]
    with tempfile.TemporaryDirectory() as root, serve(Path(root)) as server, chromium() as browser:
        for name, take in (("explorer", take_explorer), ("notebooks", take_notebooks)):
            if name in wanted:
                lab = Lab(server, browser)
                take(lab)
                lab.close()


def take_notebooks(lab: Lab) -> None:
    """What a person sees who opens a saved notebook and has run nothing yet."""
    for path in sorted((ROOT / "notebooks").glob("en/*.ipynb")):
        notebook = lab.open(path, width=SCREEN[0] + 60, height=SCREEN[1] + 160)
        notebook.command("application:toggle-left-area")
        panel = notebook.page.locator(".jp-WindowedPanel-outer").first
        for theme in ("light", "dark"):
            notebook.theme(theme)
            notebook.page.wait_for_timeout(700)
            picture = Image.open(io.BytesIO(panel.screenshot())).convert("RGB")
            width = min(SCREEN[0], picture.width)
            picture.crop((0, 0, width, min(SCREEN[1], picture.height))).save(
                PICTURES / f"notebook-{path.stem}-{theme}.webp", quality=85
            )


def take_explorer(lab: Lab) -> None:
    notebook = lab.open([START], width=1080, height=1200)
    notebook.command("application:toggle-left-area")
    notebook.run_all()
    page = notebook.page
    page.wait_for_function("Number(document.querySelector('.cnnvis-stage')?.dataset.frame) >= 2")
    page.get_by_role("button", name="What does this filter want?").click()
    page.wait_for_function("document.querySelector('.cnnvis-stage').textContent.includes('recipe fourier')")
    page.wait_for_timeout(1500)
    for theme in ("light", "dark"):
        notebook.theme(theme)
        page.wait_for_timeout(500)
        page.locator(".cnnvis-explorer").first.screenshot(path=PICTURES / f"explorer-{theme}.png")
    notebook.theme("light")
    width = 1080
    for _ in range(3):  # JupyterLab's own margins depend on the width
        width += PHONE - page.locator(".cnnvis-explorer").first.evaluate("(element) => element.clientWidth")
        page.set_viewport_size({"width": width, "height": 3600})
        page.wait_for_timeout(500)
    page.wait_for_timeout(1500)
    page.locator(".cnnvis-explorer").first.screenshot(path=PICTURES / "explorer-phone.png")


if __name__ == "__main__":
    main()
