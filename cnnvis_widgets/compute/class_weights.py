"""Grad-CAM's channel weights of a class: with them and the feature maps, its heatmap is one weighted sum.

Where a layer feeds global average pooling and one Dense layer they are that layer's column over h * w, the same for
every image; elsewhere they are the mean gradients, from one backward pass a class.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnvis_widgets.compute import runs
from cnnvis_widgets.networks.network import Network
from cnnvis_widgets.results import LayerInfo


def head_weights(network: Network, layer: LayerInfo) -> np.ndarray | None:
    """(classes, c) float32: Grad-CAM's weights of every class, where a layer feeds pooling and one Dense, else None."""
    head = linear_head(network)
    if head is None or layer.path not in head[0]:
        return None
    h, w, _ = layer.shape
    return np.ascontiguousarray(head[1].T, np.float32) / (h * w)


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


def linear_head(network: Network) -> tuple[tuple[str, ...], np.ndarray] | None:
    """The layers that feed global average pooling and one Dense layer, and its kernel (c, classes)."""
    operations: list[Any] = list(network.model.layers)
    while operations and type(operations[-1]).__name__ in ("Softmax", "Activation", "Dropout"):
        operations.pop()
    if not operations or type(operations[-1]).__name__ != "Dense":
        return None
    dense = operations.pop()
    while operations and type(operations[-1]).__name__ == "Dropout":
        operations.pop()
    if not operations or type(operations[-1]).__name__ != "GlobalAveragePooling2D":
        return None
    try:
        source = operations[-1].input._keras_history.operation.name
    except (AttributeError, ValueError):
        return None
    return (source,), np.asarray(dense.kernel)
