"""(b) Feature maps: those of all layers of a picture, and one layer's grid as a file.

The grid is drawn from maps that are there already: ours as a figure of one picture, the other with a subplot a map, as
the notebooks of everybody do it. Both write a PNG of about the same number of pixels.
"""

from __future__ import annotations

import io

import numpy as np

import cnnvis_widgets as cnnvis
from side_by_side import peers
from side_by_side.bench import Bench, Call, Task
from side_by_side.limits import forward
from side_by_side.rows import OURS
from side_by_side.subjects import Subject, subject

SUBPLOTS = "matplotlib"


def measure(bench: Bench) -> None:
    for name in ("small",) if bench.quick else ("vgg16", "mobilenet_v2"):
        of = subject(name)
        bench.attempt(name, "all feature maps", lambda of=of: bench.time(of.name, _all_maps(of)))
        if name == "mobilenet_v2":
            continue  # 1280 subplots take minutes
        bench.attempt(name, "a layer's grid", lambda of=of: bench.time(of.name, _grid(of, bench.quick)))


def _all_maps(of: Subject) -> Task:
    """Of a new picture each round. The limit: one pass forward."""
    layers = [layer.path for layer in of.network.layers]
    pictures = [of.inputs(number) for number in range(10, 18)]

    def ours(number: int) -> list[np.ndarray]:
        image = of.image(10 + number)
        return [cnnvis.feature_maps(of.network, image, layer).values for layer in layers]

    calls = {OURS: Call(ours)}
    makers = peers.installed(peers.ACTIVATIONS)
    if of.name == "small":
        makers.pop(peers.ORIGINAL, None)
    for tool, make in makers.items():
        read = make(of.model)
        calls[tool] = Call(lambda i, read=read: [read(pictures[i], layer) for layer in layers])
    return Task(f"all maps of {len(layers)} layers", calls, forward(of.model), "10x", rounds=4)


def _grid(of: Subject, quick: bool) -> Task:
    layer = of.further[0] if quick else of.layer
    maps = cnnvis.feature_maps(of.network, of.picture, layer)

    def ours(_number: int) -> np.ndarray:
        cnnvis.plot_feature_maps(maps).savefig(io.BytesIO(), format="png")
        return maps.values

    def theirs(_number: int) -> np.ndarray:
        _subplots(maps.values)
        return maps.values

    task = f"grid of {maps.values.shape[-1]} maps to a PNG"
    return Task(task, {OURS: Call(ours), SUBPLOTS: Call(theirs)}, goal="10x", rounds=4)


def _subplots(values: np.ndarray) -> None:
    from matplotlib.figure import Figure

    columns = 16
    rows = -(-values.shape[-1] // columns)
    figure = Figure(figsize=(columns, rows))
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for unit, ax in enumerate(axes):
        ax.set_axis_off()
        if unit < values.shape[-1]:
            ax.imshow(values[..., unit])
            ax.set_title(str(unit), fontsize=6)
    figure.savefig(io.BytesIO(), format="png")
