"""The Explorer in a real JupyterLab by keyboard alone, and in another language while one looks at it."""

from __future__ import annotations

import re

import pytest
from lab.lab import Notebook

START = "import cnnvis_widgets as cnnvis\nexplorer = cnnvis.Explorer(layer='block2_conv1')\nexplorer"

FOCUS = """() => {
  const element = document.activeElement, style = getComputedStyle(element);
  const row = element.closest(".widget-inline-hbox, .widget-checkbox")?.innerText.split("\\n")[0].trim();
  return { inside: !!element.closest(".cnnvis-explorer"),
           outline: style.outlineStyle === "none" ? 0 : parseFloat(style.outlineWidth),
           name: element.getAttribute("aria-label") || row || element.innerText.trim() || element.className };
}"""


class Keyboard:
    """A person without a mouse."""

    def __init__(self, notebook: Notebook):
        self.notebook, self.page = notebook, notebook.page

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def wait(self, condition: str) -> None:
        """Until a JavaScript condition on the stage element ``s`` holds."""
        self.page.wait_for_function(
            f"() => {{ const s = document.querySelector('.cnnvis-stage'); return s && ({condition}) }}",
            timeout=30_000,
        )

    def begin(self) -> None:
        """The focus before the first control of the Explorer."""
        self.page.evaluate("() => document.querySelector('.cnnvis-explorer select').focus()")

    def go_to(self, name: str) -> dict:
        """Tab until something of that name has the focus."""
        self.begin()
        for _ in range(80):
            found = self.page.evaluate(FOCUS)
            if found["inside"] and found["name"].startswith(name):
                return found
            self.press("Tab")
        raise AssertionError(f"Tab never comes to {name!r}")

    def state(self, name: str) -> object:
        return self.notebook.kernel_eval(f"explorer.state[{name!r}]")

    def place(self) -> list:
        """What must not change while keys are for the Explorer: the notebook's cells, its selection, its scrolling."""
        return self.page.evaluate(
            """() => { const { content } = jupyterapp.shell.currentWidget;
              return [content.activeCellIndex, content.mode, content.widgets.length,
                      content.widgets.map((cell) => cell.model.sharedModel.getSource()).join("|"),
                      content.widgets.map((cell) => cell.model.executionCount).join(),
                      Math.round(document.querySelector(".jp-WindowedPanel-outer, .jp-Notebook").scrollTop)]; }"""
        )


@pytest.fixture(scope="module")
def keyboard(module_lab) -> Keyboard:
    notebook = module_lab.open(["first = 1", START, "last = 1"], width=1300, height=1100)
    notebook.run_all()
    keyboard = Keyboard(notebook)
    keyboard.wait("Number(s.dataset.frame) >= 2")
    return keyboard


@pytest.fixture(autouse=True)
def fresh(keyboard):
    """Every test begins on the same view, and none may move the notebook or change its cells."""
    keyboard.notebook.execute(
        "explorer.update(network='bundled', image='cat', layer='block2_conv1', target=None, unit=5, opacity=0.4,"
        " method='grad-cam', colormap='cividis', scale='map', sort='index', language='en')"
    )
    keyboard.wait("s.dataset.layer === 'block2_conv1' && s.dataset.unit === '5' && s.lang === 'en'")
    keyboard.begin()
    before = keyboard.place()
    yield
    assert keyboard.place() == before
    assert not keyboard.notebook.errors, keyboard.notebook.errors.pop()


def test_tab_passes_every_control_with_a_focus_that_is_seen(keyboard):
    keyboard.begin()
    passed = []
    for _ in range(60):
        found = keyboard.page.evaluate(FOCUS)
        if not found["inside"]:
            break
        passed.append(found["name"])
        assert found["outline"] >= 2, found
        keyboard.press("Tab")
    wanted = ["Network", "Image", "Class", "Layer", "Filter", "Method", "Colours", "Opacity"]
    wanted += ["Open picture", "index", "each map", "Feature maps", "Keys", "Language"]
    wanted += ["What does this filter want?", "for every filter I select"]
    order = [next((i for i, name in enumerate(passed) if name.startswith(want)), want) for want in wanted]
    assert all(isinstance(place, int) for place in order), (order, passed)
    assert order == sorted(order)
    for slider in ("Filter", "Opacity"):
        assert keyboard.page.get_by_role("slider", name=slider).count() == 1


@pytest.mark.parametrize(
    ("control", "state", "key"),
    [
        ("Network", "network", "ArrowDown"),
        ("Image", "image", "ArrowDown"),
        ("Class", "target", "ArrowDown"),
        ("Layer", "layer", "ArrowDown"),
        ("Filter", "unit", "ArrowRight"),
        ("Method", "method", "ArrowDown"),
        ("Colours", "colormap", "ArrowDown"),
        ("Opacity", "opacity", "ArrowRight"),
    ],
)
def test_lists_and_sliders_answer_to_arrow_keys(keyboard, control, state, key):
    if control == "Network":  # the next one would be downloaded: one of one's own comes before
        keyboard.notebook.execute(
            "own = cnnvis.load_network(); explorer.update(network=type(own)(own.model, name='mine'))"
        )
    before = keyboard.state(state)
    keyboard.go_to(control)
    keyboard.press(key)
    keyboard.page.wait_for_timeout(500)
    assert keyboard.state(state) != before


def test_a_class_is_found_by_typing(keyboard):
    keyboard.notebook.execute(
        """
        import keras
        inputs = keras.Input((32, 32, 3))
        x = keras.layers.Conv2D(4, 3, activation="relu", name="conv")(inputs)
        x = keras.layers.Dense(60, activation="softmax")(keras.layers.GlobalAveragePooling2D()(x))
        names = [f"gsm{number}" for number in range(60)]
        explorer.update(network=cnnvis.load_network(keras.Model(inputs, x, name="many"), class_names=names))
        """
    )
    keyboard.wait("s.dataset.layer === 'conv'")
    keyboard.go_to("Find class")
    keyboard.page.keyboard.type("gsm42")  # g, s and m are keys elsewhere
    keyboard.press("Enter")
    keyboard.wait("s.textContent.includes('gsm42 (logit')")
    assert keyboard.state("target") == 42


def test_buttons_and_the_check_box_answer_to_space_and_enter(keyboard):
    keyboard.go_to("strength")
    keyboard.press("Enter")
    keyboard.page.wait_for_timeout(400)
    assert keyboard.state("sort") == "strength"
    keyboard.go_to("layer")
    keyboard.press("Space")
    keyboard.page.wait_for_timeout(400)
    assert keyboard.state("scale") == "layer"
    keyboard.go_to("What does this filter want?")
    keyboard.press("Enter")
    keyboard.wait("s.textContent.includes('unit 5 · recipe fourier')")
    keyboard.go_to("for every filter I select")
    keyboard.press("Space")
    keyboard.page.wait_for_timeout(400)
    assert keyboard.notebook.kernel_eval("explorer.controls.follow.value") is True
    keyboard.press("Space")
    keyboard.page.wait_for_timeout(400)
    assert keyboard.notebook.kernel_eval("explorer.controls.follow.value") is False


def test_single_keys_work_wherever_the_focus_is(keyboard):
    keyboard.go_to("Opacity")
    keyboard.press("]", "]")
    keyboard.wait("s.dataset.layer === 'block2_conv1_relu' || s.dataset.layer !== 'block2_conv1'")
    paths = keyboard.notebook.kernel_eval("[layer.path for layer in explorer.network.layers]")
    assert keyboard.state("layer") == paths[paths.index("block2_conv1") + 2]
    keyboard.go_to("Feature maps")
    keyboard.press("[", "[")
    assert keyboard.state("layer") == "block2_conv1"
    keyboard.press("3")
    keyboard.page.wait_for_timeout(300)
    assert keyboard.state("target") == keyboard.notebook.kernel_eval("explorer.shown.predictions[2].index")
    keyboard.press("g")
    keyboard.page.wait_for_timeout(500)
    assert keyboard.state("opacity") == 0 == keyboard.notebook.kernel_eval("explorer.controls.opacity.value")
    keyboard.press("g")
    keyboard.page.wait_for_timeout(500)
    assert keyboard.state("opacity") == 0.4


def test_a_click_on_the_photograph_is_enough_for_keys_and_letters_never_reach_the_cells(keyboard):
    keyboard.page.locator(".cnnvis-photo").click()
    keyboard.press("s")
    keyboard.wait("s.querySelector('[data-choice=strength]').getAttribute('aria-pressed') === 'true'")
    keyboard.press("d", "d", "a", "b", "x", "j", "k")  # delete, insert, cut, up, down in a notebook
    keyboard.press("Escape", "Enter", "ArrowDown")
    keyboard.page.wait_for_timeout(300)  # `fresh` looks whether the notebook has moved


def test_the_help_sheet_opens_and_closes_and_the_notebook_stays_where_it_is(keyboard):
    keyboard.go_to("Layer")
    keyboard.press("?")
    sheet = keyboard.page.get_by_role("dialog", name="Keys")
    sheet.wait_for()
    assert "previous layer" in sheet.inner_text()
    before = keyboard.place()
    keyboard.press("Tab", "ArrowDown", "PageDown", "d", "d")
    assert keyboard.place() == before
    keyboard.press("Escape")
    sheet.wait_for(state="hidden")
    assert keyboard.page.evaluate(FOCUS)["name"] == "Layer"
    assert keyboard.state("layer") == "block2_conv1"


def test_the_language_is_switched_while_one_looks(keyboard):
    explorer = keyboard.page.locator(".cnnvis-explorer").first
    state = keyboard.notebook.kernel_eval("explorer.state")
    keyboard.go_to("What does this filter want?")
    keyboard.press("Enter")
    keyboard.wait("s.textContent.includes('unit 5 · recipe fourier')")
    keyboard.go_to("Language")
    keyboard.press("ArrowDown")
    keyboard.wait("s.lang === 'zh' && s.textContent.includes('特征图')")
    keyboard.page.get_by_text("不透明度", exact=True).wait_for()
    keyboard.wait("s.querySelector('.cnnvis-announced').textContent.includes('通道')")
    read = explorer.evaluate(
        """(root) => [root.innerText, ...[...root.querySelectorAll("*")].flatMap((e) =>
             ["title", "aria-label", "placeholder"].map((name) => e.getAttribute(name)).filter(Boolean))].join("\\n")"""
    )
    english = {
        "Layer",
        "Class",
        "Filter",
        "Method",
        "Colours",
        "Opacity",
        "convolution",
        "recipe",
        "unit",
        "maps",
        "top",
    }
    assert not english & set(re.findall("[A-Za-z]+", read)), read
    assert keyboard.notebook.kernel_eval("explorer.state") == state | {"language": "zh"}
    assert keyboard.page.get_by_role("slider", name="滤波器").count() == 1
    keyboard.press("?")
    assert "上一层" in keyboard.page.get_by_role("dialog", name="快捷键").inner_text()
    keyboard.press("Escape")
    keyboard.press("ArrowUp")
    keyboard.wait("s.lang === 'en' && s.textContent.includes('Feature maps')")


@pytest.mark.parametrize("width", [480, 700, 900, 1400])
def test_nothing_is_cut_off_at_any_width(keyboard, width):
    around = 1300 - keyboard.page.evaluate("() => document.querySelector('.cnnvis-explorer').clientWidth")
    keyboard.page.set_viewport_size({"width": width + around, "height": 1100})
    keyboard.page.wait_for_function(
        "(width) => Math.abs(document.querySelector('.cnnvis-explorer').clientWidth - width) < 20", arg=width
    )
    keyboard.notebook.next_frame()
    look = """() => {
          const root = document.querySelector(".cnnvis-explorer"), right = root.getBoundingClientRect().right;
          return [...root.querySelectorAll("*")].filter((e) => e.checkVisibility() && e.clientWidth
            && !e.closest(".cnnvis-hidden, select, datalist, .noUi-target") && !e.matches("input"))
            .filter((e) => e.scrollWidth > e.clientWidth + 1 || e.getBoundingClientRect().right > right + 1)
            .map((e) => `${e.tagName} ${e.className} ${e.textContent.slice(0, 40)}`) }"""
    for _ in range(20):  # canvases are fitted a frame after their panels
        if not (found := keyboard.page.evaluate(look)):
            break
        keyboard.page.wait_for_timeout(100)
    keyboard.page.set_viewport_size({"width": 1300, "height": 1100})
    keyboard.page.wait_for_function(
        "(width) => document.querySelector('.cnnvis-explorer').clientWidth === width", arg=1300 - around
    )
    assert found == []


def test_two_displays_then_none_leave_no_listeners(lab):
    notebook = lab.open([START, "explorer"])
    notebook.run_all()
    keyboard = Keyboard(notebook)
    keyboard.wait("document.querySelectorAll('.cnnvis-stage[data-painted]').length === 2")
    session = notebook.page.context.new_cdp_session(notebook.page)

    def listeners() -> int:
        found = session.send("Runtime.evaluate", {"expression": "window"})["result"]["objectId"]
        return len(session.send("DOMDebugger.getEventListeners", {"objectId": found})["listeners"])

    both = listeners()
    notebook.page.locator(".cnnvis-explorer select").last.focus()
    notebook.page.keyboard.press("]")
    notebook.page.wait_for_function(
        "() => new Set([...document.querySelectorAll('.cnnvis-stage')].map((s) => s.dataset.layer)).size === 1"
        " && document.querySelector('.cnnvis-stage').dataset.layer !== 'block2_conv1'"
    )
    notebook.execute(
        """
        import time
        from cnnvis_widgets.networks import ascent
        real = ascent.step
        steps = []
        ascent.step = lambda *a, **k: (steps.append(1), time.sleep(0.2), real(*a, **k))[2]
        explorer.controls.maximize.click()
        """
    )
    notebook.page.wait_for_function("() => document.body.textContent.includes('step 2 of 48')")
    notebook.command("notebook:clear-all-cell-outputs")
    notebook.page.wait_for_function("() => !document.querySelector('.cnnvis-stage')")
    assert listeners() == both - 2
    notebook.page.wait_for_timeout(600)
    taken = notebook.kernel_eval("len(steps)")
    notebook.page.wait_for_timeout(600)
    assert notebook.kernel_eval("len(steps)") == taken < 46, (
        "the picture that nobody sees was made all the same"
    )
