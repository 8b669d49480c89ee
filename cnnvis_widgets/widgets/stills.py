"""What stands in a notebook for an Explorer where no widget runs: a picture and a sentence beside the live view.

A display must neither hang nor fail for its still: it waits a bounded time for the view and does without otherwise.
"""

from __future__ import annotations

import base64
import os
from typing import TYPE_CHECKING, Any

import numpy as np
from IPython import get_ipython
from PIL import Image

from cnnvis_widgets.locale import say
from cnnvis_widgets.widgets.snapshot import png, snapshot, title

if TYPE_CHECKING:
    from cnnvis_widgets.widgets.explorer import Explorer
    from cnnvis_widgets.widgets.shown import Shown
    from cnnvis_widgets.widgets.stage import Stage

_SECONDS = 1.0  # a person waits for the first view this long before the Explorer itself appears, no longer
_ALONE_SECONDS = 120.0  # a program that runs a notebook has time
LIVE = "application/vnd.jupyter.widget-view+json"


def with_still(explorer: Explorer, bundle: dict[str, Any]) -> dict[str, Any]:
    """A display's bundle with a picture and a sentence of what is shown now.

    Where a program runs the notebook and nobody can move anything, the picture takes the place of the live view:
    that would be an empty frame or "model not found" in what the program saves.
    """
    alone = not somebody_there()
    shown = explorer.shown_within(_ALONE_SECONDS if alone else _SECONDS)
    language = explorer.wanted.language
    if shown is None:
        return bundle | {"text/plain": say("explorer.still_later", language)}
    words = say("explorer.still", language, address=explorer.address_of(shown), shown=title(shown, language))
    bundle = bundle | {"text/plain": words}
    try:
        _picture, content = _draw(explorer, shown)
    except Exception:  # a failing picture must not take the widget with it
        return bundle
    if alone:
        bundle.pop(LIVE, None)
    return bundle | {"image/png": base64.b64encode(content).decode()}


def renew(explorer: Explorer, shown: Shown) -> Image.Image:
    """Draw what is shown now, for code and for the state that is saved with the notebook."""
    return _draw(explorer, shown)[0]


def _draw(explorer: Explorer, shown: Shown) -> tuple[Image.Image, bytes]:
    stage, state = explorer.stage, explorer.state_of(shown)
    filter_picture = None
    if stage.picture and stage.picture_unit == state.unit:
        filter_picture = np.frombuffer(stage.picture, np.uint8).reshape(*stage.picture_shape, 3)
    weights = _channel_weights(stage, shown.maps.layer.units)
    whole = stage.maps_shape[1:] == list(shown.maps.layer.shape[:2])  # else no heatmap is drawn of them there
    if not (whole and stage.weights_from and len(weights) == len(stage.classes)):
        state = state.with_changes(heat_scale="own")
    picture = snapshot(shown, state, explorer.panels, filter_picture, weights)
    content = png(picture)
    stage.still = content
    return picture, content


def _channel_weights(stage: Stage, units: int) -> dict[int, np.ndarray]:
    """(c,) float32 for each class of the list of which the browser has them: it orders and scales by them."""
    head = stage.weights_from == "head"
    halves = np.frombuffer(stage.head_weights if head else stage.slopes, "<f2")
    if len(halves) % units:
        return {}  # a new layer's are on their way
    halves = halves.reshape(-1, units)
    scale = stage.head_scale if head else stage.slopes_scale
    rows = dict(enumerate(halves)) if head else dict(zip(stage.slopes_classes, halves, strict=False))
    listed = [each["index"] for each in stage.classes if each["index"] in rows]
    return {index: rows[index].astype(np.float32) * np.float32(scale) for index in listed}


def somebody_there() -> bool:
    """Whether a person may be at the other end: front ends let code ask for input, programs do not. Voila is one
    that serves people all the same."""
    kernel = getattr(get_ipython(), "kernel", None)
    return getattr(kernel, "_allow_stdin", True) or os.environ.get("SERVER_SOFTWARE", "").startswith("voila")
