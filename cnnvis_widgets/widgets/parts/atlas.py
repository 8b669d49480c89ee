"""The pictures of an atlas: the selected unit's at once, and all of a layer as tiles for whoever scrolls.

A store may be an ocean away, so it is read on a thread of its own: the worker that computes never waits for it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from cnnvis_widgets.errors import CnnvisError
from cnnvis_widgets.jobs.worker import Ticket, Worker
from cnnvis_widgets.locale import say
from cnnvis_widgets.networks.network import Network
from cnnvis_widgets.networks.parcel import weights_hash
from cnnvis_widgets.widgets.parts.part import Part
from cnnvis_widgets.widgets.payloads import atlas_payload, picture_payload
from cnnvis_widgets.widgets.shown import Shown

_TILES = 64  # in one answer
_PATCHES = 6  # beside a picture


class FromAtlas(Part):
    """Idle where the Explorer was given no atlas."""

    lane = "atlas"

    def __init__(self, explorer):
        super().__init__(explorer)
        self.atlas = explorer.atlas
        self._sent = b""  # the picture of ours on the stage, where nothing newer took its place
        self._caption: dict[str, Any] = {}
        self._of: Network | None = None  # the last network looked at, and
        self._fits = False  # whether the atlas is of it
        if self.atlas is not None:
            self.stage.on("atlas", lambda content, _buffers: self._asked(content))
            self.stage.observe(lambda _change: self._show_unit(), "unit")

    def prepare(self, shown: Shown, before: Shown | None) -> None:
        if self.atlas is not None and shown.network is not self._of:
            self._of = shown.network
            self._fits = weights_hash(shown.network) == self.atlas.terms.weights

    def changes(self, shown: Shown, before: Shown | None) -> dict[str, Any]:
        """In another language, the caption of a picture of ours anew."""
        spoken = before is not None and before.state.language != shown.state.language
        if not spoken or not self._sent or self.stage.picture is not self._sent:
            return {}
        return {"picture_caption": say("explorer.atlas_caption", shown.state.language, **self._caption)}

    def after(self, shown: Shown, before: Shown | None) -> None:
        if self.atlas is None:
            return
        if before is None or (before.network, before.state.layer) != (shown.network, shown.state.layer):
            self._read("tiles", lambda _ticket: self._publish(shown, [], {}))
            self._show_unit()
        elif before.state.unit != shown.state.unit:
            self._show_unit()

    def stop(self) -> None:
        for what in ("tiles", "picture"):
            _reader().cancel((id(self.explorer), what))

    def _asked(self, content: dict[str, Any]) -> None:
        """Tiles that a view lacks, and what is there by now."""
        shown = self.explorer.shown
        if shown is None or shown.state.layer != content["layer"]:
            return
        units = [int(unit) for unit in content["units"]][:_TILES]
        about = {"number": int(content["number"]), "view": str(content["view"])}
        self._read("tiles", lambda _ticket: self._publish(shown, units, about))
        idle = self.explorer.controls.cancel.disabled  # nobody makes a picture live
        if idle and self.stage.picture_unit != self.explorer.unit:
            self._show_unit()  # it may have come meanwhile

    def _publish(self, shown: Shown, units: list[int], about: dict[str, Any]) -> None:
        layer = shown.maps.layer.path
        flags, there, pictures = np.zeros(shown.maps.layer.units, bool), list[int](), None
        if not self._fits:
            terms, language = self.atlas.terms, self.explorer.wanted.language
            words = say("explorer.atlas_other", language, network=terms.network, weights=terms.weights)
            about = about | {"other": True, "note": words}
        else:
            try:
                flags = self.atlas.done(layer)
                there = [unit for unit in units if 0 <= unit < len(flags) and flags[unit]]
                pictures = self.atlas.pictures(layer, there) if there else None
            except CnnvisError as error:
                about = about | {"note": str(error)}
        if self._is_at(shown):
            self.stage.publish(**atlas_payload(self.atlas.terms, layer, flags, there, pictures, about))

    def _is_at(self, shown: Shown) -> bool:
        now = self.explorer.shown
        return now is not None and (now.network, now.state.layer) == (shown.network, shown.state.layer)

    def _show_unit(self) -> None:
        shown = self.explorer.shown
        if shown is None or not self._fits or "filter" not in self.explorer.panels:
            return
        layer, unit = shown.maps.layer.path, self.explorer.unit

        def show(ticket: Ticket) -> None:
            if not self.atlas.done(layer, np.array([unit]))[0]:
                return  # the view says so, and the button below makes it
            picture = self.atlas.picture(layer, unit)
            reached = float(self.atlas.activations(layer, [unit])[0])
            ticket.check()
            if not self._is_at(shown):
                return
            about = self.atlas.terms
            self._caption = {
                "network": about.network,
                "layer": layer,
                "unit": unit,
                "recipe": about.recipe,
                "steps": about.steps,
                "activation": f"{reached:.3g}",
            }
            caption = say("explorer.atlas_caption", self.explorer.wanted.language, **self._caption)
            if remark := self.atlas.remark(layer, unit):
                caption += f" {remark}"
            payload = picture_payload(picture, unit, caption) | self._beside(layer, unit)
            self.stage.publish(**payload)
            self._sent = self.stage.picture

        self._read("picture", show)

    def _beside(self, layer: str, unit: int) -> dict[str, Any]:
        """What goes with a picture of ours, as far as the stage has a place for it: its recipe and the patches."""
        found, values = np.zeros((0, 0, 0, 3), np.uint8), np.zeros(0)
        if self.stage.has_trait("patches") and self.atlas.has_patches(layer):
            found, values = self.atlas.patches(layer, unit)
            found, values = found[values > 0][:_PATCHES], values[values > 0][:_PATCHES]
        traits = {
            "picture_recipe": self.atlas.terms.recipe,
            "patches": found.tobytes(),
            "patches_shape": list(found.shape[:3]),
            "patches_said": [f"{value:.3g}" for value in values],
        }
        return {name: value for name, value in traits.items() if self.stage.has_trait(name)}

    def _read(self, what: str, work: Callable[[Ticket], None]) -> None:
        _reader().submit((id(self.explorer), what), work, self.explorer.say_error)


@functools.cache
def _reader() -> Worker:
    return Worker("cnnvis-atlas")
