"""What the network says when parts of the picture are hidden: nothing of its inside is looked at.

Each takes a `Case` and yields `Partial` maps (H, W) float32 at the network's input resolution, signed: where hiding
lowers the score is positive. What is hidden is replaced by the case's baseline.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import cv2
import numpy as np

from cnnvis_widgets.compute.case import Case, Partial
from cnnvis_widgets.errors import MethodError


def occlusion(case: Case, window: int | None = None, stride: int | None = None) -> Iterator[Partial]:
    r"""Occlusion: how much the score falls when a window is hidden (Zeiler and Fergus 2013, sec. 4.2).

    .. math:: M_p = \mathrm{mean}_{\text{windows } W \ni p} [S(x) - S(x \text{ without } W)]

    The paper shows the class's probability behind each window, not how much the score falls.
    window, stride: in pixels of the network's input; by default a seventh of its longer side, and half of that.
    The last row and column of windows end at the border, so every pixel is covered.
    """
    height, width = case.inputs.shape[1:3]
    window = window or max(1, round(max(height, width) / 7))
    stride = stride or max(1, window // 2)
    if not 0 < stride <= window:
        raise MethodError(
            f"Windows of {window} pixels {stride} apart leave gaps; choose a stride of 1 to {window}."
        )
    places = [
        (top, left) for top in _places(height, window, stride) for left in _places(width, window, stride)
    ]
    total, covered = np.zeros((height, width)), np.zeros((height, width))
    whole = case.scores(case.inputs)[0]
    for part in case.batches(len(places)):
        masks = np.ones((part.stop - part.start, height, width), np.float32)
        for mask, (top, left) in zip(masks, places[part], strict=True):
            mask[top : top + window, left : left + window] = 0
        drops = whole - case.scores(case.blended(masks))
        total += np.tensordot(drops, 1 - masks, axes=1)
        covered += (1 - masks).sum(axis=0)
        yield Partial(part.stop, len(places), (total / np.maximum(covered, 1)).astype(np.float32))


def rise(case: Case, masks: int = 1000, cells: int = 7, shown: float = 0.5) -> Iterator[Partial]:
    r"""RISE: random masks, weighted by what the network says of the picture behind them (Petsiuk et al. 2018, eq. 6).

    .. math:: M = \tfrac{1}{n p} \sum_i [f(x \odot M_i) - \bar f] \, M_i

    f is the target's probability. Its mean over the masks is taken off, which the paper does not do: each pixel is
    shown by as many masks, up to chance, so the order stays, that chance is less seen, and a network that does not
    care gives zero. Masks: ``cells`` x ``cells`` drawn with probability ``shown``, enlarged, and shifted at random.
    """
    if not 0 < shown < 1:
        raise MethodError(f"shown is the chance of a cell to be seen, between 0 and 1; {shown} was given.")
    height, width = case.inputs.shape[1:3]
    random = np.random.default_rng(case.seed)
    by_score, plain, chances = np.zeros((height, width)), np.zeros((height, width)), 0.0
    for part in case.batches(masks):
        drawn = np.stack(
            [_soft_mask(random, height, width, cells, shown) for _ in range(part.start, part.stop)]
        )
        said = case.chances(case.blended(drawn))
        by_score += np.tensordot(said.astype(np.float64), drawn, axes=1)
        plain += drawn.sum(axis=0, dtype=np.float64)
        chances += float(said.sum(dtype=np.float64))
        raw = (by_score - chances / part.stop * plain) / (part.stop * shown)
        if abs(raw).max() <= 1e-7 * by_score.max(initial=0):  # what rounding leaves of nothing
            raw[:] = 0
        yield Partial(part.stop, masks, raw.astype(np.float32))


def lime(case: Case, samples: int = 500, segments: int = 50, width: float = 0.25) -> Iterator[Partial]:
    r"""LIME: a linear model of superpixels, fitted to random hidings (Ribeiro et al. 2016, eq. 1 and sec. 3.4).

    .. math:: \arg\min_w \sum_i e^{-d_i^2 / \mathrm{width}^2} (S(x_i) - w_0 - w \cdot z_i)^2 + |w|^2

    z_i says which superpixels (SLIC, about ``segments`` of them) are shown, d_i is its cosine distance from all of
    them. A pixel gets the weight of its superpixel. Distance, width and ridge regression are those of the authors'
    code for pictures (the paper has the L2 distance and K-Lasso); that code takes the root of the nearness, which
    makes its neighbourhood wider, and fills what is hidden with each superpixel's mean colour. Paper and code explain
    a probability; here that is the target ``network.target(...).probability``, as for every method.
    """
    if not width > 0:
        raise MethodError(f"width is a number above 0; {width} was given.")
    parts = superpixels(case, segments)
    count = int(parts.max()) + 1
    shown = np.random.default_rng(case.seed).random((samples, count)) < 0.5
    shown[0] = True
    distance = 1 - np.sqrt(shown.mean(axis=1))  # cosine, of 0/1 vectors to all ones
    nearness = np.exp(-((distance / width) ** 2))
    for done, scores in _scores_of(case, parts, shown):
        weights = _ridge(shown[:done].astype(np.float64), scores, nearness[:done], penalty=1.0)
        yield Partial(done, samples, _painted(weights, parts))


def kernel_shap(case: Case, samples: int = 500, segments: int = 50) -> Iterator[Partial]:
    r"""KernelSHAP: each superpixel's fair share in the score, its Shapley value (Lundberg and Lee 2017, thm. 2).

    .. math:: \arg\min_\phi \sum_z \frac{d - 1}{\binom{d}{|z|} |z| (d - |z|)} (S(x_z) - S(x_0) - \phi \cdot z)^2,
              \quad \sum \phi = S(x) - S(x_0)

    z says which of d superpixels are shown; they are drawn by the weight in that sum, each with its complement. Where
    there are no more than ``samples`` of them, all are taken and the values are exact.
    """
    parts = superpixels(case, segments)
    count = int(parts.max()) + 1
    shown, weights = _coalitions(count, samples, np.random.default_rng(case.seed))
    ends = case.scores(np.concatenate([case.baseline, case.inputs])).astype(np.float64)
    for done, scores in _scores_of(case, parts, shown):
        shares = _shares(shown[:done].astype(np.float64), scores, weights[:done], *ends)
        yield Partial(done, len(shown), _painted(shares, parts))
    if not len(shown):  # a single superpixel
        yield Partial(1, 1, _painted(np.array([ends[1] - ends[0]]), parts))


def superpixels(case: Case, segments: int) -> np.ndarray:
    """(H, W) int: the number of each pixel's superpixel, from 0, by SLIC in the picture as the network sees it."""
    from skimage.segmentation import slic

    found = slic(case.pixels, n_segments=segments, compactness=10, start_label=0, channel_axis=-1)
    return np.unique(found, return_inverse=True)[1].reshape(found.shape)


def _places(length: int, window: int, stride: int) -> list[int]:
    """Where windows begin: every ``stride`` pixels, the last one at the border."""
    last = max(0, length - window)
    return [*range(0, last, stride), last]


def _soft_mask(random: np.random.Generator, height: int, width: int, cells: int, shown: float) -> np.ndarray:
    cell_h, cell_w = math.ceil(height / cells), math.ceil(width / cells)
    coarse = (random.random((cells, cells)) < shown).astype(np.float32)
    size = ((cells + 1) * cell_w, (cells + 1) * cell_h)
    large = cv2.resize(coarse, size, interpolation=cv2.INTER_LINEAR)
    top, left = random.integers(cell_h), random.integers(cell_w)
    return large[top : top + height, left : left + width]


def _scores_of(case: Case, parts: np.ndarray, shown: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """The scores so far, after each batch, of the picture with only the ``shown`` (n, d) superpixels."""
    scores = np.zeros(len(shown))
    for part in case.batches(len(shown)):
        masks = shown[part].astype(np.float32)[:, parts]
        scores[part] = case.scores(case.blended(masks))
        yield part.stop, scores[: part.stop]


def _painted(values: np.ndarray, parts: np.ndarray) -> np.ndarray:
    return values.astype(np.float32)[parts]


def _ridge(rows: np.ndarray, values: np.ndarray, nearness: np.ndarray, penalty: float) -> np.ndarray:
    """Weights of a linear model with a free constant, by weighted least squares."""
    share = nearness / nearness.sum()
    rows, values = rows - share @ rows, values - share @ values
    weighted = rows * nearness[:, None]
    return np.linalg.solve(weighted.T @ rows + penalty * np.eye(rows.shape[1]), weighted.T @ values)


def _coalitions(count: int, samples: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Which superpixels are shown (n, d) bool, neither none nor all of them, and the weight of each row."""
    sizes = np.arange(1, count)
    if 2**count - 2 <= samples:
        shown = (np.arange(1, 2**count - 1)[:, None] >> np.arange(count)) % 2 == 1
        size = shown.sum(axis=1)
        ways = np.array([math.comb(count, int(one)) for one in size], np.float64)
        return shown, (count - 1) / (ways * size * (count - size))
    chance = 1 / (sizes * (count - sizes))
    drawn = random.choice(sizes, max(1, samples // 2), p=chance / chance.sum())
    shown = np.argsort(random.random((len(drawn), count)), axis=1) < drawn[:, None]
    return np.stack([shown, ~shown], axis=1).reshape(-1, count), np.ones(2 * len(drawn))


def _shares(
    rows: np.ndarray, scores: np.ndarray, weights: np.ndarray, none: float, whole: float
) -> np.ndarray:
    """Shapley values by weighted least squares; the last one is what the others leave of the whole."""
    if not np.isfinite(scores).all():  # least squares would fail in words of its own
        return np.full(rows.shape[1], np.nan)
    rest = rows[:, :-1] - rows[:, -1:]
    left = scores - none - rows[:, -1] * (whole - none)
    root = np.sqrt(weights)[:, None]
    others = np.linalg.lstsq(rest * root, left * root[:, 0], rcond=None)[0]
    return np.append(others, whole - none - others.sum())
