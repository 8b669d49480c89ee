"""Channels first: which layers put out (channels, height, width), and how the probe turns that.

The idea: what such a layer puts out is turned to channels last where it is recorded, and turned back where the network
goes on with it. So only the trace knows of it, and gradients, changes and pictures are the same as anywhere. Turns that
nobody reads, TensorFlow takes out.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

import keras

from cnnvis_widgets.networks import operations
from cnnvis_widgets.networks.operations import tf

_FIRST = "channels_first"


def takes_first(shape: tuple[int | None, ...], parts: Iterable[Any]) -> bool:
    """Whether a model of these layers that takes (batch, ...) of this shape takes its channels first."""
    if len(shape) != 4 or shape[3] in (1, 3):
        return False
    if shape[1] in (1, 3):
        return True
    said = (getattr(part, "data_format", None) for part in parts)
    return next(filter(None, said), "") == _FIRST


def any_first(parts: Iterable[Any]) -> bool:
    """Whether any of these layers works with channels first."""
    return any(getattr(part, "data_format", None) == _FIRST for part in parts)


def put_first(inputs: Any, calls: Iterable[tuple[str, str, Any]], parts: dict[str, Any]) -> frozenset[str]:
    """The paths of the calls whose rows and columns lie behind their channels, read off the graph.

    parts: the layers by path. Where the graph is not understood, what a layer says of itself counts.
    """
    seen = operations.see(inputs.graph, {inputs.name: operations.picture_of(inputs)})
    return frozenset(
        path
        for path, _name, value in calls
        if tf.is_tensor(value) and value.shape.rank == 4
        if _is_first(seen.get(value.name), parts.get(path, parts.get(path.rpartition("#")[0])))
    )


def _is_first(state: operations.Seen | str | None, layer: Any) -> bool:
    if not isinstance(state, operations.Seen):
        return getattr(layer, "data_format", None) == _FIRST
    along = [{name for name, _n in dim} & {"y", "x"} for dim in state.dims]
    return not along[1] and ("y" in along[2] or "x" in along[3])


@contextlib.contextmanager
def last() -> Iterator[None]:
    """Within it networks are built with their channels last, whatever a person has set Keras to."""
    before = keras.config.image_data_format()
    keras.config.set_image_data_format("channels_last")
    try:
        yield
    finally:
        keras.config.set_image_data_format(before)


def turned(value: Any) -> Any:
    """(n, c, h, w) -> (n, h, w, c)."""
    return tf.transpose(value, (0, 2, 3, 1))


def turned_back(value: Any) -> Any:
    """(n, h, w, c) -> (n, c, h, w)."""
    return tf.transpose(value, (0, 3, 1, 2))
