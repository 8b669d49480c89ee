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
    """Method, network, layer, class and its logit."""
    if heatmap is None:
        return ""
    caption = say(
        "stage.heat.caption",
        language,
        method=heatmap.method,
        network=heatmap.network,
        layer=heatmap.layer.path,
        name=heatmap.target.name,
        score=f"{heatmap.score:.2f}",
    )
    # A method that is blind to what it seems to explain must say so wherever its map is shown.
    missing = [what for what in ("class", "weights") if what not in find_method(heatmap.method).depends_on]
    remarks = [say("explorer.not_of_" + "_and_".join(missing), language)] if missing else []
    if "completeness gap" in heatmap.details:
        gap = heatmap.details["completeness gap"]
        remarks.append(say("explorer.complete", language, gap=f"{gap:.1%}"))
    return ". ".join([caption, " ".join(remarks)]) if remarks else caption


def heat_message(heatmap: Heatmap | None, language: str) -> str:
    """Said instead of a blank map, else empty."""
    if heatmap is None or not heatmap.message:
        return ""
    kind = "nothing" if np.isfinite(heatmap.raw).all() else "not_finite"
    names = {"name": heatmap.target.name, "layer": heatmap.layer.path, "network": heatmap.network}
    return say(f"stage.heat.{kind}", language, **names)
