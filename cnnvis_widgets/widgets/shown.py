"""What an Explorer shows at one moment: the state and the arrays that belong to it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cnnvis_widgets.locale import say
from cnnvis_widgets.networks.network import Network
from cnnvis_widgets.results import FeatureMaps, Heatmap, Prediction
from cnnvis_widgets.widgets.state import State


@dataclass(frozen=True)
class Shown:
    """The last good view, replaced as a whole."""

    state: State
    network: Network
    image: np.ndarray
    maps: FeatureMaps
    heatmap: Heatmap | None  # None where no panel shows one
    predictions: tuple[Prediction, ...]  # the top classes


def heat_caption(heatmap: Heatmap | None, language: str) -> str:
    """What a heatmap shows: method, network, layer, class and its score."""
    if heatmap is None:
        return ""
    return say(
        "explorer.heat_caption",
        language,
        method=heatmap.method,
        network=heatmap.network,
        layer=heatmap.layer.path,
        target=heatmap.target.name,
        score=f"{heatmap.score:.2f}",
    )


def heat_message(heatmap: Heatmap | None, language: str) -> str:
    """`Heatmap.message` in the language of the view."""
    if heatmap is None or not heatmap.message:
        return ""
    key = "no_evidence" if np.isfinite(heatmap.raw).all() else "no_numbers"
    values = {"network": heatmap.network, "layer": heatmap.layer.path, "target": heatmap.target.name}
    return say(f"explorer.{key}", language, **values)
