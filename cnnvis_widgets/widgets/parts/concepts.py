"""The layer shown as a mixture of a few parts: computed when a person opens that view, and anew for another layer."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnvis_widgets.compute.concepts import concepts
from cnnvis_widgets.jobs.worker import Ticket
from cnnvis_widgets.locale import say
from cnnvis_widgets.render.concepts import colour_of
from cnnvis_widgets.results import Concepts
from cnnvis_widgets.widgets.parts.part import Part
from cnnvis_widgets.widgets.shown import Shown

PARTS = 5


class LayerParts(Part):
    lane = "concepts"

    def __init__(self, explorer):
        super().__init__(explorer)
        self._open = False
        self.stage.on("concepts", lambda content, _buffers: self._opened(bool(content["open"])))

    def changes(self, shown: Shown, before: Shown | None) -> dict[str, Any]:
        return {} if _same(shown, before) else no_concepts()

    def after(self, shown: Shown, before: Shown | None) -> None:
        if self._open and not _same(shown, before):
            self.submit(self._send)

    def _opened(self, is_open: bool) -> None:
        self._open = is_open
        if is_open:
            self.submit(self._send)

    def _send(self, _ticket: Ticket) -> None:
        shown = self.explorer.shown
        if shown is not None:
            height, width, units = shown.maps.layer.shape
            count = min(PARTS, units, height * width)
            found = concepts(shown.network, shown.image, shown.maps.layer, count)
            self.stage.publish(**concepts_payload(found, shown.state.language))


def concepts_payload(found: Concepts, language: str) -> dict[str, Any]:
    """Traits that show the parts of a layer: ``concept_maps`` is float32 (parts, h, w)."""
    told = {"layer": found.layer.path, "network": found.network}
    kind = "not_finite" if not np.isfinite(found.maps).all() else "even" if found.even else "dead"
    return {
        "concept_maps": np.ascontiguousarray(np.nan_to_num(found.maps), "<f4").tobytes(),
        "concepts": told
        | {
            "shape": list(found.maps.shape),
            "share": np.nan_to_num(found.share).tolist(),
            "explained": float(np.nan_to_num(found.explained)),
            "colours": [list(colour_of(part)) for part in range(len(found.maps))],
            "message": say(f"explorer.concepts.{kind}", language, **told) if found.message else "",
        },
    }


def no_concepts() -> dict[str, Any]:
    """Traits that forget the parts: they belonged to another photograph or layer."""
    return {"concept_maps": b"", "concepts": {}}


def _same(shown: Shown, before: Shown | None) -> bool:
    return (
        before is not None
        and (before.network is shown.network and before.image is shown.image)
        and before.maps.layer == shown.maps.layer
    )
