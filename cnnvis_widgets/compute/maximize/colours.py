"""Between RGB and a network's own input: what its preprocessing makes of colours, found by trying it."""

from __future__ import annotations

import numpy as np

from cnnvis_widgets.errors import MethodError
from cnnvis_widgets.networks.ascent import Colours
from cnnvis_widgets.networks.network import Network

_BLACK, _WHITE = (0, 0, 0), (255, 255, 255)
_RED, _GREEN, _BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)
_Colour = tuple[int, int, int]


def find_colours(network: Network) -> Colours:
    """How RGB becomes this network's input, as an affine map: its preprocessing tried on four colours.

    Raises `MethodError` where it makes the same of all colours.
    """
    black, red, green, blue = _preprocessed(network, _BLACK, _RED, _GREEN, _BLUE)
    matrix = np.stack([red - black, green - black, blue - black])
    if not np.abs(matrix).max() > 1e-6:  # NaN too
        raise MethodError(
            f"The preprocess of {network.name} makes the same of black and white, "
            "so filter pictures cannot be brought to its scale."
        )
    return Colours(matrix.astype(np.float32), black.astype(np.float32))


def pixel_scale(network: Network) -> tuple[float, float]:
    """(scale, offset) with which preprocessing maps a grey level: input = scale * pixel + offset."""
    if network.preprocess is None:
        return 1.0, 0.0
    black, white = (colour.mean() for colour in _preprocessed(network, _BLACK, _WHITE))
    scale = float(white - black) / 255
    if not abs(scale) > 1e-6:  # NaN too
        raise MethodError(
            f"The preprocess of {network.name} makes the same of black and white, "
            "so filter pictures cannot be brought to its scale."
        )
    return (1.0, float(black)) if abs(scale - 1) < 1e-3 else (scale, float(black))


def takes_bgr(network: Network) -> bool:
    """Whether red ends up in the last channel."""
    red, blue = _preprocessed(network, _RED, _BLUE)
    return bool(red[-1] - blue[-1] > red[0] - blue[0])


def as_seen(network: Network, inputs: np.ndarray) -> np.ndarray:
    """Inputs of the network as the RGB uint8 picture that its preprocessing would make them from."""
    colours = find_colours(network)
    if inputs.shape[-1] == 1:
        shown = np.repeat((inputs - colours.offset) / colours.matrix.sum(), 3, axis=-1)
    else:
        shown = (inputs - colours.offset) @ np.linalg.pinv(colours.matrix)
    return np.round(np.clip(shown, 0, 1) * 255).astype(np.uint8)


def _preprocessed(network: Network, *colours: _Colour) -> np.ndarray:
    """(colours, C): what the network's own preprocessing makes of colours, each a stripe of one picture.

    Of one picture, because some preprocessing takes each picture's own mean away: flat ones would all be the same.
    """
    height, width = network.input_size
    edges = np.arange(len(colours) + 1) * width // len(colours)
    picture = np.empty((height, width, 3), np.uint8)
    for colour, left, right in zip(colours, edges, edges[1:], strict=False):
        picture[:, left:right] = colour
    inputs = network.prepare(picture)[0, height // 2]
    return inputs[(edges[:-1] + edges[1:]) // 2]
