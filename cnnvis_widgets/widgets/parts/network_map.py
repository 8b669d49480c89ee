"""The network strip and the receptive fields: the graph goes to the browser once a network, choices come back."""

from __future__ import annotations

from typing import Any

from cnnvis_widgets.widgets import payloads
from cnnvis_widgets.widgets.parts.part import Part
from cnnvis_widgets.widgets.shown import Shown


class NetworkMap(Part):
    def __init__(self, explorer):
        super().__init__(explorer)
        self.stage.on("layer", lambda content, _buffers: explorer.wish(layer=str(content["path"])))

    def changes(self, shown: Shown, before: Shown | None) -> dict[str, Any]:
        panels = set(self.explorer.panels)
        drawn = "network" in panels or panels > {"photo"}  # a photograph alone has no position to point at
        if not drawn or (before is not None and before.network is shown.network):
            return {}
        return {"graph": payloads.graph_payload(shown.network)}
