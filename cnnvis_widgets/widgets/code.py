"""The plain code that makes the same pictures again, without a widget: what the button "Code" shows.

The code names what can be named. What only its owner has (a model, a picture from a file) is a variable that a
comment asks for; nothing is guessed about it.
"""

from __future__ import annotations

from cnnvis_widgets.render import colormaps
from cnnvis_widgets.results import Heatmap
from cnnvis_widgets.widgets.shown import Shown
from cnnvis_widgets.widgets.state import State


def code_for(
    shown: Shown,
    state: State,
    *,
    network: str | None,
    image: str | None,
    samples: tuple[str, ...] = (),
    recipe: str | None = None,
) -> str:
    """Python text that computes ``heatmap``, ``maps`` and ``feature_map`` as shown, and draws them.

    state: unit and appearance as they are now. network: the name that `load_network` takes, None where the network
    was given by its owner. image: a name among ``samples`` or an address, None for any other picture.
    recipe: of the filter's picture, where one is shown.
    """
    layer = repr(shown.maps.layer.path)
    lines = ["import cnnvis_widgets as cnnvis", "", _network(network, shown), _image(image, samples, state)]
    if (heatmap := shown.heatmap) is not None:
        lines += [
            "",
            f"heatmap = cnnvis.explain(network, image, {heatmap.method!r}, layer={layer}, "
            f"target={heatmap.target.index}{_augmented(heatmap)})  # {_comment(heatmap.target.name)}",
            f"cnnvis.plot_heatmap(heatmap, opacity={state.opacity!r}{_colours(heatmap.signed, state)})",
        ]
    lines += [
        "",
        f"maps = cnnvis.feature_maps(network, image, {layer})",
        f"feature_map = maps.values[..., {state.unit}]" + _place(state),
        f"cnnvis.plot_feature_maps(maps{_colours(shown.maps.signed, state)}, scale={state.scale!r})",
    ]
    if recipe is not None:
        lines += [
            "",
            f"filters = cnnvis.maximize_filters(network, {layer}, units=[{state.unit}], recipe={recipe!r})",
            f"patches = cnnvis.top_patches(network, {layer}, units=[{state.unit}])",
            "cnnvis.plot_filters(filters, patches=patches)",
        ]
    return "\n".join(lines) + "\n"


def _network(name: str | None, shown: Shown) -> str:
    if name is None:
        return f"# network: yours, called {_comment(shown.network.name)!r}, as load_network(...) returns it"
    return f"network = cnnvis.load_network({name!r})"


def _image(name: str | None, samples: tuple[str, ...], state: State) -> str:
    if name is None:
        return f"# image: your picture {_comment(state.image)!r}, as load_image(...) returns it"
    return f"image = cnnvis.{f'sample_images()[{name!r}]' if name in samples else f'load_image({name!r})'}"


def _colours(signed: bool, state: State) -> str:
    """The colormap as the Explorer uses it: on both signs only one with zero in its middle."""
    fits = not signed or state.colormap in colormaps.DIVERGING
    return f", colormap={state.colormap!r}" if fits else ""


def _augmented(heatmap: Heatmap) -> str:
    return ", augment=True" if heatmap.augmented else ""


def _place(state: State) -> str:
    return "" if state.position is None else "\nanswer = feature_map[{}, {}]".format(*state.position)


def _comment(name: str) -> str:
    """A name that stays within its comment, whatever it holds: no line breaks, nothing that turns the text around."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in name).split())
