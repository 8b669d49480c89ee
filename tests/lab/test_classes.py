"""Another class in a real JupyterLab: painted by the browser while the kernel is busy, and made true afterwards."""

from __future__ import annotations

import cv2
import numpy as np

import cnnvis_widgets as cnnvis

START = """
import cnnvis_widgets as cnnvis
explorer = cnnvis.Explorer(opacity=1.0, colormap="gray")
explorer
"""


def values_on_screen(notebook) -> np.ndarray:
    """The heatmap's own values: it is grey and hides the photograph."""
    notebook.next_frame()
    return notebook.pixels("canvas.cnnvis-photo")[..., 0].astype(float) / 256


def assert_shows(notebook, target: str) -> None:
    heatmap = cnnvis.explain(cnnvis.load_network(), cnnvis.sample_images()["cat"], target=target)
    shown = values_on_screen(notebook)
    expected = cv2.resize(heatmap.values, shown.shape[::-1], interpolation=cv2.INTER_LINEAR)
    assert np.abs(shown - expected).max() < 0.02
    caption = notebook.locator(".cnnvis-panel-photo .cnnvis-caption").inner_text()
    assert f"{target} (logit {heatmap.score:.2f})" in caption


def test_another_class_is_painted_while_a_cell_runs_and_the_kernel_follows(lab):
    notebook = lab.open([START], width=1300, height=1000)
    notebook.run_all()
    page = notebook.page
    page.wait_for_function("document.querySelectorAll('.cnnvis-class').length === 5")
    page.wait_for_function(
        "document.querySelector('[data-choice=shared]')?.disabled === false"
    )  # the weights are here
    select = notebook.locator(".widget-dropdown", has=page.get_by_text("Class", exact=True)).locator("select")

    notebook.start("import time; time.sleep(6); print('awake')")
    page.wait_for_timeout(300)
    select.select_option(label="dog")
    assert_shows(notebook, "dog")
    listed = page.locator(".cnnvis-class-name").all_text_contents()
    other = next(name for name in listed[2:] if name != "dog")
    page.locator(".cnnvis-class", has_text=other).click()
    page.mouse.move(2, 2)
    assert_shows(notebook, other)
    assert select.evaluate("(select) => select.selectedOptions[0].label") == other
    assert (
        page.evaluate("async () => await Promise.race([cnnvisTestRun.then(() => 'done'), 'busy'])") == "busy"
    )

    assert "awake" in notebook.finish()
    index = notebook.kernel_eval("explorer.state['target']")
    assert notebook.kernel_eval("explorer.heatmap.target.name") == other
    page.wait_for_timeout(500)
    assert_shows(notebook, other)  # the kernel's own, now
    assert notebook.locator(".cnnvis-stage").first.get_attribute("data-target") == str(index)
