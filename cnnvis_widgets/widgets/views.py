"""A state becomes a view: everything that belongs to it, computed or from memory. Nothing is shown here.

Only the worker thread may ask: networks are loaded and run.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from cnnvis_widgets.compute import runs
from cnnvis_widgets.compute.explain import explain, explain_steps
from cnnvis_widgets.compute.feature_maps import feature_maps
from cnnvis_widgets.compute.methods import find_method
from cnnvis_widgets.errors import CnnvisError
from cnnvis_widgets.jobs.worker import Ticket, rest
from cnnvis_widgets.networks.network import Network
from cnnvis_widgets.results import FeatureMaps, Heatmap
from cnnvis_widgets.widgets.shelf import Shelf
from cnnvis_widgets.widgets.shown import Shown
from cnnvis_widgets.widgets.state import State
from cnnvis_widgets.widgets.words import percent

_CLASSES_OFFERED = 10
_IDLE_SECONDS = 0.2
GROWTH_SECONDS = 0.5  # a heatmap that grows is shown no more often


def view_of(
    shelf: Shelf,
    wanted: State,
    explained: bool = True,
    heatmap: Heatmap | None = None,
    ticket: Ticket | None = None,
) -> Shown:
    """Everything that belongs to a state. explained: whether with a heatmap; heatmap: the one, where it is known.

    Raises what is wrong with the state, and `Cancelled` where the ticket was stopped once the network is loaded.
    """
    network = shelf.network(wanted.network)
    if ticket is not None:
        ticket.check()
    image = shelf.image(wanted.image)
    layer = network.layer(wanted.layer)
    with network.steady():
        if heatmap is None and explained:
            heatmap = explained_by(network, image, wanted)  # first: its one pass records the maps as well
        maps = feature_maps(network, image, layer)
        predictions = network.predict(image, top=_CLASSES_OFFERED)
    unit, position = _existing_unit(wanted.unit, maps), _existing_position(wanted.position, maps)
    state = wanted.with_changes(layer=layer.path, unit=unit, position=position)
    return Shown(state, network, image, maps, heatmap, tuple(predictions))


def growing(shelf: Shelf, wanted: State) -> Iterator[Shown]:
    """A slow method's view after each of its steps, with as much of the heatmap as there is; then the whole view."""
    view = view_of(shelf, wanted, explained=False)
    about = (view.network, view.image, wanted.method, view.maps.layer, wanted.target)
    for done, total, heatmap in explain_steps(*about, augment=wanted.augment):
        view = replace(view, heatmap=heatmap, progress=(done, total))
        yield view
    yield replace(view, progress=None)


def explained_by(network: Network, image: np.ndarray, state: State) -> Heatmap:
    """The heatmap that a state wants."""
    return explain(network, image, state.method, state.layer, state.target, augment=state.augment)


def is_slow(wanted: State) -> bool:
    """Whether the heatmap takes many runs of its own, minutes perhaps."""
    return find_method(wanted.method).needs == "runs" or wanted.augment


def is_explained(shelf: Shelf, shown: Shown | None, wanted: State) -> bool:
    """Whether the heatmap shown is the one that a state wants, which may have taken minutes.

    Not asked of methods that are quick: they may be computed anew, for the model may have been trained meanwhile.
    """
    if shown is None or shown.heatmap is None or shown.progress is not None or not is_slow(wanted):
        return False
    network, image = shelf.network(wanted.network), shelf.image(wanted.image)
    same = shown.network is network and shown.image is image
    how = (shown.state.method, shown.state.augment) == (wanted.method, wanted.augment)
    input_ = find_method(wanted.method).explains == "input"
    layer = input_ or shown.state.layer == network.layer(wanted.layer).path
    target = shown.predictions[0].index if wanted.target is None else wanted.target
    return same and how and layer and shown.heatmap.target.index == target


def prefetch(shown: Shown) -> Iterator[None]:
    """When nobody has asked for anything for a moment: every layer, so that the next choice is read from memory."""
    yield from rest(_IDLE_SECONDS)
    if shown.heatmap is not None:
        runs.record_all(shown.network, shown.image, shown.heatmap.target.index)


def facts(shown: Shown) -> dict[str, str]:
    """What the browser needs beside the arrays to describe the view in a sentence."""
    best, heatmap = shown.predictions[0], shown.heatmap
    facts = {"name": best.name, "share": percent(best.probability)}
    if heatmap is None:
        return facts
    return facts | {"target": heatmap.target.name, "method": heatmap.method, "layer": heatmap.layer.path}


def _existing_unit(unit: int | None, maps: FeatureMaps) -> int:
    """The one asked for; None gives the strongest."""
    if unit is None:
        return int(np.argmax(np.abs(np.nan_to_num(maps.values)).max(axis=(0, 1))))
    if not 0 <= unit < maps.layer.units:
        raise CnnvisError(
            f"Layer {maps.layer.path!r} has units 0 to {maps.layer.units - 1}; {unit} was asked for."
        )
    return unit


def _existing_position(position: tuple[int, int] | None, maps: FeatureMaps) -> tuple[int, int] | None:
    """The one asked for, if the layer's maps have it."""
    h, w, _units = maps.values.shape
    if position is not None and (position[0] >= h or position[1] >= w):
        raise CnnvisError(
            f"Layer {maps.layer.path!r} has positions 0,0 to {h - 1},{w - 1} (row, column); "
            "{},{} was asked for.".format(*position)
        )
    return position
