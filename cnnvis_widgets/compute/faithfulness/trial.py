"""One heatmap on trial: what a metric may ask. Whatever takes long is a generator that yields between its parts.

So whoever iterates can say how far it is, or stop; the answer is what the generator returns.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import cv2
import numpy as np

from cnnvis_widgets.compute.case import Case
from cnnvis_widgets.compute.explain import explain_steps
from cnnvis_widgets.compute.faithfulness import hiding
from cnnvis_widgets.compute.faithfulness.controls import CONTROLS
from cnnvis_widgets.networks.network import Network
from cnnvis_widgets.results import LayerInfo, Target

Answer = TypeVar("Answer")
Said = TypeVar("Said")
Steps = Generator[None, None, Answer]
# Makes a heatmap (h, w) of a network, a picture, a target and a seed.
Explainer = Callable[[Network, np.ndarray, Target, int], Steps[np.ndarray]]


@dataclass(frozen=True)
class Photograph:
    """A picture as the network sees it, what is explained of it, and whether the network is sure of that."""

    name: str
    pixels: np.ndarray = field(repr=False)  # RGB uint8 (H, W, 3)
    target: Target
    sure: bool


@dataclass(frozen=True)
class Trial:
    case: Case
    raw: np.ndarray = field(repr=False)  # (h, w) the heatmap in its own resolution
    explainer: Explainer
    photographs: Sequence[Photograph]  # all there are, and which of them is on trial
    which: int
    ranks: np.ndarray = field(repr=False)  # (H, W), see `hiding.ranking`

    @property
    def heat(self) -> np.ndarray:
        """(H, W) float32, enlarged to the size in which the network takes the picture."""
        return at_size(self.raw, self.case.pixels.shape[:2])

    @property
    def score(self) -> hiding.Score:
        return self.case.chances

    @property
    def image(self) -> np.ndarray:
        return self.case.inputs[0]

    @property
    def background(self) -> np.ndarray:
        return self.case.baseline[0]

    @property
    def batch(self) -> int:
        return batch_of(self.case)

    def again(self, network: Network, pixels: np.ndarray) -> Steps[np.ndarray]:
        """The heatmap of another network or another picture, by the same method, of the same target."""
        return self.explainer(network, pixels, self.case.target, self.case.seed)


def on_trial(
    network: Network,
    photographs: Sequence[Photograph],
    which: int,
    explainer: Explainer,
    layer: LayerInfo,
    seed: int,
) -> Steps[Trial]:
    """The heatmap of one of the photographs, made and ready to be tried."""
    photograph = photographs[which]
    case = Case(network, photograph.pixels, layer, photograph.target, seed)
    raw = yield from explainer(network, photograph.pixels, photograph.target, seed)
    ranks = hiding.ranking(at_size(raw, photograph.pixels.shape[:2]), seed)
    return Trial(case, raw, explainer, photographs, which, ranks)


def explainer_of(method: str, layer: LayerInfo | None) -> Explainer:
    """A method by name, or one of the controls."""

    def control(network, pixels, target, seed):
        yield
        return CONTROLS[method](network.seen(pixels)[1], seed)

    def explain(network, pixels, target, seed):
        steps = explain_steps(network, pixels, method, layer, target, seed=seed)
        for _done, _total, heatmap in steps:  # noqa: B007 - the last one counts
            yield
        return heatmap.raw

    return control if method in CONTROLS else explain


def at_size(raw: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A map (h, w) enlarged bilinearly, as it is laid over the picture: (H, W) float32."""
    return cv2.resize(np.asarray(raw, np.float32), size[::-1], interpolation=cv2.INTER_LINEAR)


def batch_of(case: Case) -> int:
    """How many pictures may run through the network at once."""
    return next(iter(case.batches(64))).stop


def saying(said: Said, steps: Steps[Answer]) -> Generator[Said, None, Answer]:
    """Steps that yield something: ``said`` between their parts. The answer stays theirs."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value
        yield said
