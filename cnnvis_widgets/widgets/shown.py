"""What an Explorer shows at one moment: the state and the arrays that belong to it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

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
    progress: tuple[int, int] | None = None  # runs done and in all, while the heatmap grows
