"""What the score does while the picture is hidden, or shown, from the heatmap's highest places down.

Pure functions of a score function (pictures (n, H, W, C) -> (n,)), a picture (H, W, C) in the network's input space and
a heatmap (H, W). At most ``batch`` pictures are held at a time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import cv2
import numpy as np

Score = Callable[[np.ndarray], np.ndarray]
STEPS = 28  # of 8 rows of 224 pixels each: what the authors of RISE took for their large runs


def ranking(heat: np.ndarray, seed: int = 0) -> np.ndarray:
    """(H, W) int: each place's rank, 0 for the highest; places that are equal in a random order, NaN last.

    A map that ends in ReLU is zero over half the picture: in reading order, its top would count as more important.
    """
    chance = np.random.default_rng(seed).random(heat.size)
    order = np.lexsort((chance, -np.nan_to_num(heat, nan=-np.inf).ravel()))
    ranks = np.empty(heat.size, np.int64)
    ranks[order] = np.arange(heat.size)
    return ranks.reshape(heat.shape)


def replaced(
    score: Score, start: np.ndarray, end: np.ndarray, ranks: np.ndarray, steps: int = STEPS, batch: int = 16
) -> Iterator[np.ndarray]:
    """The score while pixels of ``start`` give way to those of ``end``, lowest rank first: (steps + 1,) in parts."""
    counts = np.linspace(0, ranks.size, steps + 1).round().astype(np.int64)
    for first in range(0, steps + 1, batch):
        done = ranks[None] < counts[first : first + batch, None, None]
        yield score(np.where(done[..., None], end, start))


def deletion(
    score: Score,
    image: np.ndarray,
    ranks: np.ndarray,
    background: np.ndarray,
    steps: int = STEPS,
    batch: int = 16,
) -> np.ndarray:
    """(steps + 1,) the score while the picture is hidden, highest places first (Petsiuk et al. 2018).

    A heatmap that marks what counts lets it fall early: the `area` below is small.
    """
    return np.concatenate(list(replaced(score, image, background, ranks, steps, batch)))


def insertion(
    score: Score,
    image: np.ndarray,
    ranks: np.ndarray,
    steps: int = STEPS,
    batch: int = 16,
    blur: Callable[[np.ndarray], np.ndarray] | None = None,
) -> np.ndarray:
    """(steps + 1,) the score while a blurred picture becomes sharp, highest places first (Petsiuk et al. 2018).

    blur: `blurred`, which is the default, or `strongly_blurred`.
    """
    return np.concatenate(list(replaced(score, (blur or blurred)(image), image, ranks, steps, batch)))


def area(scores: np.ndarray) -> float:
    """Below a curve over 0 to 1, by trapezoids: (sum - first / 2 - last / 2) / (n - 1)."""
    return float((scores.sum(dtype=np.float64) - (scores[0] + scores[-1]) / 2) / (len(scores) - 1))


def blurred(image: np.ndarray) -> np.ndarray:
    """A picture without its details: Gaussian, 11 pixels wide, sigma 5, as in the code of RISE."""
    return cv2.GaussianBlur(image, (11, 11), 5).reshape(image.shape)


def strongly_blurred(image: np.ndarray) -> np.ndarray:
    """A picture in which next to nothing is recognized: Gaussian, sigma 20 where the longer side has 224 pixels.

    The blur of RISE leaves large things to be seen, and what it takes away are edges: an edge detector knows them
    without knowing any network (SqueezeNet gives such pictures 16 % of their class, and these 0.1 %).
    """
    sigma = max(5.0, max(image.shape[:2]) * 20 / 224)
    return cv2.GaussianBlur(image, (0, 0), sigma).reshape(image.shape)


def drop(score: Score, image: np.ndarray, heat: np.ndarray, background: np.ndarray) -> tuple[float, bool]:
    r"""The share of the score that is lost where only what is hot shows, and whether it rises instead.

    .. math:: \max(0, y - o) / y, \quad o < y, \quad o = f(b + L (x - b)), \; L = \mathrm{ReLU}(M) / \max M

    (Chattopadhyay et al. 2018; there what is not hot is black, here it is the background.)
    Of a score that is not above 0 ("not cat") there is no share to lose: NaN.
    """
    shown = np.nan_to_num(np.maximum(heat, 0))
    shown = shown / shown.max() if shown.max() > 0 else shown
    seen = background + shown[..., None].astype(np.float32) * (image - background)
    whole, part = (float(one) for one in score(np.stack([image, seen])))
    return (max(0.0, whole - part) / whole if whole > 0 else math.nan), part > whole
