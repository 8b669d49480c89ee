"""Activation maximization: pictures that excite a unit, made from noise.

Four parts that are composed by a recipe: an objective (what should rise: `objectives`), a parametrization (what
is varied: `parametrizations`), transforms (what the picture must survive) and an optimizer (`optimizers`).
"""

from cnnvis_widgets.compute.maximize.maximize import Progress, ascend, maximize_filters
from cnnvis_widgets.compute.maximize.recipes import Recipe, find_recipe, recipes

__all__ = ["Progress", "Recipe", "ascend", "find_recipe", "maximize_filters", "recipes"]
