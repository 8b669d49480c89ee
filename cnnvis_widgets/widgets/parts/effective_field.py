"""Which pixels really matter to one position: the effective receptive field, made when a person asks for it."""

from __future__ import annotations

from typing import Any

from cnnvis_widgets.compute.receptive_field import effective_field
from cnnvis_widgets.jobs.worker import Ticket
from cnnvis_widgets.widgets import payloads
from cnnvis_widgets.widgets.parts.part import Part
from cnnvis_widgets.widgets.shown import Shown


class EffectiveField(Part):
    lane = "field"

    def __init__(self, explorer):
        super().__init__(explorer)
        self.stage.on("field", lambda content, _buffers: self._wanted(content))

    def changes(self, shown: Shown, before: Shown | None) -> dict[str, Any]:
        return {} if before is None or shown.same_maps(before) else payloads.no_field()

    def _wanted(self, content: dict[str, Any]) -> None:
        unit, y, x = (int(content[name]) for name in ("unit", "y", "x"))

        def send(_ticket: Ticket) -> None:
            shown = self.explorer.shown
            if shown is None:
                return
            height, width, units = shown.maps.layer.shape
            if not (0 <= unit < units and 0 <= y < height and 0 <= x < width):
                return  # asked of a layer that has been left since
            layer = shown.maps.layer
            field = effective_field(shown.network, shown.image, layer, unit, (y, x))
            field = field / (field.max() or 1)  # silent units have none: the browser says so
            self.stage.publish(**payloads.field_payload(field, layer.path, unit, (y, x)))

        self.submit(send)
