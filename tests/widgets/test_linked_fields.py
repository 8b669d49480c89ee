"""What a position sees, in real Chromium: boxes and cells at the pixels that a plain simulation says, keys, words."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from playwright.sync_api import Page, expect
from widgets.stage_graphs import residual_graph
from widgets.stage_page import open_stage, pixels, receive, settle
from widgets.test_stage import CIVIDIS, GRID, cat_maps, cat_stage, find_tiles, looked_up

from cnnvis_widgets.widgets.payloads import field_payload, heat_payload

PANELS = ("network", "photo", "maps", "detail")
PHOTO_MARKS = ".cnnvis-panel-photo .cnnvis-marks"
DETAIL_MARKS = ".cnnvis-panel-detail .cnnvis-marks"
SIDE = 56  # of the layer that is shown: 3x3 after the stem of `residual_graph`, a cell every 4 pixels


def pixels_seen(cell: int) -> set[int]:
    """The input's rows that a cell of block1_conv2 sees, by walking back through every window one by one.

    A 7-window of stride 2 centred on its pixel, a 3-window of stride 2, a 3-window of stride 1; padding included.
    """
    pooled = {cell + offset for offset in (-1, 0, 1)}
    convolved = {2 * row + offset for row in pooled for offset in (-1, 0, 1)}
    return {2 * row + offset for row in convolved for offset in range(-3, 4)}


def stage_of(layer: str = "block1_conv2", unit: int = 3, **changes: object):
    info = {"path": layer, "kind": "convolution", "shape": [SIDE, SIDE, 12]}
    stage = cat_stage(cat_maps(12, SIDE), panels=PANELS, graph=residual_graph(), unit=unit, **changes)
    stage.publish(layer=info)
    return stage


def hover(page: Page, canvas: str, y: float, x: float) -> None:
    """The pointer at a place of a canvas, in 0..1."""
    box = page.locator(canvas).bounding_box()
    page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])
    settle(page)


def point_at_cell(page: Page, y: int, x: int) -> None:
    hover(page, ".cnnvis-detail", (y + 0.5) / SIDE, (x + 0.5) / SIDE)


def readout(page: Page) -> str:
    """What is said below the photograph of what sees what."""
    return page.locator(".cnnvis-sees").inner_text()


def inside(marks: np.ndarray) -> tuple[int, int, int, int]:
    """Top, bottom, left, right of what a line encloses: the transparent pixels between its inner edges."""
    inked = marks[..., 3] > 127
    y, x = np.nonzero(inked)
    middle = (y.min() + y.max()) // 2, (x.min() + x.max()) // 2
    rows = np.flatnonzero(~inked[y.min() : y.max() + 1, middle[1]]) + y.min()
    columns = np.flatnonzero(~inked[middle[0], x.min() : x.max() + 1]) + x.min()
    return rows.min(), rows.max() + 1, columns.min(), columns.max() + 1


def sent(page: Page) -> list[dict]:
    return [each["content"] for each in page.evaluate("() => cnnvis.model.sent")]


# -------- from a map to the photograph


def test_pointing_at_a_map_draws_a_box_around_all_that_the_position_sees(page: Page):
    open_stage(page, stage_of())
    point_at_cell(page, 20, 31)
    marks = pixels(page, PHOTO_MARKS)
    assert marks.shape == pixels(page, ".cnnvis-photo").shape
    height, width = marks.shape[:2]
    rows, columns = pixels_seen(20), pixels_seen(31)
    expected = [
        min(rows) / 224 * height,
        (max(rows) + 1) / 224 * height,
        min(columns) / 224 * width,
        (max(columns) + 1) / 224 * width,
    ]
    assert inside(marks) == pytest.approx(expected, abs=1)
    assert readout(page) == (
        f"Unit 3 at y 20, x 31 sees rows {min(rows)} to {max(rows)}, "
        f"columns {min(columns)} to {max(columns)} of 224 × 224"
    )


def test_where_no_line_says_what_positions_see_the_exact_numbers_are_drawn(page: Page):
    graph = residual_graph()
    node = next(node for node in graph["nodes"] if node[0] == "block1_conv2")
    node[5] = [[*node[5][0], [20, 75, 80]], [*node[5][1], [30, 0, -1, 31, 120, 125]]]
    stage = stage_of()
    stage.publish(graph=graph)
    open_stage(page, stage)
    point_at_cell(page, 20, 31)
    assert readout(page) == "Unit 3 at y 20, x 31 sees rows 75 to 80, columns 120 to 125 of 224 × 224"
    marks = pixels(page, PHOTO_MARKS)
    tall, wide = (side / 224 for side in marks.shape[:2])
    assert inside(marks) == pytest.approx([75 * tall, 81 * tall, 120 * wide, 126 * wide], abs=1)
    point_at_cell(page, 21, 32)
    assert "sees rows 75 to 93, columns 119 to 137" in readout(page)
    point_at_cell(page, 21, 30)
    assert "padding" in readout(page) and not pixels(page, PHOTO_MARKS).any()
    hover(page, ".cnnvis-photo", 89.5 / 224, 0.5)
    assert readout(page).startswith("Seen by rows 21 to 24, ")  # the line alone would say 20


def test_a_tile_does_as_the_large_map_does_for_its_own_unit(page: Page):
    open_stage(page, stage_of())
    place = find_tiles(page)
    box = page.locator(".cnnvis-maps").bounding_box()
    x = place["left"] + place["pitch"] + (31.5 / SIDE) * place["side"]
    y = place["top"] + (20.5 / SIDE) * place["side"]
    page.mouse.move(box["x"] + x, box["y"] + y)
    settle(page)
    assert readout(page).startswith("Unit 1 at y 20, x 31 sees rows ")
    tile_marks = pixels(page, PHOTO_MARKS)
    point_at_cell(page, 20, 31)
    np.testing.assert_array_equal(tile_marks, pixels(page, PHOTO_MARKS))


def test_the_box_is_white_within_black(page: Page):
    open_stage(page, stage_of())
    point_at_cell(page, 20, 31)
    marks = pixels(page, PHOTO_MARKS)
    top = np.flatnonzero(marks[..., 3].any(1))[0]
    x = int(np.median(np.nonzero(marks[top, :, 3])[0]))
    black, white = (0, 0, 0, 255), (255, 255, 255, 255)
    assert [tuple(pixel) for pixel in marks[top : top + 6, x]] == [*2 * [black], *2 * [white], *2 * [black]]


def test_where_a_position_sees_padding_the_box_is_dashed_at_the_border(page: Page):
    open_stage(page, stage_of())
    point_at_cell(page, 1, 31)
    marks = pixels(page, PHOTO_MARKS)
    rows = pixels_seen(1)
    assert min(rows) < 0
    assert marks[0, :, 3].any(), "the upper side lies on the border"
    assert inside(marks)[1] == pytest.approx((max(rows) + 1) / 224 * len(marks), abs=1)

    def white(row: int) -> np.ndarray:
        left, right = np.flatnonzero(marks[row, :, 3])[[0, -1]]
        return (marks[row, left + 6 : right - 5, :3] == 255).all(-1)

    bottom = np.flatnonzero(marks[..., 3].any(1))[-1] - 2
    assert white(bottom).all()
    assert 0.2 < white(2).mean() < 0.7
    assert readout(page).startswith(f"Unit 3 at y 1, x 31 sees rows 0 to {max(rows)}, ")
    assert readout(page).endswith("of 224 × 224 and padding")


def test_a_position_that_sees_everything_is_said_to(page: Page):
    graph = residual_graph()
    graph["nodes"][-3][5] = "all"
    stage = stage_of("block4_out", unit=0)
    stage.publish(graph=graph)
    open_stage(page, stage)
    point_at_cell(page, 3, 5)
    assert readout(page) == "Unit 0 at y 3, x 5 sees the whole picture"
    marks = pixels(page, PHOTO_MARKS)
    assert marks[[0, -1], :, 3].all()
    assert marks[:, [0, -1], 3].all()
    hover(page, ".cnnvis-photo", 0.3, 0.3)
    assert readout(page) == "Seen by every position of each map"


def test_the_position_is_marked_in_every_tile_and_in_the_large_map(page: Page):
    open_stage(page, stage_of())
    before = pixels(page, ".cnnvis-maps").astype(int)
    point_at_cell(page, 20, 31)
    changed = np.abs(pixels(page, ".cnnvis-maps").astype(int) - before).any(-1)
    place = find_tiles(page)
    for unit in range(12):
        x = place["left"] + unit % place["columns"] * place["pitch"]
        y = place["top"] + unit // place["columns"] * place["pitch"]
        rows, columns = np.nonzero(changed[y : y + place["side"], x : x + place["side"]])
        centre = [(rows.min() + rows.max() + 1) / 2, (columns.min() + columns.max() + 1) / 2]
        expected = [(20.5) / SIDE * place["side"], 31.5 / SIDE * place["side"]]
        assert centre == pytest.approx(expected, abs=1.5), f"unit {unit}"
    marks = pixels(page, DETAIL_MARKS)
    scale = len(marks) / SIDE
    assert inside(marks) == pytest.approx([20 * scale, 21 * scale, 31 * scale, 32 * scale], abs=1)


def test_the_position_of_an_address_is_marked_until_the_pointer_or_escape(page: Page):
    open_stage(page, stage_of(position=[20, 31]))
    marked = [pixels(page, canvas) for canvas in (PHOTO_MARKS, DETAIL_MARKS, ".cnnvis-maps")]
    assert readout(page).startswith("Unit 3 at y 20, x 31 sees rows ")
    page.locator(GRID).focus()
    page.keyboard.press("Escape")
    settle(page)
    assert not pixels(page, PHOTO_MARKS).any() and not pixels(page, DETAIL_MARKS).any()
    point_at_cell(page, 20, 31)
    for canvas, before in zip((PHOTO_MARKS, DETAIL_MARKS, ".cnnvis-maps"), marked, strict=True):
        np.testing.assert_array_equal(pixels(page, canvas), before, err_msg=canvas)
    page.mouse.move(3, 790)
    receive(page, frame=9, position=[7, 9])  # another address, or another layer's, is marked anew
    assert readout(page).startswith("Unit 3 at y 7, x 9 sees rows ")
    point_at_cell(page, 1, 2)
    page.mouse.move(3, 790)
    settle(page)
    assert not pixels(page, DETAIL_MARKS).any() and readout(page) == ""


# -------- from the photograph to the maps


@pytest.mark.parametrize(("y", "x"), [(0.5, 0.6), (0.01, 0.99)])
def test_pointing_at_the_photograph_encloses_the_positions_that_see_it(page: Page, y: float, x: float):
    open_stage(page, stage_of())
    hover(page, ".cnnvis-photo", y, x)
    pixel = int(y * 224), int(x * 224)
    rows = [cell for cell in range(SIDE) if pixel[0] in pixels_seen(cell)]
    columns = [cell for cell in range(SIDE) if pixel[1] in pixels_seen(cell)]
    words = f"Seen by rows {rows[0]} to {rows[-1]}, columns {columns[0]} to {columns[-1]} of each map"
    assert readout(page) == words
    marks = pixels(page, DETAIL_MARKS)
    scale = len(marks) / SIDE
    enclosed = [rows[0] * scale, (rows[-1] + 1) * scale, columns[0] * scale, (columns[-1] + 1) * scale]
    line = [3 if rows[0] == 0 else 0, 0, 0, -3 if columns[-1] == SIDE - 1 else 0]  # kept within the canvas
    assert inside(marks) == pytest.approx(np.add(enclosed, line), abs=1)
    assert not pixels(page, PHOTO_MARKS).any()


def test_when_the_pointer_leaves_all_marks_go_and_the_kernel_was_told_nothing(page: Page):
    open_stage(page, stage_of())
    before = pixels(page, ".cnnvis-maps")
    for canvas in (".cnnvis-photo", ".cnnvis-maps", ".cnnvis-detail"):
        hover(page, canvas, 0.1, 0.1)
        assert readout(page)
        page.mouse.move(3, 790)
        settle(page)
        assert not pixels(page, PHOTO_MARKS).any()
        assert not pixels(page, DETAIL_MARKS).any()
        np.testing.assert_array_equal(pixels(page, ".cnnvis-maps"), before)
    assert sent(page) == []
    assert page.evaluate("() => cnnvis.model.saved") == []


def test_the_box_is_there_in_the_next_frame(page: Page):
    open_stage(page, stage_of())
    inked = page.evaluate(
        """async ([canvas, marks]) => {
          const place = document.querySelector(canvas), box = place.getBoundingClientRect();
          const drawn = document.querySelector(marks);
          const there = { clientX: box.x + 40, clientY: box.y + 40, bubbles: true };
          place.dispatchEvent(new PointerEvent("pointermove", there));
          await new Promise(requestAnimationFrame);
          return drawn.getContext("2d").getImageData(0, 0, drawn.width, drawn.height).data.some(Boolean); }""",
        [".cnnvis-detail", PHOTO_MARKS],
    )
    assert inked


def test_where_fields_are_not_known_positions_are_marked_and_nothing_is_claimed(page: Page):
    graph = residual_graph()
    for node in graph["nodes"]:
        node[5] = None
    stage = stage_of()
    stage.publish(graph=graph)
    open_stage(page, stage)
    point_at_cell(page, 20, 31)
    assert pixels(page, DETAIL_MARKS).any()
    assert not pixels(page, PHOTO_MARKS).any()
    assert "sees" not in readout(page)
    expect(page.get_by_role("button", name="Sees")).to_have_count(0)


# -------- keys, and the effective field


def strongest(unit: int = 3) -> tuple[int, int]:
    values = cat_maps(12, SIDE)[..., unit].astype(np.float16)
    return tuple(int(i) for i in np.unravel_index(values.argmax(), values.shape))


def test_r_shows_what_the_strongest_position_sees_until_pressed_again(page: Page):
    open_stage(page, stage_of())
    page.evaluate(
        "() => { window.leaked = []; addEventListener('keydown', (event) => leaked.push(event.key)) }"
    )
    page.locator(GRID).focus()
    page.keyboard.press("r")
    settle(page)
    y, x = strongest()
    assert readout(page).startswith(f"Unit 3 at y {y}, x {x} sees rows ")
    pinned = pixels(page, PHOTO_MARKS)
    expect(page.get_by_role("button", name="Sees")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("ArrowRight")
    settle(page)
    y, x = strongest(4)
    assert readout(page).startswith(f"Unit 4 at y {y}, x {x} sees rows ")
    page.keyboard.press("ArrowLeft")
    settle(page)
    np.testing.assert_array_equal(pixels(page, PHOTO_MARKS), pinned)
    page.keyboard.press("r")
    settle(page)
    assert not pixels(page, PHOTO_MARKS).any()
    assert page.evaluate("() => leaked") == []


def effective() -> np.ndarray:
    y, x = np.mgrid[:224, :224]
    return np.exp(-((y - 90) ** 2 + (x - 140) ** 2) / 800).astype(np.float32)


def test_e_asks_the_kernel_and_its_answer_is_painted_instead_of_the_heatmap(page: Page):
    open_stage(page, stage_of(opacity=0.5))
    with_heat = pixels(page, ".cnnvis-photo")
    page.locator(GRID).focus()
    page.keyboard.press("e")
    settle(page)
    y, x = strongest()
    assert sent(page) == [{"type": "field", "unit": 3, "y": y, "x": x}]
    assert readout(page) == "The effective field is on its way."
    np.testing.assert_array_equal(pixels(page, ".cnnvis-photo"), with_heat)
    receive(page, frame=9, **field_payload(effective(), "block1_conv2", 3, (y, x)))
    shown = pixels(page, ".cnnvis-photo")[..., :3]
    height, width = shown.shape[:2]
    receive(page, opacity=0)
    photo = pixels(page, ".cnnvis-photo")[..., :3].astype(float)
    fine = cv2.resize(effective(), (width, height), interpolation=cv2.INTER_LINEAR)
    expected = photo * 0.5 + looked_up(fine, CIVIDIS, 0, 1) * 0.5
    assert np.abs(shown - expected).max() <= 3
    caption = page.locator(".cnnvis-panel-photo .cnnvis-caption")
    expect(caption).to_have_text(f"Effective receptive field of unit 3 at y {y}, x {x} of block1_conv2.")
    receive(page, opacity=0.5)
    page.keyboard.press("e")
    settle(page)
    np.testing.assert_array_equal(pixels(page, ".cnnvis-photo"), with_heat)
    assert len(sent(page)) == 1


def test_e_on_a_position_asks_for_that_one_and_another_layer_takes_the_field_away(page: Page):
    open_stage(page, stage_of())
    with_heat = pixels(page, ".cnnvis-photo")
    page.locator(GRID).focus()
    point_at_cell(page, 7, 9)
    page.keyboard.press("e")
    assert sent(page) == [{"type": "field", "unit": 3, "y": 7, "x": 9}]
    receive(page, frame=9, **field_payload(effective(), "block1_conv2", 3, (9, 9)))
    np.testing.assert_array_equal(pixels(page, ".cnnvis-photo"), with_heat)  # an answer to another question
    receive(page, frame=10, **field_payload(effective(), "block1_conv2", 3, (7, 9)))
    assert (pixels(page, ".cnnvis-photo") != with_heat).any()
    here = {"path": "block1_conv2", "kind": "convolution", "shape": [SIDE, SIDE, 12]}
    for frame, layer in (
        (11, here | {"path": "block2_conv2"}),
        (12, here),
    ):  # coming back does not bring it back
        receive(page, frame=frame, layer=layer)
        np.testing.assert_array_equal(pixels(page, ".cnnvis-photo"), with_heat)


def test_e_on_another_position_asks_anew_and_on_the_same_one_takes_its_field_away(page: Page):
    open_stage(page, stage_of())
    page.locator(GRID).focus()
    for y, x in ((7, 9), (8, 9)):
        point_at_cell(page, y, x)
        page.keyboard.press("e")
        assert sent(page)[-1] == {"type": "field", "unit": 3, "y": y, "x": x}
    page.keyboard.press("e")
    assert len(sent(page)) == 2


def test_an_effective_field_is_seen_where_there_is_no_evidence_for_a_class(page: Page):
    blank = heat_payload(np.zeros((7, 7)), message="no positive evidence for 'dog'")
    open_stage(page, stage_of(**blank))
    note = page.locator(".cnnvis-panel-photo .cnnvis-note")
    expect(note).to_be_visible()
    page.get_by_role("button", name="Looks at").click()
    y, x = strongest()
    receive(page, frame=9, **field_payload(effective(), "block1_conv2", 3, (y, x)))
    expect(note).to_be_hidden()


def test_a_field_that_fails_is_no_longer_waited_for(page: Page):
    open_stage(page, stage_of())
    page.get_by_role("button", name="Looks at").click()
    settle(page)
    assert readout(page) == "The effective field is on its way."
    receive(page, frame=9, error="There is no gradient here.")
    settle(page)
    assert "on its way" not in readout(page)


def test_where_no_pixel_has_an_effect_it_is_said_in_words(page: Page):
    open_stage(page, stage_of())
    page.get_by_role("button", name="Looks at").click()
    y, x = strongest()
    receive(page, frame=9, **field_payload(np.zeros((224, 224)), "block1_conv2", 3, (y, x)))
    page.mouse.move(3, 790)
    settle(page)
    assert readout(page) == f"Unit 3 is silent at y {y}, x {x}: no small change of any pixel moves it."
