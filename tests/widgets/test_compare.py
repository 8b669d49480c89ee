"""A pinned view beside the one shown, in a real Chromium."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from playwright.sync_api import Page, expect

from cnnvis_widgets.images import sample_images
from cnnvis_widgets.render import colormaps
from cnnvis_widgets.widgets import payloads
from cnnvis_widgets.widgets.stage import Stage
from tests.widgets.stage_page import answers, open_stage, pixels, receive, settle

CAT = sample_images()["cat"]
MAPS = answers(CAT, 8, 6)
PIN, DIFFERENCE, UNPIN = ("[data-choice=pin]", "[data-choice=difference]", "[data-choice=unpin]")


def pinned(plane: np.ndarray, heat: np.ndarray) -> dict:
    about = {
        "network": "toy",
        "layer": "conv1",
        "unit": 1,
        "photo_name": "cat",
        "map_shape": list(plane.shape),
        "map_range": [float(plane.min()), float(plane.max())],
        "map_signed": False,
        "heat_shape": list(heat.shape),
        "heat_signed": False,
        "heat_caption": "grad-cam · cat",
        "heat_message": "",
    }
    return {
        "pinned": about,
        "pinned_photo": payloads.photo_payload(CAT)["photo"],
        "pinned_heat": heat.astype("<f4").tobytes(),
        "pinned_map": plane.astype("<f4").tobytes(),
    }


@pytest.fixture
def stage() -> Stage:
    stage = Stage()
    heat = np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8)
    stage.publish(
        network="toy",
        layer={"path": "conv1", "kind": "convolution", "shape": [8, 8, 6]},
        unit=2,
        **payloads.photo_payload(CAT, "cat"),
        **payloads.heat_payload(heat, caption="grad-cam · dog"),
        **payloads.maps_payload(MAPS),
    )
    return stage


def colours(values: np.ndarray, low: float, high: float, name: str) -> np.ndarray:
    steps = np.clip((values - low) / (high - low) * 256, 0, 255).astype(int)
    return colormaps.table(name)[steps]


def centres(page: Page, selector: str) -> np.ndarray:
    """The colour in the middle of each of the 8 x 8 cells of a map's canvas."""
    picture = pixels(page, selector)
    at = [(np.arange(8) + 0.5) * size / 8 for size in picture.shape[:2]]
    return picture[np.ix_(at[0].astype(int), at[1].astype(int))][..., :3]


def test_pin_and_unpin_are_told_to_the_kernel(page: Page, stage: Stage):
    open_stage(page, stage)
    expect(page.locator(".cnnvis-panel-compare")).to_be_hidden()
    receive(page, target_choice=3)  # what the browser shows: the kernel may not have heard of it
    page.locator(".cnnvis-panel-maps .cnnvis-view").press("p")
    receive(page, **pinned(MAPS[..., 1], np.zeros((8, 8))), frame=9)
    expect(page.locator(".cnnvis-panel-compare")).to_be_visible()
    page.locator(".cnnvis-panel-maps .cnnvis-view").press("p")
    page.click(PIN)
    page.click(UNPIN)
    sent = page.evaluate("window.cnnvis.model.sent.map(({ content }) => content)")
    pin = {"type": "pin", "unit": 2, "choice": 3}
    assert sent == [pin, {"type": "unpin"}, pin, {"type": "unpin"}]
    receive(page, **payloads.nothing_pinned(), frame=10)
    expect(page.locator(".cnnvis-panel-compare")).to_be_hidden()


def test_two_maps_of_one_layer_share_their_colours(page: Page, stage: Stage):
    open_stage(page, stage)
    plane = MAPS[..., 1] * 3  # values that need another range than those of B
    receive(page, **pinned(plane, np.zeros((8, 8))), frame=9)
    page.wait_for_selector("[data-compared='9']")
    high = max(plane.max(), MAPS[..., 2].max())
    for side, values in (("A", plane), ("B", MAPS[..., 2])):
        want = colours(values.astype(np.float16).astype(float), 0, high, "cividis").astype(int)
        got = centres(page, f".cnnvis-compare-map-{side}").astype(int)
        assert np.abs(got - want).max() <= 4
    assert "share one colour scale" in page.inner_text(".cnnvis-panel-compare .cnnvis-caption")


def test_the_difference_is_b_minus_a_with_zero_in_the_middle(page: Page, stage: Stage):
    open_stage(page, stage)
    receive(page, **pinned(MAPS[..., 1], np.zeros((8, 8))), frame=9)
    page.locator(".cnnvis-panel-maps .cnnvis-view").press("d")
    settle(page)
    difference = MAPS[..., 2].astype(np.float16).astype(float) - MAPS[..., 1].astype(np.float32)
    most = np.abs(difference).max()
    want = colours(difference, -most, most, colormaps.default(True)).astype(int)
    got = centres(page, ".cnnvis-compare-map-B").astype(int)
    assert np.abs(got - want).max() <= 6
    page.wait_for_function("window.cnnvis.model.saved.some((each) => each.difference)")
    page.click(DIFFERENCE)
    settle(page)
    own = colours(MAPS[..., 2].astype(np.float16).astype(float), 0, MAPS[..., 1:3].max(), "cividis")
    assert np.abs(centres(page, ".cnnvis-compare-map-B").astype(int) - own).max() <= 4


@pytest.mark.parametrize("other", [{"layer": "conv7"}, {"network": "another"}])
def test_maps_of_two_layers_or_networks_are_not_subtracted(page: Page, stage: Stage, other: dict):
    open_stage(page, stage)
    pin = pinned(MAPS[..., 1] * 3, np.zeros((8, 8)))
    receive(page, **pin | {"pinned": pin["pinned"] | other}, frame=9, difference=True)
    page.wait_for_selector("[data-compared='9']")
    values = MAPS[..., 2].astype(np.float16).astype(float)
    got = centres(page, ".cnnvis-compare-map-B").astype(int)
    assert np.abs(got - colours(values, 0, values.max(), "cividis")).max() <= 4
    assert "no difference" in page.inner_text(".cnnvis-panel-compare .cnnvis-caption")


def test_heatmaps_lie_on_their_own_photographs(page: Page, stage: Stage):
    open_stage(page, stage)
    other = {"pinned_photo": payloads.photo_payload(CAT[::-1])["photo"]}
    heat = np.zeros((8, 8), np.float32)
    receive(page, **(pinned(MAPS[..., 1], heat) | other), opacity=0.0, frame=9)
    page.wait_for_selector("[data-compared='9']")
    a, b = (pixels(page, f".cnnvis-compare-heat-{side}")[..., :3].astype(int) for side in "AB")
    assert a.shape == b.shape
    assert np.abs(a[::-1] - b).mean() < 3 < np.abs(a - b).mean()


def test_b_shows_the_class_that_is_chosen_in_the_browser(page: Page, stage: Stage):
    weights = np.array([[1, 0, 0, 0, 0, 0], [0, 0, 0, 1, 0, 0]], np.float32)
    stage.publish(
        heat_target=0,
        weights_from="head",
        class_names=["dog", "cat"],
        method="grad-cam",
        classes=[{"index": i, "name": ["dog", "cat"][i], "probability": 0.5, "logit": 1} for i in (0, 1)],
        **payloads.head_payload(weights),
    )
    open_stage(page, stage)
    receive(page, **pinned(MAPS[..., 1], np.zeros((8, 8))), opacity=1.0, frame=9)
    page.wait_for_selector("[data-compared='9']")
    label = page.locator(".cnnvis-slot-heat .cnnvis-readout").last
    expect(label).to_contain_text("grad-cam · dog")
    receive(page, target_choice=2)  # cat; the kernel has not answered yet
    expect(label).to_contain_text("cat")
    values = MAPS[..., 3] / MAPS[..., 3].max()
    got = pixels(page, ".cnnvis-compare-heat-B")[..., :3].astype(int)
    fine = cv2.resize(values, got.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    assert np.abs(got - colours(fine, 0, 1, "cividis")).mean() < 2
