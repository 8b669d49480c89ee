"""One convolution step by step in real Chromium: every number against NumPy, and who moves the kernel."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator

import numpy as np
import pytest
import skimage.data
from playwright.sync_api import Browser, Page, expect
from widgets.stage_page import open_stage, receive, settle

import cnnvis_widgets as cnnvis
from cnnvis_widgets.compute.convolution import ConvolutionSteps, Line
from cnnvis_widgets.widgets.parts.steps import convolution_payload, no_convolution
from cnnvis_widgets.widgets.payloads import maps_payload
from cnnvis_widgets.widgets.stage import Stage

SCREENSHOTS = os.environ.get("POLISH_SHOT")
PANEL = ".cnnvis-panel-steps"
OUTPUT = f"{PANEL} canvas.cnnvis-steps"
LAYER = {"path": "relu", "kind": "activation", "shape": [5, 6, 4]}
MINUS = str.maketrans("−", "-")


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    yield from open_page(browser)


@pytest.fixture
def still_page(browser: Browser) -> Iterator[Page]:
    """Of a person who asked for less motion."""
    yield from open_page(browser, reduced_motion="reduce")


def open_page(browser: Browser, **options) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 916, "height": 1000}, **options)
    mistakes: list[str] = []
    page.on("pageerror", lambda error: mistakes.append(str(error)))
    page.on("console", lambda message: mistakes.append(message.text) if message.type == "error" else None)
    yield page
    page.close()
    assert mistakes == []


def made_up(channels: int = 4, sent: int | None = None) -> ConvolutionSteps:
    """A dilated 3 x 3 convolution with stride 2 x 1, two rows of padding above and one below, and what follows it."""
    random = np.random.default_rng(channels)
    inputs = random.normal(size=(10, 10, channels)).astype(np.float32)
    kernel = random.normal(size=(3, 3, channels)).astype(np.float32)
    padded = np.pad(inputs, ((2, 1), (0, 0), (0, 0)))
    parts = np.zeros((5, 6, channels), np.float32)
    for y, x in np.ndindex(5, 6):
        patch = padded[2 * y : 2 * y + 5 : 2, x : x + 5 : 2]
        parts[y, x] = (patch * kernel).sum(axis=(0, 1))
    order = np.argsort(-np.abs(parts).sum(axis=(0, 1)))[:sent]
    sums = parts.sum(axis=-1)
    behind = (
        Line("conv", "bias", "", sums + 0.25),
        Line("bn", "normalization", "", (sums + 0.25) * 1.5 - 0.5, 1.5, -0.5),
        Line("relu", "activation", "ReLU", np.maximum((sums + 0.25) * 1.5 - 0.5, 0)),
    )
    return ConvolutionSteps(
        "conv", "convolution", "before", 0, order, channels, inputs[..., order], kernel[..., order], 0.25,
        (2, 1), (2, 2), (2, 1, 0, 0), sums, np.abs(parts).sum(axis=-1), behind,
    )  # fmt: skip


def opened(page: Page, steps: ConvolutionSteps) -> Page:
    """The view opened by its button and answered as the kernel does."""
    stage = Stage(panels=["maps", "detail"])
    maps = np.repeat(steps.lines[-1].values[..., None], 4, axis=-1)
    stage.publish(layer=LAYER, network="made up", **maps_payload(maps))
    open_stage(page, stage)
    page.get_by_role("button", name="Step by step").click()
    page.wait_for_function("window.cnnvis.model.sent.length === 1")
    receive(page, **convolution_payload("relu", steps), frame=2)
    page.wait_for_selector(f"{PANEL}[data-y]")
    return page


def hover(page: Page, y: int, x: int, selector: str = OUTPUT) -> None:
    """Put the pointer on a position of a map of 5 x 6."""
    page.locator(selector).scroll_into_view_if_needed()
    box = page.locator(selector).bounding_box()
    page.mouse.move(box["x"] + (x + 0.5) * box["width"] / 6, box["y"] + (y + 0.5) * box["height"] / 5)
    settle(page)


def position(page: Page) -> tuple[int, int]:
    place = page.locator(PANEL)
    return int(place.get_attribute("data-y")), int(place.get_attribute("data-x"))


def numbers(page: Page, grid: str) -> np.ndarray:
    texts = page.locator(f"[data-grid={grid}] .cnnvis-numbers > span").all_text_contents()
    return np.array([float(text.translate(MINUS).replace("≈", "")) for text in texts])


def lines(page: Page) -> list[str]:
    return [
        " ".join(line.split())
        for line in page.locator(f"{PANEL} .cnnvis-line").evaluate_all(
            "(lines) => lines.map((line) => [...line.children].map((part) => part.textContent).join(' '))"
        )
    ]


def last_number(line: str) -> float:
    return float(line.translate(MINUS).split()[-1])


@pytest.mark.parametrize(("y", "x"), [(0, 0), (2, 3), (4, 5)])
def test_every_number_is_the_one_worked_out_in_numpy(page, y, x):
    steps = made_up()
    hover(opened(page, steps), y, x)
    assert position(page) == (y, x)
    padded = np.pad(steps.inputs[..., 0], ((2, 1), (0, 0)))
    patch = padded[2 * y : 2 * y + 5 : 2, x : x + 5 : 2]
    kernel = steps.kernel[..., 0]
    np.testing.assert_allclose(numbers(page, "patch"), patch.ravel(), atol=6e-4)
    np.testing.assert_allclose(numbers(page, "kernel"), kernel.ravel(), atol=6e-4)
    np.testing.assert_allclose(numbers(page, "products"), (patch * kernel).ravel(), atol=6e-4)
    words = page.locator(f"{PANEL} .cnnvis-channel-sum").text_content()
    assert f"channel {steps.channels[0]}" in words
    assert last_number(words) == pytest.approx((patch * kernel).sum(), rel=6e-3)
    total = steps.sums[y, x]
    shown = lines(page)
    assert [line.split("=")[0].split("→")[0].strip() for line in shown] == [
        "Σ patch × kernel over 4 channels", "+ bias 0.250", "batch norm × 1.50 − 0.500", "ReLU",
    ]  # fmt: skip
    expected = [total, total + 0.25, (total + 0.25) * 1.5 - 0.5, max((total + 0.25) * 1.5 - 0.5, 0)]
    np.testing.assert_allclose([last_number(line) for line in shown], expected, rtol=6e-3)


def test_zeros_around_the_map_are_marked_and_only_those(page):
    opened(page, made_up())
    marked = "(cells) => cells.map((cell) => cell.classList.contains('cnnvis-padding'))"
    for y, expected in ((0, [True] * 3 + [False] * 6), (1, [False] * 9), (4, [False] * 6 + [True] * 3)):
        hover(page, y, 2)
        assert page.locator("[data-grid=patch] .cnnvis-numbers > span").evaluate_all(marked) == expected


def test_channels_and_the_rest_add_up_to_the_sum(page):
    steps = made_up(channels=30, sent=20)
    hover(opened(page, steps), 3, 1)
    values = page.locator(f"{PANEL} .cnnvis-channels > :not([hidden]) > :last-child").all_text_contents()
    assert len(values) == 12
    rest = page.locator(f"{PANEL} .cnnvis-rest").text_content()
    assert rest.startswith("18 more channels together")
    parts = [float(value.translate(MINUS)) for value in values]
    total = sum(parts) + float(
        page.locator(f"{PANEL} .cnnvis-rest > :last-child").text_content().translate(MINUS)
    )
    assert total == pytest.approx(steps.sums[3, 1], abs=0.05)
    words = page.locator(f"{PANEL} .cnnvis-channel-list").text_content()
    share = np.abs(parts).sum() / steps.sizes[3, 1]
    assert f"12 of 30 channels, {share:.0%}".replace("%", " %") in words
    assert "The 20 strongest" in words


def test_another_channel_is_chosen_by_click_and_by_keys(page):
    steps = made_up()
    hover(opened(page, steps), 2, 2)
    page.locator(f"{PANEL} [data-channel='{steps.channels[2]}']").click()
    settle(page)
    np.testing.assert_allclose(numbers(page, "kernel"), steps.kernel[..., 2].ravel(), atol=6e-4)
    page.locator(f"{PANEL} .cnnvis-channels").focus()
    page.keyboard.press("Home")
    settle(page)
    strongest = page.locator(f"{PANEL} .cnnvis-channel").first
    assert strongest.get_attribute("aria-selected") == "true"
    assert page.locator(PANEL).get_attribute("data-channel") == strongest.get_attribute("data-channel")
    assert position(page) == (2, 2), "Home in the list of channels does not move the kernel"


def test_the_kernel_walks_until_the_pointer_takes_over(page):
    steps = made_up()
    opened(page, steps)
    first = position(page)
    page.wait_for_function(f"() => document.querySelector('{PANEL}').dataset.x !== '{first[1]}'")
    hover(page, 1, 4)
    assert page.locator(PANEL).get_attribute("data-moving") == "false"
    page.wait_for_timeout(600)  # two steps and more
    assert position(page) == (1, 4)
    hover(page, 3, 2, "canvas.cnnvis-detail")
    assert position(page) == (3, 2), "the large map moves it too"
    box = page.locator("canvas.cnnvis-steps-map").bounding_box()  # 10 rows and 3 of padding, 10 columns
    page.mouse.move(box["x"] + 7.5 / 10 * box["width"], box["y"] + 8.5 / 13 * box["height"])
    settle(page)
    assert position(page) == (3, 5), "the patch whose middle is under the pointer"


def test_it_begins_where_the_unit_is_strongest_and_waits_for_those_who_want_no_motion(still_page):
    steps = made_up()
    opened(still_page, steps)
    strongest = np.unravel_index(np.abs(steps.lines[-1].values).argmax(), (5, 6))
    still_page.wait_for_timeout(600)
    assert position(still_page) == strongest
    assert still_page.locator(PANEL).get_attribute("data-moving") == "false"
    still_page.get_by_role("button", name="Play").click()
    still_page.wait_for_selector(f"{PANEL}[data-moving=true]")


def test_keys_move_the_position_and_open_and_close_the_view(still_page):
    page = opened(still_page, made_up())
    hover(page, 1, 1)
    page.mouse.move(0, 0)
    page.locator(f"{PANEL} .cnnvis-steps-output .cnnvis-view").focus()
    for key, expected in (("ArrowRight", (1, 2)), ("ArrowDown", (2, 2)), ("ArrowLeft", (2, 1)), ("ArrowUp", (1, 1)),
                          ("End", (4, 5)), ("ArrowRight", (4, 5)), ("Home", (0, 0))):  # fmt: skip
        page.keyboard.press(key)
        settle(page)
        assert position(page) == expected, key
    assert "At y 0, x 0: Σ patch" in page.locator(f"{PANEL} [role=status]").text_content()
    page.keyboard.press(" ")
    page.wait_for_selector(f"{PANEL}[data-moving=true]")
    page.keyboard.press("Escape")
    expect(page.locator(PANEL)).to_be_hidden()
    toggle = page.get_by_role("button", name="Step by step")
    expect(toggle).to_be_focused()
    expect(toggle).to_have_attribute("aria-expanded", "false")
    page.keyboard.press("k")
    expect(page.locator(PANEL)).to_be_visible()


def test_a_line_of_the_formula_shows_its_map(still_page):
    page = opened(still_page, made_up())
    caption = page.locator(f"{PANEL} .cnnvis-steps-output .cnnvis-caption")
    expect(caption).to_contain_text("ReLU")
    page.locator(f"{PANEL} .cnnvis-line").nth(0).click()
    expect(caption).to_contain_text("Σ patch")
    expect(page.locator(f"{PANEL} .cnnvis-line").nth(0)).to_have_attribute("aria-pressed", "true")


def test_weights_are_asked_for_once_and_anew_for_another_unit(still_page):
    page = opened(still_page, made_up())
    hover(page, 2, 2)
    sent = "window.cnnvis.model.sent.map((each) => [each.content.type, each.content.unit])"
    assert page.evaluate(sent) == [["convolution", 0]]
    page.evaluate("window.cnnvis.model.receive({ unit: 3 })")
    page.wait_for_function("window.cnnvis.model.sent.length === 2")
    assert page.evaluate(sent)[1] == ["convolution", 3]
    expect(page.locator(PANEL)).to_contain_text("on their way")
    receive(page, **no_convolution(layer="relu", unit=3, message="That is no convolution."), frame=3)
    expect(page.locator(PANEL)).to_contain_text("That is no convolution.")
    page.wait_for_timeout(200)
    assert len(page.evaluate(sent)) == 2, "an answer that says no is an answer"


def test_the_page_stays_where_it_is_while_one_goes_through_the_units(still_page):
    page = opened(still_page, made_up())
    page.set_viewport_size({"width": 916, "height": 400})
    page.evaluate("scrollTo(0, 0)")
    page.evaluate("window.cnnvis.model.receive({ unit: 3 })")
    receive(page, **convolution_payload("relu", dataclasses.replace(made_up(), unit=3)), frame=3)
    page.wait_for_selector(f"{PANEL}[data-y]")
    expect(page.locator(f"{PANEL} .cnnvis-title")).to_contain_text("unit 3")
    assert page.evaluate("scrollY") == 0


def test_one_channel_alone_is_a_patch_times_a_kernel_of_any_size(still_page):
    """Depthwise and 1 x 1: no list of channels, and products that add up to the sum."""
    for side in (1, 3):
        steps = made_up(channels=1)
        kernel = steps.kernel[:side, :side]
        sums = np.zeros((5, 6), np.float32)
        padded = np.pad(steps.inputs[..., 0], ((2, 1), (0, 0)))
        for y, x in np.ndindex(5, 6):
            patch = padded[2 * y : 2 * y + 2 * side - 1 : 2, x : x + 2 * side - 1 : 2]
            sums[y, x] = (patch * kernel[..., 0]).sum()
        relu = Line("relu", "activation", "ReLU", np.maximum(sums, 0))
        steps = dataclasses.replace(
            steps, kind="depthwise", kernel=kernel, sums=sums, sizes=np.abs(sums), lines=(relu,)
        )
        page = opened(still_page, steps)
        hover(page, 3, 4)
        assert numbers(page, "products").sum() == pytest.approx(sums[3, 4], abs=6e-3)
        assert len(numbers(page, "products")) == side * side
        expect(page.locator(f"{PANEL} .cnnvis-title")).to_contain_text("epthwise")
        expect(page.locator(f"{PANEL} .cnnvis-channel-list")).to_be_hidden()
        assert [last_number(line) for line in lines(page)] == pytest.approx(
            [sums[3, 4], max(sums[3, 4], 0)], rel=6e-3
        )


@pytest.mark.parametrize("width", [480, 700, 900, 1400])
def test_nothing_is_cut_off_at_any_width(still_page, width):
    page = opened(still_page, made_up(channels=30))
    page.set_viewport_size({"width": width + 16, "height": 1000})
    settle(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width + 16
    cut = """(cells) => cells.filter((cell) => cell.scrollWidth > cell.clientWidth).map((cell) => cell.textContent)"""
    assert page.locator(".cnnvis-numbers > span").evaluate_all(cut) == []


@pytest.mark.parametrize("side", [3, 5, 7])
def test_patch_kernel_and_products_stand_in_one_row(still_page, side):
    kernel = np.random.default_rng(side).normal(size=(side, side, 4)).astype(np.float32)
    page = opened(still_page, dataclasses.replace(made_up(), kernel=kernel))
    for width in (900, 1200, 1400):
        page.set_viewport_size({"width": width + 16, "height": 1000})
        settle(page)
        grids = [grid.bounding_box() for grid in page.locator(f"{PANEL} .cnnvis-numbers").all()]
        assert len(grids) == 3 and len({grid["y"] for grid in grids}) == 1, width
        edge = page.locator(f"{PANEL} .cnnvis-steps-middle").bounding_box()
        assert grids[0]["x"] >= edge["x"] and grids[2]["x"] + grids[2]["width"] <= edge["x"] + edge["width"]
    if SCREENSHOTS and side == 5:
        page.set_viewport_size({"width": 916, "height": 1000})
        page.screenshot(path=SCREENSHOTS, full_page=True)


def test_the_explorer_answers_once_asked_and_forgets_with_the_layer():
    explorer = cnnvis.Explorer(image=skimage.data.chelsea(), layer="block2_conv1_relu", unit=3)
    try:
        assert explorer.state["unit"] == 3
        stage = explorer.stage
        assert stage.convolution == b""
        stage._receive(None, {"type": "convolution", "unit": 3}, [])
        explorer.update(opacity=0.5)  # waits for what was asked before
        info = stage.convolution_info
        assert (info["layer"], info["path"], info["unit"]) == ("block2_conv1_relu", "block2_conv1", 3)
        values = np.frombuffer(stage.convolution, "<f4")
        height, width = info["output_shape"]
        constants = 1 + 2 * len(info["lines"])
        last = values[-constants - height * width : -constants].reshape(height, width)
        np.testing.assert_allclose(last, explorer.feature_map, rtol=1e-5)
        explorer.update(layer="block2_pool")
        assert (stage.convolution, stage.convolution_info) == (b"", {})
        stage._receive(None, {"type": "convolution", "unit": 0}, [])
        explorer.update(opacity=0.4)
        assert "is no convolution" in stage.convolution_info["message"]
    finally:
        explorer.close()
