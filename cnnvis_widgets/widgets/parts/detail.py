"""One unit's map in full resolution, where a layer's maps are sent smaller."""

from __future__ import annotations

from cnnvis_widgets.jobs.worker import Ticket
from cnnvis_widgets.widgets import payloads
from cnnvis_widgets.widgets.parts.part import Part


class Detail(Part):
    lane = "detail"

    def __init__(self, explorer):
        super().__init__(explorer)
        self.stage.on("detail", lambda content, _buffers: self._wanted(int(content["unit"])))

    def _wanted(self, unit: int) -> None:
        def send(_ticket: Ticket) -> None:
            shown = self.explorer.shown
            if shown is not None and 0 <= unit < shown.maps.layer.units:
                self.stage.publish(**payloads.detail_payload(shown.maps.values[..., unit], unit))

        self.submit(send)
