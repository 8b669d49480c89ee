"""The sentences that go with a heatmap, in the words that the browser uses for those it draws itself."""

from __future__ import annotations

import numpy as np

from cnnvis_widgets.locale import say
from cnnvis_widgets.results import Heatmap


def heat_caption(heatmap: Heatmap, language: str) -> str:
    """Method, network, layer, class and its logit."""
    return say(
        "stage.heat.caption",
        language,
        method=heatmap.method,
        network=heatmap.network,
        layer=heatmap.layer.path,
        name=heatmap.target.name,
        score=f"{heatmap.score:.2f}",
    )


def heat_message(heatmap: Heatmap, language: str) -> str:
    """Said instead of a blank map, else empty."""
    if not heatmap.message:
        return ""
    kind = "nothing" if np.isfinite(heatmap.raw).all() else "not_finite"
    names = {"name": heatmap.target.name, "layer": heatmap.layer.path, "network": heatmap.network}
    return say(f"stage.heat.{kind}", language, **names)
