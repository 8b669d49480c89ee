"""ROAD: remove and debias (Rong et al. 2022). What is removed is guessed from what surrounds it, with a little noise,
so that the shape of the hole tells the network nothing and the picture stays like a photograph.
"""

from __future__ import annotations

import cv2
import numpy as np

from cnnvis_widgets.compute.faithfulness.hiding import Score

FRACTIONS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 0.9)  # as in the paper's experiments
_NOISE = 0.01  # of the picture's standard deviation, the paper's figure for its normalized pictures
_NEIGHBOURS = np.array([[1, 2, 1], [2, 0, 2], [1, 2, 1]], np.float32) / 12
_CLOSE_ENOUGH = 1e-4  # of the picture's standard deviation, what is left of each equation
_MOST_ROUNDS = 300


def road_curves(
    score: Score, image: np.ndarray, ranks: np.ndarray, seed: int = 0, batch: int = 16
) -> tuple[np.ndarray, np.ndarray]:
    """Two (7,) curves: the score without the highest, and without the lowest ranks, of each of `FRACTIONS`.

    Most relevant first (MoRF): falls where the heatmap is right. Least relevant first (LeRF): stays.
    """
    random = np.random.default_rng(seed)
    curves = []
    for order in (ranks, ranks.size - 1 - ranks):
        pictures = [imputed(image, order < round(part * ranks.size), random) for part in FRACTIONS]
        parts = [score(np.stack(pictures[first : first + batch])) for first in range(0, len(pictures), batch)]
        curves.append(np.concatenate(parts))
    return curves[0], curves[1]


def imputed(image: np.ndarray, missing: np.ndarray, random: np.random.Generator | None = None) -> np.ndarray:
    r"""A picture (H, W, C) whose ``missing`` pixels are the weighted mean of their eight neighbours.

    .. math:: x_i = \sum_j w_{ij} x_j, \quad w = \tfrac16 \text{ beside}, \tfrac1{12} \text{ diagonally}

    At the border the weights of the neighbours that are there sum to 1. random: where the noise comes from; None adds
    none.
    """
    image = np.asarray(image, np.float32)
    if not missing.any() or missing.all():
        return image.copy()
    hole = missing[..., None].astype(np.float32)
    filled = _filled(image * (1 - hole), hole)
    if random is not None:
        noise = random.normal(0, _NOISE * float(image.std()), image.shape)
        filled += hole * noise.astype(np.float32)
    return filled


def _filled(known: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """The solution by conjugate gradients, begun with that of a picture of half the size: few rounds are left then."""
    height, width, channels = known.shape
    if not hole.any() or hole.all():
        return known
    half = (max(1, width // 2), max(1, height // 2))
    weight = cv2.resize(1 - hole, half, interpolation=cv2.INTER_AREA)[..., None]
    small = cv2.resize(known, half, interpolation=cv2.INTER_AREA).reshape(*half[::-1], channels)
    small = _filled(small / np.maximum(weight, 1e-6), (weight == 0).astype(np.float32))
    guess = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR).reshape(known.shape)

    around = hole * _filtered(np.ones_like(hole))

    def times(values):  # the matrix, which is symmetric and positive definite
        return around * values - hole * _filtered(values)

    values = hole * guess
    residual = hole * _filtered(known) - times(values)
    direction, square = residual.copy(), float(np.vdot(residual, residual))
    enough = (_CLOSE_ENOUGH * float(known.std())) ** 2 * float(hole.sum()) * channels
    for _ in range(_MOST_ROUNDS):
        if square <= enough:
            break
        moved = times(direction)
        step = square / float(np.vdot(direction, moved))
        values += step * direction
        residual -= step * moved
        before, square = square, float(np.vdot(residual, residual))
        direction *= square / before
        direction += residual
    return known + values


def _filtered(values: np.ndarray) -> np.ndarray:
    return cv2.filter2D(values, -1, _NEIGHBOURS, borderType=cv2.BORDER_CONSTANT).reshape(values.shape)
