"""Can the heatmap be trusted? Tested on request, a step at a time; what is known so far is shown as it comes.

What is shown later is another matter: the work stops, and what there is says that it is out of date.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator
from typing import Any

import cv2
import numpy as np

from cnnvis_widgets.compute.faithfulness import trust_steps, verdict_in_words
from cnnvis_widgets.compute.faithfulness.controls import CONTROLS
from cnnvis_widgets.compute.methods import find_method
from cnnvis_widgets.jobs.worker import Ticket
from cnnvis_widgets.results import Trust
from cnnvis_widgets.widgets.parts.part import Part
from cnnvis_widgets.widgets.shown import Shown
from cnnvis_widgets.widgets.words import heat_caption

_MAP_SIDE = 56  # cells; the strip shows no more
_FRAME_SECONDS = 0.2  # what is known so far is sent no faster than this


class Trusting(Part):
    lane = "trust"

    def __init__(self, explorer):
        super().__init__(explorer)
        self._known: Trust | None = None
        for message, work in (("trust", self._test), ("trust-close", self._close)):
            self.stage.on(message, functools.partial(self._asked, work))
        self.stage.on("trust-cancel", lambda _content, _buffers: self.stop())

    def changes(self, shown: Shown, before: Shown | None) -> dict[str, Any]:
        about = self.stage.trust
        if before is None or not about:
            return {}
        changed: dict[str, Any] = {}
        if _subject(shown) != _subject(before):
            self.stop()
            changed = {"stale": True, "running": False}
        if shown.state.language != before.state.language and self._known is not None:
            changed["sentence"] = verdict_in_words(
                self._known.verdict, self._known.words, shown.state.language
            )
            changed["caption"] = heat_caption(self._known.heatmap, shown.state.language)
        return {"trust": about | changed} if changed else {}

    def _asked(self, work: Callable[[Ticket], Any], _content: dict, _buffers: list) -> None:
        self.submit(work)

    def _close(self, _ticket: Ticket) -> None:
        self._known = None
        self.stage.publish(**no_trust())

    def _test(self, _ticket: Ticket) -> Iterator[None]:
        shown, stage = self.explorer.shown, self.stage
        if shown is None or shown.heatmap is None:
            return
        stage.publish(trust={"running": True, "step": 0, "steps": 0}, trust_maps=b"")
        quick = find_method(shown.heatmap.method).needs == "maps" and not shown.heatmap.augmented
        started, sent = time.monotonic(), 0.0
        strip_began = started
        try:
            for done, total, found in trust_steps(
                shown.network, shown.image, shown.heatmap, shown.maps.layer
            ):
                self._known, now = found, time.monotonic()
                if len(found.insertion) <= len(CONTROLS):
                    strip_began = now
                if done == total or now - sent >= _FRAME_SECONDS:
                    sent, made = now, len(found.randomization)
                    if quick:
                        left = (now - started) / done * (total - done) if done else None
                    else:  # the strip takes longer than all the rest: the pace of the curves tells nothing of it
                        left = (now - strip_began) / made * (total - done) if made else None
                    progress = {"running": done < total, "step": done, "steps": total, "seconds_left": left}
                    stage.publish(**trust_payload(found, self.explorer.wanted.language, progress))
                yield
        finally:  # also where it is cancelled, gives way or fails
            if stage.trust.get("running"):
                stage.publish(trust=stage.trust | {"running": False, "cancelled": True})


def trust_payload(found: Trust, language: str, progress: dict[str, Any] | None = None) -> dict[str, Any]:
    """Traits that show what is known of a heatmap's trust. ``progress``: running, step, steps, seconds_left."""
    heatmap = found.heatmap
    maps = np.stack([_small(heatmap.values), *(_small(stage.values) for stage in found.randomization)])
    about = {
        "caption": heat_caption(heatmap, language),
        "method": heatmap.method,
        "name": heatmap.target.name,
        "fractions": found.fractions.tolist(),
        "deletion": {name: curve.tolist() for name, curve in found.deletion.items()},
        "insertion": {name: curve.tolist() for name, curve in found.insertion.items()},
        "areas": {"deletion": dict(found.deletion_areas), "insertion": dict(found.insertion_areas)},
        "strip": [
            {"layers": one.layers, "layer": one.layer, "ssim": one.ssim, "spearman": one.spearman}
            for one in found.randomization
        ],
        "layers": found.layers,
        "strip_shape": list(maps.shape[1:]),
        "signed": heatmap.signed,
        "verdict": found.verdict,
        "sentence": verdict_in_words(found.verdict, found.words, language),
        "running": False,
        "stale": False,
        "cancelled": False,
    }
    return {"trust": about | (progress or {}), "trust_maps": maps.astype("<f4").tobytes()}


def no_trust() -> dict[str, Any]:
    """Traits that forget the test."""
    return {"trust": {}, "trust_maps": b""}


def _small(values: np.ndarray) -> np.ndarray:
    height, width = values.shape
    share = min(1.0, _MAP_SIDE / max(height, width))
    size = (max(1, round(width * share)), max(1, round(height * share)))
    return values if share == 1 else cv2.resize(values, size, interpolation=cv2.INTER_AREA)


def _subject(shown: Shown) -> tuple:
    """What a test is about: another one of these is another heatmap."""
    heatmap = shown.heatmap
    about = None if heatmap is None else (heatmap.method, heatmap.layer, heatmap.target, heatmap.augmented)
    return shown.network, id(shown.image), about
