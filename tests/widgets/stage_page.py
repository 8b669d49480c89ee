"""A view in a plain HTML page: its real module and style, its real trait values, and a stand-in for the kernel."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from anywidget import AnyWidget
from playwright.sync_api import Page

from cnnvis_widgets.widgets.stage import Stage

MODEL = Path(__file__).with_name("stage_page.js").read_text(encoding="utf-8")


def wire(value: Any) -> Any:
    """A trait's value as JSON; bytes as base64."""
    if isinstance(value, bytes):
        return {"base64": base64.b64encode(value).decode()}
    return value


def page_of(widget: AnyWidget, dark: bool = False, kind: type[AnyWidget] = Stage) -> str:
    """The page as text."""
    traits = {name: wire(getattr(widget, name)) for name in kind.class_own_traits(sync=True)}
    content = json.dumps(traits).replace("</", r"<\/")
    scheme = "dark" if dark else "light"
    return f"""<!doctype html><html lang="en" style="color-scheme: {scheme}"><head><meta charset="utf-8">
<style>body {{ margin: 8px; background: Canvas; color: CanvasText }}</style><style>{kind._css}</style></head>
<body><div class="cnnvis-explorer"><div id="stage"></div></div><div id="second"></div>
<script type="text/plain" id="module">{kind._esm}</script>
<script type="application/json" id="traits">{content}</script>
<script type="module">{MODEL}</script></body></html>"""


def answers(image: np.ndarray, side: int, count: int, signed: bool = False) -> np.ndarray:
    """What a bank of random wavelets answers to a picture: (side, side, count) float32, much as a first layer."""
    random = np.random.default_rng(0)
    small = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    y, x = np.mgrid[-4:5, -4:5]
    maps = []
    for _ in range(count):
        angle, frequency, width, phase = random.uniform((0, 0.1, 1, 0), (np.pi, 0.45, 3, 6))
        wave = np.cos(2 * np.pi * frequency * (x * np.cos(angle) + y * np.sin(angle)) + phase)
        kernel = (wave * np.exp(-(x * x + y * y) / (2 * width * width))).astype(np.float32)
        maps.append(cv2.filter2D(small @ random.normal(size=3).astype(np.float32), -1, kernel))
    maps = np.stack(maps, -1)
    return maps if signed else np.maximum(maps - np.median(maps, (0, 1)), 0)


def open_stage(page: Page, stage: Stage, dark: bool = False) -> Page:
    """Show a Stage and wait until it is painted, its photograph too."""
    page.set_content(page_of(stage, dark), wait_until="load")
    page.wait_for_selector(".cnnvis-stage[data-painted]")
    if stage.photo and "photo" in stage.panels:
        page.wait_for_selector(".cnnvis-stage[data-photo]")
    settle(page)
    return page


def settle(page: Page) -> None:
    """Wait for two animation frames: all that was asked for is painted then."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def receive(page: Page, **changes: Any) -> None:
    """Changes from the kernel."""
    page.evaluate(
        "(changes) => window.cnnvis.model.receive(changes)", {k: wire(v) for k, v in changes.items()}
    )
    settle(page)


def pixels(page: Page, selector: str) -> np.ndarray:
    """A canvas's pixels: (h, w, 4) uint8."""
    content, width = page.evaluate(
        """(selector) => {
          const canvas = document.querySelector(selector);
          const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
          let text = "";
          for (let i = 0; i < data.length; i += 8192) text += String.fromCharCode(...data.subarray(i, i + 8192));
          return [btoa(text), canvas.width]; }""",
        selector,
    )
    return np.frombuffer(base64.b64decode(content), np.uint8).reshape(-1, width, 4)
