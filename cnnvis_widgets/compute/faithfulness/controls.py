"""Heatmaps of which nobody would think that they explain a network: what a method must beat to say anything.

Each is a function of the picture as the network sees it, RGB uint8 (H, W, 3), and a seed: (H, W) float32, >= 0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np


def random_map(pixels: np.ndarray, seed: int = 0) -> np.ndarray:
    """A number drawn for each pixel."""
    return np.random.default_rng(seed).random(pixels.shape[:2], np.float32)


def edges(pixels: np.ndarray, _seed: int = 0) -> np.ndarray:
    """Where the picture changes: Sobel's filter on its grey values."""
    from skimage.color import rgb2gray
    from skimage.filters import sobel

    return sobel(rgb2gray(pixels)).astype(np.float32)


def centre(pixels: np.ndarray, _seed: int = 0) -> np.ndarray:
    """A Gaussian in the middle, a quarter of each side wide: photographers put the thing there."""
    y, x = (np.linspace(-0.5, 0.5, side) for side in pixels.shape[:2])
    return np.exp(-(y[:, None] ** 2 + x[None] ** 2) / (2 * 0.25**2)).astype(np.float32)


CONTROLS: Mapping[str, Callable[[np.ndarray, int], np.ndarray]] = {
    "random": random_map,
    "edges": edges,
    "centre": centre,
}
