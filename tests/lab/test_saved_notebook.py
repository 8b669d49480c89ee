"""What is left of an Explorer in a notebook that was saved, and how one comes back to a place in it."""

from __future__ import annotations

import base64
import contextlib
import io
import json

import nbformat
import numpy as np
import pytest
from lab.lab import Notebook
from PIL import Image
from playwright.sync_api import TimeoutError

START = "import cnnvis_widgets as cnnvis\nexplorer = cnnvis.Explorer()\nexplorer"
STATE = "application/vnd.jupyter.widget-state+json"


@pytest.fixture(scope="module")
def notebook(module_lab) -> Notebook:
    notebook = module_lab.open([START], width=1300, height=1000)
    notebook.run_all()
    wait(notebook, "Number(s.dataset.frame) >= 2 && s.querySelector('canvas.cnnvis-maps')")
    return notebook


def wait(notebook: Notebook, condition: str) -> None:
    """Until a JavaScript condition on the stage element ``s`` holds."""
    notebook.page.wait_for_function(
        f"() => {{ const s = document.querySelector('.cnnvis-stage'); return s && ({condition}); }}",
        timeout=30_000,
    )


def saved(notebook: Notebook) -> nbformat.NotebookNode:
    notebook.command("docmanager:save")
    return nbformat.read(notebook.server.root / notebook.file, as_version=4)


def colours(notebook: Notebook, canvas: str) -> int:
    return len(np.unique(notebook.pixels(canvas).reshape(-1, 4), axis=0))


def test_a_saved_notebook_has_a_picture_beside_the_live_view(notebook):
    output, *more = saved(notebook).cells[0].outputs
    assert not more, "\n".join(str(each.get("text")) for each in (output, *more))
    picture = Image.open(io.BytesIO(base64.b64decode(output.data["image/png"])))
    assert picture.width == 900 and np.asarray(picture.convert("RGB")).std() > 30
    assert "bundled/block4_add/" in output.data["text/plain"]
    assert "application/vnd.jupyter.widget-view+json" in output.data
    assert colours(notebook, "canvas.cnnvis-photo") > 1000, "JupyterLab shows the live view"
    assert notebook.locator(".jp-OutputArea img").count() == 0


def test_a_typed_address_opens_and_the_field_follows(notebook):
    field = notebook.page.get_by_label("Address", exact=True)
    field.fill("bundled/block2_conv1/7@5,6")
    field.press("Enter")
    wait(notebook, "s.dataset.layer === 'block2_conv1' && s.dataset.unit === '7'")
    assert notebook.kernel_eval("explorer.state['position']") == [5, 6]
    notebook.execute("explorer.update(unit=9)")
    notebook.page.wait_for_function(
        "() => document.querySelector('.cnnvis-bar input').value === 'bundled/block2_conv1/9@5,6'"
    )
    field.fill("bundled/no_such_layer/7")
    field.press("Enter")
    alert = notebook.locator(".cnnvis-stage").get_by_role("alert")
    alert.wait_for()
    assert "no layer 'no_such_layer'" in alert.text_content()
    assert field.input_value() == "bundled/no_such_layer/7", "what was typed can be corrected"
    assert notebook.kernel_eval("explorer.address") == "bundled/block2_conv1/9@5,6"
    field.press("Escape")
    assert field.input_value() == "bundled/block2_conv1/9@5,6"


def test_the_code_is_shown_and_follows_the_view(notebook):
    notebook.page.get_by_role("button", name="Code", exact=True).focus()
    notebook.page.keyboard.press("Enter")
    code = notebook.locator(".cnnvis-code")
    code.wait_for()
    notebook.execute("explorer.update(layer='block3_conv1', unit=2)")
    notebook.page.wait_for_function(
        "() => document.querySelector('.cnnvis-code').textContent.includes(\"'block3_conv1'\")"
    )
    assert code.locator("code").text_content() == notebook.kernel_eval("explorer.code()")
    notebook.context.grant_permissions(["clipboard-read", "clipboard-write"])
    code.get_by_role("button", name="Copy the code").click()
    notebook.locator(".cnnvis-said", has_text="Copied.").wait_for()
    copied = notebook.page.evaluate("() => navigator.clipboard.readText()")
    assert copied == notebook.kernel_eval("explorer.code()")


def test_arrays_come_back_after_a_reload_with_a_live_kernel(notebook):
    notebook.execute("explorer.update(layer='block2_conv2', unit=4)")
    wait(notebook, "s.dataset.layer === 'block2_conv2'")
    before = notebook.pixels("canvas.cnnvis-maps").copy()
    notebook.reload()
    wait(notebook, "s.dataset.layer === 'block2_conv2' && s.dataset.photo !== undefined")
    notebook.next_frame()
    assert colours(notebook, "canvas.cnnvis-photo") > 1000
    np.testing.assert_array_equal(notebook.pixels("canvas.cnnvis-maps"), before)


def test_saved_widget_state_has_no_arrays_and_shows_the_picture_without_its_kernel(notebook):
    notebook.command("@jupyter-widgets/jupyterlab-manager:saveWidgetState")
    content = saved(notebook)
    states = content.metadata.widgets[STATE]["state"]
    (stage,) = [state for state in states.values() if "colormap_names" in state["state"]]
    assert [buffer["path"] for buffer in stage.get("buffers", [])] == [["still"]]
    assert len(json.dumps(states)) < 600_000
    notebook.server.shut_down_kernel(notebook.file)
    still = notebook.locator(".cnnvis-still img")
    notebook.reload()
    for _ in range(2):  # Lab may look for widgets before its new kernel answers, and then finds none
        with contextlib.suppress(TimeoutError):
            still.wait_for(timeout=15_000)
            break
        notebook.page.reload()
    still.wait_for(timeout=15_000)
    assert still.evaluate("async (image) => { await image.decode(); return image.naturalWidth; }") == 900
    assert notebook.locator(".cnnvis-panels").is_hidden()
    notebook.errors.clear()  # the kernel went away while the page was open
