"""One panel or two of the Explorer alone, with the controls that belong to them."""

from __future__ import annotations

from cnnvis_widgets.widgets.explorer import Explorer


class FeatureMapViewer(Explorer):
    """All feature maps of a layer and one of them large. Arguments as for `Explorer`."""

    panels = ("maps", "detail")
    rows = (("network", "image", "layer", "unit", "colormap"),)


class HeatmapViewer(Explorer):
    """A photograph with the heatmap of a class. Arguments as for `Explorer`."""

    panels = ("photo",)
    rows = (("network", "image", "layer", "target", "search"), ("method", "augment", "colormap", "opacity"))


class FilterViewer(Explorer):
    """What a filter wants to see, made while one watches. Arguments as for `Explorer`."""

    panels = ("detail", "filter")
    rows = (("network", "layer", "unit"),)
