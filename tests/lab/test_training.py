"""A recorded training in a real JupyterLab: the slider moves through it while the kernel is busy."""

from playwright.sync_api import expect

CELL = """
import numpy as np
import cnnvis_widgets as cnnvis
from types import SimpleNamespace
from cnnvis_widgets.results import Heatmap, LayerInfo, Prediction, Target

def epoch(number):
    values = np.full((4, 4), number / 4, np.float32)
    layer, image = LayerInfo("c", "convolution", (4, 4, 2), 2), np.zeros((8, 8, 3), np.uint8)
    heatmap = Heatmap(values, values, layer, Target(0, "cat"), "grad-cam", 1.0, "n", image)
    kernels = np.random.default_rng(number).normal(size=(4, 3, 3, 1)).astype(np.float32)
    return cnnvis.Epoch(number, {"loss": 9 - number}, kernels, ("one",), (Prediction(0, "cat", 1.0, 1.0),), (heatmap,))

recorder = SimpleNamespace(epochs=[], listeners=[])
viewer = cnnvis.TrainingViewer(recorder)
viewer
"""
FILL = """
for number in range(4):
    recorder.epochs.append(epoch(number))
    recorder.listeners[0](recorder.epochs[-1])
"""


def test_the_slider_moves_through_a_training_while_a_cell_runs(lab):
    notebook = lab.open([CELL, FILL])
    notebook.run_all()
    picture, words = (
        notebook.locator("img.widget-image"),
        notebook.locator(".widget-html-content", has_text="one: cat"),
    )
    expect(words).to_have_text("epoch 3: loss 6 · one: cat 100%")
    newest = picture.screenshot()
    notebook.start("import time; time.sleep(6); print(viewer.epoch)")
    handle = notebook.locator(".noUi-handle")
    handle.press("ArrowLeft")
    handle.press("ArrowLeft")
    expect(words).to_have_text("epoch 1: loss 8 · one: cat 100%", timeout=4000)
    expect(picture).to_have_count(1)
    assert picture.screenshot() != newest
    notebook.finish()
    assert notebook.kernel_eval("viewer.epoch") == 1
