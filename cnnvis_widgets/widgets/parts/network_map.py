"""The network strip and the receptive fields: the graph goes to the browser once a network, choices come back."""

from __future__ import annotations

from typing import Any

from cnnvis_widgets.widgets import payloads
from cnnvis_widgets.widgets.parts.part import Part
from cnnvis_widgets.widgets.shown import Shown


class NetworkMap(Part):
    def __init__(self, explorer):
        super().__init__(explorer)
        panels = set(explorer.panels)
        self._drawn = "network" in panels or panels > {"photo"}  # a photograph alone has nothing to link
        self.stage.on("layer", lambda content, _buffers: explorer.wish(layer=str(content["path"])))

    def changes(self, shown: Shown, before: Shown | None) -> dict[str, Any]:
        # Paths of the last one may mean other layers here
        return {"graph": {}} if _is_new(shown, before) else {}

    def after(self, shown: Shown, before: Shown | None) -> None:
        """The graph comes second: reading it off a large network takes some tenths of a second."""
        if self._drawn and _is_new(shown, before):
            self.stage.publish(**payloads.graph_payload(shown.network))


def _is_new(shown: Shown, before: Shown | None) -> bool:
    return before is None or before.network is not shown.network
