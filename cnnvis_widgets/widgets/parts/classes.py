"""The classes in the browser: the top ones as a list, and the channel weights with which it draws any class itself.

The kernel hears of a choice afterwards and makes the same state true; nothing in the browser waits for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from cnnvis_widgets.compute.class_weights import is_linear_head, known_mean_gradients, mean_gradients
from cnnvis_widgets.compute.runs import head_weights
from cnnvis_widgets.jobs.worker import Ticket, rest
from cnnvis_widgets.results import Prediction
from cnnvis_widgets.widgets import payloads
from cnnvis_widgets.widgets.parts.part import Part
from cnnvis_widgets.widgets.shown import Shown
from cnnvis_widgets.widgets.state import State

_LISTED = 5
_IDLE_SECONDS = 0.2
_WEIGHTED = ("grad-cam",)  # methods whose map is a sum of maps, each times its mean gradient
_WEIGHTED_AT_HEAD = (*_WEIGHTED, "hires-cam")  # there a gradient is the same everywhere


class Classes(Part):
    lane = "classes"

    def __init__(self, explorer):
        super().__init__(explorer)
        self._head: np.ndarray | None = None  # as sent
        self._head_of: tuple | None = None  # the network and the layer they belong to

    def paints(self, wanted: State, shown: Shown) -> bool:
        about = [(s.network, s.image, s.layer, s.method, s.augment) for s in (wanted, shown.state)]
        target = shown.predictions[0].index if wanted.target is None else wanted.target
        stage = self.stage
        whole = stage.maps_shape[1:] == list(shown.maps.layer.shape[:2])  # not sent smaller
        here = stage.slopes_classes if stage.weights_from == "slopes" else []
        every = stage.weights_from == "head" and bool(stage.head_weights)
        return about[0] == about[1] and (target == stage.heat_target or (whole and (every or target in here)))

    def prepare(self, shown: Shown, before: Shown | None) -> None:
        if shown.heatmap is not None:
            is_linear_head(shown.network, shown.maps.layer)  # reads the graph, which is then known

    def changes(self, shown: Shown, before: Shown | None) -> dict[str, Any]:
        if shown.heatmap is None:
            return {}
        network, heatmap, layer = shown.network, shown.heatmap, shown.maps.layer
        changes: dict[str, Any] = {
            "method": heatmap.method,
            "heat_target": heatmap.target.index,
            "heat_most": _most(heatmap.raw),
            "classes": payloads.listed_classes(self._listed(shown)),
        }
        if before is None or before.network is not network or before.image is not shown.image:
            changes["logits"] = np.ascontiguousarray(network.logits(shown.image), "<f4").tobytes()
        if before is None or before.network is not network:
            changes["class_names"] = list(network.class_names)
        at_head = is_linear_head(network, layer)
        if at_head and self._head_of != (network, layer):
            changes["head_weights"] = b""
        changes["weights_from"] = "" if heatmap.augmented else _weights_from(heatmap.method, at_head)
        target = heatmap.target.index
        if not shown.same_maps(before) or (not at_head and target not in self.stage.slopes_classes):
            known = known_mean_gradients(network, shown.image, target, layer)
            rows = [] if known is None else [known]
            changes |= payloads.slopes_payload(rows, [target] * len(rows))
        return changes

    def after(self, shown: Shown, before: Shown | None) -> None:
        if shown.heatmap is None:
            return
        here = (shown.network, shown.maps.layer)
        if self._head_of != here and is_linear_head(*here):
            self._head, self._head_of = None, here
        self.submit(lambda ticket: self._send_weights(ticket, shown))

    def _listed(self, shown: Shown) -> list[Prediction]:
        """The top classes, and the chosen one where it is not among them."""
        listed = list(shown.predictions[:_LISTED])
        target = shown.heatmap.target if shown.heatmap else None
        if target is not None and target.index not in [p.index for p in listed]:
            listed += shown.network.predictions(shown.network.logits(shown.image), [target.index])
        return listed

    def _send_weights(self, ticket: Ticket, shown: Shown) -> Iterator[None] | None:
        """Every class's weights where they are known without a pass, else those of the top classes, when idle."""
        head = head_weights(shown.network, shown.image, shown.maps.layer)
        if head is not None:
            if self._head is None or not np.array_equal(head, self._head):
                self._head = head
                self.stage.publish(**payloads.head_payload(head))
            return None
        plain = shown.heatmap and shown.heatmap.method in _WEIGHTED and not shown.heatmap.augmented
        return self._send_slopes(shown) if plain else None

    def _send_slopes(self, shown: Shown) -> Iterator[None]:
        yield from rest(_IDLE_SECONDS)
        classes = [prediction.index for prediction in self._listed(shown)]
        missing = set(classes) - set(self.stage.slopes_classes)
        if not missing:
            return
        rows = []
        for target in classes:
            rows.append(mean_gradients(shown.network, shown.image, target, shown.maps.layer))
            yield
        self.stage.publish(weights_from="slopes", **payloads.slopes_payload(rows, classes))


def _weights_from(method: str, at_head: bool) -> str:
    if at_head:
        return "head" if method in _WEIGHTED_AT_HEAD else ""
    return "slopes" if method in _WEIGHTED else ""


def _most(raw: np.ndarray) -> float:
    return float(raw[np.isfinite(raw)].max(initial=0))
