"""How alike two heatmaps are, and how much one moves when the picture hardly does. Pure functions of arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def spearman(one: np.ndarray, other: np.ndarray) -> float:
    """Spearman's rank correlation of two maps' values, ties by their mean rank; -1 to 1.

    A map that is the same everywhere ranks nothing: 0, or 1 where both are so.
    """
    first, second = (_ranks(values) for values in (one, other))
    first, second = first - first.mean(), second - second.mean()
    sizes = [float(np.linalg.norm(values)) for values in (first, second)]
    if min(sizes) == 0:
        return float(max(sizes) == 0)
    return float(first @ second / (sizes[0] * sizes[1]))


def ssim(one: np.ndarray, other: np.ndarray) -> float:
    """Structural similarity (Wang et al. 2004) of two maps (H, W), each without signs and divided by its maximum."""
    from skimage.metrics import structural_similarity

    first, second = (_plain(values) for values in (one, other))
    side = min(7, *first.shape)
    window = side - 1 + side % 2  # odd
    if window < 3:
        return float(np.array_equal(first, second))
    return float(structural_similarity(first, second, data_range=1.0, win_size=window))


def sensitivity(whole: np.ndarray, moved: Sequence[np.ndarray]) -> float:
    r"""The most that a map moves, as a share of its size (Yeh et al. 2019); NaN for a map of zeros.

    .. math:: \max_r \|M(x + r) - M(x)\| / \|M(x)\|
    """
    size = float(np.linalg.norm(whole))
    if size == 0:
        return float("nan")
    return max(float(np.linalg.norm(other - whole)) for other in moved) / size


def nudged(pixels: np.ndarray, random: np.random.Generator, radius: int = 5) -> np.ndarray:
    """RGB uint8 with up to ``radius`` of 255 grey levels (2 %) added to or taken from each value."""
    moves = random.integers(-radius, radius + 1, pixels.shape)
    return np.clip(pixels.astype(np.int16) + moves, 0, 255).astype(np.uint8)


def _plain(values: np.ndarray) -> np.ndarray:
    size = np.abs(np.nan_to_num(values)).astype(np.float64)
    return size / size.max() if size.max() > 0 else size


def _ranks(values: np.ndarray) -> np.ndarray:
    _unique, place, counts = np.unique(np.nan_to_num(values).ravel(), return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts + 1) / 2)[place.ravel()]
