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
from cnnvis_widgets.networks.recording import INPUT
from cnnvis_widgets.networks.scores import LOGITS
from cnnvis_widgets.results import LayerInfo, Target

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
    network: Network, image: np.ndarray, target: Target | int | None, paths: Sequence[str]
) -> tuple[int, np.ndarray, Arrays, Arrays]:
    """A target's index, all logits, and the activations and the gradients of its score at ``paths``.

    target: a class by index stands for its logit, None for the top class's. Arrays are read-only float32:
    (classes,) and (h, w, c).
    """
    key, pixels = network.seen(image)
    logits = network.memory.get(("logits", key))
    if target is None and logits is not None:
        target = int(np.argmax(logits))
    target = None if target is None else _plain(target)
    row, of = np.zeros(network.probe.classes, np.float32), LOGITS
    if target is not None:
        values = _known(network, ("activations", key), paths)
        slopes = _known(network, ("gradients", key, target), paths)
        if logits is not None and len(values) == len(set(paths)):
            slopes = slopes or _slopes_behind(network, key, pixels, target, values)
            if len(slopes) == len(values):
                return _index(target), logits, values, slopes
        row, of = weights(network, target), _of(target)
    recorded = _what_to_record(network, "backward", ("gradients", key, target), paths)
    network.memory.make_room(2 * _size(network, recorded))
    scores, values, slopes = network.probe.backward(network.prepare(pixels), row[None], recorded, of)
    target = int(np.argmax(scores[0])) if target is None else target
    kept = _keep(network, ("activations", key), values, paths)
    kept_slopes = _keep(network, ("gradients", key, target), slopes, paths)
    logits = network.memory.put(("logits", key), scores[0]) if of == LOGITS else network.logits(image)
    return _index(target), logits, kept, kept_slopes


def _slopes_behind(
    network: Network, key: bytes, pixels: np.ndarray, target: Target | int, values: Arrays
) -> Arrays:
    """The gradient of a class at one of the last layers, whose activations are known; {} where a whole run is better.

    Where the layer feeds global pooling and one Dense layer it is that layer's column; else a run of what lies behind.
    """
    about = ("gradients", key, target)
    if len(values) > 1 or _of(target) != LOGITS or network.memory.get(("asked", *about)) is not None:
        return {}
    ((path, value),) = values.items()
    calls = [call.path for call in network.probe.calls]
    # Before that the way is as long as all of it, and one more function to compile.
    if calls.index(path) < len(calls) * 2 // 3:
        return {}
    row, head = weights(network, target), _head_weights(network, network.layer(path))
    if head is not None:
        slopes = np.ascontiguousarray(np.broadcast_to(row @ head, value.shape))
    else:
        slopes = network.probe.backward_from(network.prepare(pixels), path, value[None], row[None])[0]
    return _keep(network, about, {path: slopes[None]}, [path])


def head_weights(network: Network, image: np.ndarray, layer: LayerInfo) -> np.ndarray | None:
    """(classes, c) float32: the gradient of every class at such a layer's units, the same everywhere and for every
    image; None where the scores are not linear in its mean.

    Remembered until the network's weights change, which is looked for when an image is seen.
    """
    network.seen(image)
    return _head_weights(network, layer)


def _head_weights(network: Network, layer: LayerInfo) -> np.ndarray | None:
    key = ("head weights", layer.path)
    known = network.memory.get(key)
    if known is None and network.probe.own_weights and layer.path in network.graph.linear_layers:
        matrix = network.graph.linear_head(layer.path)
        if matrix is not None:
            h, w, _ = layer.shape
            known = network.memory.put(key, np.ascontiguousarray(matrix.T) / (h * w))
    return known


def input_gradient(network: Network, image: np.ndarray, target: Target, rule: str = "") -> np.ndarray:
    """(H, W, C) float32, read-only: the gradient of a target's score at the input, or what a rule makes of it."""
    key, pixels = network.seen(image)
    known = network.memory.get(_at_input(key, target, rule))
    if known is None:
        row = weights(network, target)[None]
        found = network.probe.backward(network.prepare(pixels), row, (INPUT,), _of(target), rule)[-1]
        known = network.memory.put(_at_input(key, target, rule), found[INPUT][0])
    return known


def record_several(
    network: Network,
    images: Sequence[np.ndarray],
    target: Target | None,
    path: str,
    rule: str | None = None,
    batch: int = 32,
) -> None:
    """Have several images' answers in memory by runs of ``batch`` of them: `gradients` at a layer then only reads, or
    `input_gradient` where a rule is given. target: None stands for each image's own top class.

    Whoever asks reads them at once: of more than memory can hold the first are forgotten again.
    """
    unknown = [image for image in images if not _is_known(network, image, target, path, rule)]
    paths = (INPUT,) if rule is not None else (path,)
    for start in range(0, len(unknown), batch):
        seen = [network.seen(image) for image in unknown[start : start + batch]]
        inputs = np.concatenate([network.prepare(pixels) for _key, pixels in seen])
        row = np.zeros(network.probe.classes, np.float32) if target is None else weights(network, target)
        of = LOGITS if target is None else _of(target)
        rows = np.repeat(row[None], len(inputs), axis=0)
        scores, values, slopes = network.probe.backward(inputs, rows, paths, of, rule or "")
        logits = scores if of == LOGITS else network.probe.forward(inputs, ())[0]
        for place, (key, _pixels) in enumerate(seen):
            about = int(np.argmax(scores[place])) if target is None else target
            network.memory.put(("logits", key), logits[place].copy())
            # Copies: a view of one image would keep the whole batch.
            if rule is not None:
                network.memory.put(_at_input(key, about, rule), slopes[INPUT][place].copy())
            else:
                network.memory.put(("activations", key, path), values[path][place].copy())
                network.memory.put(("gradients", key, _plain(about), path), slopes[path][place].copy())


def _is_known(network: Network, image, target: Target | None, path: str, rule: str | None) -> bool:
    key, _pixels = network.seen(image)
    logits = network.memory.get(("logits", key))
    if logits is None:
        return False
    about = int(np.argmax(logits)) if target is None else target
    if rule is not None:
        return network.memory.get(_at_input(key, about, rule)) is not None
    keys = (("activations", key, path), ("gradients", key, _plain(about), path))
    return all(network.memory.get(one) is not None for one in keys)


def _at_input(key: bytes, target: Target | int, rule: str) -> tuple:
    return ("gradients", key, _plain(target), INPUT, rule)


def _plain(target: Target | int) -> Target | int:
    """The same key in memory, however a class's logit was said."""
    if isinstance(target, Target) and target.of == "logit" and not target.weights:
        return target.index
    return target


def weights(network: Network, target: Target | int) -> np.ndarray:
    """(classes,) float32, or (c,) of a layer's units: what of each score goes into the target's."""
    if not isinstance(target, Target):
        target = Target(target, "")
    count = network.layer(target.layer).units if target.of == "unit" else network.probe.classes
    row = np.zeros(count, np.float32)
    for index, weight in target.weights or ((target.index, 1.0),):
        row[index] += weight
    return row


def _index(target: Target | int) -> int:
    return target.index if isinstance(target, Target) else target


def _of(target: Target | int) -> tuple[str, str]:
    return (target.of, target.layer) if isinstance(target, Target) else LOGITS


def layer_alone(network: Network, image: np.ndarray, path: str) -> np.ndarray:
    """(h, w, c) of one layer on an RGB uint8 image, not remembered.

    A run up to that layer: where all layers are compiled already, their outputs together would be the larger peak.
    """
    return network.probe.forward(network.prepare(image), (path,))[1][path][0]


def record_all(network: Network, image: np.ndarray, target: int) -> bool:
    """Have every layer's activations and gradients in memory; False where they are too large for that."""
    every = _every_layer(network, arrays=2)
    if every:
        # Nobody has asked yet: three eighths of the memory are enough, so that a small machine has room for more.
        network.memory.make_room(network.memory.limit * 5 // 8 + 2 * _size(network, every))
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
