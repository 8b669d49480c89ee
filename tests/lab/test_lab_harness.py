"""The harness itself, driven with the smallest widget that shows anything: what it reports can be trusted."""

from __future__ import annotations

import re
import statistics
import sys

import numpy as np
import pytest
from playwright.sync_api import expect

WIDGET = '''
import anywidget, traitlets

class Swatch(anywidget.AnyWidget):
    """One pixel, 200 in red and the value in green, on a page-coloured ground; a click on it counts up."""

    _esm = """
    function render({ model, el, signal }) {
      const canvas = document.createElement("canvas");
      canvas.className = "swatch";
      canvas.width = canvas.height = 1;
      el.append(canvas);
      const paint = () => {
        const context = canvas.getContext("2d");
        context.fillStyle = `rgb(200 ${model.get("value")} 0)`;
        context.fillRect(0, 0, 1, 1);
      };
      model.on("change:value", paint);
      canvas.addEventListener("click", () => {
        model.set("value", model.get("value") + 1);
        model.save_changes();
      }, { signal });
      paint();
    }
    export default { render };
    """
    _css = ".swatch { width: 40px; height: 40px; background: var(--jp-layout-color1); }"
    value = traitlets.Int(10).tag(sync=True)

swatch = Swatch()
'''


@pytest.fixture(scope="module")
def shared(module_lab):
    notebook = module_lab.open([WIDGET, "swatch"])
    notebook.run_all()
    expect(notebook.locator(".swatch")).to_be_visible()
    return notebook


@pytest.fixture
def notebook(shared):
    shared.execute("swatch.value = 10")
    shared.next_frame()
    return shared


def green(notebook):
    return notebook.pixels(".swatch")[0, 0, 1]


def brightness(notebook):
    """Of the ground that the page gives the swatch, 0 to 255."""
    color = notebook.locator(".swatch").evaluate("canvas => getComputedStyle(canvas).backgroundColor")
    return statistics.mean(int(number) for number in re.findall(r"\d+", color)[:3])


def test_the_kernel_is_the_interpreter_under_test(notebook):
    assert notebook.kernel_eval("__import__('sys').executable") == sys.executable


def test_a_click_paints_and_reaches_the_kernel(notebook):
    np.testing.assert_array_equal(notebook.pixels(".swatch"), [[[200, 10, 0, 255]]])
    notebook.locator(".swatch").click()
    assert green(notebook) == 11
    assert notebook.kernel_eval("swatch.value") == 11


def test_a_value_set_in_the_kernel_reaches_the_screen(notebook):
    notebook.execute("swatch.value = 77")
    notebook.page.wait_for_function(
        "document.querySelector('.swatch').getContext('2d').getImageData(0, 0, 1, 1).data[1] === 77"
    )
    assert green(notebook) == 77


def test_the_theme_changes_both_ways(notebook):
    notebook.theme("dark")
    assert brightness(notebook) < 50
    notebook.theme("light")
    assert brightness(notebook) > 250


def test_a_reload_brings_the_widget_back_from_its_kernel(notebook):
    notebook.locator(".swatch").click()
    notebook.reload()
    expect(notebook.locator(".swatch")).to_be_visible()
    assert green(notebook) == 11


def test_latency_is_that_of_the_browser_even_while_the_kernel_is_busy(notebook):
    notebook.start("import time; time.sleep(2)")
    figures = notebook.latencies(
        act="() => document.querySelector('.swatch').click()",
        look="() => document.querySelector('.swatch').getContext('2d').getImageData(0, 0, 1, 1).data[1]",
    )
    notebook.finish()
    assert len(figures) == 20
    assert 0 < statistics.median(figures) < 50


def test_an_exception_in_the_kernel_fails_the_test(notebook):
    with pytest.raises(AssertionError, match="division by zero"):
        notebook.kernel_eval("1 / 0")


def test_an_exception_in_a_cell_fails_the_test(lab):
    with pytest.raises(AssertionError, match="division by zero"):
        lab.open(["1 / 0"]).run_all()


def test_requests_to_other_machines_are_refused_and_recorded(notebook):
    refused = notebook.page.evaluate("fetch('http://example.org/picture.png').then(() => false, () => true)")
    assert refused
    assert notebook.outside == ["http://example.org/picture.png"]
    assert any("ERR_FAILED" in error for error in notebook.errors)
    notebook.outside.clear()
    notebook.errors.clear()


def test_errors_in_a_page_are_recorded(notebook):
    notebook.page.evaluate("() => { setTimeout(() => { throw new Error('by the test') }) }")
    notebook.next_frame()
    assert any("by the test" in error for error in notebook.errors)
    notebook.errors.clear()
