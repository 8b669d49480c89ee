"""The sentences that go with a heatmap, in the words that the browser uses for those it draws itself."""

from __future__ import annotations

import numpy as np

from cnnvis_widgets.compute.methods import find_method
from cnnvis_widgets.locale import say
from cnnvis_widgets.results import Heatmap


def percent(share: float) -> str:
    """A probability as people read it; never rounded to certainty."""
    return f"{share:.1%}" if 0.001 <= share <= 0.999 else ("> 99.9%" if share > 0.5 else "< 0.1%")


def heat_caption(heatmap: Heatmap | None, language: str) -> str:
    """Method, network, layer, class and its logit; and what the method is blind to."""
    if heatmap is None:
        return ""
    said = [say("stage.heat.caption", language, **heat_values(heatmap))]
    return ". ".join([*said, *(say(key, language) for key in heat_remarks(heatmap))])


def heat_message(heatmap: Heatmap | None, language: str) -> str:
    """Said instead of a blank map, else empty."""
    key = "" if heatmap is None else message_key(heatmap)
    return say(key, language, **heat_values(heatmap)) if heatmap is not None and key else ""


def heat_values(heatmap: Heatmap) -> dict[str, str]:
    """What the sentences about a heatmap are filled in with."""
    return {
        "method": heatmap.method,
        "network": heatmap.network,
        "layer": heatmap.layer.path,
        "name": heatmap.target.name,
        "score": f"{heatmap.score:.2f}",
    }


def heat_remarks(heatmap: Heatmap) -> list[str]:
    """The key of the sentence on what a method is blind to, which must be said wherever its map is shown, or none."""
    missing = [what for what in ("class", "weights") if what not in find_method(heatmap.method).depends_on]
    return ["explorer.not_of_" + "_and_".join(missing)] if missing else []


def message_key(heatmap: Heatmap) -> str:
    """The key of the sentence said instead of a blank map, else empty."""
    if not heatmap.message:
        return ""
    return "stage.heat.nothing" if np.isfinite(heatmap.raw).all() else "stage.heat.not_finite"
