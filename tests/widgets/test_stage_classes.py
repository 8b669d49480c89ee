"""Classes in the browser: heatmaps drawn from maps and channel weights there, against what the kernel computes."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import pytest
from playwright.sync_api import Page, expect
from widgets.stage_page import open_stage, pixels, receive, settle
from widgets.test_stage import CAT, ROOT, cat_maps, cat_stage, data, find_tiles, tile

import cnnvis_widgets as cnnvis
from cnnvis_widgets.compute.class_weights import mean_gradients
from cnnvis_widgets.compute.runs import head_weights
from cnnvis_widgets.render import colormaps
from cnnvis_widgets.widgets.payloads import heat_payload, listed_classes, maps_payload, slopes_payload
from cnnvis_widgets.widgets.stage import Stage

PHOTO = ".cnnvis-photo"
CAPTION = ".cnnvis-panel-photo .cnnvis-caption"
NOTE = ".cnnvis-panel-photo .cnnvis-note"
GRAY = colormaps.NAMES.index("gray")
STEPS = 2  # of 255: what the browser draws is at most this far from what the kernel computes


@pytest.fixture(scope="module")
def explorer() -> Iterator[cnnvis.Explorer]:
    explorer = cnnvis.Explorer(opacity=1.0, colormap="gray")
    yield explorer
    explorer.close()


def shown_at(explorer: cnnvis.Explorer, **changes: object) -> Stage:
    """The Explorer's stage once the weights for other classes have come, too."""
    explorer.update(**({"target": None, "method": "grad-cam", "layer": "block4_add"} | changes))
    part = next(part for part in explorer._parts if type(part).__name__ == "Classes")
    part.submit(lambda ticket: part._send_weights(ticket, explorer.shown)).wait(60)
    return explorer.stage


def grey(page: Page) -> np.ndarray:
    """The picture in shades of grey: the heatmap's own values where it covers the photograph wholly."""
    return pixels(page, PHOTO)[..., 0].astype(float)


def as_grey(values: np.ndarray, like: np.ndarray) -> np.ndarray:
    fine = cv2.resize(values.astype(np.float32), like.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return np.clip(fine * 256, 0, 255).astype(int).astype(float)


def assert_shows(page: Page, heatmap: cnnvis.Heatmap) -> None:
    painted = grey(page)
    assert np.abs(painted - as_grey(heatmap.values, painted)).max() <= STEPS, heatmap.target
    words = page.locator(CAPTION).inner_text()
    layer, name = heatmap.layer.path, heatmap.target.name
    assert words == f"{heatmap.method} · bundled · {layer} · {name} (logit {heatmap.score:.2f})"


@pytest.mark.parametrize("method", ["grad-cam", "hires-cam"])
def test_every_class_before_pooling_and_dense_is_drawn_without_the_kernel(page, explorer, method):
    stage = shown_at(explorer, method=method)
    open_stage(page, stage)
    for target, name in enumerate(explorer.network.class_names):
        receive(page, target_choice=target + 1)
        heatmap = cnnvis.explain(explorer.network, explorer.image, method, target=target)
        assert data(page, "target") == str(target)
        if heatmap.message:
            expect(page.locator(NOTE)).to_have_text(f"No positive evidence for {name} at block4_add.")
        else:
            assert_shows(page, heatmap)


def test_at_other_layers_the_top_classes_are_drawn_without_the_kernel(page, explorer):
    stage = shown_at(explorer, layer="block3_conv2_relu")
    open_stage(page, stage)
    assert len(stage.slopes_classes) == 5
    for target in stage.slopes_classes:
        receive(page, target_choice=target + 1)
        heatmap = cnnvis.explain(explorer.network, explorer.image, layer="block3_conv2_relu", target=target)
        assert_shows(page, heatmap)


def test_where_the_browser_cannot_draw_a_class_the_kernels_picture_stays(page, explorer):
    stage = shown_at(explorer, method="layer-cam")
    open_stage(page, stage)
    before, words = grey(page), page.locator(CAPTION).inner_text()
    receive(page, target_choice=6)
    np.testing.assert_array_equal(grey(page), before)
    assert page.locator(CAPTION).inner_text() == words  # it says which class it is of


# -------- toy maps with weights worked out by hand


def toy_stage(maps: np.ndarray, rows: list, **changes: object) -> Stage:
    """Three classes whose channel weights are ``rows``; the kernel's own heatmap is of class 0."""
    raw = np.maximum(maps @ np.float32(rows[0]), 0)
    names = ["ant", "bee", "<b>cow"]
    best = [cnnvis.Prediction(i, names[i], [0.7, 0.2, 0.1][i], 3.0 - i) for i in range(3)]
    return cat_stage(
        maps,
        colormap=GRAY,
        **(
            {
                "opacity": 1.0,
                "method": "grad-cam",
                "class_names": names,
                "classes": listed_classes(best),
                "logits": np.float32([3, 2, 1]).tobytes(),
                "weights_from": "slopes",
                "heat_target": 0,
                "heat_most": float(raw.max()),
            }
            | heat_payload(raw / raw.max(), caption="the kernel's: ant")
            | slopes_payload(np.float32(rows), [0, 1, 2])
            | changes
        ),
    )


def toy_maps() -> np.ndarray:
    maps = np.zeros((4, 6, 3), np.float32)
    maps[0, 0, 0], maps[3, 5, 1], maps[1, 2, 2] = 8, 4, 2
    return maps


ROWS = [[1, 0, 0], [0, 1, 0.5], [-1, -1, -1]]


def heat_of(row: list, scale: float) -> np.ndarray:
    return np.maximum(toy_maps() @ np.float32(row), 0) / scale


def test_no_positive_evidence_is_said_at_once(page):
    open_stage(page, toy_stage(toy_maps(), ROWS))
    page.locator(".cnnvis-class").nth(2).hover()
    settle(page)
    expect(page.locator(NOTE)).to_have_text("No positive evidence for <b>cow at block2_conv1.")
    assert page.locator(f"{ROOT} b").count() == 0
    expect(page.locator(CAPTION)).to_have_text("grad-cam · bundled · block2_conv1 · <b>cow (logit 1.00)")


def test_pointing_at_a_class_is_a_look_and_the_kernel_hears_nothing(page):
    open_stage(page, toy_stage(toy_maps(), ROWS))
    first = grey(page)
    page.locator(".cnnvis-class").nth(1).hover()
    settle(page)
    painted = grey(page)
    assert np.abs(painted - as_grey(heat_of(ROWS[1], 4), painted)).max() <= STEPS
    expect(page.locator(".cnnvis-class").first).to_have_attribute("aria-pressed", "true")
    page.mouse.move(5, 790)
    settle(page)
    np.testing.assert_array_equal(grey(page), first)
    page.wait_for_timeout(250)
    assert page.evaluate("() => [cnnvis.model.saved.length, cnnvis.model.sent.length]") == [0, 0]


def test_the_list_stays_under_the_pointer_whatever_is_said(page):
    open_stage(page, toy_stage(toy_maps(), ROWS, class_names=["ant", "bee" * 40, "cow"]))
    rows = page.locator(".cnnvis-class")
    places = []
    for row in (0, 1, 2):  # one line, three lines, no evidence
        rows.nth(row).hover()
        settle(page)
        places.append(rows.nth(1).bounding_box()["y"])
        assert data(page, "target") == str(row)
    assert len(set(places)) == 1


def test_a_click_chooses_within_one_frame_and_is_told_once(page):
    open_stage(page, toy_stage(toy_maps(), ROWS))
    shown = page.evaluate(
        """async () => {
          document.querySelectorAll(".cnnvis-class")[1].click();
          await new Promise(requestAnimationFrame);
          await new Promise(requestAnimationFrame);
          return document.querySelector(".cnnvis-stage").dataset.target; }"""
    )
    assert shown == "1"
    painted = grey(page)
    assert np.abs(painted - as_grey(heat_of(ROWS[1], 4), painted)).max() <= STEPS
    expect(page.locator(".cnnvis-class").nth(1)).to_have_attribute("aria-pressed", "true")
    page.wait_for_timeout(250)
    saved = page.evaluate("() => cnnvis.model.saved.map(({ at, ...rest }) => rest)")
    assert saved == [{"target_choice": 2}]
    chosen = "() => cnnvis.model.sent.map(({ content }) => content).filter(({ type }) => type === 'choose')"
    assert page.evaluate(chosen) == [{"type": "choose", "choice": 2}]
    page.locator(".cnnvis-class").nth(1).click()  # again: the top class, whichever it is
    settle(page)
    assert data(page, "target") == "0"


def test_an_older_heatmap_of_the_kernel_does_not_turn_a_choice_back(page):
    open_stage(page, toy_stage(toy_maps(), ROWS))
    page.locator(".cnnvis-class").nth(1).click()
    page.mouse.move(5, 790)
    settle(page)
    chosen = grey(page)
    heat = heat_payload(heat_of(ROWS[0], 8), caption="the kernel's: ant")
    receive(page, frame=7, heat_target=0, **heat)
    np.testing.assert_array_equal(grey(page), chosen)
    page.wait_for_timeout(220)  # told; then one more choice, and the echo of the one before
    page.locator(".cnnvis-class").nth(2).click()
    receive(page, target_choice=2)
    assert data(page, "target") == "2"


def test_the_kernels_own_heatmap_of_the_class_takes_over(page):
    open_stage(page, toy_stage(toy_maps(), ROWS))
    receive(page, target_choice=2)
    heat = heat_payload(np.ones((4, 6)) * 0.5, caption="the kernel's: bee")
    receive(page, frame=7, heat_target=1, **heat)
    expect(page.locator(CAPTION)).to_have_text("the kernel's: bee")
    assert np.ptp(grey(page)) == 0


def test_maps_that_were_made_smaller_are_not_used(page):
    open_stage(page, toy_stage(toy_maps(), ROWS))
    layer = {"path": "block2_conv1", "kind": "convolution", "shape": [8, 12, 3]}
    receive(page, frame=2, layer=layer)
    before = grey(page)
    receive(page, target_choice=2)
    np.testing.assert_array_equal(grey(page), before)


def test_evidence_that_may_be_rounding_alone_is_left_to_the_kernel(page):
    maps = np.ones((4, 6, 2), np.float32)
    maps[1, 1, 1] = 1 - 2**-11  # the difference of two large sums
    stage = toy_stage(maps, [[1, 0], [1, -1], [1, -1]])
    open_stage(page, stage)
    before = grey(page)
    receive(page, target_choice=2)
    np.testing.assert_array_equal(grey(page), before)
    expect(page.locator(CAPTION)).to_have_text("the kernel's: ant")


def test_not_a_number_is_said(page):
    maps = toy_maps()
    maps[0, 0, 0] = np.nan
    stage = toy_stage(maps, ROWS, **heat_payload(heat_of(ROWS[0], 8), caption="k"), heat_most=8.0)
    open_stage(page, stage)
    receive(page, target_choice=2)
    expect(page.locator(NOTE)).to_contain_text("no numbers for bee")


def test_one_scale_for_all_classes_makes_weak_evidence_look_weak(page):
    open_stage(page, toy_stage(toy_maps(), ROWS))
    page.locator('[data-trait="heat_scale"] [data-choice="shared"]').click()
    page.locator(".cnnvis-class").nth(1).hover()
    settle(page)
    painted = grey(page)
    assert np.abs(painted - as_grey(heat_of(ROWS[1], 8), painted)).max() <= STEPS  # 8: the most of any class
    assert painted.max() < 140
    expect(page.locator(".cnnvis-panel-photo .cnnvis-legend")).to_contain_text("most of any class")
    page.wait_for_timeout(200)
    assert page.evaluate("() => Object.assign({}, ...cnnvis.model.saved)")["heat_scale"] == "shared"


def test_what_needs_weights_cannot_be_chosen_without_them(page):
    stage = toy_stage(toy_maps(), ROWS, **slopes_payload([], []))
    open_stage(page, stage)
    expect(page.locator('[data-choice="shared"]')).to_be_disabled()
    expect(page.locator('[data-choice="class"]')).to_be_disabled()


def test_units_are_sorted_by_what_they_add_to_the_class(page):
    maps = cat_maps()
    weights = np.random.default_rng(0).normal(size=(3, 12)).astype(np.float32)
    open_stage(page, toy_stage(maps, list(weights), unit=11))
    page.locator('[data-trait="sort"] [data-choice="class"]').click()
    settle(page)
    for choice, row in ((0, 0), (3, 2)):
        receive(page, target_choice=choice)
        find_tiles(page)
        order = np.argsort(-weights[row] * maps.mean((0, 1)), kind="stable")
        for place in (0, 1):
            values = maps[..., order[place]]
            shown = cv2.resize(
                tile(page, place)[..., 0].astype(np.float32), (14, 14), interpolation=cv2.INTER_AREA
            )
            assert np.corrcoef(shown.ravel(), values.ravel())[0, 1] > 0.98


def test_a_screen_reader_hears_class_probability_and_logit(page):
    open_stage(page, toy_stage(toy_maps(), ROWS))
    expect(page.get_by_role("button", name="bee, 20.0%, logit 2.00")).to_be_visible()
    page.locator('[data-trait="heat_scale"] button').last.focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    settle(page)
    assert data(page, "target") == "1"  # the keyboard's focus looks, too
    page.keyboard.press("Enter")
    settle(page)
    page.wait_for_timeout(200)
    assert page.evaluate("() => cnnvis.model.saved.at(-1).target_choice") == 2


# -------- what the kernel sends


def test_weights_before_pooling_and_dense_are_the_gradients_of_every_image(explorer):
    network = explorer.network
    weights = head_weights(network, CAT, network.default_layer)
    for target in (0, 7):
        for image in (CAT, cnnvis.sample_images()["rocket"]):
            exact = mean_gradients(network, image, target, network.default_layer)
            np.testing.assert_allclose(weights[target], exact, rtol=1e-4, atol=1e-7)
    assert head_weights(network, CAT, network.layer("block4_conv1")) is None


def test_weights_of_all_classes_travel_once_a_network(explorer, monkeypatch):
    shown_at(explorer)
    sent: list[set] = []
    publish = explorer.stage.publish
    monkeypatch.setattr(
        explorer.stage, "publish", lambda **changes: (sent.append(set(changes)), publish(**changes))
    )
    shown_at(explorer, image="coffee")
    shown_at(explorer, layer="block3_conv1")
    shown_at(explorer, image="cat")
    assert not any({"head_weights", "class_names"} & names for names in sent)


def test_a_choice_in_the_browser_becomes_the_state_and_the_dropdown_is_not_needed(explorer):
    stage = shown_at(explorer)
    stage._receive(None, {"type": "choose", "choice": 6}, [])
    assert explorer.state["target"] == 5 and explorer.heatmap.target.name == "dog"
    assert explorer.controls.target.value == 5 and explorer.stage.heat_target == 5
    stage._receive(None, {"type": "choose", "choice": 0}, [])
    assert explorer.state["target"] is None and explorer.stage.heat_target == 3
    explorer.controls.target.index = 2  # as the dropdown in the browser says it
    assert explorer.state["target"] == 1


def test_the_kernel_never_repeats_a_persons_choice_to_the_browser(explorer, monkeypatch):
    stage = shown_at(explorer)
    sent: list[dict] = []
    publish = stage.publish
    monkeypatch.setattr(stage, "publish", lambda **changes: (sent.append(changes), publish(**changes)))
    explorer.controls.target.index = 4  # the stage's own message of it is still on its way
    explorer._settle()
    assert not any("target_choice" in changes for changes in sent)  # there may be a newer choice there by now
    explorer.update(target="dog")
    assert [changes["target_choice"] for changes in sent if "target_choice" in changes] == [6]
    stage.target_choice = 6
    explorer.update(target=None)
    assert stage.target_choice == 0


def test_a_chosen_class_that_is_not_a_top_one_is_listed(explorer):
    stage = shown_at(explorer, target="ship")
    assert [row["name"] for row in stage.classes][-1] == "ship" and len(stage.classes) == 6
    np.testing.assert_allclose(
        stage.classes[-1]["probability"],
        next(p for p in explorer.network.predict(explorer.image, 10) if p.name == "ship").probability,
        rtol=1e-5,
    )


def test_nothing_is_said_to_be_stale_while_the_kernel_follows_a_choice_that_is_painted(explorer):
    stage = shown_at(explorer)
    busy: list[str] = []
    stage.observe(lambda change: busy.append(change.new), "busy")
    explorer.update(target="dog")
    assert not any(busy)
    explorer.update(target="dog", layer="block2_conv1")
    assert any(busy)


def test_maps_half_as_precise_change_a_heatmap_by_less_than_two_thousandths(explorer):
    network, image = explorer.network, CAT
    maps = cnnvis.feature_maps(network, image)
    sent = np.frombuffer(maps_payload(maps.values)["maps"], "<f2").astype(np.float32).reshape(256, 8, 8)
    weights = head_weights(network, image, network.default_layer).astype(np.float16).astype(np.float32)
    for target in range(10):
        heatmap = cnnvis.explain(network, image, target=target)
        drawn = np.maximum(np.einsum("c,chw->hw", weights[target], sent), 0)
        if not heatmap.message:
            np.testing.assert_allclose(drawn / drawn.max(), heatmap.values, atol=2e-3)
