"""The Explorer in a real JupyterLab: what a person does with mouse and keys, and what the screen then shows."""

from __future__ import annotations

import json
import random

import cv2
import numpy as np
import pytest
import soak
from lab.lab import Notebook

import cnnvis_widgets as cnnvis
from cnnvis_widgets.render.pictures import overlay

SLOWER = """
import time
from cnnvis_widgets.networks import ascent
real = ascent.step
ascent.step = lambda *a, **k: (time.sleep(0.15), real(*a, **k))[1]  # slow enough for a hand to be quicker
"""
START = "import cnnvis_widgets as cnnvis\nexplorer = cnnvis.Explorer()\nexplorer"


class Page:
    """An Explorer on a notebook page, in the words of its user."""

    def __init__(self, notebook: Notebook):
        self.notebook = notebook

    @property
    def stage(self):
        return self.notebook.locator(".cnnvis-stage").first

    def shown(self, name: str) -> str:
        return self.stage.get_attribute(f"data-{name}")

    def choose(self, control: str, value: str) -> None:
        """Pick an option of a dropdown by the start of its label."""
        row = self.notebook.locator(
            ".widget-dropdown", has=self.notebook.page.get_by_text(control, exact=True)
        ).first
        labels = row.locator("option").all_text_contents()
        matching = [label for label in labels if label.replace("\xa0", " ").startswith(value)]
        assert matching, (control, labels)
        row.locator("select").select_option(label=matching[0])

    def wait(self, condition: str, **arguments) -> None:
        """Until a JavaScript condition on the stage element ``s`` holds."""
        self.notebook.page.wait_for_function(
            "([text, args]) => new Function('s', ...Object.keys(args), `return ${text}`)"
            "(document.querySelector('.cnnvis-stage'), ...Object.values(args))",
            arg=[condition, arguments],
            timeout=30_000,
        )

    def wait_for_layer(self, path: str) -> None:
        self.wait("s.dataset.layer === path", path=path)

    def wait_for_text(self, text: str) -> None:
        self.wait("s.textContent.includes(text)", text=text)

    def button(self, name: str):
        return self.notebook.page.get_by_role("button", name=name)

    def filter_handle(self):
        row = self.notebook.locator(
            ".widget-slider", has=self.notebook.page.get_by_text("Filter", exact=True)
        ).first
        return row.locator(".noUi-handle")


@pytest.fixture(scope="module")
def page(module_lab) -> Page:
    notebook = module_lab.open([START], width=1300, height=1000)
    notebook.run_all()
    page = Page(notebook)
    page.wait("s && Number(s.dataset.frame) >= 2")
    return page


@pytest.fixture(autouse=True)
def fresh(page):
    """Every test begins on the cat, class and layer chosen by the network."""
    page.notebook.execute("explorer.update(network='bundled', image='cat', layer='block4_add', target=None)")
    page.wait_for_layer("block4_add")
    yield
    assert not page.notebook.errors, page.notebook.errors.pop()


def test_the_first_cell_shows_the_cat_its_heatmap_and_every_map(page):
    painted = page.notebook.pixels("canvas.cnnvis-photo")
    assert len(np.unique(painted.reshape(-1, 4), axis=0)) > 1000, "a photograph has many colours"
    assert len(np.unique(page.notebook.pixels("canvas.cnnvis-maps").reshape(-1, 4), axis=0)) > 50
    assert len(np.unique(page.notebook.pixels("canvas.cnnvis-detail").reshape(-1, 4), axis=0)) > 5
    for words in ("grad-cam", "bundled", "block4_add"):
        page.wait_for_text(words)


def test_the_heatmap_on_screen_is_the_one_that_code_computes(page):
    image = cnnvis.sample_images()["cat"]
    heat = cnnvis.explain(cnnvis.load_network(), image)
    page.notebook.next_frame()
    shown = page.notebook.pixels("canvas.cnnvis-photo")[..., :3]
    small = cv2.resize(image, shown.shape[1::-1], interpolation=cv2.INTER_AREA)
    expected = overlay(small, heat.values, opacity=0.4)
    assert np.mean(np.abs(shown.astype(int) - expected)) < 4  # two ways to shrink a photograph


def test_layer_dropdown(page):
    page.choose("Layer", "block2_conv1 ")
    page.wait_for_layer("block2_conv1")
    assert page.notebook.kernel_eval("explorer.state['layer']") == "block2_conv1"
    assert page.notebook.kernel_eval("explorer.controls.unit.max") == 63
    page.wait_for_text("block2_conv1")


def test_dropdowns_answer_to_arrow_keys_in_a_notebook(page):
    page.choose("Layer", "block2_conv1 ")
    page.wait_for_layer("block2_conv1")
    row = page.notebook.page.locator(
        ".widget-dropdown", has=page.notebook.page.get_by_text("Layer", exact=True)
    )
    row.locator("select").focus()
    page.notebook.page.keyboard.press("ArrowDown")  # JupyterLab would move to the next cell
    page.wait_for_layer("block2_conv2")
    assert row.locator("select").evaluate("(select) => select === document.activeElement")


def test_filter_slider_by_keyboard_paints_at_once_and_syncs_later(page):
    page.notebook.execute("explorer.update(unit=5)")
    page.wait("s.dataset.unit === '5'")
    before = page.notebook.pixels("canvas.cnnvis-detail").copy()
    page.filter_handle().focus()
    page.notebook.page.keyboard.press("ArrowRight")
    page.wait("s.dataset.unit === '6'")
    page.notebook.next_frame()
    assert (page.notebook.pixels("canvas.cnnvis-detail") != before).any()
    page.notebook.page.wait_for_timeout(600)
    assert page.notebook.kernel_eval("explorer.state['unit']") == 6
    assert page.notebook.kernel_eval("explorer.feature_map.shape") == [8, 8]


def test_scrubbing_never_turns_back(page):
    page.notebook.execute("explorer.update(unit=0)")
    page.wait("s.dataset.unit === '0'")
    page.filter_handle().focus()
    seen = []
    for _ in range(40):
        page.notebook.page.keyboard.press("ArrowRight")
        seen.append(int(page.shown("unit")))
    page.wait("s.dataset.unit === '40'")
    page.notebook.page.wait_for_timeout(700)
    assert seen == sorted(seen) and page.shown("unit") == "40"
    assert page.notebook.kernel_eval("explorer.state['unit']") == 40


def test_class_dropdown(page):
    page.choose("Class", "dog")
    page.wait_for_text("dog (logit")
    assert page.notebook.kernel_eval("explorer.heatmap.target.name") == "dog"
    assert page.notebook.kernel_eval("explorer.state['target']") == 5


def test_one_can_go_back_at_once_to_the_class_that_code_has_just_shown(page):
    """The browser links dropdown and list, and echoes what it is told: that is no person's choice."""
    page.notebook.execute("explorer.update(target=4)")
    page.wait("s.dataset.target === '4'")
    name = page.notebook.kernel_eval("explorer.network.class_names[4]")
    page.choose("Class", "dog")
    page.choose("Class", name)
    page.notebook.page.wait_for_timeout(500)
    assert page.notebook.kernel_eval("explorer.state['target']") == 4
    listed = page.notebook.locator(".cnnvis-class").nth(1)
    index = int(listed.get_attribute("data-class"))
    for expected in (index, None, index):  # a second click is the top class again
        listed.click()
        page.notebook.page.wait_for_timeout(500)
        assert page.notebook.kernel_eval("explorer.state['target']") == expected


def test_colours_and_opacity_are_painted_in_the_browser(page):
    painted = page.notebook.pixels("canvas.cnnvis-detail").copy()
    frame = page.shown("frame")
    page.notebook.start("import time; time.sleep(2)")
    page.choose("Colours", "magma")
    page.notebook.next_frame()
    page.notebook.next_frame()
    assert (page.notebook.pixels("canvas.cnnvis-detail") != painted).any()
    page.notebook.finish()
    assert page.shown("frame") == frame
    page.choose("Colours", "cividis")


def test_image_dropdown(page):
    page.choose("Image", "rocket")
    page.wait_for_text("rocket")
    assert page.notebook.kernel_eval("explorer.state['image']") == "rocket"


def test_upload_shows_the_photograph_and_its_heatmap(page, tmp_path):
    picture = cnnvis.sample_images()["coffee"]
    file = tmp_path / "breakfast.png"
    cv2.imwrite(str(file), picture[..., ::-1])
    page.notebook.locator(".cnnvis-stage input[type=file]").first.set_input_files(file)
    page.wait_for_text("breakfast.png")
    assert page.notebook.kernel_eval("explorer.state['image']") == "breakfast.png"
    seen = np.array(page.notebook.kernel_eval("explorer.image[::40, ::60].tolist()"))
    np.testing.assert_allclose(seen, picture[::40, ::60], atol=2)


def test_an_upload_that_is_no_picture_says_so_and_keeps_the_last_one(page, tmp_path):
    file = tmp_path / "notes.png"
    file.write_bytes(b"this is not a picture")
    before = page.notebook.pixels("canvas.cnnvis-photo").copy()
    page.notebook.locator(".cnnvis-stage input[type=file]").first.set_input_files(file)
    alert = page.stage.get_by_role("alert")
    alert.wait_for()
    assert "picture" in alert.text_content()
    np.testing.assert_array_equal(page.notebook.pixels("canvas.cnnvis-photo"), before)
    assert page.notebook.kernel_eval("explorer.state['image']") == "cat"


def test_a_filter_picture_grows_and_can_be_cancelled(page):
    page.choose("Layer", "block3_conv2 ")
    page.wait_for_layer("block3_conv2")
    page.notebook.execute(SLOWER)
    page.button("What does this filter want?").click()
    page.wait_for_text("step 3 of 48")
    page.button("Cancel").click()
    page.wait_for_text("Cancelled after step")
    partial = page.notebook.pixels("canvas.cnnvis-filter").copy()
    assert len(np.unique(partial.reshape(-1, 4), axis=0)) > 50
    page.notebook.execute("ascent.step = real")
    page.button("What does this filter want?").click()
    panel = "s.querySelector('.cnnvis-panel-filter').textContent"
    page.wait(f"!{panel}.includes('Cancelled') && !{panel}.includes('step ')")
    page.wait_for_text("recipe fourier")
    assert (page.notebook.pixels("canvas.cnnvis-filter") != partial).any()


def test_an_error_is_said_in_words_and_the_picture_stays(page):
    before = page.notebook.pixels("canvas.cnnvis-maps").copy()
    page.notebook.execute(
        """
        try:
            explorer.update(layer='no_such_layer')
        except cnnvis.UnknownLayerError:
            pass
        """
    )
    alert = page.stage.get_by_role("alert")
    alert.wait_for()
    assert "no layer 'no_such_layer'" in alert.text_content()
    np.testing.assert_array_equal(page.notebook.pixels("canvas.cnnvis-maps"), before)
    page.choose("Layer", "block1_conv1 ")
    page.wait_for_layer("block1_conv1")
    page.wait("!s.textContent.includes('no_such_layer')")


def test_a_model_of_ones_own_joins_the_dropdown(page):
    page.notebook.execute(
        """
        import keras
        keras.utils.set_random_seed(1)
        inputs = keras.Input((32, 32, 3))
        x = keras.layers.Conv2D(4, 3, activation="relu", name="<b>conv")(inputs)
        x = keras.layers.Dense(3, activation="softmax")(keras.layers.GlobalAveragePooling2D()(x))
        explorer.update(network=cnnvis.load_network(keras.Model(inputs, x, name="mine"),
                        class_names=["<img src=x onerror=alert(1)>", "b", "c"]), target=0)
        """
    )
    page.wait_for_layer("<b>conv")
    page.wait_for_text("<img src=x onerror=alert(1)> (logit")  # text from outside is text
    assert page.notebook.locator(".cnnvis-explorer img[src=x]").count() == 0
    page.choose("Network", "bundled")
    page.wait_for_layer("block4_add")


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_both_themes_are_legible(page, theme):
    page.notebook.theme(theme)
    colours = page.notebook.page.evaluate(
        """() => { const style = getComputedStyle(document.querySelector('.cnnvis-stage'));
            const probe = document.createElement('canvas').getContext('2d');
            const light = (c) => { probe.fillStyle = c; probe.fillRect(0, 0, 1, 1);
                                   const [r, g, b] = probe.getImageData(0, 0, 1, 1).data; return (r + g + b) / 3; };
            let element = document.querySelector('.cnnvis-stage section, .cnnvis-stage > *');
            while (getComputedStyle(element).backgroundColor === 'rgba(0, 0, 0, 0)') element = element.parentElement;
            return [light(style.color), light(getComputedStyle(element).backgroundColor)]; }"""
    )
    text, background = colours
    assert (text > 180 and background < 80) if theme == "dark" else (text < 80 and background > 180)


@pytest.mark.parametrize("way", ["reload", "reopen"])
def test_a_page_that_comes_back_in_mid_computation_shows_everything(page, way):
    """Reloaded, or closed and opened again, while a filter picture grows."""
    page.choose("Layer", "block2_conv2 ")
    page.wait_for_layer("block2_conv2")
    page.notebook.execute(SLOWER)
    page.button("What does this filter want?").click()
    page.wait_for_text("step 2 of 48")
    getattr(page.notebook, way)()
    page.wait("s && s.dataset.layer === 'block2_conv2'")
    assert len(np.unique(page.notebook.pixels("canvas.cnnvis-maps").reshape(-1, 4), axis=0)) > 50
    page.notebook.execute("ascent.step = real\nexplorer.controls.cancel.click()")
    page.choose("Layer", "block1_conv1 ")
    page.wait_for_layer("block1_conv1")
    page.button("What does this filter want?").click()
    page.wait_for_text("recipe fourier")


def test_forty_random_gestures_end_in_an_explorer_that_answers(page):
    """A short piece of `benchmarks/soak.py`, which measures memory over thousands."""
    page.notebook.page.evaluate(soak.PAGE)
    gestures = soak.Soak(page.notebook)
    before = gestures.page_holds()
    gestures.gestures(random.Random(4), 40)
    gestures.rest()
    gestures.answers()
    page.notebook.execute("explorer.update(**home)")
    after = gestures.page_holds()
    for what in ("DOM nodes", "listeners"):  # some panels are built when they are first opened
        assert after[what] < 1.3 * before[what], (before, after)
    assert page.notebook.kernel_eval("(explorer.state['layer'], explorer.heatmap.values.shape)")


@pytest.mark.parametrize(
    ("load", "layers", "photo", "name"),
    [
        (
            "'mobilenet_v2', weights='{}/mobilenet_v2.weights.h5'",
            ["block_8_expand", "out_relu"],
            "105_koala",
            "koala",
        ),
        (
            "'{}/googlenet.keras', class_names=imagenet_classes(), "
            "preprocess=lambda x: x[..., ::-1] - np.float32([104, 117, 123])",
            ["inception_4c_output", "inception_5b_output"],
            "088_macaw",
            "macaw",
        ),
    ],
)
def test_real_networks_on_real_photographs(lab, networks_folder, photos_folder, load, layers, photo, name):
    notebook = lab.open(
        [
            f"""
            import numpy as np
            import cnnvis_widgets as cnnvis
            from cnnvis_widgets.networks.classes import imagenet_classes
            network = cnnvis.load_network({load.format(networks_folder)})
            explorer = cnnvis.Explorer(network, image={json.dumps(str(next(photos_folder.glob(photo + "*"))))})
            explorer
            """
        ],
        width=1300,
        height=1000,
    )
    notebook.run_all()
    page = Page(notebook)
    page.wait_for_layer(notebook.kernel_eval("explorer.state['layer']"))
    page.wait_for_text(f"{name} (logit")
    for layer in layers:
        page.choose("Layer", layer + " ")
        page.wait_for_layer(layer)
        page.filter_handle().focus()
        notebook.page.keyboard.press("Home")
        page.wait("s.dataset.unit === '0'")
        notebook.page.keyboard.press("ArrowRight")
        page.wait("s.dataset.unit === '1'")
    search = notebook.locator("input[list]")
    search.fill("zebra")
    search.press("Enter")
    page.wait_for_text("zebra (logit")


def test_one_convolution_step_by_step_ends_in_the_value_that_code_reads(page):
    page.notebook.execute("explorer.update(layer='block2_conv1_relu', unit=7)")
    page.wait_for_layer("block2_conv1_relu")
    page.button("Step by step").click()
    steps = page.notebook.locator(".cnnvis-panel-steps")
    page.wait("s.querySelector('.cnnvis-panel-steps')?.dataset.y")
    canvas = steps.locator("canvas.cnnvis-steps")
    canvas.hover()
    page.notebook.next_frame()
    assert steps.get_attribute("data-moving") == "false", "the pointer has taken over"
    canvas.locator("..").press("ArrowRight")  # JupyterLab would move to the next cell
    page.notebook.next_frame()
    y, x = (int(steps.get_attribute(f"data-{axis}")) for axis in "yx")
    words = steps.locator(".cnnvis-line").last.locator("b").text_content()
    value = page.notebook.kernel_eval(f"float(explorer.feature_map[{y}, {x}])")
    assert float(words.replace("→", "").replace("−", "-")) == pytest.approx(value, rel=6e-3, abs=1e-6)
    page.button("Step by step").click()


def test_a_layer_on_the_network_strip_is_shown_by_mouse_and_by_keys(page):
    strip = page.notebook.locator(".cnnvis-strip").first
    strip.locator('[data-path="block2_conv1"]').click()
    page.wait_for_layer("block2_conv1")
    assert page.notebook.kernel_eval("explorer.state['layer']") == "block2_conv1"
    assert strip.locator('[aria-selected="true"]').get_attribute("data-path") == "block2_conv1"
    cell = page.notebook.page.locator(".jp-Cell.jp-mod-active").first.element_handle()
    strip.press("Home")
    for _ in range(2):
        strip.press("ArrowRight")
    path = page.notebook.page.evaluate(
        "(strip) => document.getElementById(strip.getAttribute('aria-activedescendant')).dataset.path",
        strip.element_handle(),
    )
    strip.press("Enter")
    page.wait_for_layer(path)
    assert page.notebook.kernel_eval("explorer.state['layer']") == path
    assert "jp-mod-active" in cell.get_attribute("class"), "keys moved in the strip, not in the notebook"
