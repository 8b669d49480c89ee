"""One network, one picture, one target: all that a method may ask of them, as functions of arrays.

So a method is array mathematics alone, and its tests can hand it a toy in place of a network. Whatever a method
runs goes through the network in batches that keep the memory bounded, and it says after each how far it is.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import cv2
import numpy as np

from cnnvis_widgets.compute import runs
from cnnvis_widgets.networks.network import Network
from cnnvis_widgets.networks.recording import INPUT
from cnnvis_widgets.networks.scores import PROBABILITIES
from cnnvis_widgets.results import LayerInfo, Target

# What is put in place of what a method hides: the mean colour of ImageNet's photographs, which is zero in the input
# space of the papers' networks.
MEAN_COLOUR = (124, 117, 104)
_FORWARD_BYTES = 128 << 20  # for the largest layer of a batch
_BACKWARD_BYTES = 512 << 20  # for all layers of a batch, which a gradient needs together
_MOST = 32  # larger batches gain nothing on a CPU


@dataclass(frozen=True)
class Partial:
    """A heatmap on its way: after ``done`` of ``total`` runs it looks like ``raw``, (h, w) float32."""

    done: int
    total: int
    raw: np.ndarray
    details: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Case:
    """What is explained, of which network, on which picture; ``seed`` for methods that draw at random."""

    network: Network
    image: np.ndarray = field(repr=False)  # RGB uint8 (H, W, 3), as given
    layer: LayerInfo
    target: Target
    seed: int = 0

    @functools.cached_property
    def inputs(self) -> np.ndarray:
        """(1, H, W, C) float32, in the network's input space."""
        return self.network.prepare(self.pixels)

    @functools.cached_property
    def pixels(self) -> np.ndarray:
        """RGB uint8 (H, W, 3): the picture at the size in which the network takes it."""
        return self.network.seen(self.image)[1]

    @functools.cached_property
    def baseline(self) -> np.ndarray:
        """(1, H, W, C) float32: an input that shows nothing, `MEAN_COLOUR` everywhere.

        Zeros where a preprocessing makes no numbers of an even picture, one by its own deviation for example.
        """
        with np.errstate(invalid="ignore", divide="ignore"):
            flat = self.network.prepare(np.full(self.pixels.shape, MEAN_COLOUR, np.uint8))
        return np.where(np.isfinite(flat), flat, np.float32(0))

    @functools.cached_property
    def way(self) -> np.ndarray:
        """(1, H, W, C) float32: from the baseline to the input."""
        return self.inputs - self.baseline

    def scores(self, inputs: np.ndarray) -> np.ndarray:
        """(n,) float32: the target's score of each input (n, H, W, C)."""
        of = (self.target.of, self.target.layer)
        return self.network.probe.forward(inputs, (), of)[0] @ self._weights

    def chances(self, inputs: np.ndarray) -> np.ndarray:
        """As `scores`, of the probability where the target is a logit: for methods that compare pictures by it."""
        if self.target.of != "logit":
            return self.scores(inputs)
        return self.network.probe.forward(inputs, (), PROBABILITIES)[0] @ self._weights

    def slopes(
        self, inputs: np.ndarray, path: str = INPUT, rule: str = ""
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The scores (n,), what the layer at ``path`` puts out, and the gradient of each input's score there."""
        rows = np.repeat(self._weights[None], len(inputs), axis=0)
        of = (self.target.of, self.target.layer)
        scores, values, gradients = self.network.probe.backward(inputs, rows, (path,), of, rule)
        return scores @ self._weights, values[path], gradients[path]

    def input_gradient(self, rule: str = "") -> np.ndarray:
        """(H, W, C) float32: the gradient of the target at the input, from memory where it is known."""
        return runs.input_gradient(self.network, self.image, self.target, rule)

    def bias_terms(self) -> tuple[float, np.ndarray, list[np.ndarray]]:
        """The score, the input's gradient (H, W, C), and each added constant times its gradient, (h, w, c) or (c,)."""
        of = (self.target.of, self.target.layer)
        scores, gradient, terms = self.network.probe.bias_terms(self.inputs, self._weights[None], of)
        return float(scores[0] @ self._weights), gradient[0], [term[0] for term in terms]

    def activations(self) -> np.ndarray:
        """(h, w, c) float32: what the layer puts out, from memory where it is known."""
        return runs.activations(self.network, self.image, [self.layer.path])[self.layer.path]

    def gradients(self) -> np.ndarray:
        """(h, w, c) float32: the gradient of the target at the layer, from memory where it is known."""
        found = runs.gradients(self.network, self.image, self.target, [self.layer.path])
        return found[-1][self.layer.path]

    def scores_from(self, values: np.ndarray) -> np.ndarray:
        """(n,) float32: the target's score were the layer to put out ``values`` (n, h, w, c)."""
        of = (self.target.of, self.target.layer)
        return self.network.probe.forward_from(self.inputs, self.layer.path, values, of) @ self._weights

    def blended(self, masks: np.ndarray) -> np.ndarray:
        """(n, H, W, C): the input where a mask (n, H, W) is 1, the baseline where it is 0."""
        mixed = masks[..., None] * self.way
        mixed += self.baseline  # in place: for a batch of pictures memory is what takes the time
        return mixed

    def on_the_way(self, places: np.ndarray) -> np.ndarray:
        """(n, H, W, C): from the baseline, 0, to the input, 1."""
        mixed = places[:, None, None, None].astype(np.float32) * self.way
        mixed += self.baseline
        return mixed

    def batches(self, count: int, backward: bool = False) -> Iterator[slice]:
        """Parts of ``range(count)``, each for one run, forward or backward too."""
        step = batch_size(self.network, backward)
        return (slice(start, min(start + step, count)) for start in range(0, count, step))

    @functools.cached_property
    def _weights(self) -> np.ndarray:
        return runs.weights(self.network, self.target)


def batch_size(network: Network, backward: bool = False) -> int:
    """How many pictures may go through the network together, so that the memory stays bounded."""
    shapes = [network.probe.input_shape, *(layer.shape for layer in network.layers)]
    sizes = [4 * h * w * c for h, w, c in shapes]
    each = _BACKWARD_BYTES // (2 * sum(sizes)) if backward else _FORWARD_BYTES // max(sizes)
    return max(1, min(_MOST, each))


def enlarged(maps: np.ndarray, height: int, width: int) -> np.ndarray:
    """(h, w, n) maps, at most 32 of them, bilinear between cell centres: (n, height, width) float32."""
    large = cv2.resize(np.asarray(maps, np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    # Contiguous: whatever is made of it would else be laid out as strangely, and slow to copy.
    return np.ascontiguousarray(np.moveaxis(large.reshape(height, width, -1), -1, 0))
