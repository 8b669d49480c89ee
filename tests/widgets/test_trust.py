"""The panel "Can this heatmap be trusted?": what the kernel tells it, and what a real Chromium shows of that."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
from models import functional
from playwright.sync_api import Page, expect

import cnnvis_widgets as cnnvis
from cnnvis_widgets.compute.faithfulness import one_image
from cnnvis_widgets.jobs.worker import worker
from cnnvis_widgets.networks.network import Network
from cnnvis_widgets.render import colormaps
from cnnvis_widgets.results import Heatmap, LayerInfo, Randomization, Target, Trust
from cnnvis_widgets.widgets import payloads
from cnnvis_widgets.widgets.parts.trusting import no_trust, trust_payload
from cnnvis_widgets.widgets.stage import Stage
from tests.widgets.stage_page import open_stage, pixels, receive, settle

PANEL = ".cnnvis-panel-trust"
CAT = cnnvis.sample_images()["cat"]
HEAT = np.linspace(0, 1, 16, dtype=np.float32).reshape(4, 4)


def made_up() -> Trust:
    layer, target = LayerInfo("conv", "convolution", (4, 4, 8), 8), Target(3, "cat")
    heatmap = Heatmap(HEAT, HEAT, layer, target, "grad-cam", 2.5, "toy", CAT)
    falls = np.linspace(0.9, 0.1, 5)
    deletion = {"grad-cam": falls**3, "random": falls, "edges": falls, "centre": falls}
    areas = {"grad-cam": 0.21, "random": 0.52, "edges": 0.44, "centre": 0.33}
    rises = {name: 1 - area for name, area in areas.items()}
    strip = (Randomization(1, "out", HEAT[::-1], 0.4, 0.12), Randomization(3, "conv", HEAT.T, 0.2, -0.05))
    insertion = {name: curve[::-1] for name, curve in deletion.items()}
    return one_image.judged(
        Trust(heatmap, np.linspace(0, 1, 5), deletion, insertion, areas, rises, strip, 3, "", {}, "")
    )


@pytest.fixture
def stage() -> Stage:
    stage = Stage(panels=["photo"])
    stage.publish(
        network="toy",
        **payloads.photo_payload(CAT, "cat"),
        **payloads.heat_payload(HEAT, caption="grad-cam · cat"),
    )
    return stage


def sent(page: Page) -> list[str]:
    return page.evaluate("window.cnnvis.model.sent.map((each) => each.content.type)")


def line_of(page: Page, kind: str, name: str) -> np.ndarray:
    points = page.locator(f"[data-curves={kind}] .cnnvis-plot [data-line={name}]").get_attribute("points")
    return np.array([[float(number) for number in point.split(",")] for point in points.split()])


def test_the_panel_shows_curves_strip_and_verdict_and_asks_the_kernel(page: Page, stage: Stage):
    open_stage(page, stage)
    expect(page.locator(PANEL)).to_be_hidden()
    page.keyboard.press("Tab")
    page.locator("[data-trust=open]").focus()
    page.keyboard.press("t")
    assert sent(page) == ["trust"]
    receive(page, trust={"running": True, "step": 0, "steps": 0}, frame=5)
    expect(page.locator(PANEL)).to_be_visible()
    found = made_up()
    partly = replace(found, insertion={}, insertion_areas={}, randomization=(), verdict="")
    progress = {"running": True, "step": 4, "steps": 10, "seconds_left": 2.2}
    receive(page, **trust_payload(partly, "en", progress), frame=6)
    expect(page.locator(f"{PANEL} .cnnvis-readout").first).to_have_text("Test 4 of 10 · about 2.2 s left")
    page.locator("[data-trust=cancel]").press("Enter")
    assert sent(page) == ["trust", "trust-cancel"]

    receive(page, **trust_payload(found, "en"), frame=7)
    expect(page.locator(f"{PANEL} .cnnvis-verdict")).to_have_text(found.sentence)
    expect(page.locator("[data-trust=cancel]")).to_be_hidden()
    # Each curve at its own numbers: 0 at the lower line of the frame, 1 at the upper one.
    frame = page.locator("[data-curves=deletion] .cnnvis-plot-frame line")
    bottom, top = (float(frame.nth(place).get_attribute("y1")) for place in (0, 2))
    for kind, curves in (("deletion", found.deletion), ("insertion", found.insertion)):
        for name, curve in curves.items():
            line = line_of(page, kind, "method" if name == "grad-cam" else name)
            np.testing.assert_allclose((bottom - line[:, 1]) / (bottom - top), curve, atol=0.002)
            assert (np.diff(line[:, 0]) > 0).all()
    key = page.locator("[data-curves=deletion] .cnnvis-plot-key")
    assert key.inner_text().split("\n")[:4] == ["grad-cam", "area 0.21", "random map", "area 0.52"]
    described = page.locator("[data-curves=deletion] .cnnvis-plot").get_attribute("aria-label")
    assert "grad-cam 0.21, random map 0.52, edge detector 0.44, blob in the middle 0.33" in described
    # The strip: the trained map, then each with random weights, in the colours of the view.
    names = page.locator(".cnnvis-trust-strip > li").all_inner_texts()
    assert [name.strip() for name in names] == [
        "trained",
        "1 of 3 layers random: 0.12",
        "3 of 3 layers random: −0.05",
    ]
    table = colormaps.table("cividis").astype(int)
    for place, values in enumerate((HEAT, HEAT[::-1], HEAT.T), 1):
        picture = pixels(page, f".cnnvis-trust-strip > li:nth-child({place}) canvas")[..., :3].astype(int)
        assert np.abs(picture - table[np.minimum(values * 256, 255).astype(int)]).max() <= 4

    receive(page, trust=stage_trust(found) | {"stale": True}, frame=8)
    expect(page.locator(f"{PANEL} .cnnvis-verdict")).to_contain_text("Out of date")
    page.click("[data-trust=again]")
    page.click("[data-trust=close]")
    assert sent(page)[2:] == ["trust", "trust-close"]
    receive(page, **no_trust(), frame=9)
    expect(page.locator(PANEL)).to_be_hidden()
    expect(page.locator("[data-trust=open]")).to_be_focused()


def stage_trust(found: Trust) -> dict:
    return trust_payload(found, "en")["trust"]


@pytest.mark.parametrize("dark", [False, True])
def test_its_lines_are_seen_in_both_themes(page: Page, stage: Stage, dark):
    stage.publish(**trust_payload(made_up(), "en"))
    open_stage(page, stage, dark)
    settle(page)
    colour = """(line) => { const canvas = document.createElement("canvas"); const pen = canvas.getContext("2d");
      return [getComputedStyle(document.querySelector(line)).stroke,
              getComputedStyle(document.querySelector(".cnnvis-stage")).backgroundColor].map((c) => {
        pen.fillStyle = c; pen.fillRect(0, 0, 1, 1); return [...pen.getImageData(0, 0, 1, 1).data].slice(0, 3); }); }"""
    for line in ("method", "random", "edges", "centre"):
        stroke, paper = page.evaluate(colour, f".cnnvis-plot [data-line={line}]")
        light, dim = sorted((luminance(stroke), luminance(paper)), reverse=True)
        assert (light + 0.05) / (dim + 0.05) > 3, line


def luminance(colour: list[int]) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in np.array(colour) / 255]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


# The kernel's side ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def network():
    return Network(functional().model, name="toy")


@pytest.fixture
def explorer(network):
    explorer = cnnvis.Explorer(network)
    assert explorer.state
    yield explorer
    explorer.close()


def press(explorer, kind: str) -> None:
    explorer.stage._receive(None, {"type": kind}, [])


def wait_until(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.005)


def test_a_test_ends_with_the_verdict_of_trust_and_is_out_of_date_once_something_else_is_shown(
    explorer, network
):
    press(explorer, "trust")
    wait_until(lambda: explorer.stage.trust.get("verdict"))
    about = explorer.stage.trust
    plain = cnnvis.trust(network, explorer.image, explorer.heatmap, explorer.state["layer"])
    assert about["sentence"] == plain.sentence and not about["running"]
    np.testing.assert_allclose(about["deletion"]["grad-cam"], plain.deletion["grad-cam"])
    assert about["areas"]["insertion"] == pytest.approx(dict(plain.insertion_areas))
    shape = (1 + len(plain.randomization), *about["strip_shape"])
    maps = np.frombuffer(explorer.stage.trust_maps, "<f4").reshape(shape)
    np.testing.assert_allclose(maps[0], explorer.heatmap.values)
    np.testing.assert_allclose(maps[-1], plain.randomization[-1].values, atol=1e-6)
    explorer.update(language="zh")
    assert not explorer.stage.trust["stale"] and explorer.stage.trust["sentence"] != plain.sentence
    explorer.update(target=2, language="en")
    assert explorer.stage.trust["stale"]
    press(explorer, "trust")
    wait_until(lambda: explorer.stage.trust.get("verdict") and not explorer.stage.trust["stale"])
    press(explorer, "trust-close")
    wait_until(lambda: explorer.stage.trust == {})


def test_cancel_takes_effect_within_a_step_and_says_so(explorer):
    said = []

    def heard(change):
        said.append(dict(change.new))
        if len(said) == 2:  # on the worker's own thread, in the midst of a step
            press(explorer, "trust-cancel")

    explorer.stage.observe(heard, "trust")
    press(explorer, "trust")
    wait_until(lambda: explorer.stage.trust.get("cancelled"))
    worker().call(lambda: None)
    explorer.stage.unobserve(heard, "trust")
    assert len(said) == 3 and not explorer.stage.trust["running"]


def test_what_is_shown_meanwhile_stops_the_test(explorer):
    press(explorer, "trust")
    wait_until(lambda: explorer.stage.trust.get("steps"))
    explorer.update(layer="conv1")
    assert explorer.stage.trust["stale"] and not explorer.stage.trust["running"]
    before = dict(explorer.stage.trust)
    worker().call(lambda: None)
    assert explorer.stage.trust == before and not before["cancelled"]
