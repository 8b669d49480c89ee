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

    def same_layer(self, other: Shown | None) -> bool:
        """Whether another view is of the same network's same layer."""
        return other is not None and (other.network, other.maps.layer) == (self.network, self.maps.layer)

    def same_maps(self, other: Shown | None) -> bool:
        """Whether another view shows the same maps: that layer's on the same picture."""
        return self.same_layer(other) and other is not None and other.image is self.image
