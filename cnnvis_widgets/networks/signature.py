"""A short text that stands for what a network computes, to know its results again in another kernel.

The idea: weights, the operations of the traced graph with their settings, and what preprocessing makes of one
picture. Names are left out: Keras counts them up, and they change nothing.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from cnnvis_widgets.networks.network import Network


# What TensorFlow makes up anew each time, as it does with attributes that begin with an underscore.
_MADE_UP = {"container", "shared_name"}


def signature(network: Network) -> str:
    """32 hexadecimal digits."""
    digest = hashlib.blake2b(digest_size=16)
    for weight in network.model.weights:
        value = np.ascontiguousarray(weight.numpy())
        digest.update(f"{value.dtype}{value.shape}".encode())
        digest.update(value.reshape(-1).view(np.uint8).data)
    operations = network.probe.trace.inputs.graph.get_operations()
    places = {operation.name: place for place, operation in enumerate(operations)}
    for operation in operations:
        sources = [(places[tensor.op.name], tensor.value_index) for tensor in operation.inputs]
        digest.update(f"{operation.type}{sources}".encode())
        settings = operation.node_def.attr
        for name in sorted(settings):
            made_up = name.startswith("_") or name in _MADE_UP or settings[name].WhichOneof("value") == "func"
            if not made_up:
                digest.update(name.encode() + settings[name].SerializeToString(deterministic=True))
    height, width = network.input_size
    picture = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    digest.update(network.prepare(picture).tobytes())
    return digest.hexdigest()
