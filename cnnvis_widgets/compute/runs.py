"""One run, every layer: activations and gradients, from the network's memory where they are known.

A run records all layers together, because that costs little more than recording one; then another layer or
another method is read from memory. Networks too large for that record only what was asked for.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cnnvis_widgets.networks.network import Network, image_key

_FLOAT = 4  # bytes


def activations(network: Network, image: np.ndarray, paths: Sequence[str]) -> dict[str, np.ndarray]:
    """(h, w, c) float32 of the layers at ``paths`` on an RGB uint8 image."""
    keys = {path: _activations_key(image, path) for path in paths}
    known = {path: value for path, key in keys.items() if (value := network.memory.get(key)) is not None}
    if len(known) == len(keys):
        return known
    recorded = _recordable(network, paths, arrays_per_layer=1)
    logits, values = network.probe.forward(network.prepare(image), recorded)
    _keep(network, image, logits, values, asked=paths)
    return {path: values[path][0] for path in paths}


def gradients(
    network: Network, image: np.ndarray, target: int | None, paths: Sequence[str]
) -> tuple[int, dict[str, np.ndarray], dict[str, np.ndarray]]:
    """A target's index, and the activations and the gradients of its logit, (h, w, c) float32, at ``paths``.

    target: None stands for the top class.
    """
    logits = network.memory.get(("logits", image_key(image)))
    if target is None and logits is not None:
        target = int(np.argmax(logits))
    if target is not None:
        values, slopes = _known(network, image, target, paths)
        if len(values) == len(slopes) == len(set(paths)):
            return target, values, slopes
    weights = np.zeros((1, network.probe.classes), np.float32)
    if target is not None:
        weights[0, target] = 1.0
    recorded = _recordable(network, paths, arrays_per_layer=2)
    logits, values, slopes = network.probe.backward(network.prepare(image), weights, recorded)
    target = int(np.argmax(logits[0])) if target is None else target
    _keep(network, image, logits, values, asked=paths)
    for path in _asked_last(slopes, paths):
        network.memory.put(_gradients_key(image, target, path), slopes[path][0])
    return target, {path: values[path][0] for path in paths}, {path: slopes[path][0] for path in paths}


def _known(network: Network, image, target: int, paths: Sequence[str]):
    """What memory has of the activations and gradients at ``paths``."""
    values, slopes = {}, {}
    for path in paths:
        if (value := network.memory.get(_activations_key(image, path))) is not None:
            values[path] = value
        if (slope := network.memory.get(_gradients_key(image, target, path))) is not None:
            slopes[path] = slope
    return values, slopes


def _activations_key(image, path):
    return ("activations", image_key(image), path)


def _gradients_key(image, target, path):
    return ("gradients", image_key(image), target, path)


def _recordable(network: Network, paths: Sequence[str], arrays_per_layer: int) -> tuple[str, ...]:
    """Every layer where memory could hold about that much, else only the ones asked for."""
    every = network.layers
    needed = arrays_per_layer * _FLOAT * sum(h * w * c for h, w, c in (layer.shape for layer in every))
    # Twice the limit: what does not fit is dropped at once, earliest layers first, and the rest still serves.
    chosen = tuple(layer.path for layer in every) if needed <= 2 * network.memory.limit else ()
    return chosen if set(paths) <= set(chosen) else tuple(dict.fromkeys(paths))


def _keep(network, image, logits, values, asked) -> None:
    for path in _asked_last(values, asked):
        network.memory.put(_activations_key(image, path), values[path][0])
    network.memory.put(("logits", image_key(image)), logits[0])


def _asked_last(values: dict, asked: Sequence[str]) -> list[str]:
    """Paths in the order in which to remember them: what was asked for last, so that it stays longest."""
    return [path for path in values if path not in asked] + list(asked)
