"""Look inside convolutional networks: feature maps, filter pictures and heatmaps, live in a notebook.

    import cnnvis_widgets as cnnvis
    cnnvis.Explorer()

Names are imported when they are first used, so that this import takes milliseconds and TensorFlow
starts only when a network is loaded.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from cnnvis_widgets.errors import (
    CnnvisError,
    ImageError,
    MethodError,
    NetworkLoadError,
    UnknownLayerError,
    UnknownNetworkError,
)
from cnnvis_widgets.results import (
    Ablation,
    FeatureMaps,
    FilterPictures,
    Heatmap,
    LayerInfo,
    Prediction,
    Target,
)

if TYPE_CHECKING:
    from cnnvis_widgets.compute.ablate import ablate
    from cnnvis_widgets.compute.explain import explain, explain_layers, explain_steps, fuse_heatmaps, methods
    from cnnvis_widgets.compute.feature_maps import feature_maps
    from cnnvis_widgets.compute.maximize import maximize_filters, recipes
    from cnnvis_widgets.compute.receptive_field import effective_field
    from cnnvis_widgets.images import load_image, sample_images
    from cnnvis_widgets.networks import load_network
    from cnnvis_widgets.networks.network import Network
    from cnnvis_widgets.render.figures import plot_feature_maps, plot_filters, plot_heatmap
    from cnnvis_widgets.widgets.explorer import Explorer
    from cnnvis_widgets.widgets.story import read_steps
    from cnnvis_widgets.widgets.viewers import FeatureMapViewer, FilterViewer, HeatmapViewer
    from cnnvis_widgets.widgets.walkthrough import Walkthrough

__version__ = "0.1.0"

# Where each lazy name lives.
_HOMES = {
    "Network": "networks.network",
    "load_network": "networks",
    "load_image": "images",
    "sample_images": "images",
    "feature_maps": "compute.feature_maps",
    "ablate": "compute.ablate",
    "effective_field": "compute.receptive_field",
    "explain": "compute.explain",
    "explain_layers": "compute.explain",
    "explain_steps": "compute.explain",
    "fuse_heatmaps": "compute.explain",
    "methods": "compute.explain",
    "maximize_filters": "compute.maximize",
    "recipes": "compute.maximize",
    "plot_feature_maps": "render.figures",
    "plot_filters": "render.figures",
    "plot_heatmap": "render.figures",
    "Explorer": "widgets.explorer",
    "FeatureMapViewer": "widgets.viewers",
    "FilterViewer": "widgets.viewers",
    "HeatmapViewer": "widgets.viewers",
    "Walkthrough": "widgets.walkthrough",
    "read_steps": "widgets.story",
}

__all__ = [
    "Ablation",
    "CnnvisError",
    "Explorer",
    "FeatureMapViewer",
    "FeatureMaps",
    "FilterPictures",
    "FilterViewer",
    "Heatmap",
    "HeatmapViewer",
    "ImageError",
    "LayerInfo",
    "MethodError",
    "Network",
    "NetworkLoadError",
    "Prediction",
    "Target",
    "UnknownLayerError",
    "UnknownNetworkError",
    "Walkthrough",
    "__version__",
    "ablate",
    "effective_field",
    "explain",
    "explain_layers",
    "explain_steps",
    "feature_maps",
    "fuse_heatmaps",
    "load_image",
    "load_network",
    "maximize_filters",
    "methods",
    "plot_feature_maps",
    "plot_filters",
    "plot_heatmap",
    "read_steps",
    "recipes",
    "sample_images",
]


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
