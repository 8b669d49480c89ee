"""What a frame of the Stage costs: nothing is written again, and nothing makes the browser lay out the page midway."""

from __future__ import annotations

from playwright.sync_api import Page
from widgets.stage_page import open_stage, receive, settle
from widgets.test_stage import cat_stage

WATCH = """() => {
  window.written = [];
  new MutationObserver((all) => window.written.push(...all.map(({ target, attributeName, type }) =>
    `${target.className || target.nodeName} ${attributeName ?? type}`)))
    .observe(document.body, { subtree: true, childList: true, characterData: true, attributes: true });
}"""
POINT = """([selector, x, y]) => {
  const canvas = document.querySelector(selector), box = canvas.getBoundingClientRect();
  const at = { bubbles: true, clientX: box.left + x * box.width, clientY: box.top + y * box.height };
  canvas.dispatchEvent(new PointerEvent("pointermove", at));
}"""
# What a script reads of an element between a write and the next frame makes the browser lay out the page at once.
READS = """() => {
  window.read = [];
  const note = (owner, name) => {
    const { get, set } = Object.getOwnPropertyDescriptor(owner, name);
    const seen = function () { window.read.push(name); return get.call(this); };
    Object.defineProperty(owner, name, { configurable: true, set, get: seen });
  };
  for (const name of ["clientWidth", "clientHeight", "scrollTop"]) note(Element.prototype, name);
  for (const name of ["offsetWidth", "offsetHeight"]) note(HTMLElement.prototype, name);
}"""


def point(page: Page, selector: str, x: float, y: float) -> None:
    page.evaluate(POINT, [selector, x, y])
    settle(page)


def test_a_frame_with_nothing_new_writes_nothing_into_the_page(page):
    open_stage(page, cat_stage())
    point(page, "canvas.cnnvis-maps", 0.3, 0.3)
    page.evaluate(WATCH)
    before = int(page.locator(".cnnvis-stage").get_attribute("data-painted"))
    point(page, "canvas.cnnvis-maps", 0.3, 0.3)
    assert int(page.locator(".cnnvis-stage").get_attribute("data-painted")) > before
    assert set(page.evaluate("() => window.written")) <= {"cnnvis-stage data-painted"}


def test_pointing_and_scrubbing_ask_the_page_for_no_sizes(page):
    open_stage(page, cat_stage())
    point(page, "canvas.cnnvis-maps", 0.1, 0.1)
    page.evaluate(READS)
    point(page, "canvas.cnnvis-maps", 0.6, 0.6)
    point(page, "canvas.cnnvis-photo", 0.6, 0.6)
    receive(page, unit=3)
    assert page.locator(".cnnvis-stage").get_attribute("data-unit") == "3"
    assert page.evaluate("() => window.read") == []
    page.evaluate("() => document.body.clientWidth")
    assert page.evaluate("() => window.read") == ["clientWidth"]  # this is how it would be seen


def test_pictures_follow_the_width_of_the_column_and_the_shape_of_the_photograph(page):
    open_stage(page, cat_stage())
    page.evaluate("() => { document.querySelector('#stage').style.width = '480px'; }")
    settle(page)
    for name in ("photo", "maps", "detail"):
        place = page.locator(f".cnnvis-panel-{name} .cnnvis-view").bounding_box()
        canvas = page.locator(f"canvas.cnnvis-{name}").bounding_box()
        fills = max(canvas["width"] / place["width"], canvas["height"] / place["height"])
        assert 0.9 < fills <= 1.01, name
        assert place["x"] + place["width"] <= 490, name
