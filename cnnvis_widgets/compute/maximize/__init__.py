"""Activation maximization: pictures that excite a unit, made from noise.

`recipes` says where a picture starts, how it takes a step and how it is shown; `maximize` takes the steps, for units in
batches, and can be stopped after each.
"""

from cnnvis_widgets.compute.maximize.maximize import Progress, ascend, maximize_filters
from cnnvis_widgets.compute.maximize.recipes import Recipe, find_recipe, recipes

__all__ = ["Progress", "Recipe", "ascend", "find_recipe", "maximize_filters", "recipes"]
