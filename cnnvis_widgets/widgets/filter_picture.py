"""The picture that a filter wants, as work for the worker: one step of ascent at a time, shown as it grows."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np

from cnnvis_widgets.compute.maximize import AnyRecipe, ascend
from cnnvis_widgets.locale import say
from cnnvis_widgets.networks.network import Network
from cnnvis_widgets.results import LayerInfo
from cnnvis_widgets.widgets.payloads import picture_payload
from cnnvis_widgets.widgets.stage import Stage

_FRAME_SECONDS = 0.06  # live pictures are sent no faster than this


def grow(
    stage: Stage,
    network: Network,
    layer: LayerInfo,
    unit: int,
    recipe: AnyRecipe,
    cancelled: Callable[[], bool],
    language: str = "en",
) -> Iterator[None]:
    """Steps that end with the finished picture on the stage and in the network's memory.

    Closed before the end (cancelled, or another unit asked for), the last picture stays; ``cancelled`` tells
    whether the person should read so.
    """
    values = {
        "network": network.name,
        "layer": layer.path,
        "unit": unit,
        "recipe": recipe.name,
        "steps": recipe.steps,
    }
    caption = say("explorer.filter_caption", language, **values)
    key = ("filter", layer.path, unit, recipe.name)
    known = network.memory.get(key)
    if known is not None:
        stage.publish(**picture_payload(known, unit, caption), picture_progress={})
        return
    stage.publish(picture_progress={"step": 0, "steps": recipe.steps, "seconds_left": None, "message": ""})
    started, sent, step = time.monotonic(), 0.0, 0
    try:
        for frame in ascend(network, layer, np.array([unit]), recipe):
            step = frame.step
            if step == recipe.steps or time.monotonic() - sent >= _FRAME_SECONDS:
                sent = time.monotonic()
                picture = recipe.picture(network, frame.inputs)[0]
                left = (time.monotonic() - started) / step * (recipe.steps - step)  # at the mean pace so far
                progress = {"step": step, "steps": recipe.steps, "seconds_left": left, "message": ""}
                stage.publish(
                    **picture_payload(picture, unit, caption),
                    picture_progress={} if step == recipe.steps else progress,
                )
            yield
        network.memory.put(key, picture)
    finally:
        if step < recipe.steps and cancelled():
            words = say("explorer.cancelled", language, step=step, steps=recipe.steps)
            stage.publish(picture_progress={"message": words})
