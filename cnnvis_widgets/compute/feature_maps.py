"""What each unit of a layer puts out over space."""

from __future__ import annotations

import numpy as np

from cnnvis_widgets.compute import runs
from cnnvis_widgets.images import load_image
from cnnvis_widgets.networks.network import Network, check_network
from cnnvis_widgets.results import FeatureMaps, LayerInfo


def feature_maps(network: Network, image, layer: str | LayerInfo | None = None) -> FeatureMaps:
    """The activations of all units of one layer on one image.

    image: anything `load_image` takes. layer: a path from ``network.layers``; None gives the default layer.
    Returns `FeatureMaps` with values (h, w, c) float32, read-only: what the layer puts out, with its own
    activation function where it has one. Raises `UnknownLayerError`, `ImageError`.
    """
    check_network(network, "feature_maps")
    image = load_image(image)
    info = network.layer(layer)
    values: np.ndarray = runs.activations(network, image, [info.path])[info.path]
    return FeatureMaps(values, info, network.name, image)
