"""Grad-CAM's channel weights of a class: with them and the feature maps, its heatmap is one weighted sum.

Where a layer feeds global average pooling and one Dense layer they are that layer's column over h * w, the same for
every image; elsewhere they are the mean gradients, from one backward pass a class.
"""

from __future__ import annotations

import numpy as np

from cnnvis_widgets.compute import runs
from cnnvis_widgets.networks.network import Network
from cnnvis_widgets.results import LayerInfo


def is_linear_head(network: Network, layer: LayerInfo) -> bool:
    """Whether a layer feeds global average pooling and one Dense layer, or the like."""
    return layer.path in network.graph.linear_layers


def mean_gradients(network: Network, image: np.ndarray, target: int, layer: LayerInfo) -> np.ndarray:
    """(c,) float32: the mean over space of the gradient of a class's logit at a layer.

    One backward pass; the gradients themselves are not kept, so that many classes cost little memory.
    """
    key, pixels = network.seen(image)
    if (known := known_mean_gradients(network, image, target, layer)) is not None:
        return known
    paths = runs.cheapest_to_record(network, "backward", layer.path)
    weights = np.zeros((1, network.probe.classes), np.float32)
    weights[0, target] = 1.0
    _scores, _values, gradients = network.probe.backward(network.prepare(pixels), weights, paths)
    for path, gradient in gradients.items():
        network.memory.put(("mean gradients", key, target, path), gradient[0].mean(axis=(0, 1)))
    return gradients[layer.path][0].mean(axis=(0, 1))


def known_mean_gradients(
    network: Network, image: np.ndarray, target: int, layer: LayerInfo
) -> np.ndarray | None:
    """`mean_gradients` where no pass is needed for it, else None."""
    key, _pixels = network.seen(image)
    known = network.memory.get(("mean gradients", key, target, layer.path))
    if known is None:
        gradients = network.memory.get(("gradients", key, target, layer.path))
        known = None if gradients is None else gradients.mean(axis=(0, 1))
    return known
