"""The layer's parts over the photograph, in a real Chromium, and the list of methods to compare with."""

from __future__ import annotations

import os

import numpy as np
from playwright.sync_api import Page, expect

from cnnvis_widgets.images import sample_images
from cnnvis_widgets.render.concepts import overlay
from cnnvis_widgets.results import Concepts, LayerInfo
from cnnvis_widgets.widgets import payloads
from cnnvis_widgets.widgets.parts.concepts import concepts_payload, no_concepts
from cnnvis_widgets.widgets.stage import Stage
from tests.widgets.stage_page import answers, open_stage, pixels, receive, settle

CAT = sample_images()["cat"]
LAYER = LayerInfo("conv1", "convolution", (6, 9, 5), 5)


def found(maps: np.ndarray, **more) -> Concepts:
    return Concepts(maps.astype(np.float32), np.ones((3, 5), np.float32) / 5, 0.8, LAYER, "toy", CAT, **more)


def stage_with_maps() -> Stage:
    stage = Stage(methods=["grad-cam", "layer-cam", "score-cam"])
    stage.publish(
        network="toy",
        layer={"path": "conv1", "kind": "convolution", "shape": [8, 8, 6]},
        method="grad-cam",
        **payloads.photo_payload(CAT, "cat"),
        **payloads.heat_payload(np.eye(8, dtype=np.float32), caption="grad-cam · cat"),
        **payloads.maps_payload(answers(CAT, 8, 6)),
    )
    return stage


def sent(page: Page) -> list:
    return page.evaluate("window.cnnvis.model.sent.map((each) => each.content)")


def shown_as(page: Page, want: np.ndarray) -> float:
    """The mean difference from a picture made in Python."""
    import cv2

    got = pixels(page, "canvas.cnnvis-concepts")[..., :3].astype(float)
    want = cv2.resize(want, got.shape[1::-1], interpolation=cv2.INTER_AREA)
    return float(np.abs(got - want).mean())


def test_parts_are_asked_for_painted_and_looked_at_one_by_one(page: Page):
    random = np.random.default_rng(1)
    maps = random.uniform(0, 1, (3, 6, 9)) ** 4
    concepts = found(maps)
    open_stage(page, stage_with_maps())
    panel = page.locator(".cnnvis-panel-concepts")
    expect(panel).to_be_hidden()
    page.click("[data-choice=concepts]")
    expect(panel).to_contain_text("on their way")
    assert sent(page)[-1] == {"type": "concepts", "open": True}
    receive(page, **concepts_payload(concepts, "en"), frame=9)
    page.wait_for_selector("[data-concepts='9 -1']")
    assert shown_as(page, concepts.overlay()) < 4 < shown_as(page, overlay(CAT, maps[::-1]))
    entries = panel.locator(".cnnvis-parts button")
    assert entries.all_inner_texts() == [
        f"part {k + 1} · {round(100 * concepts.share[k])}%" for k in range(3)
    ]
    expect(panel).to_contain_text("reproduce 80% of the layer's activity")
    entries.nth(1).hover()
    page.wait_for_selector("[data-concepts='9 1']")
    assert shown_as(page, concepts.overlay(parts=[1])) < 4 < shown_as(page, concepts.overlay())
    entries.nth(2).click()
    page.mouse.move(0, 0)
    entries.nth(2).blur()
    page.wait_for_selector("[data-concepts='9 2']")
    if folder := os.environ.get("CNNVIS_PICTURES"):
        page.screenshot(path=f"{folder}/parts.png", full_page=True)
    receive(page, **no_concepts(), frame=10)
    expect(panel).to_contain_text("on their way")
    told = concepts_payload(found(0 * maps), "en")
    receive(page, **told, frame=11)
    expect(panel).to_contain_text("conv1 puts out nothing above 0 here, so there are no parts.")
    page.click(".cnnvis-panel-concepts .cnnvis-head button")
    expect(panel).to_be_hidden()
    assert sent(page)[-1] == {"type": "concepts", "open": False}


def test_another_method_is_one_choice_away(page: Page):
    open_stage(page, stage_with_maps())
    choice = page.locator("[data-choice=other-method]")
    assert choice.locator("option").all_inner_texts() == ["Beside another method …", "layer-cam", "score-cam"]
    choice.select_option("score-cam")
    settle(page)
    assert sent(page)[-1] == {"type": "pin", "unit": 0, "choice": 0, "method": "score-cam"}
    assert choice.input_value() == ""
    receive(page, methods=[], frame=4)
    expect(choice).to_be_hidden()
