"""Parts of a layer (`Concepts`) -> one picture: each part has a hue, each place the mixture of its parts' hues.

The photograph is greyed first, so that every hue there is means a part.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from cnnvis_widgets.errors import CnnvisError, listed, number, whole
from cnnvis_widgets.render.pictures import enlarge

# Okabe and Ito's colours, told apart by colour-blind people too; without black, which would not be seen.
COLOURS = (
    (230, 159, 0),  # orange
    (86, 180, 233),  # sky blue
    (0, 158, 115),  # bluish green
    (240, 228, 66),  # yellow
    (0, 114, 178),  # blue
    (213, 94, 0),  # vermilion
    (204, 121, 167),  # reddish purple
)


def chosen_parts(maps: np.ndarray, parts: Iterable[int] | None) -> list[int]:
    """The parts to draw, by number; raises `CnnvisError` for one that is not there, or too many to tell apart."""
    asked = range(len(maps)) if parts is None else listed(parts, "parts", "numbers of parts")
    chosen = [whole(part, "A part", 0) for part in asked]
    if unknown := [part for part in chosen if not 0 <= part < len(maps)]:
        raise CnnvisError(f"There are parts 0 to {len(maps) - 1}; {unknown[0]} was asked for.")
    if len({colour_of(part) for part in chosen}) < len(chosen):
        raise CnnvisError(
            f"{len(COLOURS)} parts can be told apart by colour; "
            f"say which of the {len(maps)} to draw, as in parts=[0, 1]."
        )
    return chosen


def colour_of(part: int) -> tuple[int, int, int]:
    """A part's colour, the same in every picture of it."""
    return COLOURS[part % len(COLOURS)]


def overlay(
    image: np.ndarray, maps: np.ndarray, opacity: float = 0.6, parts: Iterable[int] | None = None
) -> np.ndarray:
    """Some of the parts (parts, h, w) over their photograph: RGB uint8 (H, W, 3).

    The strength is a share of the most that all parts add up to anywhere, so that one part alone is as strong as in
    the picture of all. Raises `CnnvisError` for an opacity outside [0, 1] and for parts that cannot be drawn.
    """
    opacity = number(opacity, "opacity", 0, 1)
    chosen = chosen_parts(maps, parts)
    height, width = image.shape[:2]
    grey = (image @ np.array([0.299, 0.587, 0.114], np.float32))[..., None].repeat(3, axis=2)
    most = np.nan_to_num(maps).sum(axis=0).max()
    if not most > 0:
        return np.rint(grey).astype(np.uint8)
    total, colours = np.zeros((height, width, 1), np.float32), np.zeros((height, width, 3), np.float32)
    for part in chosen:
        fine = np.maximum(enlarge(np.nan_to_num(maps[part]), height, width), 0)[..., None]
        total += fine
        colours += fine * np.array(colour_of(part), np.float32)
    colours /= np.where(total > 0, total, 1)
    strength = opacity * np.minimum(total / most, 1)
    return np.rint((1 - strength) * grey + strength * colours).astype(np.uint8)
