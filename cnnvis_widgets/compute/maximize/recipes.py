"""Recipes: what a picture is made of, how it is moved, how it climbs and for how many steps, under one name each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from cnnvis_widgets.compute.maximize.colours import as_seen, pixel_scale, takes_bgr
from cnnvis_widgets.compute.maximize.optimizers import Adam, Normalized, Optimizer
from cnnvis_widgets.compute.maximize.parametrizations import Fourier, Maco, Parametrization, Tile
from cnnvis_widgets.compute.maximize.penalties import Penalties
from cnnvis_widgets.compute.maximize.transforms import Transforms
from cnnvis_widgets.errors import MethodError, did_you_mean, number, short, whole
from cnnvis_widgets.networks.network import Network

# What each part of a recipe must be able to do.
_PARTS = {"parametrization": "picture", "transforms": "apply", "optimizer": "step", "penalties": "value"}


@dataclass(frozen=True)
class Recipe:
    """A parametrization, transforms, an optimizer and penalties, put together; `dataclasses.replace` makes another.

    stages: (share of the picture's size, share of the steps) each, the low resolutions first. Values are the same at
    all of them, so a stage takes up where the last one ended. fading: whether steps become small towards the end.
    settled: a picture takes no more steps once it gained less than this share over its last ones (see `at_rest`); 0
    takes all of them, as recipes that have a name do: nothing settles within so few.
    picture: (network, inputs (n, H, W, C)) -> (n, H, W, 3) uint8, for people to see.
    """

    name: str
    steps: int
    parametrization: Parametrization = Fourier()  # noqa: RUF009 - frozen
    transforms: Transforms = Transforms()  # noqa: RUF009 - frozen
    optimizer: Optimizer = Adam()  # noqa: RUF009 - frozen
    penalties: Penalties = Penalties()  # noqa: RUF009 - frozen
    stages: tuple[tuple[float, float], ...] = ((1.0, 1.0),)
    fading: bool = True
    picture: Callable[[Network, np.ndarray], np.ndarray] = as_seen
    settled: float = 0.0

    def __post_init__(self) -> None:
        whole(self.steps, "steps", error=MethodError)
        number(self.settled, "settled", error=MethodError)
        for name, does in _PARTS.items():
            part = getattr(self, name)
            if isinstance(part, type) or not hasattr(part, does):
                example = Recipe.__dataclass_fields__[name].default
                raise MethodError(f"A recipe's {name} is such as {example}; {short(part)} was given.")
        try:
            fits = all(share > 0 and steps > 0 for share, steps in self.stages)
        except (TypeError, ValueError):
            fits = False
        if not fits:
            raise MethodError(
                "stages are pairs, (share of the size, share of the steps), such as ((0.5, 0.6), (1.0, 0.4)); "
                f"{short(self.stages)} was given."
            )

    def view(self, step: int, steps: int, size: tuple[int, int]) -> tuple[int, int]:
        """(h, w) that the network is shown at a step, counted from 0."""
        done = 0.0
        share = 1.0
        for share, part in self.stages:  # noqa: B007 - the last one, where rounding leaves a step over
            done += part
            if step < round(done * steps):
                break
        least = min(_LEAST_VIEW, *size) / min(size)
        return round(size[0] * max(share, least)), round(size[1] * max(share, least))

    def at_rest(self, history: list[np.ndarray], steps: int) -> np.ndarray:
        """(n,) bool: whether the mean of a picture's last 8 objectives is hardly above that of the 8 before.

        history: (n,) of each step so far. Only steps of the last stage are compared: another resolution is another
        objective. Nor does a unit rest that is off: it may still wake.
        """
        begun = round(sum(share for _size, share in self.stages[:-1]) * steps)
        if not self.settled or len(history) - begun < 2 * _WINDOW:
            return np.zeros(len(history[-1]), bool)
        before = np.mean(history[-2 * _WINDOW : -_WINDOW], axis=0)
        now = np.mean(history[-_WINDOW:], axis=0)
        return (now - before <= self.settled * np.abs(before)) & (now != 0)

    def rate(self, step: int, steps: int) -> float:
        """What the optimizer's own rate is multiplied by at a step, counted from 0: full for a half, then less."""
        return min(1.0, 2 * (1 - step / steps) + 0.05) if self.fading else 1.0


@dataclass(frozen=True)
class PlainRecipe:
    """A recipe in the network's own input space. ``start`` gives the picture to begin with, ``step`` what to add to it.

    start: (network, size, random generator) -> (1, H, W, C) float32 in the network's input space.
    step: (network, gradients (n, H, W, C)) -> (n, H, W, C), what is added.
    picture: (network, inputs (n, H, W, C)) -> (n, H, W, 3) uint8, for people to see.
    """

    name: str
    steps: int
    start: Callable[[Network, tuple[int, int], np.random.Generator], np.ndarray]
    step: Callable[[Network, np.ndarray], np.ndarray]
    picture: Callable[[Network, np.ndarray], np.ndarray]


AnyRecipe = Recipe | PlainRecipe
_WINDOW = 8  # steps: moves make each single one jump
_LEAST_VIEW = 48  # pixels: smaller ones leave deep layers nothing to see


def grey_noise(network: Network, size: tuple[int, int], random: np.random.Generator) -> np.ndarray:
    """(U(0, 1) - 0.5) * 20 + 128 in the network's input space, one value for every pixel and channel.

    Networks that take values on the scale of pixels (0 to 255, or those minus a mean, as VGG and ResNet do) get
    exactly these numbers. Networks on another scale ([-1, 1], [0, 1]) get the same noise as a picture, through
    their own preprocessing: 128 would lie far outside of anything they ever saw.
    """
    noise = (random.random((1, *size, network.probe.input_shape[-1]), np.float32) - 0.5) * 20 + 128
    scale, offset = pixel_scale(network)
    return noise if scale == 1 else noise * scale + offset


def unit_rms_step(network: Network, gradients: np.ndarray) -> np.ndarray:
    """The gradient over its root mean square, so that a pixel moves by about one grey level a step."""
    rms = np.sqrt(np.mean(np.square(gradients), axis=(1, 2, 3), keepdims=True))
    return gradients / (rms + 1e-7) * pixel_scale(network)[0]


def standardized(network: Network, inputs: np.ndarray) -> np.ndarray:
    """Each picture brought to mean 0.5 and deviation 0.25, cut to [0, 1]; in RGB order whatever the network's."""
    mean = inputs.mean(axis=(1, 2, 3), keepdims=True)
    deviation = inputs.std(axis=(1, 2, 3), keepdims=True)
    shown = np.clip((inputs - mean) / (deviation + 1e-7) * 0.25 + 0.5, 0.0, 1.0)
    if shown.shape[-1] == 1:
        shown = np.repeat(shown, 3, axis=-1)
    elif takes_bgr(network):
        shown = shown[..., ::-1]
    return np.round(shown * 255).astype(np.uint8)


CLASSIC = PlainRecipe("classic", 20, grey_noise, unit_rms_step, standardized)
# Start, rate and moves were chosen by the activation reached and by eye, on GoogLeNet, MobileNetV2 and the bundled
# network: ten times the usual noise wakes most units that were off; normalized steps make larger shapes than Adam.
_MOVES = Transforms(jitter=0.1, scale=(0.95, 1.3), rotation=6)
FOURIER = Recipe(
    "fourier",
    48,
    Fourier(deviation=0.1),
    _MOVES,
    Normalized(6.0),
    stages=((0.5, 0.75), (1.0, 0.25)),
)
MACO = Recipe("maco", 64, Maco(), _MOVES, Normalized(40.0), stages=((0.5, 0.5), (1.0, 0.5)))
FAST = Recipe("fast", 24, Fourier(deviation=0.1), _MOVES, Normalized(9.0), stages=((0.5, 1.0),))
# Of random weights what the classic recipe reaches in 20 steps, in a fraction of its time: every pixel climbs, unmoved,
# in long steps, on a quarter of the pixels; the last on all, or a unit would live off the border (see
# benchmarks/original_speed.py).
PIXELS = Recipe(
    "pixels",
    6,
    Tile(decorrelated=False),
    optimizer=Normalized(2.0, each=True),
    stages=((0.5, 0.8), (1.0, 0.2)),
    fading=False,
)
_TABLE = (FOURIER, MACO, FAST, PIXELS, CLASSIC)


def recipes() -> tuple[AnyRecipe, ...]:
    """Every recipe of activation maximization that has a name, the default first: .name, .steps and what it is made of.

    What each does, and after whom, says `maximize_filters`.
    """
    return _TABLE


def find_recipe(recipe: str | AnyRecipe) -> AnyRecipe:
    """The recipe of that name; one of one's own as it is. Raises `MethodError`."""
    if isinstance(recipe, Recipe | PlainRecipe):
        return recipe
    for known in _TABLE:
        if known.name == recipe:
            return known
    names = [known.name for known in _TABLE]
    raise MethodError(f"There is no recipe {recipe!r} for filter pictures; {did_you_mean(recipe, names)}")
