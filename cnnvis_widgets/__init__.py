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
    CnnvisWarning,
    ImageError,
    MethodError,
    NetworkLoadError,
    UnknownLayerError,
    UnknownNetworkError,
)
from cnnvis_widgets.results import (
    Ablation,
    Concepts,
    Epoch,
    Evaluation,
    FeatureMaps,
    FilterPictures,
    Heatmap,
    LayerInfo,
    MadePictures,
    Prediction,
    Target,
    TopPatches,
    Trust,
    UnitCard,
)

if TYPE_CHECKING:
    from cnnvis_widgets.compute.ablate import ablate
    from cnnvis_widgets.compute.concepts import concepts
    from cnnvis_widgets.compute.explain import explain, explain_steps
    from cnnvis_widgets.compute.explain_layers import explain_layers, fuse_heatmaps
    from cnnvis_widgets.compute.faithfulness import evaluate, metrics, trust, trust_steps
    from cnnvis_widgets.compute.feature_maps import feature_maps
    from cnnvis_widgets.compute.maximize import maximize_filters, objectives, recipes
    from cnnvis_widgets.compute.maximize.maximize import maximize
    from cnnvis_widgets.compute.methods import methods
    from cnnvis_widgets.compute.patches import top_patches
    from cnnvis_widgets.compute.receptive_field import effective_field
    from cnnvis_widgets.compute.training import Recorder
    from cnnvis_widgets.compute.unit_card import unit_card
    from cnnvis_widgets.images import load_image, sample_images
    from cnnvis_widgets.jobs.atlas import Atlas, atlas, open_atlas
    from cnnvis_widgets.networks import load_network
    from cnnvis_widgets.networks.network import Network
    from cnnvis_widgets.render.cards import plot_unit_card
    from cnnvis_widgets.render.figures import (
        plot_concepts,
        plot_feature_maps,
        plot_filters,
        plot_heatmap,
        plot_patches,
    )
    from cnnvis_widgets.render.training_figures import plot_training
    from cnnvis_widgets.render.trust_figures import plot_evaluation, plot_trust
    from cnnvis_widgets.widgets.explorer import Explorer
    from cnnvis_widgets.widgets.story import read_steps
    from cnnvis_widgets.widgets.training import TrainingViewer
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
    "concepts": "compute.concepts",
    "effective_field": "compute.receptive_field",
    "explain": "compute.explain",
    "explain_layers": "compute.explain_layers",
    "explain_steps": "compute.explain",
    "fuse_heatmaps": "compute.explain_layers",
    "methods": "compute.methods",
    "evaluate": "compute.faithfulness",
    "metrics": "compute.faithfulness",
    "trust": "compute.faithfulness",
    "trust_steps": "compute.faithfulness",
    "maximize_filters": "compute.maximize",
    "recipes": "compute.maximize",
    "plot_concepts": "render.figures",
    "Atlas": "jobs.atlas",
    "atlas": "jobs.atlas",
    "open_atlas": "jobs.atlas",
    "plot_feature_maps": "render.figures",
    "plot_filters": "render.figures",
    "plot_heatmap": "render.figures",
    "plot_evaluation": "render.trust_figures",
    "plot_trust": "render.trust_figures",
    "maximize": "compute.maximize.maximize",
    "objectives": "compute.maximize",
    "top_patches": "compute.patches",
    "plot_patches": "render.figures",
    "plot_training": "render.training_figures",
    "plot_unit_card": "render.cards",
    "Recorder": "compute.training",
    "TrainingViewer": "widgets.training",
    "unit_card": "compute.unit_card",
    "Explorer": "widgets.explorer",
    "FeatureMapViewer": "widgets.viewers",
    "FilterViewer": "widgets.viewers",
    "HeatmapViewer": "widgets.viewers",
    "Walkthrough": "widgets.walkthrough",
    "read_steps": "widgets.story",
}

__all__ = [
    "Ablation",
    "Atlas",
    "CnnvisError",
    "CnnvisWarning",
    "Concepts",
    "Epoch",
    "Evaluation",
    "Explorer",
    "FeatureMapViewer",
    "FeatureMaps",
    "FilterPictures",
    "FilterViewer",
    "Heatmap",
    "HeatmapViewer",
    "ImageError",
    "LayerInfo",
    "MadePictures",
    "MethodError",
    "Network",
    "NetworkLoadError",
    "Prediction",
    "Recorder",
    "Target",
    "TopPatches",
    "TrainingViewer",
    "Trust",
    "UnitCard",
    "UnknownLayerError",
    "UnknownNetworkError",
    "Walkthrough",
    "__version__",
    "ablate",
    "atlas",
    "concepts",
    "effective_field",
    "evaluate",
    "explain",
    "explain_layers",
    "explain_steps",
    "feature_maps",
    "fuse_heatmaps",
    "load_image",
    "load_network",
    "maximize",
    "maximize_filters",
    "methods",
    "metrics",
    "objectives",
    "open_atlas",
    "plot_concepts",
    "plot_evaluation",
    "plot_feature_maps",
    "plot_filters",
    "plot_heatmap",
    "plot_patches",
    "plot_training",
    "plot_trust",
    "plot_unit_card",
    "read_steps",
    "recipes",
    "sample_images",
    "top_patches",
    "trust",
    "trust_steps",
    "unit_card",
]


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
