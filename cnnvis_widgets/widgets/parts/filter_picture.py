"""The picture that a filter wants, as work for the worker: one step of ascent at a time, shown as it grows."""

from __future__ import annotations

import functools
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import cnnvis_widgets
from cnnvis_widgets.compute.maximize import AnyRecipe, ascend, find_recipe
from cnnvis_widgets.jobs.cache import Cache
from cnnvis_widgets.jobs.worker import Ticket
from cnnvis_widgets.locale import say
from cnnvis_widgets.networks.network import Network
from cnnvis_widgets.results import LayerInfo
from cnnvis_widgets.widgets.parts.part import Part
from cnnvis_widgets.widgets.payloads import picture_payload
from cnnvis_widgets.widgets.shown import Shown
from cnnvis_widgets.widgets.stage import Stage

_RECIPE = "classic"
_FRAME_SECONDS = 0.06  # live pictures are sent no faster than this


class FilterPicture(Part):
    """Makes it on request, or for every filter that is selected; Cancel stops it within a step."""

    lane = "filter"

    def __init__(self, explorer):
        super().__init__(explorer)
        self._cancelled = False
        self._said: dict[str, dict[str, object]] = {}  # what the stage shows, to say it anew
        controls = explorer.controls
        controls.maximize.on_click(lambda _button: self.start())
        controls.cancel.on_click(lambda _button: self._cancel())
        controls.follow.observe(lambda change: self.start() if change.new else None, "value")
        self.stage.observe(lambda _change: self._follow(), "unit")

    def changes(self, shown: Shown, before: Shown | None) -> dict[str, Any]:
        """On another layer, a picture that stays is of none of its units; in another language, all sentences anew."""
        if before is None:
            return {}
        elsewhere = (before.network, before.maps.layer) != (shown.network, shown.maps.layer)
        changes: dict[str, Any] = {"picture_unit": -1} if elsewhere else {}
        if before.state.language == shown.state.language:
            return changes
        anew = {key: say(key, shown.state.language, **values) for key, values in self._said.items()}
        progress = self.stage.picture_progress
        if progress.get("message"):
            progress = progress | {"message": anew["explorer.cancelled"]}
        return changes | {
            "picture_caption": anew.get("explorer.filter_caption", ""),
            "picture_progress": progress,
        }

    def _say(self, key: str, **values: object) -> str:
        self._said[key] = values
        return say(key, self.explorer.wanted.language, **values)

    def after(self, shown: Shown, before: Shown | None) -> None:
        what = (shown.state.layer, shown.state.unit)
        if before is None or (before.state.layer, before.state.unit) != what:
            self._follow()

    def start(self) -> None:
        self._cancelled = False
        self.submit(self._steps)

    def _follow(self) -> None:
        if self.explorer.controls.follow.value:
            self.start()

    def _cancel(self) -> None:
        self._cancelled = True
        self.stop()

    def _steps(self, _ticket: Ticket) -> Iterator[None] | None:
        if (shown := self.explorer.shown) is None:
            return None
        cancel = self.explorer.controls.cancel

        def steps() -> Iterator[None]:
            cancel.disabled = False
            unit, recipe = self.explorer.unit, find_recipe(_RECIPE)

            def shown_unit() -> int:
                now = self.explorer.shown
                here = now is not None and (now.network, now.maps.layer) == (shown.network, shown.maps.layer)
                return unit if here else -1

            try:
                yield from grow(
                    self.stage,
                    shown.network,
                    shown.maps.layer,
                    unit,
                    recipe,
                    lambda: self._cancelled,
                    self._say,
                    shown_unit,
                )
            finally:
                cancel.disabled = True

        return steps()


def grow(
    stage: Stage,
    network: Network,
    layer: LayerInfo,
    unit: int,
    recipe: AnyRecipe,
    cancelled: Callable[[], bool],
    say: Callable[..., str] = say,
    shown_unit: Callable[[], int] | None = None,
) -> Iterator[None]:
    """Steps that end with the finished picture on the stage and in the network's memory.

    Closed before the end (cancelled, or another unit asked for), the last picture stays; ``cancelled`` tells
    whether the person should read so. ``shown_unit`` is the unit, or -1 while another layer is looked at.
    """
    values = {
        "network": network.name,
        "layer": layer.path,
        "unit": unit,
        "recipe": recipe.name,
        "steps": recipe.steps,
    }
    # Said for each frame, because the language may change meanwhile.
    caption = functools.partial(say, "explorer.filter_caption", **values)
    place = shown_unit or (lambda: unit)
    key = ("filter", layer.path, unit, recipe.name)
    network.notice_new_weights()
    disk = Cache()
    name = _name_on_disk(network, layer, unit, recipe) if disk.folder else ""
    known = network.memory.get(key)
    if known is None and (kept := disk.get(name)) and "picture" in kept:
        known = network.memory.put(key, kept["picture"])
    if known is not None:
        stage.publish(**picture_payload(known, place(), caption()), picture_progress={})
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
                    **picture_payload(picture, place(), caption()),
                    picture_progress={} if step == recipe.steps else progress,
                )
            yield
        network.memory.put(key, picture)
        disk.put(name, {"picture": picture})
    finally:
        if step < recipe.steps and cancelled():
            words = say("explorer.cancelled", step=step, steps=recipe.steps)
            stage.publish(picture_progress={"message": words})


def _name_on_disk(network: Network, layer: LayerInfo, unit: int, recipe: AnyRecipe) -> str:
    """All that a filter picture depends on; the version because recipes change with it."""
    made_by = re.sub(r" at 0x[0-9a-f]+", "", repr(recipe))  # functions show where they lie in this process
    return repr(
        ("filter picture", cnnvis_widgets.__version__, network.signature(), layer.path, unit, made_by)
    )
