"""The Stage in real Chromium: pixels against NumPy, keys, hover, what is told to the kernel and how often."""

from __future__ import annotations

import base64
import re
from itertools import pairwise

import cv2
import numpy as np
import pytest
import skimage.data
from playwright.sync_api import Browser, Page, expect
from widgets.stage_page import answers, open_stage, pixels, receive, settle

from cnnvis_widgets.render import colormaps
from cnnvis_widgets.widgets.payloads import (
    detail_payload,
    heat_payload,
    maps_payload,
    no_patches,
    patches_payload,
    photo_payload,
    picture_payload,
)
from cnnvis_widgets.widgets.stage import PANELS, Stage

CAT = skimage.data.chelsea()
CIVIDIS = colormaps.table("cividis").astype(float)
DIVERGING = colormaps.table("blue-orange").astype(float)
MAGENTA = (255, 0, 255)
ROOT = ".cnnvis-stage"
GRID = ".cnnvis-panel-maps .cnnvis-view"


def cat_maps(count: int = 12, side: int = 14, signed: bool = False) -> np.ndarray:
    return answers(CAT, side, count, signed)


def cat_heat() -> np.ndarray:
    heat = cat_maps(1, 7)[..., 0]
    return heat / heat.max()


def cat_stage(
    maps: np.ndarray | None = None, panels: tuple[str, ...] = PANELS[:3], **changes: object
) -> Stage:
    maps = cat_maps() if maps is None else maps
    stage = Stage(panels=list(panels))
    stage.publish(
        network="bundled",
        layer={"path": "block2_conv1", "kind": "convolution", "shape": list(maps.shape)},
        **photo_payload(CAT, "chelsea"),
        **(
            heat_payload(cat_heat(), caption="bundled · block4 · cat · Grad-CAM")
            | maps_payload(maps)
            | changes
        ),
    )
    return stage


def looked_up(values: np.ndarray, table: np.ndarray, low: float, high: float) -> np.ndarray:
    """Colours by the plainest rule: 256 equal steps from low to high."""
    return table[np.clip((values - low) / (high - low) * 256, 0, 255).astype(int)]


def data(page: Page, name: str) -> str:
    return page.locator(ROOT).first.get_attribute(f"data-{name}")


def tile(page: Page, place: int) -> np.ndarray:
    """The pixels of one tile, once `find_tiles` has found them."""
    picture = pixels(page, ".cnnvis-maps")[..., :3].astype(int)
    layout = page.evaluate("() => window.tiles")
    x, y = layout["left"] + place % layout["columns"] * layout["pitch"], layout["top"]
    y += place // layout["columns"] * layout["pitch"]
    return picture[y : y + layout["side"], x : x + layout["side"]]


def find_tiles(page: Page) -> dict:
    """Corner, side and pitch of the (square) tiles, measured in the picture: between them it is transparent."""
    inked = pixels(page, ".cnnvis-maps")[..., 3] > 0

    def runs(axis: int) -> np.ndarray:
        count = inked.sum(axis)
        return np.flatnonzero(np.diff((count > 0.6 * count.max()).astype(int))).reshape(-1, 2)

    across, down = runs(0), runs(1)
    found = {
        "left": int(across[0, 0] + 2),  # past the line of one pixel around each tile
        "top": int(down[0, 0] + 2),
        "side": int(across[0, 1] - across[0, 0] - 2),
        "pitch": int(across[1, 0] - across[0, 0]),
        "columns": len(across),
    }
    page.evaluate("(found) => { window.tiles = found }", found)
    return found


# -------- photograph, heatmap


def test_the_heatmap_is_enlarged_then_coloured_then_blended(page: Page):
    open_stage(page, cat_stage(opacity=0.0))
    photo = pixels(page, ".cnnvis-photo")[..., :3].astype(float)
    height, width = photo.shape[:2]
    assert width / height == pytest.approx(451 / 300, rel=0.01)
    assert np.abs(photo - cv2.resize(CAT, (width, height), interpolation=cv2.INTER_AREA)).mean() < 4
    receive(page, opacity=0.4)
    fine = cv2.resize(cat_heat().astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    expected = photo * 0.6 + looked_up(fine, CIVIDIS, 0, 1) * 0.4
    assert np.abs(pixels(page, ".cnnvis-photo")[..., :3] - expected).max() <= 2


def test_a_signed_heatmap_has_neutral_zero_and_both_hues(page: Page):
    heat = np.array([[-1, -1, 0, 0, 1, 1]], np.float32)
    open_stage(page, cat_stage(opacity=1.0, **heat_payload(heat, signed=True)))
    row = pixels(page, ".cnnvis-photo")[10, :, :3].astype(int)
    assert np.abs(row[0] - DIVERGING[0]).max() <= 1
    assert np.ptp(row[len(row) // 2]) <= 2  # gray
    assert np.abs(row[-1] - DIVERGING[255]).max() <= 1


def test_nan_in_a_heatmap_is_hatched_not_painted_as_zero(page: Page):
    heat = cat_heat().copy()
    heat[2, 3] = np.nan
    open_stage(page, cat_stage(opacity=1.0, **heat_payload(heat)))
    picture = pixels(page, ".cnnvis-photo")[..., :3]
    height, width = picture.shape[:2]
    y, x = np.nonzero((picture == MAGENTA).all(-1))
    assert len(y) > 50
    assert (abs(y / height * 7 - 2.5) <= 1).all()
    assert (abs(x / width * 7 - 3.5) <= 1).all()


def test_no_evidence_is_said_over_the_plain_photograph(page: Page):
    open_stage(page, cat_stage(opacity=0.0))
    plain = pixels(page, ".cnnvis-photo")
    blank = heat_payload(np.zeros((7, 7)), message="no positive evidence for 'dog'")
    receive(page, opacity=0.8, frame=2, **blank)
    expect(page.locator(".cnnvis-panel-photo .cnnvis-note")).to_have_text("no positive evidence for 'dog'")
    np.testing.assert_array_equal(pixels(page, ".cnnvis-photo"), plain)


def test_hovering_the_photograph_tells_position_and_heat(page: Page):
    open_stage(page, cat_stage())
    box = page.locator(".cnnvis-photo").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.75, box["y"] + box["height"] * 0.25)
    settle(page)
    words = page.locator(".cnnvis-panel-photo .cnnvis-readout").inner_text()
    y, x, value = map(float, re.fullmatch(r"y (\d+), x (\d+): heat ([\d.]+)", words).groups())
    assert (y, x) == pytest.approx((75, 338), abs=3)
    fine = cv2.resize(cat_heat().astype(np.float32), (451, 300), interpolation=cv2.INTER_LINEAR)
    assert value == pytest.approx(fine[int(y), int(x)], abs=0.03)


def test_a_finger_points_to_where_it_touched_last(browser: Browser):
    context = browser.new_context(viewport={"width": 916, "height": 800}, has_touch=True)
    page = open_stage(context.new_page(), cat_stage())
    for selector, words in (
        (".cnnvis-photo", "heat"),
        (".cnnvis-maps", "Unit"),
        (".cnnvis-detail", "x 7: "),
    ):
        box = page.locator(selector).bounding_box()
        page.touchscreen.tap(box["x"] + box["width"] * 0.52, box["y"] + 60)
        settle(page)
        panel = page.locator(".cnnvis-panel", has=page.locator(selector))
        expect(panel.locator(".cnnvis-readout")).to_contain_text(words)
    context.close()


# -------- the grid of maps


@pytest.mark.parametrize("scale", ["map", "layer"])
def test_tiles_have_the_colours_of_their_maps(page: Page, scale: str):
    maps = cat_maps()
    open_stage(page, cat_stage(maps, scale=scale, unit=11))
    side = find_tiles(page)["side"]
    centres = ((np.arange(14) + 0.5) * side / 14).astype(int)
    for unit in range(8):
        values = maps[..., unit].astype(np.float16).astype(float)
        expected = looked_up(values, CIVIDIS, 0, (maps if scale == "layer" else maps[..., unit]).max())
        shown = tile(page, unit)[np.ix_(centres, centres)]
        off = np.abs(shown - expected).max(-1)
        assert off.max() <= 4, f"unit {unit}"  # a neighbouring step of the table at most
        assert (off == 0).mean() > 0.97


def test_signed_maps_are_diverging_around_zero(page: Page):
    maps = cat_maps(signed=True)
    open_stage(page, cat_stage(maps, unit=11))
    side = find_tiles(page)["side"]
    centres = ((np.arange(14) + 0.5) * side / 14).astype(int)
    most = np.abs(maps[..., 4]).max()
    shown = tile(page, 4)[np.ix_(centres, centres)]
    assert np.abs(shown - looked_up(maps[..., 4], DIVERGING, -most, most)).max() <= 6


def test_sorting_by_strength_puts_the_strongest_first_and_keeps_the_selection(page: Page):
    maps = cat_maps()
    strongest = int(maps.max((0, 1)).argmax())
    open_stage(page, cat_stage(maps, unit=3))
    page.locator('[data-trait="sort"] [data-choice="strength"]').click()
    settle(page)
    assert data(page, "unit") == "3"
    page.locator(GRID).press("Home")
    settle(page)
    assert data(page, "unit") == str(strongest)
    page.wait_for_timeout(250)
    assert page.evaluate("() => Object.assign({}, ...cnnvis.model.saved)")["sort"] == "strength"


def test_silent_and_broken_units_are_marked_by_a_sign(page: Page):
    maps = cat_maps()
    maps[..., 2] = 0
    maps[4:8, 4:8, 5] = np.nan
    open_stage(page, cat_stage(maps, unit=11))
    find_tiles(page)
    white = [int((tile(page, unit) > 250).all(-1).sum()) for unit in (1, 2, 5)]
    assert white[0] == 0
    assert min(white[1:]) > 30
    assert (tile(page, 5) == MAGENTA).all(-1).sum() > 10
    assert not (tile(page, 2) == MAGENTA).all(-1).any()
    caption = page.locator(".cnnvis-panel-maps .cnnvis-caption").inner_text()
    assert "⊘ Constant: 1." in caption
    assert "✕ Not a number: 1." in caption


def test_the_selected_tile_has_a_white_and_a_black_outline(page: Page):
    open_stage(page, cat_stage(unit=5))
    place = find_tiles(page)
    x = place["left"] + (5 % place["columns"]) * place["pitch"] + place["side"] // 2
    y = place["top"] + (5 // place["columns"]) * place["pitch"]
    above = pixels(page, ".cnnvis-maps")[y - 4 : y, x, :3]
    assert {tuple(pixel) for pixel in above.tolist()} == {(255, 255, 255), (0, 0, 0)}


def test_hovering_a_tile_tells_unit_position_and_value(page: Page):
    maps = cat_maps()
    open_stage(page, cat_stage(maps))
    place = find_tiles(page)
    box = page.locator(".cnnvis-maps").bounding_box()
    cell = place["side"] / 14
    page.mouse.move(
        box["x"] + place["left"] + 2 * place["pitch"] + 9.5 * cell, box["y"] + place["top"] + 5.5 * cell
    )
    settle(page)
    words = page.locator(".cnnvis-panel-maps .cnnvis-readout").inner_text()
    unit, y, x, value = re.fullmatch(r"Unit (\d+) at y (\d+), x (\d+): ([\d.e−]+)", words).groups()
    assert (unit, y, x) == ("2", "5", "9")
    assert float(value.replace("−", "-")) == pytest.approx(maps[5, 9, 2], rel=0.01)


def test_a_click_selects_and_all_panels_follow(page: Page):
    open_stage(page, cat_stage())
    place = find_tiles(page)
    page.locator(".cnnvis-maps").click(position={"x": place["left"] + 3 * place["pitch"] + 9, "y": 20})
    settle(page)
    assert data(page, "unit") == "3"
    expect(page.locator(".cnnvis-panel-detail .cnnvis-title")).to_have_text("Unit 3")


def test_keys_move_the_selection_and_do_not_reach_the_notebook(page: Page):
    open_stage(page, cat_stage(cat_maps(256)))
    page.evaluate(
        "() => { window.leaked = []; addEventListener('keydown', (event) => leaked.push(event.key)) }"
    )
    page.locator(GRID).focus()
    columns = int(page.locator(GRID).get_attribute("aria-colcount"))
    moves = {"ArrowRight": 1, "ArrowDown": columns + 1, "ArrowUp": 1, "ArrowLeft": 0, "End": 255, "Home": 0}
    for key, unit in moves.items():
        page.keyboard.press(key)
        settle(page)
        assert data(page, "unit") == str(unit), key
    page.keyboard.press("PageDown")
    settle(page)
    assert int(data(page, "unit")) >= 2 * columns
    assert int(data(page, "unit")) % columns == 0
    page.keyboard.press("x")
    assert page.evaluate("() => leaked") == ["x"]
    assert page.locator(ROOT).get_attribute("data-lm-suppress-shortcuts") == "true"
    assert page.locator(".cnnvis-explorer").get_attribute("data-lm-suppress-shortcuts") == "true"


def test_a_screen_reader_is_told_the_selected_unit(page: Page):
    maps = cat_maps()
    open_stage(page, cat_stage(maps))
    page.locator(GRID).press("ArrowRight")
    settle(page)
    said = page.evaluate(
        """(grid) => document.getElementById(document.querySelector(grid).getAttribute("aria-activedescendant"))
          .textContent""",
        GRID,
    )
    assert said.startswith("Unit 1: 0 to ")
    assert float(said.split()[-1]) == pytest.approx(maps[..., 1].max(), rel=0.01)
    assert page.locator(f"{GRID} [aria-selected]").count() == 1


def test_a_selected_unit_out_of_sight_is_scrolled_to(page: Page):
    open_stage(page, cat_stage(cat_maps(2048, 7)))
    receive(page, unit=2000)
    settle(page)
    top, height = page.locator(GRID).evaluate("(grid) => [grid.scrollTop, grid.clientHeight]")
    assert top > height
    selected = pixels(page, ".cnnvis-maps")[..., :3].reshape(-1, 3)
    assert (selected == 255).all(-1).sum() > 80  # the white outline is in sight


SHORTER = """(grid) => {
  const tall = `${grid.clientHeight - 30}px`;
  Object.assign(grid.style, { flex: "none", minHeight: tall, height: tall });
}"""


def test_the_selected_unit_stays_in_sight_where_the_grid_loses_height(page: Page):
    open_stage(page, cat_stage(cat_maps(2048, 7)))
    receive(page, unit=2000)
    settle(page)
    before = page.locator(GRID).evaluate("(grid) => [grid.scrollTop, grid.clientHeight]")
    page.locator(GRID).evaluate(SHORTER)
    settle(page)
    after = page.locator(GRID).evaluate("(grid) => [grid.scrollTop, grid.clientHeight]")
    assert after[1] == before[1] - 30 and sum(after) >= sum(before)  # its lower edge has not gone up
    page.locator(GRID).evaluate("(grid) => { grid.scrollTop = 0; }")
    settle(page)
    page.locator(GRID).evaluate(SHORTER)
    settle(page)
    assert page.locator(GRID).evaluate("(grid) => grid.scrollTop") == 0  # the person had left it


def test_maps_that_were_away_for_a_step_are_where_they_look(page: Page):
    open_stage(page, cat_stage(cat_maps(2048, 7)))
    receive(page, unit=2000)
    receive(page, panels=["photo"])
    receive(page, panels=list(PANELS[:3]))
    settle(page)
    page.locator("canvas.cnnvis-maps").click(position={"x": 12, "y": 12})
    settle(page)
    top = page.locator(GRID).evaluate("(grid) => grid.scrollTop")
    assert (
        page.evaluate("cnnvis.model.get('unit')") == 0 and top < 10
    )  # the browser has put them back at their top


# -------- detail


def test_the_large_map_has_its_own_pixels_numbers_and_value_under_the_pointer(page: Page):
    maps = cat_maps()
    open_stage(page, cat_stage(maps, unit=4))
    picture = pixels(page, ".cnnvis-detail")[..., :3]
    centres = ((np.arange(14) + 0.5) * len(picture) / 14).astype(int)
    values = maps[..., 4]
    expected = looked_up(values.astype(np.float16).astype(float), CIVIDIS, 0, values.max())
    assert np.abs(picture[np.ix_(centres, centres)] - expected).max() <= 4
    words = page.locator(".cnnvis-panel-detail .cnnvis-readout")
    low, mean, high = re.fullmatch(
        r"min\s([\d.]+) · mean\s([\d.]+) · max\s([\d.]+)", words.inner_text()
    ).groups()
    assert [float(low), float(mean), float(high)] == pytest.approx(
        [values.min(), values.mean(), values.max()], rel=0.01
    )
    box = page.locator(".cnnvis-detail").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 2.5 / 14, box["y"] + box["height"] * 11.5 / 14)
    settle(page)
    y, x, value = re.fullmatch(r"y (\d+), x (\d+): ([\d.e−]+)", words.inner_text()).groups()
    assert (y, x) == ("11", "2")
    assert float(value.replace("−", "-")) == pytest.approx(values[11, 2], rel=0.01)


def test_the_histogram_is_the_legend_of_the_colours(page: Page):
    maps = np.zeros((8, 8, 2), np.float32)
    maps[0, 0], maps[0, 1:5] = 4, 1
    open_stage(page, cat_stage(maps))
    bars = pixels(page, ".cnnvis-histogram").astype(int)
    tall, wide = bars.shape[:2]
    expected = CIVIDIS[np.clip((np.arange(wide) + 0.5) / wide * 64, 0, 63).astype(int) * 4 + 2]
    assert np.abs(bars[-2, :, :3] - expected).max() <= 8, "all colours from low to high, left to right"
    filled = (bars[: tall - round(0.22 * tall) - 1, :, 3] > 0).sum(0)
    heights = np.array([filled[int(bin * wide / 64) + 1] for bin in (0, 16, 63)]) - 1
    counts = np.log1p([59, 4, 1])
    assert heights / heights[0] == pytest.approx(counts / counts[0], abs=0.1)
    assert (filled > 0).sum() <= 3 * (wide / 64 + 1), "no other value, no other bar"
    axis = page.locator(".cnnvis-axis span").all_inner_texts()
    assert axis == ["0", "", "4.00"]
    box = page.locator(".cnnvis-detail").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 2.5 / 8, box["y"] + 2)
    settle(page)
    marked = pixels(page, ".cnnvis-histogram")[1]
    assert np.flatnonzero((marked == 255).all(-1)).mean() == pytest.approx(wide / 4, abs=2)


def test_a_number_has_three_digits_whatever_its_size(page: Page):
    maps = np.zeros((4, 4, 5), np.float32)
    maps[0, 0] = [0.0123456, 1.23456, 999.7, 123456, 0.00012345]
    open_stage(page, cat_stage(maps))
    words = page.locator(".cnnvis-panel-detail .cnnvis-readout")
    for unit, number in enumerate(("0.0123", "1.23", "1000", "1.2e5", "1.2e−4")):
        receive(page, unit=unit)
        assert words.inner_text().split()[-1] == number


def test_full_resolution_is_asked_for_once_the_selection_rests(page: Page):
    maps = answers(CAT, 224, 40)
    open_stage(page, cat_stage(maps, unit=1))
    page.wait_for_timeout(150)
    page.evaluate(
        """async () => {
          for (let unit = 2; unit < 10; unit++) {
            cnnvis.model.receive({ unit });
            await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
          } }"""
    )
    page.wait_for_timeout(200)
    asked = [sent["content"] for sent in page.evaluate("() => cnnvis.model.sent")]
    assert asked[-1]["unit"] == 9
    assert len(asked) <= 4  # 2, unless the machine is so busy that a frame takes 60 ms
    assert asked[0] == {"type": "detail", "unit": 1, "frame": 1}
    expect(page.locator(".cnnvis-panel-detail .cnnvis-caption")).to_be_visible()
    receive(page, frame=2, **detail_payload(maps[..., 9], 9))
    expect(page.locator(".cnnvis-panel-detail .cnnvis-caption")).to_be_hidden()
    box = page.locator(".cnnvis-detail").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.5)
    settle(page)
    y, x, value = re.search(
        r"y (\d+), x (\d+): ([\d.e−]+)", page.locator(".cnnvis-panel-detail .cnnvis-readout").inner_text()
    ).groups()
    assert float(value.replace("−", "-")) == pytest.approx(maps[int(y), int(x), 9], rel=0.01, abs=1e-4)


# -------- filter


def test_a_filter_picture_grows_with_its_progress(page: Page):
    progress = {"step": 5, "steps": 20, "seconds_left": 3.2, "message": ""}
    stage = cat_stage(panels=PANELS, picture_progress=progress, unit=7)
    open_stage(page, stage)
    bar = page.locator(".cnnvis-panel-filter [role=progressbar]")
    expect(bar).to_have_attribute("aria-valuenow", "5")
    expect(page.locator(".cnnvis-panel-filter .cnnvis-readout")).to_have_text("step 5 of 20 · 3.2 s left")
    picture = np.full((64, 64, 3), (200, 100, 50), np.uint8)
    receive(page, frame=2, picture_progress={}, **picture_payload(picture, 7, "unit 7"))
    assert (pixels(page, ".cnnvis-filter")[5:-5, 5:-5, :3] == (200, 100, 50)).all()
    expect(bar).to_be_hidden()
    receive(page, unit=2)
    caption = page.locator(".cnnvis-panel-filter .cnnvis-caption").first
    expect(caption).to_have_text("unit 7 This is unit 7; unit 2 is selected.")
    colours = np.uint8([(0, 90, 200), (20, 160, 40)])
    patches = np.broadcast_to(colours[:, None, None], (2, 40, 40, 3))
    receive(page, frame=3, **patches_payload(patches, ["cat: 3.2", "rocket: 1.1"]))
    expect(page.get_by_role("img", name="cat: 3.2, rocket: 1.1")).to_be_visible()
    strip = pixels(page, ".cnnvis-patches")[..., :3]
    assert (strip[5:-5, 5:20] == colours[0]).all() and (strip[5:-5, -20:-5] == colours[1]).all()
    receive(page, frame=4, **no_patches() | {"patches_said": ["active nowhere"]})
    expect(page.locator(".cnnvis-patches")).to_be_hidden()
    expect(page.locator(".cnnvis-panel-filter")).to_contain_text("active nowhere")


# -------- between browser and kernel


def test_a_flood_of_unit_changes_is_told_seldom_and_the_last_for_sure(page: Page):
    open_stage(page, cat_stage(cat_maps(64)))
    page.locator(GRID).focus()
    late = page.evaluate(
        """async (selector) => {
          const grid = document.querySelector(selector), frame = () => new Promise(requestAnimationFrame);
          let late = 0;
          for (let i = 1; i <= 40; i++) {
            grid.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight", bubbles: true }));
            await frame().then(frame);
            late += document.querySelector(".cnnvis-stage").dataset.unit !== String(i);
          }
          return late;
        }""",
        GRID,
    )
    assert late == 0  # each was painted in the next animation frame
    page.wait_for_timeout(300)
    saved = page.evaluate("() => cnnvis.model.saved")
    assert 2 <= len(saved) <= 40 / 3
    assert saved[-1]["unit"] == 40
    assert min(b["at"] - a["at"] for a, b in pairwise(saved)) > 120


def test_an_echo_of_an_older_choice_does_not_turn_the_view_back(page: Page):
    open_stage(page, cat_stage())
    page.locator(GRID).press("ArrowRight")
    page.wait_for_timeout(220)  # told to the kernel
    page.locator(GRID).press("ArrowRight")
    receive(page, unit=1)  # the echo
    assert data(page, "unit") == "2"
    receive(page, unit=9)  # somebody else's choice
    assert data(page, "unit") == "9"
    page.wait_for_timeout(220)
    assert data(page, "unit") == "9"


def test_a_unit_set_from_outside_is_painted_at_once(page: Page):
    open_stage(page, cat_stage())
    before = pixels(page, ".cnnvis-detail")
    receive(page, unit=6)
    assert data(page, "unit") == "6"
    assert (pixels(page, ".cnnvis-detail") != before).any()
    assert page.evaluate("() => cnnvis.model.saved") == []


def test_a_unit_beyond_the_layer_shows_the_last(page: Page):
    open_stage(page, cat_stage(unit=500))
    assert data(page, "unit") == "11"


def test_arrays_are_painted_when_the_frame_moves_on_and_not_before(page: Page):
    open_stage(page, cat_stage())
    before = pixels(page, ".cnnvis-detail")
    other = maps_payload(cat_maps()[::-1, ::-1])
    receive(page, **other)
    receive(page, busy="still the same maps")
    np.testing.assert_array_equal(pixels(page, ".cnnvis-detail"), before)
    receive(page, frame=2)
    assert (pixels(page, ".cnnvis-detail") != before).any()
    assert data(page, "frame") == "2"


def test_another_colormap_repaints_every_panel(page: Page):
    open_stage(page, cat_stage(unit=0))
    gray = colormaps.NAMES.index("gray")
    receive(page, colormap=gray, opacity=1.0)
    for canvas in (".cnnvis-photo", ".cnnvis-detail"):
        assert np.ptp(pixels(page, canvas)[..., :3].astype(int), axis=-1).max() == 0, canvas
    find_tiles(page)
    assert np.ptp(tile(page, 6), axis=-1).max() == 0


def test_a_diverging_colormap_keeps_zero_in_its_middle_for_positive_maps(page: Page):
    maps = np.zeros((8, 8, 3), np.float32)
    maps[2:4, 2:4] = 1
    open_stage(page, cat_stage(maps, colormap=colormaps.NAMES.index("blue-orange")))
    assert np.ptp(pixels(page, ".cnnvis-detail")[3, 3, :3].astype(int)) <= 2


# -------- pictures in


def drop(page: Page, content: bytes, name: str, kind: str, event: str = "drop") -> None:
    page.evaluate(
        """([text, name, type, event]) => {
          const data = new DataTransfer();
          data.items.add(new File([Uint8Array.from(atob(text), (c) => c.charCodeAt(0))], name, { type }));
          const options = { bubbles: true, cancelable: true };
          document.querySelector(".cnnvis-photo").dispatchEvent(event === "drop"
            ? new DragEvent("drop", { ...options, dataTransfer: data })
            : new ClipboardEvent("paste", { ...options, clipboardData: data })); }""",
        [base64.b64encode(content).decode(), name, kind, event],
    )


def sent_picture(page: Page) -> tuple[dict, bytes]:
    page.wait_for_function("() => cnnvis.model.sent.some((each) => each.content.type === 'image')")
    content, text = page.evaluate(
        """() => { const { content, buffers } = cnnvis.model.sent.find((each) => each.content.type === "image");
          let text = ""; for (const byte of new Uint8Array(buffers[0])) text += String.fromCharCode(byte);
          return [content, btoa(text)]; }"""
    )
    return content, base64.b64decode(text)


@pytest.mark.parametrize("event", ["drop", "paste"])
def test_a_small_picture_is_sent_as_it_is(page: Page, event: str):
    open_stage(page, cat_stage())
    _, content = cv2.imencode(".png", CAT[..., ::-1])
    drop(page, content.tobytes(), "<b>cat</b>.png", "image/png", event)
    assert sent_picture(page) == ({"type": "image", "name": "<b>cat</b>.png"}, content.tobytes())


def test_a_large_picture_is_made_smaller_before_it_travels(page: Page):
    open_stage(page, cat_stage())
    large = cv2.resize(CAT, (3608, 2400))
    _, content = cv2.imencode(".jpg", large[..., ::-1])
    drop(page, content.tobytes(), "large.jpg", "image/jpeg")
    back = cv2.imdecode(np.frombuffer(sent_picture(page)[1], np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    assert back.shape == (1064, 1600, 3)
    assert np.abs(back.astype(int) - cv2.resize(CAT, (1600, 1064))).mean() < 6


def test_of_two_pictures_the_one_chosen_last_is_sent_however_long_the_first_takes(page: Page):
    open_stage(page, cat_stage())
    contents = [cv2.imencode(".png", image[..., ::-1])[1] for image in (cv2.resize(CAT, (3608, 2400)), CAT)]
    for content, name in zip(contents, ("large.png", "small.png"), strict=True):
        drop(page, content.tobytes(), name, "image/png")
    assert sent_picture(page)[0]["name"] == "small.png"
    page.wait_for_timeout(1500)  # in which the large one would have come
    assert page.evaluate("() => cnnvis.model.sent.length") == 1


def test_what_the_browser_cannot_read_goes_to_the_kernel_and_too_much_of_it_is_refused(page: Page):
    open_stage(page, cat_stage())
    drop(page, b"not a picture", "notes.png", "image/png")
    assert sent_picture(page)[1] == b"not a picture"
    page.evaluate("() => { cnnvis.model.sent.length = 0 }")
    page.evaluate("() => { window.big = new File([new Uint8Array(9e6)], 'big.tif', { type: 'image/tiff' }) }")
    page.evaluate(
        """() => { const data = new DataTransfer(); data.items.add(window.big); document.querySelector(".cnnvis-stage")
          .dispatchEvent(new DragEvent("drop", { bubbles: true, cancelable: true, dataTransfer: data })) }"""
    )
    expect(page.locator(".cnnvis-error")).to_contain_text("big.tif has 9.0 MB")
    assert page.evaluate("() => cnnvis.model.sent") == []


def test_where_pictures_are_not_wanted_none_is_sent(page: Page):
    open_stage(page, cat_stage(uploads=False))
    expect(page.get_by_role("button", name="Open picture")).to_have_count(0)
    drop(page, b"x", "x.png", "image/png")
    page.wait_for_timeout(100)
    assert page.evaluate("() => cnnvis.model.sent") == []


# -------- words, states, themes


def test_an_error_is_shown_as_text_the_picture_stays_and_it_can_be_dismissed(page: Page):
    open_stage(page, cat_stage())
    before = pixels(page, ".cnnvis-photo")
    receive(page, error="There is no layer '<img src=x onerror=alert(1)>'.")
    box = page.locator(".cnnvis-error")
    expect(box).to_contain_text("<img src=x onerror=alert(1)>")
    assert page.locator(".cnnvis-stage img").count() == 0
    np.testing.assert_array_equal(pixels(page, ".cnnvis-photo"), before)
    page.get_by_role("button", name="Dismiss").click()
    expect(box).to_be_hidden()
    assert page.evaluate("() => cnnvis.model.saved.at(-1).error") == ""


def test_a_stale_picture_is_tinted_soon_and_busy_is_said_later(page: Page):
    open_stage(page, cat_stage())
    tinted, said = page.evaluate(
        """async () => {
          const root = document.querySelector(".cnnvis-stage"), busy = root.querySelector(".cnnvis-busy");
          const start = performance.now(), times = [];
          cnnvis.model.receive({ busy: "Computing the heatmap…" });
          for (const there of [() => root.classList.contains("cnnvis-stale"), () => !busy.hidden]) {
            while (!there()) await new Promise((done) => setTimeout(done, 5));
            times.push(performance.now() - start);
          }
          return times; }"""
    )
    assert 95 < tinted < 900
    assert said > 995
    settle(page)
    expect(page.locator(".cnnvis-busy")).to_have_text("Computing the heatmap…")
    receive(page, busy="")
    expect(page.locator(".cnnvis-busy")).to_be_hidden()
    assert "cnnvis-stale" not in page.locator(ROOT).get_attribute("class")
    receive(page, busy="rise: 32 of 2000 runs …", growing=True)
    page.wait_for_timeout(200)
    assert "cnnvis-stale" not in page.locator(ROOT).get_attribute("class"), "what grows is not stale"


def test_quick_work_never_flickers(page: Page):
    open_stage(page, cat_stage())
    page.evaluate("() => { cnnvis.model.receive({ busy: 'a' }); cnnvis.model.receive({ busy: '' }) }")
    page.wait_for_timeout(200)
    assert "cnnvis-stale" not in page.locator(ROOT).get_attribute("class")


def test_an_empty_stage_says_what_will_be_there(page: Page):
    open_stage(page, Stage())
    expect(page.locator(".cnnvis-note:visible")).to_have_count(4)
    expect(page.locator(".cnnvis-panel-maps")).to_contain_text("No feature maps yet.")


def test_a_photograph_that_cannot_be_decoded_is_said_in_words(page: Page):
    open_stage(page, cat_stage())
    receive(page, frame=2, photo=b"no picture")
    expect(page.locator(".cnnvis-panel-photo .cnnvis-note")).to_have_text(
        "The browser cannot show this photograph."
    )


def test_values_that_cannot_be_drawn_show_their_error_in_the_view(page: Page):
    open_stage(page, cat_stage())
    receive(page, frame=2, maps_shape=5)
    expect(page.locator(".cnnvis-error").first).to_contain_text("This could not be drawn")
    receive(page, frame=3, maps_shape=[12, 14, 14])
    expect(page.locator(".cnnvis-photo")).to_be_visible()


def test_sentences_of_another_language_replace_all_words_at_once(page: Page):
    stage = cat_stage(panels=PANELS)
    open_stage(page, stage)
    receive(page, texts=dict.fromkeys(stage.texts, "译"))
    words = page.locator(ROOT).inner_text()
    for title in (
        page.locator(".cnnvis-title:visible").all_inner_texts()
        + page.locator("button:visible").all_inner_texts()
    ):
        assert title == "译"
    assert "Unit" not in words


def test_two_views_of_one_model_stay_together_and_leave_nothing_behind(page: Page):
    open_stage(page, cat_stage())
    page.evaluate("() => { cnnvis.second = cnnvis.show('#second') }")
    settle(page)
    page.locator(GRID).first.press("ArrowRight")
    settle(page)
    units = page.locator(ROOT).evaluate_all("(roots) => roots.map((root) => root.dataset.unit)")
    assert units == ["1", "1"]
    page.evaluate("() => { cnnvis.first.abort(); cnnvis.second.abort() }")
    assert page.evaluate("() => cnnvis.model.listeners()") == 0
    assert page.evaluate("() => cnnvis.model.saved.at(-1).unit") == 1  # told although the view has gone


def luminance(colour: list[float]) -> float:
    parts = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


COLOURS = """(elements) => elements.map((element) => {
  const canvas = document.createElement("canvas"), pen = canvas.getContext("2d");
  const read = (colour) => { pen.clearRect(0, 0, 1, 1); pen.fillStyle = colour; pen.fillRect(0, 0, 1, 1);
    return [...pen.getImageData(0, 0, 1, 1).data].map((c) => c / 255); };
  let ground = element;
  while (read(getComputedStyle(ground).backgroundColor)[3] < 1) ground = ground.parentElement;
  return [read(getComputedStyle(element).color), read(getComputedStyle(ground).backgroundColor)]; })"""


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_words_stand_out_in_both_themes(page: Page, dark: bool):
    stage = cat_stage(panels=PANELS, error="An error", heat_message="no evidence")
    open_stage(page, stage, dark)
    words = page.locator(f"{ROOT} :is(p, h3, span, button):visible").evaluate_all(COLOURS)
    assert len(words) > 15
    for ink, ground in words:
        low, high = sorted([luminance(ink[:3]), luminance(ground[:3])])
        assert (high + 0.05) / (low + 0.05) >= 4.5
    assert (luminance(words[0][1][:3]) < 0.2) == dark


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_words_stand_out_under_the_pointer_too(page: Page, dark: bool):
    open_stage(page, cat_stage(), dark)
    for name in ("index", "strength"):  # pressed, and not
        button = page.get_by_role("button", name=name)
        button.hover()
        [(ink, ground)] = button.evaluate_all(COLOURS)
        low, high = sorted([luminance(ink[:3]), luminance(ground[:3])])
        assert (high + 0.05) / (low + 0.05) >= 4.5, name


@pytest.mark.parametrize("width", [480, 700, 900, 1400])
def test_no_width_cuts_anything_off_and_type_is_readable(page: Page, width: int):
    page.set_viewport_size({"width": width + 16, "height": 900})
    open_stage(
        page,
        cat_stage(cat_maps(256), panels=PANELS, **picture_payload(CAT[:64, :64], 0, "unit 0")),
    )
    assert page.evaluate("() => document.documentElement.scrollWidth") <= width + 16
    boxes = [panel.bounding_box() for panel in page.locator(".cnnvis-panels > .cnnvis-panel").all()]
    assert len(boxes) == 4
    for box in boxes:
        assert box["x"] + box["width"] <= width + 9
    sizes = page.locator(f"{ROOT} :is(p, h3, span, button):visible").evaluate_all(
        "(all) => all.map((each) => parseFloat(getComputedStyle(each).fontSize))"
    )
    assert min(sizes) >= 12
    if width >= 900:
        assert page.locator(ROOT).bounding_box()["height"] <= 560


def test_three_panels_stand_side_by_side_at_900(page: Page):
    open_stage(page, cat_stage())
    tops = {panel.bounding_box()["y"] for panel in page.locator(".cnnvis-panels > .cnnvis-panel").all()}
    assert len(tops) == 1
    assert page.locator(ROOT).bounding_box()["height"] <= 560


def test_canvases_have_the_pixels_of_a_fine_screen(browser: Browser):
    context = browser.new_context(viewport={"width": 916, "height": 800}, device_scale_factor=2)
    page = context.new_page()
    open_stage(page, cat_stage())
    for name in ("photo", "maps", "detail"):
        canvas = page.locator(f".cnnvis-{name}")
        shown, there = canvas.evaluate("(canvas) => [canvas.getBoundingClientRect().width, canvas.width]")
        assert there == pytest.approx(2 * shown, abs=1)
    context.close()
