"""Grad-CAM of pictures that come by the second: nothing is remembered, so that a camera fills no memory."""

from __future__ import annotations

import numpy as np

from cnnvis_widgets.compute.cam import grad_cam
from cnnvis_widgets.compute.explain import share_of_maximum
from cnnvis_widgets.networks.network import Network, strongest
from cnnvis_widgets.results import Heatmap, LayerInfo, Prediction, Target


def live_heatmap(
    network: Network, image: np.ndarray, layer: LayerInfo, target: int | None, top: int = 5
) -> tuple[Heatmap, list[Prediction]]:
    """What ``explain(network, image, "grad-cam", layer, target)`` and ``network.predict`` say, in one pass.

    image: RGB uint8 (H, W, 3). target: a class's index; None gives the top one. The first call of a layer traces it.
    Raises `CnnvisError` for an index that is no class.
    """
    weights = np.zeros((1, network.probe.classes), np.float32)
    if target is not None:
        weights[0, network.target(target).index] = 1.0
    scores, values, gradients = network.probe.backward(network.prepare(image), weights, (layer.path,))
    logits = scores[0]
    best = network.predictions(logits, strongest(logits, top))
    index = best[0].index if target is None else target
    with np.errstate(invalid="ignore", over="ignore"):  # NaN is told by Heatmap.message
        raw = grad_cam(values[layer.path][0], gradients[layer.path][0]).astype(np.float32)
    explained = Target(index, network.class_names[index])
    score = float(logits[index])
    return Heatmap(share_of_maximum(raw), raw, layer, explained, "grad-cam", score, network.name, image), best
