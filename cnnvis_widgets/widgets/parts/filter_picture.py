"""The picture that a filter wants, as work for the worker: one step of ascent at a time, shown as it grows.

All layers of a network share one compiled step, made when nobody asks for anything: so the first picture comes at once.
Beside the finished picture stand the patches of the sample photographs that excite the filter most.
"""

from __future__ import annotations

import contextlib
import functools
import re
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import cnnvis_widgets
from cnnvis_widgets.compute.maximize import AnyRecipe, PlainRecipe, ascend, find_recipe
from cnnvis_widgets.compute.patches import cut_samples, sample_patches
from cnnvis_widgets.errors import CnnvisError
from cnnvis_widgets.jobs.cache import Cache
from cnnvis_widgets.jobs.worker import Ticket
from cnnvis_widgets.locale import say
from cnnvis_widgets.networks.network import Network
from cnnvis_widgets.results import LayerInfo
from cnnvis_widgets.widgets.parts.part import Part
from cnnvis_widgets.widgets.payloads import no_patches, patches_payload, picture_payload
from cnnvis_widgets.widgets.shown import Shown
from cnnvis_widgets.widgets.stage import Stage

_FRAME_SECONDS = 0.06  # live pictures are sent no faster than this
_CAPTION = "explorer.filter_caption"
_MESSAGES = ("explorer.cancelled", "explorer.dead_start", "explorer.dead")
_PATCHES = 6
_READY_LAYERS = 200  # in larger networks a layer switch would wait for seconds while the step is compiled


class FilterPicture(Part):
    """Makes it on request, or for every filter that is selected; Cancel stops it within a step."""

    lane = "filter"

    def __init__(self, explorer):
        super().__init__(explorer)
        self._cancelled = False
        self._ready: weakref.WeakSet[Network] = weakref.WeakSet()
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
        changes: dict[str, Any] = {} if shown.same_layer(before) else {"picture_unit": -1} | no_patches()
        if before.state.language == shown.state.language:
            return changes
        anew = {key: say(key, shown.state.language, **values) for key, values in self._said.items()}
        progress = self.stage.picture_progress
        if progress.get("message"):
            # The last thing said that is no caption: cancelled, or why the unit stayed off.
            messages = [text for key, text in anew.items() if key in _MESSAGES]
            progress = progress | {"message": messages[-1]}
        if self.stage.patches_said and not self.stage.patches:
            changes["patches_said"] = [anew["explorer.no_patches"]]
        return changes | {
            "picture_caption": next((text for key, text in anew.items() if key.startswith(_CAPTION)), ""),
            "picture_progress": progress,
        }

    def _say(self, key: str, **values: object) -> str:
        if key.startswith(_CAPTION):
            self._said = {key: values for key, values in self._said.items() if not key.startswith(_CAPTION)}
        elif key in _MESSAGES:
            self._said.pop(key, None)
        self._said[key] = values
        return say(key, self.explorer.wanted.language, **values)

    def after(self, shown: Shown, before: Shown | None) -> None:
        what = (shown.state.layer, shown.state.unit)
        if before is None or (before.state.layer, before.state.unit) != what:
            self._follow()
        elif before.state.recipe != shown.state.recipe and self.stage.picture_unit == shown.state.unit:
            self.start()

    def idle(self, shown: Shown) -> None:
        network = shown.network
        if "filter" not in self.stage.panels or network in self._ready or len(network.layers) > _READY_LAYERS:
            return
        self._ready.add(network)
        recipe = find_recipe(shown.state.recipe)
        with contextlib.suppress(CnnvisError):  # whoever asks for a picture will be told
            if not isinstance(recipe, PlainRecipe):
                next(ascend(network, network.layers[0], np.array([0]), recipe, live=True))

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
            unit, recipe = self.explorer.unit, find_recipe(self.explorer.wanted.recipe)

            def shown_unit() -> int:
                return unit if shown.same_layer(self.explorer.shown) else -1

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
    sentence = "explorer.filter_caption_classic" if recipe.name == "classic" else "explorer.filter_caption"
    caption = functools.partial(say, sentence, **values)
    place = shown_unit or (lambda: unit)
    key = ("filter", layer.path, unit, recipe.name)
    network.notice_new_weights()
    disk = Cache()
    name = _name_on_disk(network, layer, unit, recipe) if disk.folder else ""
    known = network.memory.get(key)
    if known is None and (kept := disk.get(name)) and "picture" in kept:
        known = network.memory.put(key, kept["picture"])
    if known is not None:
        stage.publish(
            **picture_payload(known, place(), caption(), recipe.name), **no_patches(), picture_progress={}
        )
        yield from beside(stage, network, layer, unit, say, place)
        return
    waiting = {"step": 0, "steps": recipe.steps, "seconds_left": None, "message": ""}
    stage.publish(picture_progress=waiting, **no_patches())
    started, sent, step, woke = time.monotonic(), 0.0, 0, False
    try:
        for frame in ascend(network, layer, np.array([unit]), recipe, live=True):
            step = frame.step
            woke = woke or bool((frame.activations != 0).any())
            if step == recipe.steps or time.monotonic() - sent >= _FRAME_SECONDS:
                sent = time.monotonic()
                picture = recipe.picture(network, frame.inputs)[0]
                left = (time.monotonic() - started) / step * (recipe.steps - step)  # at the mean pace so far
                progress = {"step": step, "steps": recipe.steps, "seconds_left": left, "message": ""}
                stage.publish(
                    **picture_payload(picture, place(), caption(), recipe.name),
                    picture_progress={} if step == recipe.steps else progress,
                )
            yield
        if woke:
            network.memory.put(key, picture)
            disk.put(name, {"picture": picture})
        yield from beside(stage, network, layer, unit, say, place, 0 if woke else recipe.steps)
    finally:
        if step < recipe.steps and cancelled():
            words = say("explorer.cancelled", step=step, steps=recipe.steps)
            stage.publish(picture_progress={"message": words})


def beside(
    stage: Stage,
    network: Network,
    layer: LayerInfo,
    unit: int,
    say: Callable[..., str],
    shown_unit: Callable[[], int],
    asleep: int = 0,
) -> Iterator[None]:
    """Steps that end with the unit's patches of the sample photographs on the stage.

    asleep: in how many steps the unit did not wake; the reason is said with the patches, 0 where it did.
    """
    for best in sample_patches(network, layer, _PATCHES):
        if best is None:
            yield
            continue
        found = cut_samples(network, layer, unit, best)
        if shown_unit() < 0:
            return
        if asleep:
            reason = "explorer.dead_start" if found.active[0] else "explorer.dead"
            why = say(reason, steps=asleep, source=found.sources[0][0], count=found.searched)
            stage.publish(picture_progress={"message": why})
        if not found.active[0]:
            words = [say("explorer.no_patches", count=found.searched)]
            stage.publish(**no_patches() | {"patches_said": words})
            return
        said = [
            say("explorer.patch", source=source, value=f"{value:.3g}")
            for source, value in zip(found.sources[0], found.values[0], strict=True)
            if value > 0
        ]
        stage.publish(**patches_payload(found.images[0][: len(said)], said))


def _name_on_disk(network: Network, layer: LayerInfo, unit: int, recipe: AnyRecipe) -> str:
    """All that a filter picture depends on; the version because recipes change with it."""
    made_by = re.sub(r" at 0x[0-9a-f]+", "", repr(recipe))  # functions show where they lie in this process
    return repr(
        ("filter picture", cnnvis_widgets.__version__, network.signature(), layer.path, unit, made_by)
    )
