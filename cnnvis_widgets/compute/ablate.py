"""Ablation: what the network would say without some of its units."""

from __future__ import annotations

import operator
from collections.abc import Iterable

import numpy as np

from cnnvis_widgets.errors import CnnvisError, short, whole
from cnnvis_widgets.images import load_image
from cnnvis_widgets.networks.network import Network, check_network, strongest
from cnnvis_widgets.results import Ablation, LayerInfo


def ablate(
    network: Network, image, layer: str | LayerInfo | None, units: Iterable[int] | int, top: int = 5
) -> Ablation:
    """The prediction with these units of a layer set to zero, everywhere and in all that follows from them.

    image: anything `load_image` takes. layer: a path; None gives ``network.default_layer``. units: their numbers, or
    one number; none at all changes nothing. top: how many of the classes that the whole network puts first are
    listed; the class that comes first without the units is added where it is none of them. Returns an `Ablation`.
    Raises `UnknownLayerError`, `ImageError`, and `CnnvisError` for units that the layer does not have.
    """
    check_network(network, "ablate")
    info, image = network.layer(layer), load_image(image)
    silenced, top = _checked(units, info), whole(top, "top")
    kept = np.ones(info.units, bool)
    kept[list(silenced)] = False
    before = network.logits(image)
    after = network.probe.ablated(network.prepare(image), info.path, kept)[0]
    classes = dict.fromkeys([*strongest(before, top), int(np.argmax(after))])
    return Ablation(
        network.predictions(before, classes),
        network.predictions(after, classes),
        before,
        after,
        info,
        silenced,
        network.name,
    )


def _checked(units: Iterable[int] | int, layer: LayerInfo) -> tuple[int, ...]:
    """Units in ascending order, each once."""
    try:
        given = units if isinstance(units, Iterable) else [units]
        numbers = sorted({operator.index(unit) for unit in given})
    except TypeError:
        raise CnnvisError(f"Units are whole numbers, such as [3, 7]; {short(units)} was given.") from None
    if numbers and not 0 <= numbers[0] <= numbers[-1] < layer.units:
        wrong = numbers[0] if numbers[0] < 0 else numbers[-1]
        raise CnnvisError(f"{layer.path} has units 0 to {layer.units - 1}; {wrong} was asked for.")
    return tuple(numbers)
