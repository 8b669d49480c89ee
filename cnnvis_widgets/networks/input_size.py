"""What size of picture a model takes: its own where that is fixed, else the one asked for, else a sentence."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import TYPE_CHECKING

from cnnvis_widgets.errors import CnnvisError, NetworkLoadError

if TYPE_CHECKING:
    import keras


def checked_size(size: object, name: str, error: type[CnnvisError]) -> tuple[int, int]:
    """(height, width) as whole numbers of at least 1, or an error that says what was given."""
    try:
        height, width = (operator.index(side) for side in size)  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        height = width = 0
    if min(height, width) < 1:
        raise error(f"{name} is (height, width), such as (224, 224); {size!r} was given.")
    return height, width


def own_input_shape(model: keras.Model, preprocess: Callable | None) -> tuple[int | None, int | None, int]:
    """(H, W, C) of a model's one input; H and W are None where the model leaves them open."""
    shape = getattr(model, "input_shape", None)
    if isinstance(shape, dict):
        shape = list(shape.values())
    if isinstance(shape, list):
        if len(shape) > 1:
            raise NetworkLoadError(
                f"{model.name} has {len(shape)} inputs; load_network(model, input=NAME) says which takes the picture."
            )
        shape = shape[0]
    if shape is None:  # a subclassed model that was never called says nothing of its input
        return None, None, 3
    if len(shape) == 4 and shape[1] in (1, 3) and shape[3] not in (1, 3):
        raise NetworkLoadError(
            f"{model.name} takes inputs of shape {tuple(shape[1:])}, channels first; "
            "load_network(model) makes such a network."
        )
    if len(shape) != 4:
        raise NetworkLoadError(
            f"{model.name} takes inputs of shape {tuple(shape)}; "
            "images of shape (batch, height, width, channels) are needed."
        )
    _batch, height, width, channels = shape
    if channels not in (1, 3, None) and preprocess is None:
        raise NetworkLoadError(
            f"{model.name} takes images with {channels} channels; give preprocess=, a function from RGB to those."
        )
    return height, width, channels or 3


def completed(
    model: keras.Model, own: tuple[int | None, int | None], asked: tuple[int, int] | None
) -> tuple[int, int]:
    """The input size: the model's own where it is fixed, else the one asked for."""
    asked = None if asked is None else checked_size(asked, "input_size", NetworkLoadError)
    if asked is not None and any(have not in (None, want) for have, want in zip(own, asked, strict=True)):
        raise NetworkLoadError(
            f"{model.name} takes images of {own[0]}x{own[1]}; input_size={tuple(asked)} was asked for."
        )
    height, width = asked or own
    if height is None and getattr(model, "input_shape", None) is None:
        raise NetworkLoadError(
            f"{model.name} does not say what size it takes; say it with input_size, such as input_size=(224, 224)."
        )
    if height is None or width is None:
        raise NetworkLoadError(
            f"{model.name} takes images of any size; say which with input_size, such as input_size=(224, 224)."
        )
    return int(height), int(width)
