"""The Explorer's controls: plain ipywidgets, so that people can rewire them and screen readers can read them.

What the browser can answer alone (unit, class, opacity, colours) is joined to the stage there, by `jslink`.
"""

from __future__ import annotations

from collections.abc import Sequence

import ipywidgets as widgets

from cnnvis_widgets.compute.maximize import recipes
from cnnvis_widgets.locale import say
from cnnvis_widgets.render import colormaps
from cnnvis_widgets.results import LayerInfo
from cnnvis_widgets.widgets.stage import Stage

TOP = -1  # the class dropdown's value for "whatever the network says"
_FEW_CLASSES = 10  # more are searched by name
_LAYER_GROUPS = ("convolution", "activation", "merge", "pooling", "normalization", "other")  # in this order


class Controls:
    """One attribute a control. Options come later, from what the network turns out to have."""

    def __init__(self, stage: Stage, methods: Sequence[str], language: str = "en"):
        self.language = language
        self.network = self._dropdown("network")
        self.image = self._dropdown("image")
        self.layer = self._dropdown("layer")
        self.unit = widgets.IntSlider(0, 0, 1, continuous_update=True, **self._words("unit"))
        self.target = self._dropdown("target", [(say("explorer.top_class", language), TOP)])
        self.search = widgets.Combobox(ensure_option=True, continuous_update=False, **self._words("search"))
        self.search.placeholder = say("explorer.search_hint", language)
        self.method = self._dropdown("method", [(name, name) for name in methods])
        self.augment = widgets.Checkbox(False, indent=False, **self._words("augment"))
        self.colormap = self._dropdown("colormap", [(name, name) for name in colormaps.NAMES])
        self.opacity = widgets.FloatSlider(
            stage.opacity, min=0, max=1, step=0.05, readout_format=".0%", **self._words("opacity")
        )
        self.maximize = widgets.Button(button_style="primary", icon="magic", **self._words("maximize"))
        self.cancel = widgets.Button(icon="stop", disabled=True, **self._words("cancel"))
        self.recipe = self._dropdown("recipe", [(recipe.name, recipe.name) for recipe in recipes()])
        self.recipe.layout.flex, self.recipe.layout.min_width = "0 0 auto", "0"
        self.recipe.layout.width = "150px"
        self.follow = widgets.Checkbox(False, indent=False, **self._words("follow"))
        self.card = widgets.ToggleButton(False, icon="id-card-o", **self._words("card"))
        for button in (self.maximize, self.cancel, self.follow, self.augment, self.card):
            button.layout.width, button.layout.flex, button.layout.min_width = "auto", "0 0 auto", "0"
        for wide in (self.layer, self.unit):
            wide.layout.flex, wide.layout.max_width = "2 1 300px", "560px"
        self.links = [
            widgets.jslink((self.unit, "value"), (stage, "unit")),
            widgets.jslink((self.opacity, "value"), (stage, "opacity")),
            widgets.jslink((self.colormap, "index"), (stage, "colormap")),
            widgets.jslink((self.target, "index"), (stage, "target_choice")),
        ]

    def every(self) -> list[widgets.Widget]:
        """All controls."""
        return [control for control in vars(self).values() if isinstance(control, widgets.Widget)]

    def row(self, *names: str) -> widgets.Box:
        """Some of the controls side by side, wrapping where the page is narrow."""
        children = [getattr(self, name) for name in names]
        layout = widgets.Layout(
            display="flex", flex_flow="row wrap", align_items="center", overflow="visible"
        )
        return widgets.Box(children, layout=layout)

    def speak(self, language: str) -> None:
        """Say names and hints in another language; options are said anew when they are next offered."""
        self.language = language
        for name, control in vars(self).items():
            if isinstance(control, widgets.Widget):
                control.description = say(f"explorer.{name}", language)
                control.tooltip = say(f"explorer.{name}_hint", language)
        self.search.placeholder = say("explorer.search_hint", language)

    def show_layers(self, layers: Sequence[LayerInfo], chosen: LayerInfo) -> None:
        """Convolutions first, then activations, merges and so on, each group in the order of the network."""
        ordered = [layer for group in _LAYER_GROUPS for layer in layers if layer.kind == group]
        options = [(self._layer_label(layer), layer.path) for layer in ordered]
        offer(self.layer, options, chosen.path)

    def show_classes(self, names: Sequence[str], chosen: int | None) -> None:
        """The top class, then every class in the order of the network, so that class k is option k + 1 at any time.

        That is what the stage is told of a choice, in the browser; where there are many, a search field helps.
        """
        options = [
            (say("explorer.top_class", self.language), TOP),
            *zip(names, range(len(names)), strict=True),
        ]
        offer(self.target, options, TOP if chosen is None else chosen)
        few = len(names) <= _FEW_CLASSES
        self.search.layout.display = "none" if few else ""
        if not few and self.search.options != tuple(names):
            self.search.options = tuple(names)

    def _layer_label(self, layer: LayerInfo) -> str:
        kind = say(f"explorer.kind.{layer.kind}", self.language)
        return f"{layer.path} · {kind} · {'×'.join(map(str, layer.shape))}"

    def _dropdown(self, name: str, options: Sequence[tuple[str, object]] = ()) -> widgets.Dropdown:
        return widgets.Dropdown(options=list(options), **self._words(name))

    def _words(self, name: str) -> dict:
        return {
            "description": say(f"explorer.{name}", self.language),
            "tooltip": say(f"explorer.{name}_hint", self.language),
            "style": {"description_width": "initial"} if name not in ("maximize", "cancel", "card") else {},
            "layout": widgets.Layout(
                flex="1 1 200px", min_width="180px", max_width="420px", margin="2px 10px 2px 0"
            ),
        }


def offer(dropdown: widgets.Dropdown, options: list, value: object) -> None:
    """Set options and value as one message; new options alone would choose the first of them."""
    values = [option[1] if isinstance(option, tuple) else option for option in options]
    with dropdown.hold_sync():
        if list(dropdown.options) != options or value not in values:
            dropdown.options = options if value in values else [value, *options]
        dropdown.value = value
