"""Activation maximization: pictures that excite a unit, made from noise.

Four parts that go together: what is to be excited (`objectives`), what a picture is made of (`parametrizations`), how
it is moved before each look (`transforms`, and what it pays: `penalties`), and how it climbs (`optimizers`). `recipes`
names what goes well together; `climb` takes the steps, which can be stopped after each; `maximize` is for people.
"""

from cnnvis_widgets.compute.maximize.climb import Progress
from cnnvis_widgets.compute.maximize.maximize import ascend, maximize_filters
from cnnvis_widgets.compute.maximize.objectives import (
    Objective,
    alignment,
    caricature,
    deep_dream,
    direction,
    diversity,
    logit,
    neuron,
    seen_by,
    unit,
)
from cnnvis_widgets.compute.maximize.optimizers import Adam, Normalized
from cnnvis_widgets.compute.maximize.parametrizations import Fourier, Laplacian, Maco, Pixels, Shared, Tile
from cnnvis_widgets.compute.maximize.penalties import Penalties
from cnnvis_widgets.compute.maximize.recipes import AnyRecipe, PlainRecipe, Recipe, find_recipe, recipes
from cnnvis_widgets.compute.maximize.transforms import Transforms

__all__ = [
    "Adam",
    "AnyRecipe",
    "Fourier",
    "Laplacian",
    "Maco",
    "Normalized",
    "Objective",
    "Penalties",
    "Pixels",
    "PlainRecipe",
    "Progress",
    "Recipe",
    "Shared",
    "Tile",
    "Transforms",
    "alignment",
    "ascend",
    "caricature",
    "deep_dream",
    "direction",
    "diversity",
    "find_recipe",
    "logit",
    "maximize_filters",
    "neuron",
    "recipes",
    "seen_by",
    "unit",
]
