"""Recipes: which start, which step and how many, under one name each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from cnnvis_widgets.errors import MethodError, did_you_mean
from cnnvis_widgets.networks.network import Network


@dataclass(frozen=True)
class Recipe:
    """How pictures are made. ``start`` gives the picture to begin with, ``step`` what to add to it.

    start: (network, size, random generator) -> (1, H, W, C) float32 in the network's input space.
    step: (network, gradients (n, H, W, C)) -> (n, H, W, C), what is added.
    picture: (network, inputs (n, H, W, C)) -> (n, H, W, 3) uint8, for people to see.
    """

    name: str
    steps: int
    start: Callable[[Network, tuple[int, int], np.random.Generator], np.ndarray]
    step: Callable[[Network, np.ndarray], np.ndarray]
    picture: Callable[[Network, np.ndarray], np.ndarray]


def grey_noise(network: Network, size: tuple[int, int], random: np.random.Generator) -> np.ndarray:
    """(U(0, 1) - 0.5) * 20 + 128 in the network's input space, one value for every pixel and channel.

    Networks that take values on the scale of pixels (0 to 255, or those minus a mean, as VGG and ResNet do) get
    exactly these numbers. Networks on another scale ([-1, 1], [0, 1]) get the same noise as a picture, through
    their own preprocessing: 128 would lie far outside of anything they ever saw.
    """
    noise = (random.random((1, *size, network.probe.input_shape[-1]), np.float32) - 0.5) * 20 + 128
    scale, offset = _pixel_scale(network)
    return noise if scale == 1 else noise * scale + offset


def unit_rms_step(network: Network, gradients: np.ndarray) -> np.ndarray:
    """The gradient over its root mean square, so that a pixel moves by about one grey level a step."""
    rms = np.sqrt(np.mean(np.square(gradients), axis=(1, 2, 3), keepdims=True))
    return gradients / (rms + 1e-7) * _pixel_scale(network)[0]


def standardized(network: Network, inputs: np.ndarray) -> np.ndarray:
    """Each picture brought to mean 0.5 and deviation 0.25, cut to [0, 1]; in RGB order whatever the network's."""
    mean = inputs.mean(axis=(1, 2, 3), keepdims=True)
    deviation = inputs.std(axis=(1, 2, 3), keepdims=True)
    shown = np.clip((inputs - mean) / (deviation + 1e-7) * 0.25 + 0.5, 0.0, 1.0)
    if shown.shape[-1] == 1:
        shown = np.repeat(shown, 3, axis=-1)
    elif _takes_bgr(network):
        shown = shown[..., ::-1]
    return np.round(shown * 255).astype(np.uint8)


CLASSIC = Recipe("classic", 20, grey_noise, unit_rms_step, standardized)
_TABLE = (CLASSIC,)


def recipes() -> tuple[Recipe, ...]:
    """Every recipe of activation maximization."""
    return _TABLE


def find_recipe(name: str) -> Recipe:
    """The recipe of that name. Raises `MethodError`."""
    for recipe in _TABLE:
        if recipe.name == name:
            return recipe
    names = [recipe.name for recipe in _TABLE]
    raise MethodError(f"There is no recipe {name!r} for filter pictures; {did_you_mean(name, names)}")


_BLACK, _WHITE, _RED, _BLUE = (0, 0, 0), (255, 255, 255), (255, 0, 0), (0, 0, 255)
_Colour = tuple[int, int, int]


def _preprocessed(network: Network, left: _Colour, right: _Colour) -> tuple[np.ndarray, np.ndarray]:
    """(C,) twice: what the network's own preprocessing makes of two colours, each a half of one picture.

    Of one picture, because some preprocessing takes each picture's own mean away: flat ones would all be the same.
    """
    height, width = network.input_size
    picture = np.empty((height, width, 3), np.uint8)
    picture[:, : width // 2], picture[:, width // 2 :] = left, right
    inputs = network.prepare(picture)[0, height // 2]
    return inputs[0], inputs[-1]


def _pixel_scale(network: Network) -> tuple[float, float]:
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


def _takes_bgr(network: Network) -> bool:
    """Whether red ends up in the last channel."""
    red, blue = _preprocessed(network, _RED, _BLUE)
    return bool(red[-1] - blue[-1] > red[0] - blue[0])
