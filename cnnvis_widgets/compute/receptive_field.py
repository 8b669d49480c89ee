"""The effective receptive field: which pixels one unit at one position really answers to, in one picture.

What it could answer to at most is ``network.graph.node(path).field``, which needs no picture.
"""

from __future__ import annotations

import operator

import numpy as np

from cnnvis_widgets.errors import CnnvisError, short
from cnnvis_widgets.images import load_image
from cnnvis_widgets.networks.network import Network, check_network
from cnnvis_widgets.results import LayerInfo


def effective_field(
    network: Network, image, layer: str | LayerInfo | None, unit: int, position: tuple[int, int]
) -> np.ndarray:
    r"""How strongly each input pixel moves one unit at one position: (H, W) float32, >= 0.

    .. math:: F_{ij} = \sum_c \Big| \frac{\partial A_{yxu}}{\partial I_{ijc}} \Big|

    image: anything `load_image` takes. layer: a path; None gives ``network.default_layer``. position: (y, x) in the
    layer's map. H, W: the network's input size; the gradient is that of the input as the model takes it, after
    ``preprocess``. All zero where a ReLU is shut. After Luo et al. 2016, arXiv:1701.04128, who average over pictures.
    Raises `UnknownLayerError`, `ImageError`, and `CnnvisError` for a unit or position that the layer does not have.
    """
    check_network(network, "effective_field")
    info, image = network.layer(layer), load_image(image)
    height, width, units = info.shape
    try:
        (y, x), unit = (operator.index(place) for place in position), operator.index(unit)
    except (TypeError, ValueError):
        raise CnnvisError(
            f"A unit is a number and a position (y, x), such as (0, 0); {short(unit)} and {short(position)} were given."
        ) from None
    if not (0 <= y < height and 0 <= x < width and 0 <= unit < units):
        raise CnnvisError(
            f"{info.path} has units 0 to {units - 1} at positions (0, 0) to ({height - 1}, {width - 1}); "
            f"unit {unit} at ({y}, {x}) was asked for."
        )
    gradient = network.probe.position_gradient(
        network.prepare(image), info.path, np.array([unit]), np.array([[y, x]])
    )
    return np.abs(gradient[0]).sum(axis=-1)
