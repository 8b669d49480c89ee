"""Models with several inputs or outputs, or channels first, made to look like one with a single picture, channels last,
and one set of scores.

The idea: nothing is cut or cloned. A small model calls the whole one, turns the picture, holds the other inputs still
and picks an output; layers keep the paths that they had.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from cnnvis_widgets.errors import NetworkLoadError, did_you_mean, short
from cnnvis_widgets.networks import channels
from cnnvis_widgets.networks.recording import operations_of


def single(
    model: keras.Model,
    input: str | None = None,
    output: str | int | None = None,
    other_inputs: Mapping[str, Any] | None = None,
) -> keras.Model:
    """The model itself where it has one of each, channels last, else one that takes the picture alone and gives the
    scores alone.

    other_inputs: by name, what each of the others is given, for one picture, without the batch; zeros where nothing is
    said. Raises `NetworkLoadError`, also where it is not said which input or output is meant.
    """
    inputs = _flat(getattr(model, "inputs", None))
    outputs = _flat(getattr(model, "outputs", None))
    said = input is not None or output is not None or other_inputs
    if len(inputs) < 2 and len(outputs) < 2 and not said and not _takes_first(model, inputs):
        return model
    named_inputs = dict(zip(_names(getattr(model, "input", None), inputs), inputs, strict=True))
    chosen = _chosen(model.name, "input", input, list(named_inputs)) if named_inputs else None
    outputs_named = _names(getattr(model, "output", None), outputs)
    place = None
    if (
        isinstance(output, int)
        and not isinstance(output, bool)
        and (not outputs or 0 <= output < len(outputs))
    ):
        place = output
    elif outputs:
        place = outputs_named.index(_chosen(model.name, "output", output, outputs_named))
    held = {
        name: _held(model.name, name, tensor, (other_inputs or {}).get(name))
        for name, tensor in named_inputs.items()
        if name != chosen
    }
    if unknown := set(other_inputs or {}) - set(held):
        one = sorted(map(str, unknown))[0]
        raise NetworkLoadError(f"{model.name} has no other input {one!r}; {did_you_mean(one, held)}")
    return _Single(model, list(named_inputs), chosen, held, place if place is not None else output)


class _Single(keras.Model):
    """Calls ``inner`` with one input and gives one of its outputs; shows its layers as they are."""

    def __init__(
        self, inner: keras.Model, names: list[str], chosen: str | None, held: dict, place: int | str | None
    ):
        super().__init__(name=inner.name)
        self.inner = inner
        self._order, self._chosen, self._place = names, chosen, place
        self._given = held
        self._first = False
        if chosen is not None:
            picture = inner.inputs[names.index(chosen)]
            self._first = _takes_first(inner, [picture])
            shape = tuple(picture.shape)
            self.input_shape = (shape[0], *shape[2:], shape[1]) if self._first else shape

    @property
    def operations(self) -> list:
        return list(getattr(self.inner, "operations", None) or self.inner.layers)

    def call(self, picture, training=False):
        outputs = self.inner(self._fed(picture), training=training)
        if isinstance(outputs, Mapping) and self._place in outputs:
            return outputs[self._place]
        flat = keras.tree.flatten(outputs)
        return flat[self._place if isinstance(self._place, int) else 0]

    def _fed(self, picture):
        picture = channels.turned_back(picture) if self._first else picture
        if len(self._order) < 2:
            return picture
        tensors = [
            picture if name == self._chosen else ops.repeat(self._given[name], ops.shape(picture)[0], axis=0)
            for name in self._order
        ]
        return keras.tree.pack_sequence_as(self.inner.input, tensors)


def _takes_first(model: keras.Model, inputs: list) -> bool:
    parts = (part for _path, part in operations_of(model))
    return len(inputs) == 1 and channels.takes_first(tuple(inputs[0].shape), parts)


def _flat(tensors: Any) -> list:
    return [] if tensors is None else keras.tree.flatten(tensors)


def _names(structure: Any, tensors: list) -> list[str]:
    """The keys of a dictionary, else the names of the layers that make the tensors, else their places."""
    if isinstance(structure, Mapping) and len(structure) == len(tensors):
        return sorted(structure)  # the order in which Keras flattens it
    names = [tensor._keras_history.operation.name for tensor in tensors]
    return names if len(set(names)) == len(names) else [str(place) for place in range(len(tensors))]


def _chosen(network: str, what: str, asked: str | int | None, names: list[str]) -> str:
    listed = ", ".join(map(repr, names[:6]))
    if asked is None and len(names) == 1:
        return names[0]
    if asked is None:
        raise NetworkLoadError(
            f"{network} has {len(names)} {what}s ({listed}); say which with {what}=, such as {what}={names[0]!r}."
        )
    if not isinstance(asked, str) or asked not in names:
        raise NetworkLoadError(f"{network} has no {what} {asked!r}; {did_you_mean(asked, names)}")
    return asked


def _held(network: str, name: str, tensor: Any, value: Any) -> np.ndarray:
    shape = tuple(tensor.shape[1:])
    if value is None:
        value = np.zeros([side or 1 for side in shape])
    try:
        value = np.asarray(value, keras.backend.standardize_dtype(tensor.dtype))
    except (TypeError, ValueError):
        raise NetworkLoadError(
            f"The input {name!r} of {network} takes numbers of shape {shape}; {short(value)} was given in other_inputs."
        ) from None
    if len(value.shape) != len(shape) or any(
        want not in (None, have) for want, have in zip(shape, value.shape, strict=True)
    ):
        raise NetworkLoadError(
            f"The input {name!r} of {network} takes the shape {shape}; {value.shape} was given in other_inputs."
        )
    return value[None]
