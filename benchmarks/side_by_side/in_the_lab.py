"""(e) From a slider to pixels, in a real JupyterLab: the Explorer, and what a user would otherwise write.

That is `ipywidgets.interact` around matplotlib: a filter's map, a layer's first map, and a class's Grad-CAM over the
picture, all of the same network and picture, activations and compiled gradient kept. A time is from the gesture to the
frame that shows its effect, which is at the earliest the screen's next frame, up to 16 ms later. Needs Chromium.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
from pathlib import Path

from side_by_side.bench import Bench
from side_by_side.rows import OURS

ROOT = Path(__file__).resolve().parents[2]
INTERACT = "interact"
TIMES = 12

EXPLORER = """
import cnnvis_widgets as cnnvis
explorer = cnnvis.Explorer({source})
explorer
"""

BY_HAND = """
import io, numpy as np, keras, tensorflow as tf, cnnvis_widgets as cnnvis
from ipywidgets import interact
import matplotlib.pyplot as plt
%matplotlib inline
network = cnnvis.load_network({source})
model, picture = network.model, cnnvis.sample_images()["cat"]
inputs = network.prepare(picture)
layers = [layer.path for layer in network.layers if layer.path in {{one.name for one in model.layers}}]
every = keras.Model(model.inputs, [model.get_layer(path).output for path in layers])
known = dict(zip(layers, (np.asarray(value)[0] for value in every(inputs))))
deep = network.default_layer.path
half = keras.Model(model.inputs, [model.get_layer(deep).output, model.outputs[0]])

@tf.function
def slopes(x, index):
    with tf.GradientTape() as tape:
        values, scores = half(x)
        score = scores[0, index]
    return values, tape.gradient(score, values)

def show_filter(unit=0):
    plt.imshow(known[deep][..., unit]); plt.axis("off"); plt.title(unit); plt.show()

def show_layer(layer=0):
    plt.imshow(known[layers[layer]][..., 0]); plt.axis("off"); plt.title(layers[layer]); plt.show()

def show_class(index=0):
    values, gradients = slopes(tf.constant(inputs), tf.constant(index))
    heat = np.maximum((values * tf.reduce_mean(gradients, (1, 2), keepdims=True)).numpy()[0].sum(-1), 0)
    plt.imshow(picture); plt.axis("off"); plt.title(network.class_names[index])
    plt.imshow(heat, alpha=0.5, cmap="jet", extent=(0, picture.shape[1], picture.shape[0], 0)); plt.show()

interact(show_filter, unit=(0, known[deep].shape[-1] - 1))
interact(show_layer, layer=(0, len(layers) - 1))
interact(show_class, index=(0, len(network.class_names) - 1));
"""

# A step of the n-th slider of a page to and fro, and one of the Explorer's dropdowns to its next entry.
SLIDE = """(i) => { const handle = document.querySelectorAll(".widget-slider .noUi-handle")[%d];
  const key = i %% 2 ? "ArrowLeft" : "ArrowRight";  // ten classes are soon at their end
  handle.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true })); }"""
LABELLED = """(i) => { const handle = [...document.querySelectorAll(".widget-slider")]
  .find((one) => one.querySelector("label")?.textContent === "%s").querySelector(".noUi-handle");
  handle.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight", bubbles: true, cancelable: true })); }"""
CHOOSE = """(i) => { const select = [...document.querySelectorAll(".widget-dropdown")]
  .find((one) => one.querySelector("label")?.textContent === "%s").querySelector("select");
  select.selectedIndex = 1 + select.selectedIndex %% (select.options.length - 1);
  select.dispatchEvent(new Event("change", { bubbles: true })); }"""
STAGE = "() => document.querySelector('.cnnvis-stage').dataset.%s"
# The output is empty for a moment while its picture is exchanged: that is no effect yet.
PLOT = """() => { const plots = (window.plots ??= {});
  const plot = document.querySelectorAll(".widget-interact")[%d]?.querySelector("img");
  if (plot?.complete) plots[%d] = plot.src;
  return plots[%d]; }"""

GESTURES = {
    "filter": (LABELLED % "Filter", STAGE % "unit", 0, "10x, and no wait for the kernel"),
    "layer": (CHOOSE % "Layer", STAGE % "layer", 1, "10x"),
    "class": (CHOOSE % "Class", STAGE % "target", 2, "10x"),
}


def measure(bench: Bench) -> None:
    if bench.quick:
        return  # a real JupyterLab takes too long for a smoke run
    sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tools")]
    for name, source in {"bundled": "", "mobilenet_v2": "'mobilenet_v2', weights='random'"}.items():
        bench.attempt(
            name, "slider to pixels", lambda name=name, source=source: _compare(bench, name, source)
        )


def _compare(bench: Bench, name: str, source: str) -> None:
    from browser import ARGS
    from lab.lab import Lab, serve
    from playwright.sync_api import sync_playwright
    from setup_browser import find_browser

    with contextlib.ExitStack() as stack:
        root = stack.enter_context(tempfile.TemporaryDirectory())
        server = stack.enter_context(serve(Path(root)))
        playwright = stack.enter_context(sync_playwright())
        chromium = playwright.chromium.launch(executable_path=find_browser(), args=list(ARGS))
        stack.callback(chromium.close)
        lab = Lab(server, chromium)
        given = f"cnnvis.load_network({source})" if source else ""
        ours, by_hand = lab.open([EXPLORER.format(source=given)]), lab.open([BY_HAND.format(source=source)])
        for notebook in (ours, by_hand):
            notebook.run_all()
        ours.page.wait_for_function(
            "() => Number(document.querySelector('.cnnvis-stage')?.dataset.frame) >= 2"
        )
        by_hand.page.wait_for_function("() => document.querySelectorAll('.widget-interact img').length === 3")
        ours.page.wait_for_timeout(3000)  # what comes by itself has come
        for gesture, (act, look, place, goal) in GESTURES.items():
            turns = {OURS: (ours, act, look), INTERACT: (by_hand, SLIDE % place, PLOT % ((place,) * 3))}
            figures: dict[str, list[float]] = {tool: [] for tool in turns}
            for _ in range(2):
                for tool, (notebook, do, see) in turns.items():
                    notebook.page.bring_to_front()
                    figures[tool] += notebook.latencies(do, see, TIMES // 2, 20)
            for tool, found in figures.items():
                bench.note(name, gesture, tool, [one / 1000 for one in found], "s", goal=goal)
