"""Zoom in real Chromium: what the window shows, and that the page's own scrolling is left alone."""

from __future__ import annotations

import numpy as np
from playwright.sync_api import Page
from widgets.stage_page import open_stage, pixels, settle
from widgets.test_stage import CIVIDIS, GRID, cat_maps, cat_stage, looked_up

DETAIL = ".cnnvis-detail"


def wheel(page: Page, selector: str, x: float, y: float, up: int, key: str = "altKey") -> bool:
    """Turn the wheel at a share of an element, notch by notch; returns whether the page was kept from scrolling."""
    return page.evaluate(
        """([selector, x, y, up, key]) => {
          const element = document.querySelector(selector), box = element.getBoundingClientRect();
          let kept = false;
          for (let i = 0; i < Math.abs(up); i++) {
            const event = new WheelEvent("wheel", { bubbles: true, cancelable: true, deltaY: up > 0 ? -100 : 100,
              clientX: box.left + x * box.width, clientY: box.top + y * box.height, [key || "shiftKey"]: true });
            kept = !element.dispatchEvent(event);
          }
          return kept; }""",
        [selector, x, y, up, key],
    )


def window(page: Page, values: np.ndarray, left: float, top: float, factor: float) -> float:
    """How far the large map is from a window of the values, as a share of its pixels that differ."""
    picture = pixels(page, DETAIL)[..., :3]
    side = len(picture)
    at = (np.arange(side) + 0.5) / side / factor
    rows = ((top + at) * len(values)).astype(int)
    columns = ((left + at) * len(values)).astype(int)
    expected = looked_up(values.astype(np.float16).astype(float), CIVIDIS, 0, values.max())[
        np.ix_(rows, columns)
    ]
    return float((np.abs(picture - expected).max(-1) > 6).mean())


def tile_width(page: Page) -> int:
    """Measured in the picture: between the tiles it is transparent."""
    inked = (pixels(page, ".cnnvis-maps")[..., 3] > 0).sum(0)
    first, second = np.flatnonzero(np.diff((inked > 0.6 * inked.max()).astype(int)))[:2]
    return int(second - first - 2)  # without the line of one pixel around each


def test_the_wheel_with_alt_or_ctrl_zooms_in_where_the_pointer_is(page):
    values = cat_maps()
    open_stage(page, cat_stage(values, unit=4))
    assert window(page, values[..., 4], 0, 0, 1) == 0
    assert wheel(page, DETAIL, 0.75, 0.5, 4)
    assert wheel(page, DETAIL, 0.75, 0.5, 1, "ctrlKey")
    settle(page)
    factor = 1.25**5
    # The point under the pointer stays where it is: 0.75 = left + 0.75 / factor.
    assert window(page, values[..., 4], 0.75 - 0.75 / factor, 0.5 - 0.5 / factor, factor) < 0.04


def test_the_bare_wheel_is_left_to_the_page(page):
    values = cat_maps()
    open_stage(page, cat_stage(values, unit=4))
    for selector in (DETAIL, GRID):
        before = pixels(page, ".cnnvis-maps")
        assert not wheel(page, selector, 0.5, 0.5, 2, "")
        settle(page)
        np.testing.assert_array_equal(pixels(page, ".cnnvis-maps"), before)
    assert window(page, values[..., 4], 0, 0, 1) == 0


def test_dragging_moves_the_window_and_a_double_click_shows_all(page):
    values = cat_maps()
    open_stage(page, cat_stage(values, unit=4))
    wheel(page, DETAIL, 0, 0, 4)
    settle(page)
    box = page.locator(DETAIL).bounding_box()
    page.mouse.move(box["x"] + 0.8 * box["width"], box["y"] + 0.6 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.1 * box["height"], steps=4)
    page.mouse.up()
    settle(page)
    factor = 1.25**4
    assert window(page, values[..., 4], 0.5 / factor, 0.5 / factor, factor) < 0.06
    page.mouse.move(box["x"] + 0.5, box["y"] + 0.5)  # the value told is that of the pixel under the pointer
    settle(page)
    words = page.locator(".cnnvis-panel-detail .cnnvis-readout").inner_text()
    place = int(0.5 / factor * 14)
    assert words.startswith(f"y {place}, x {place}:")
    page.locator(DETAIL).dblclick()
    settle(page)
    assert window(page, values[..., 4], 0, 0, 1) == 0


def test_the_maps_grow_and_shrink_by_buttons_keys_and_wheel(page):
    open_stage(page, cat_stage(cat_maps(256)))
    sides = [tile_width(page)]
    page.get_by_role("group", name="Size of the maps").get_by_role("button", name="Larger").click()
    settle(page)
    sides.append(tile_width(page))
    page.locator(GRID).press("+")
    settle(page)
    sides.append(tile_width(page))
    assert wheel(page, GRID, 0.5, 0.5, 1, "ctrlKey")
    settle(page)
    sides.append(tile_width(page))
    np.testing.assert_allclose(sides, sides[0] * 1.25 ** np.arange(4), atol=2)
    for _ in range(3):
        page.locator(GRID).press("-")
    settle(page)
    assert tile_width(page) == sides[0]


def test_zoomed_maps_keep_the_selected_one_in_sight_and_keys_know_the_columns(page):
    open_stage(page, cat_stage(cat_maps(256), unit=200))
    for _ in range(5):
        page.locator(GRID).press("+")
    settle(page)
    picture = pixels(page, ".cnnvis-maps")[..., :3].reshape(-1, 3)
    assert (picture == 255).all(-1).sum() > 80  # the white outline is in sight
    columns = int(page.locator(GRID).get_attribute("aria-colcount"))
    page.locator(GRID).press("ArrowDown")
    settle(page)
    assert page.locator(".cnnvis-stage").get_attribute("data-unit") == str(200 + columns)


def test_zoom_is_the_browsers_own(page):
    open_stage(page, cat_stage(cat_maps(256)))
    page.locator(GRID).press("+")
    wheel(page, DETAIL, 0.5, 0.5, 3)
    page.wait_for_timeout(250)
    assert page.evaluate("() => [cnnvis.model.saved.length, cnnvis.model.sent.length]") == [0, 0]
