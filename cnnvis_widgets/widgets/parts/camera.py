"""Frames from the browser's camera or video, each answered with its heatmap and its number.

The browser sends the next only when the last was answered; should more come all the same, the latest wins.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnvis_widgets.compute.live import live_heatmap
from cnnvis_widgets.images import load_image
from cnnvis_widgets.widgets import payloads
from cnnvis_widgets.widgets.parts.part import Part
from cnnvis_widgets.widgets.shown import Shown
from cnnvis_widgets.widgets.words import heat_caption, heat_message

_SIDE = 256  # pixels; more would only make the frame's way longer


class Camera(Part):
    lane = "camera"

    def __init__(self, explorer):
        super().__init__(explorer)
        self.stage.on("camera", self._frame)

    def changes(self, shown: Shown, before: Shown | None) -> dict[str, Any]:
        # Twice what the network needs: the browser's way to shrink a picture is not the network's.
        return {"camera_side": min(_SIDE, 2 * max(shown.network.input_size))}

    def _frame(self, content: dict[str, Any], buffers: list[memoryview]) -> None:
        picture, choice = bytes(buffers[0]), int(content.get("choice", 0))
        about = {"number": int(content["number"]), "view": str(content.get("view", ""))}
        self.submit(lambda _ticket: self._answer(about, choice, picture))

    def _answer(self, about: dict[str, Any], choice: int, picture: bytes) -> None:
        try:
            answer = self._explained(choice, picture)
        except Exception as error:  # unanswered, the browser would wait for ever
            answer = {"live": {"error": str(error) or type(error).__name__}}
        self.stage.publish(**(answer | {"live": answer["live"] | about}))

    def _explained(self, choice: int, picture: bytes) -> dict[str, Any]:
        shown = self.explorer.shown
        if shown is None:
            raise RuntimeError("Nothing is shown yet.")
        target = choice - 1 if 0 < choice <= len(shown.network.class_names) else None
        heatmap, best = live_heatmap(shown.network, load_image(picture), shown.maps.layer, target)
        live = {
            "target": heatmap.target.index,
            "method": heatmap.method,
            "layer": heatmap.layer.path,
            "classes": payloads.listed_classes(best),
            "caption": heat_caption(heatmap, shown.state.language),
            "message": heat_message(heatmap, shown.state.language),
            "shape": list(heatmap.values.shape),
        }
        return {"live": live, "live_heat": np.ascontiguousarray(heatmap.values, "<f4").tobytes()}
