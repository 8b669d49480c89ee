"""Activations and gradients, from the network's memory where they are known, else from one run.

The first request on an image computes what it asks for. Whoever then asks for a second layer will ask for more: that
run records all layers together, and another layer or another method is read from memory from then on. Networks whose
layers are too large for that record only what was asked for.

Keys in memory, after a word: ``Network.seen``'s key of the picture, then the target, then the layer's path.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cnnvis_widgets.networks.network import Network

_FLOAT = 4  # bytes
Arrays = dict[str, np.ndarray]


def activations(network: Network, image: np.ndarray, paths: Sequence[str]) -> Arrays:
    """(h, w, c) float32, read-only, of the layers at ``paths`` on an RGB uint8 image."""
    key, pixels = network.seen(image)
    about = ("activations", key)
    known = _known(network, about, paths)
    if len(known) == len(set(paths)):
        return known
    recorded = _what_to_record(network, "forward", about, paths)
    network.memory.make_room(_size(network, recorded))
    logits, values = network.probe.forward(network.prepare(pixels), recorded)
    kept = _keep(network, about, values, paths)
    network.memory.put(("logits", key), logits[0])
    return kept


def gradients(
    network: Network, image: np.ndarray, target: int | None, paths: Sequence[str]
) -> tuple[int, np.ndarray, Arrays, Arrays]:
    """A target's index, all logits, and the activations and the gradients of its logit at ``paths``.

    target: None stands for the top class. Arrays are read-only float32: (classes,) and (h, w, c).
    """
    key, pixels = network.seen(image)
    logits = network.memory.get(("logits", key))
    if target is None and logits is not None:
        target = int(np.argmax(logits))
    weights = np.zeros((1, network.probe.classes), np.float32)
    if target is not None:
        values = _known(network, ("activations", key), paths)
        slopes = _known(network, ("gradients", key, target), paths)
        if logits is not None and len(values) == len(slopes) == len(set(paths)):
            return target, logits, values, slopes
        weights[0, target] = 1.0
    recorded = _what_to_record(network, "backward", ("gradients", key, target), paths)
    network.memory.make_room(2 * _size(network, recorded))
    scores, values, slopes = network.probe.backward(network.prepare(pixels), weights, recorded)
    target = int(np.argmax(scores[0])) if target is None else target
    kept = _keep(network, ("activations", key), values, paths)
    kept_slopes = _keep(network, ("gradients", key, target), slopes, paths)
    return target, network.memory.put(("logits", key), scores[0]), kept, kept_slopes


def record_all(network: Network, image: np.ndarray, target: int) -> bool:
    """Have every layer's activations and gradients in memory; False where they are too large for that."""
    every = _every_layer(network, arrays=2)
    if every:
        gradients(network, image, target, every)
    return bool(every)


def cheapest_to_record(network: Network, kind: str, path: str) -> tuple[str, ...]:
    """The layers of the compiled run to use for a layer that is wanted alone: tracing another takes a second or two."""
    every = _every_layer(network, arrays=2 if kind == "backward" else 1)
    return every if path in every and network.probe.is_compiled(kind, every) else (path,)


def _what_to_record(network: Network, kind: str, about: tuple, paths: Sequence[str]) -> tuple[str, ...]:
    asked = tuple(dict.fromkeys(paths))
    every = _every_layer(network, arrays=2 if kind == "backward" else 1)
    if not set(asked) <= set(every):
        return asked
    second = network.memory.get(("asked", *about)) is not None
    ready = network.probe.is_compiled(kind, every) and not network.probe.is_compiled(kind, asked)
    return every if second or ready else asked


def _every_layer(network: Network, arrays: int) -> tuple[str, ...]:
    """All layers' paths where memory can hold about that many arrays of each, else none."""
    every = tuple(layer.path for layer in network.layers)
    # Twice the limit: what does not fit is dropped at once, earliest layers first, and the rest still serves.
    return every if arrays * _size(network, every) <= 2 * network.memory.limit else ()


def _size(network: Network, paths: Sequence[str]) -> int:
    """Bytes of one array of each layer."""
    return sum(_FLOAT * h * w * c for h, w, c in (network.layer(path).shape for path in paths))


def _known(network: Network, about: tuple, paths: Sequence[str]) -> Arrays:
    found = {path: network.memory.get((*about, path)) for path in paths}
    return {path: value for path, value in found.items() if value is not None}


def _keep(network: Network, about: tuple, batch: Arrays, asked: Sequence[str]) -> Arrays:
    """Remember a run's arrays, what was asked for last so that it stays longest; returns what was asked for."""
    order = [*(path for path in batch if path not in asked), *asked]
    kept = {path: network.memory.put((*about, path), batch[path][0]) for path in order}
    network.memory.put(("asked", *about), np.ones(1, bool))
    return {path: kept[path] for path in asked}
