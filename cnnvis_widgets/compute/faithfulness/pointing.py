"""The grid pointing game: a mosaic of photographs of different classes; how much of the heat for one of the classes
lies in its photograph (Böhle et al. 2021; Rao et al. 2022). A map that knows nothing gets 1 of n * n.

There the mosaic is n times as large as a photograph; here the photographs are made smaller, so that any network takes
it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cnnvis_widgets.images import resize


def mosaic(photographs: Sequence[np.ndarray], side: int, size: tuple[int, int]) -> np.ndarray:
    """RGB uint8 (H, W, 3) of ``side`` x ``side`` photographs, row by row, each the whole of it resized to its cell."""
    picture = np.empty((*size, 3), np.uint8)
    for place, photograph in enumerate(photographs):
        rows, columns = cell(place, side, size)
        shape = (rows.stop - rows.start, columns.stop - columns.start)
        picture[rows, columns] = resize(photograph, shape)
    return picture


def cell(place: int, side: int, size: tuple[int, int]) -> tuple[slice, slice]:
    """Where the photograph at a place (0 top left) stands: rows, columns. Cells differ by a pixel at most."""
    at = [[round(step * length / side) for step in range(side + 1)] for length in size]
    row, column = divmod(place, side)
    return slice(at[0][row], at[0][row + 1]), slice(at[1][column], at[1][column + 1])


def localization(heat: np.ndarray, rows: slice, columns: slice) -> float:
    """The share of a heatmap's positive values (H, W) that lies in a cell; 0 where there are none."""
    positive = np.maximum(np.nan_to_num(heat), 0, dtype=np.float64)
    total = positive.sum()
    return float(positive[rows, columns].sum() / total) if total > 0 else 0.0


def partners(
    which: int, targets: Sequence[int], confident: Sequence[bool], count: int, random: np.random.Generator
) -> list[int]:
    """Numbers of ``count`` confidently classified photographs, each of a class of its own; fewer where none is left."""
    chosen: list[int] = []
    for other in random.permutation(len(targets)).tolist():
        if len(chosen) == count:
            break
        if confident[other] and targets[other] not in [targets[one] for one in (which, *chosen)]:
            chosen.append(other)
    return chosen
