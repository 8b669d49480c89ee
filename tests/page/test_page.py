"""The page in real Chromium from file://, with every network refused: it must show what the Explorer shows."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest
from firefox import PAGE_DOWN, firefox
from lecture import lecture_file
from playwright.sync_api import Browser, Page, expect
from widgets.stage_page import open_stage, pixels, settle

import cnnvis_widgets as cnnvis
from cnnvis_widgets.errors import CnnvisError
from cnnvis_widgets.page import pack

ROOT = ".cnnvis-stage"
WIDTH, HEIGHT = 932, 800  # the stage is then as wide as in `stage_page` at 916


@pytest.fixture(scope="module")
def explorer() -> Iterator[cnnvis.Explorer]:
    explorer = cnnvis.Explorer(opacity=1.0, colormap="gray")
    yield explorer
    explorer.close()


@pytest.fixture(scope="module")
def file(explorer, tmp_path_factory) -> Path:
    """The bundled network's complete page."""
    return explorer.to_html(tmp_path_factory.mktemp("page") / "cat.html")


@pytest.fixture
def open_page(browser: Browser) -> Iterator:
    """Open a file as a person does, offline; at the end nothing was asked for and nothing went wrong."""
    asked: list[str] = []
    mistakes: list[str] = []
    contexts = []

    def open_file(path: Path, width: int = WIDTH, **options) -> Page:
        context = browser.new_context(viewport={"width": width, "height": HEIGHT}, offline=True, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: mistakes.append(str(error)))
        page.on("console", lambda message: mistakes.append(message.text) if message.type == "error" else None)
        page.goto(path.as_uri())
        page.wait_for_selector("main[data-ready]")
        if page.locator(".cnnvis-panel-photo").count():
            page.wait_for_selector(f"{ROOT}[data-photo]")
        settle(page)
        return page

    yield open_file
    for context in contexts:
        context.close()
    assert [url for url in asked if not url.startswith("file://")] == []
    assert sum(url.startswith("file://") for url in asked) == len(contexts)
    assert mistakes == []


def choose(page: Page, control: str, value: str) -> None:
    page.select_option(f'[data-control="{control}"]', value)
    settle(page)


def choose_layer(page: Page, path: str) -> None:
    page.select_option('[data-control="layer"]', path)
    page.wait_for_selector(f'{ROOT}[data-layer="{path}"]')
    settle(page)


def set_range(page: Page, control: str, value: float) -> None:
    page.locator(f'[data-control="{control}"]').fill(str(value))
    settle(page)


def data(page: Page, name: str) -> str:
    return page.locator(ROOT).get_attribute(f"data-{name}")


def test_every_layer_and_unit_looks_as_in_the_notebook(open_page, file, explorer, browser):
    page = open_page(file)
    beside = browser.new_page(viewport={"width": 916, "height": HEIGHT})
    before = pixels(page, ".cnnvis-detail")
    for path, unit in (("block1_conv1", 5), ("block2_conv1_relu", 63), ("block4_add", 154)):
        choose_layer(page, path)
        set_range(page, "unit", unit)
        explorer.update(layer=path, unit=unit)
        stage = explorer.stage
        panels, stage.panels = stage.panels, [panel for panel in stage.panels if panel != "filter"]
        open_stage(beside, stage)
        stage.panels = panels
        now = pixels(page, ".cnnvis-detail")
        assert (now != before).any() if path != "block4_add" else (now == before).all()
        for one in (page, beside):
            one.evaluate("document.querySelector('.cnnvis-scroll').scrollTop = 0")
            settle(one)
        for canvas in (".cnnvis-detail", ".cnnvis-maps"):
            off = np.abs(pixels(page, canvas).astype(int) - pixels(beside, canvas))
            # The notebook's own maps went through float16, and small tiles show means: a colour may be the next one.
            assert off.max() <= 6 and (off > 0).mean() < 0.1, (path, canvas)
        heat = [pixels(one, ".cnnvis-photo")[..., 0].astype(int) for one in (page, beside)]
        assert np.abs(heat[0] - heat[1]).max() <= 2, path
    beside.close()


def test_every_class_is_drawn_at_early_and_late_layers(open_page, file, explorer):
    page = open_page(file)
    for path, steps in (("block4_add", 2), ("block2_conv2_relu", 4)):
        choose_layer(page, path)
        for target, name in enumerate(explorer.network.class_names):
            choose(page, "target", str(target + 1))
            assert data(page, "target") == str(target)
            heatmap = cnnvis.explain(explorer.network, explorer.image, layer=path, target=target)
            said = page.locator(".cnnvis-panel-photo .cnnvis-note").inner_text()
            if heatmap.message:
                assert name in said
                continue
            caption = page.locator(".cnnvis-panel-photo .cnnvis-caption").inner_text()
            assert caption == f"grad-cam · bundled · {path} · {name} (logit {heatmap.score:.2f})"
            painted = pixels(page, ".cnnvis-photo")[..., 0].astype(float)
            fine = cv2.resize(heatmap.values.astype(np.float32), painted.shape[::-1])
            assert np.abs(painted - np.clip(fine * 256, 0, 255).astype(int)).max() <= steps, (path, name)


def test_another_method_is_shown_or_said_not_to_be_there(open_page, file, explorer):
    page = open_page(file)
    choose_layer(page, "block3_add")
    choose(page, "method", "layer-cam")
    heatmap = cnnvis.explain(explorer.network, explorer.image, "layer-cam", "block3_add")
    painted = pixels(page, ".cnnvis-photo")[..., 0].astype(float)
    fine = cv2.resize(heatmap.values.astype(np.float32), painted.shape[::-1])
    assert np.abs(painted - np.clip(fine * 256, 0, 255).astype(int)).max() <= 2
    missing = page.locator('[data-control="method"] option[disabled]')
    assert {"rise", "score-cam"} <= set(missing.all_inner_texts())
    choose(page, "target", "0")
    page.locator(".cnnvis-class").nth(1).click()  # layer-cam was computed for the cat alone
    expect(page.locator(".cnnvis-error")).to_contain_text("layer-cam is inside this page for cat alone")
    settle(page)
    assert data(page, "target") == "3"


def test_the_keyboard_leads_everywhere(open_page, file):
    page = open_page(file)  # nothing is focused: the page itself listens
    page.keyboard.press("[")
    page.wait_for_selector(f'{ROOT}[data-layer="block4_conv3_relu"]')
    page.keyboard.press("2")
    settle(page)
    assert data(page, "target") == "5"
    page.keyboard.press("p")
    expect(page.locator(".cnnvis-panel-compare")).to_be_visible()
    page.keyboard.press("3")
    page.keyboard.press("d")
    settle(page)
    assert (
        page.locator(".cnnvis-slot-heat")
        .first.inner_text()
        .startswith("A: grad-cam · bundled · block4_conv3_relu · dog")
    )
    assert page.locator(".cnnvis-slot-heat").last.inner_text().startswith("B − A")
    page.keyboard.press("p")
    expect(page.locator(".cnnvis-panel-compare")).to_be_hidden()
    unit = int(data(page, "unit"))
    page.locator(".cnnvis-panel-maps .cnnvis-view").focus()
    page.keyboard.press("ArrowLeft")
    settle(page)
    assert int(data(page, "unit")) == unit - 1
    page.keyboard.press("e")
    expect(page.locator(".cnnvis-error")).to_contain_text("no kernel")
    page.keyboard.press("?")
    expect(page.locator("dialog")).to_be_visible()


def test_what_needs_a_kernel_is_disabled_and_says_why(open_page, file):
    page = open_page(file)
    for words in ("Camera", "Open picture…", "Looks at", "Step by step", "Parts", "Can I trust it?"):
        button = page.get_by_role("button", name=words)
        expect(button).to_be_disabled()
        assert "no kernel" in button.get_attribute("title")
    page.locator(".cnnvis-panel-maps .cnnvis-view").press("t")  # the key of such a button says so as well
    expect(page.locator(".cnnvis-error")).to_contain_text("no kernel")
    expect(page.locator("footer.cnnvis-page-about")).to_contain_text("Not inside")


def test_pointing_shows_receptive_fields_and_values(open_page, file):
    page = open_page(file)
    choose_layer(page, "block1_conv1")
    page.locator(".cnnvis-detail").hover(position={"x": 5, "y": 5})
    settle(page)
    assert re.search(
        r"y 1, x 1 sees rows 0 to 3, columns 0 to 3 of 64 × 64", page.locator(".cnnvis-sees").inner_text()
    )
    assert re.search(
        r"y 1, x 1: ≈ [−\d.]+", page.locator(".cnnvis-panel-detail .cnnvis-readout").inner_text()
    )


def test_light_and_dark_follow_the_system_and_the_button(open_page, file):
    def paper(page: Page) -> list[str]:
        return page.evaluate(
            "() => ['body', '.cnnvis-stage'].map((s) => getComputedStyle(document.querySelector(s)).backgroundColor)"
        )

    light, dark = ["rgb(255, 255, 255)"] * 2, ["rgb(26, 26, 26)"] * 2
    page = open_page(file, color_scheme="dark")
    assert paper(page) == dark
    page.get_by_role("button", name="Light").click()
    assert paper(page) == light
    page.get_by_role("button", name="Dark").click()
    assert paper(page) == dark
    assert paper(open_page(file)) == light
    assert "color-scheme:" not in file.read_text(encoding="utf-8").split("<script")[0]


def test_chinese_is_one_choice_away(open_page, file):
    page = open_page(file)
    choose(page, "language", "zh")
    for selector in (".cnnvis-page-about", "h1", ".cnnvis-status", ".cnnvis-page-controls label"):
        assert re.search("[\u4e00-\u9fff]", page.locator(selector).first.inner_text()), selector
    assert page.evaluate("document.documentElement.lang") == "zh"


def test_print_hides_what_nobody_can_press_on_paper(open_page, file):
    page = open_page(file, color_scheme="dark")
    page.emulate_media(media="print")
    assert not page.locator(".cnnvis-page-controls").is_visible()
    assert page.locator(".cnnvis-photo").is_visible()
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"


def test_the_policy_lets_nothing_in_and_nothing_out(browser, file):
    text = file.read_text(encoding="utf-8")
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', text)[1]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy
    refused = """async () => {
      const script = document.createElement("script");
      script.textContent = "window.injected = true";
      document.head.append(script);
      document.body.setAttribute("onclick", "window.injected = true");
      document.body.click();
      return window.injected === undefined && (await fetch("https://example.org").catch(() => null)) === null;
    }"""
    page = browser.new_page(offline=True)
    page.goto(file.as_uri())
    page.wait_for_selector("main[data-ready]")
    violations: list[str] = []
    page.on("console", lambda message: violations.append(message.text))
    assert page.evaluate(refused)
    page.close()
    assert len([words for words in violations if "Content Security Policy" in words]) >= 3


HTML = '</script><img src=x onerror="window.hacked=1"><b>bold</b>'


def small_network(
    names: list[str] | None = None, second: str = "second", name: str = "small"
) -> cnnvis.Network:
    keras.utils.set_random_seed(3)
    layers = keras.layers
    inputs = keras.Input((32, 48, 3))
    maps = layers.Conv2D(6, 3, activation="relu", name="first")(inputs)
    maps = layers.Conv2D(8, 3, name=second)(maps)
    outputs = layers.Dense(4, activation="softmax")(layers.GlobalAveragePooling2D()(maps))
    return cnnvis.load_network(keras.Model(inputs, outputs, name=name), class_names=names)


LAYER_HTML = "<img src=x onerror=window.hacked=3>"  # names of layers hold no "/"


def test_html_in_names_stays_text(open_page, tmp_path):
    picture = tmp_path / "<img src=x onerror=window.hacked=2>.png"
    cv2.imwrite(str(picture), np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8))
    network = small_network([HTML, "b", "c", "d"], LAYER_HTML, "<b onclick=window.hacked=4>small")
    explorer = cnnvis.Explorer(network, str(picture), layer=LAYER_HTML, target=0)
    file = explorer.to_html(tmp_path / "page.html")
    explorer.close()
    page = open_page(file)
    assert HTML in page.locator(".cnnvis-classes").inner_text()
    assert page.locator("h1").inner_text() == f"Inside {network.name}, on {picture.name}"
    page.wait_for_function("(name) => document.body.innerText.includes(name)", arg=LAYER_HTML)
    assert page.evaluate("window.hacked") is None
    assert page.locator("main img, main b, h1 *").count() == 0
    assert str(tmp_path) not in file.read_text(encoding="utf-8")
    assert str(Path.home()) not in file.read_text(encoding="utf-8")


def test_html_in_a_lecture_stays_text(open_page, tmp_path):
    lecture = f"---\ntitle: {HTML}\n---\nLook: {HTML}, **{LAYER_HTML}**, [{LAYER_HTML}](first/1) `{HTML}`\n"
    deck = cnnvis.Walkthrough(lecture, small_network([HTML, "b", "c", "d"], LAYER_HTML))
    file = deck.to_html(tmp_path / "deck.html")
    deck.close()
    page = open_page(file)
    page.wait_for_function("(name) => document.body.innerText.includes(name)", arg=f"Look: {HTML}")
    assert page.evaluate("window.hacked") is None
    assert page.locator("main img, main b").count() == 0


def contents(file: Path) -> dict:
    return json.loads(
        re.search(r'id="cnnvis-page">(.*?)</script>', file.read_text(encoding="utf-8"), re.DOTALL)[1]
    )


def test_a_small_budget_is_kept_and_what_was_chosen_is_said(open_page, explorer, tmp_path):
    explorer.update(layer="block4_add", unit=154)
    file = explorer.to_html(tmp_path / "small.html", budget_mb=0.66)
    assert 0.5e6 < file.stat().st_size <= 0.66e6
    inside = contents(file)
    told = inside["told"]
    assert told["layers"] == len(inside["layers"]) == 23
    whole = [
        one["layer"]["path"]
        for one in inside["layers"]
        if one["maps"]["shape"][1:] == one["layer"]["shape"][:2]
    ]
    assert "block4_add" in whole
    assert 0 < len(whole) == told["whole"] < 23
    page = open_page(file)
    words = page.locator(".cnnvis-page-about").inner_text()
    assert f"23 layers, {told['whole']} of them with every map in full" in words
    assert "0.66 MB" in words
    small = next(one for one in inside["layers"] if one["layer"]["path"] not in whole and one["details"])
    choose_layer(page, small["layer"]["path"])
    assert data(page, "unit") == str(small["strongest"])
    expect(
        page.locator(".cnnvis-panel-detail .cnnvis-caption")
    ).to_be_hidden()  # the strongest unit is in full
    units = small["layer"]["shape"][2]
    other = next(unit for unit in range(units) if str(unit) not in small["details"])
    set_range(page, "unit", other)
    expect(page.locator(".cnnvis-panel-detail .cnnvis-caption")).to_have_text("Kept small in this page.")
    assert page.locator('[data-control="target"] option[disabled]').count() == 9


def test_a_deep_network_keeps_within_the_budget_and_few_maps_are_kept_larger(tmp_path):
    """What a layer takes beside its maps adds up over sixty of them; equal bytes are larger maps where they are few."""
    keras.utils.set_random_seed(3)
    layers = keras.layers
    maps = inputs = keras.Input((48, 48, 3))
    for place in range(60):
        maps = layers.Conv2D(8, 3, padding="same", name=f"few_{place}")(maps)
    maps = layers.Conv2D(200, 3, padding="same", name="many")(maps)
    model = keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling2D()(maps)), name="deep")
    viewer = cnnvis.FeatureMapViewer(cnnvis.load_network(model), layer="few_0")
    file = viewer.to_html(tmp_path / "deep.html", budget_mb=0.8)
    viewer.close()
    assert 0.75e6 < file.stat().st_size <= 0.8e6
    inside = {one["layer"]["path"]: one for one in contents(file)["layers"]}
    assert len(inside) == 61
    small = [
        one["maps"]["shape"][1]
        for path, one in inside.items()
        if path != "many" and one["maps"]["shape"][1] < 48
    ]
    assert small and min(small) > inside["many"]["maps"]["shape"][1]


def test_an_impossible_budget_or_place_is_one_sentence(explorer, tmp_path):
    with pytest.raises(CnnvisError, match=r"0\.1 MB are too few for this page, which needs 0\.\d MB"):
        explorer.to_html(tmp_path / "no.html", budget_mb=0.1)
    with pytest.raises(CnnvisError, match="above 0"):
        explorer.to_html(tmp_path / "no.html", budget_mb=0)
    with pytest.raises(CnnvisError, match="folder"):
        explorer.to_html(tmp_path / "nowhere" / "no.html")
    with pytest.raises(CnnvisError, match="block9"):
        explorer.to_html(tmp_path / "no.html", layers=["block9"])
    assert list(tmp_path.iterdir()) == []


def test_only_the_layers_asked_for_go_along_with_what_is_on_screen(open_page, explorer, tmp_path):
    explorer.update(layer="block4_add")
    file = explorer.to_html(tmp_path / "two.html", layers=["block1_pool", "block2_pool"])
    assert [one["layer"]["path"] for one in contents(file)["layers"]] == [
        "block1_pool",
        "block2_pool",
        "block4_add",
    ]
    page = open_page(file)
    page.locator('.cnnvis-layer[data-path="block3_pool"]').click()
    expect(page.locator(".cnnvis-error")).to_contain_text("Layer block3_pool is not inside this page.")


def test_a_viewer_of_maps_alone_has_a_page_without_heatmaps(open_page, tmp_path):
    viewer = cnnvis.FeatureMapViewer(small_network())
    page = open_page(viewer.to_html(tmp_path / "maps.html"))
    viewer.close()
    choose_layer(page, "first")
    assert page.locator("[data-control]").evaluate_all("all => all.map((one) => one.dataset.control)") == [
        "layer", "unit", "colormap", "sort", "language",
    ]  # fmt: skip
    assert page.locator(".cnnvis-detail").is_visible()


@pytest.mark.parametrize("signed", [False, True])
def test_a_code_is_the_number_of_the_colour(signed):
    random = np.random.default_rng(0)
    planes = (
        random.normal(size=(3, 9, 7)).astype(np.float32) * np.array([1, 50, 0], np.float32)[:, None, None]
    )
    planes = planes if signed else np.abs(planes)
    stats = np.stack([planes.min((1, 2)), planes.max((1, 2)), planes.mean((1, 2))], 1)
    codes = pack.coded(planes, stats, signed)
    for plane, code in zip(planes, codes, strict=True):
        most = float(np.abs(plane).max()) or 1.0
        low = -most if signed else 0.0
        for value, number in zip(plane.ravel(), code.ravel(), strict=True):
            assert number == min(255, int((float(value) - low) / (most - low) * 256))


LECTURE = """---
title: One
show: first/2
hide: method, photo
---
Look at [unit three](cnnvis:second/3@1,2). What next?
???
This.
---
title: Two
show: second/5?class=c
---
The end.
"""


def test_a_walkthrough_is_a_slide_deck_led_by_keys(open_page, tmp_path):
    walkthrough = cnnvis.Walkthrough(LECTURE, small_network(["a", "b", "c", "d"]))
    page = open_page(walkthrough.to_html(tmp_path / "deck.html"))
    walkthrough.close()
    page.wait_for_selector(f'{ROOT}[data-layer="first"][data-unit="2"][data-step="0"]')
    expect(page.locator('[data-control="method"]')).to_be_hidden()
    expect(page.locator(".cnnvis-panel-photo")).to_have_count(0)
    assert "at layer first:" in page.locator(".cnnvis-status").inner_text()  # the heatmap follows unseen
    page.get_by_role("button", name="unit three").click()
    page.wait_for_selector(f'{ROOT}[data-layer="second"][data-unit="3"]')
    page.keyboard.press("PageDown")
    expect(page.locator(".cnnvis-story-answer")).to_have_text("This.")
    page.keyboard.press("PageDown")
    page.wait_for_selector(f'{ROOT}[data-layer="second"][data-unit="5"][data-target="2"][data-step="1"]')
    expect(page.locator('[data-control="method"]')).to_be_visible()
    page.keyboard.press("PageDown")  # there is no third
    page.keyboard.press("PageUp")
    page.wait_for_selector(f'{ROOT}[data-layer="first"][data-step="0"]')


@pytest.fixture(scope="module")
def lecture(tmp_path_factory) -> tuple[Path, list[dict]]:
    """The lecture that comes with the notebooks, as a page, and its steps."""
    walkthrough = cnnvis.Walkthrough(lecture_file())
    file = walkthrough.to_html(tmp_path_factory.mktemp("lecture") / "lecture.html")
    walkthrough.close()
    return file, walkthrough.stage.story


def test_the_lecture_is_walked_by_keyboard_on_the_page(open_page, lecture):
    file, steps = lecture
    page = open_page(file, color_scheme="dark")
    story = page.locator(".cnnvis-panel-story")
    for number, step in enumerate(steps):
        page.wait_for_selector(f'{ROOT}[data-step="{number}"]')
        expect(story.locator("h3")).to_have_text(step["title"])
        if step["show"]:
            page.wait_for_selector(f'{ROOT}[data-layer="{step["show"]["layer"]}"]')
        for name in step["hide"]:
            panel = page.locator(f".cnnvis-panel-{name}, [data-control={name}]")
            assert not any(one.is_visible() for one in panel.all()), (number, name)
        answer = story.locator(".cnnvis-story-answer")
        if step["answer"]:
            expect(answer).to_be_hidden()
            page.keyboard.press("PageDown")
            expect(answer).to_be_visible()
        page.keyboard.press("PageDown")
    assert len(steps) >= 8
    for number in reversed(range(len(steps))):
        page.wait_for_selector(f'{ROOT}[data-step="{number}"]')
        page.keyboard.press("PageUp")


def test_firefox_shows_the_page_and_walks_the_lecture(file, lecture):
    """From file://, as Chromium does; where there is a Firefox."""
    with firefox() as tab:
        tab.open(file.as_uri())
        tab.wait("document.querySelector('main')?.dataset.prepared")
        for key, layer in (("[", "block4_conv3_relu"), ("]", "block4_add")):
            tab.press(key)
            tab.wait(f"document.querySelector('{ROOT}').dataset.layer === '{layer}'")
        tab.press("2")
        tab.wait(f"document.querySelector('{ROOT}').dataset.target === '5'")
        for canvas in ("photo", "maps", "detail"):
            assert tab.evaluate(COLOURS_IN, canvas) > 5, canvas
        tab.open(lecture[0].as_uri())
        for number, step in enumerate(lecture[1]):
            tab.wait(f"document.querySelector('{ROOT}')?.dataset.step === '{number}'")
            if step["answer"]:
                tab.press(PAGE_DOWN)
                tab.wait(f"document.querySelector('{ROOT}').dataset.answered === 'true'")
            tab.press(PAGE_DOWN)
        assert tab.errors == []
        assert [url for url in tab.asked if not url.startswith("file:")] == []


# How many colours a canvas shows.
COLOURS_IN = """(name) => {
  const canvas = document.querySelector(`.cnnvis-${name}`);
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return new Set(new Uint32Array(data.buffer)).size;
}"""
