"""Numbers -> colours: one map coloured on a stated scale, or laid over its photograph.

Zero is always on the scale, and what is not a number gets a colour of its own, never that of zero.
"""

from __future__ import annotations

import numpy as np

from cnnvis_widgets.errors import number
from cnnvis_widgets.render import colormaps

NAN_COLOUR = (255, 0, 255)  # magenta: in neither default colormap


def limits(values: np.ndarray, signed: bool | None = None) -> tuple[float, float]:
    """The scale on which values are shown: (low, high) with low <= 0 <= high and low < high.

    Values of one sign: zero to the strongest. Values of both signs, or ``signed=True``: symmetric, so that
    zero lies in the middle. ``signed=False``: from the lowest (or zero) to the highest (or zero). NaN and
    infinity are ignored; where nothing but zeros is left, the scale is (0, 1) or (-1, 1).
    """
    finite = values[np.isfinite(values)]
    low, high = (min(0.0, float(finite.min())), max(0.0, float(finite.max()))) if finite.size else (0.0, 0.0)
    if signed is None:
        signed = low < 0 < high
    if signed:
        strongest = max(-low, high) or 1.0
        return -strongest, strongest
    return (low, high) if low < high else (0.0, 1.0)


def colorize(values: np.ndarray, name: str, low: float, high: float) -> np.ndarray:
    """Values of any shape in the colours of a colormap: (..., 3) uint8.

    The range low to high is cut into 256 equal steps, as matplotlib does; values beyond it get the end
    colours, NaN gets `NAN_COLOUR`.
    """
    steps = np.asarray(values, np.float64)
    missing = np.isnan(steps)
    steps = (np.clip(np.where(missing, low, steps), low, high) - low) * (256 / (high - low))
    colours = colormaps.table(name)[np.minimum(steps, 255).astype(np.uint8)]
    colours[missing] = NAN_COLOUR
    return colours


def enlarge(values: np.ndarray, height: int, width: int) -> np.ndarray:
    """A coarse map (h, w) at another size, bilinear between cell centres: (height, width) float32.

    A place is NaN where more than half of its weight is: the sound cells around a NaN keep their own values.
    """
    import cv2

    values = np.asarray(values, np.float32)
    missing = ~np.isfinite(values)
    if not missing.any():
        return cv2.resize(values, (width, height), interpolation=cv2.INTER_LINEAR)
    known = cv2.resize((~missing).astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    total = cv2.resize(np.where(missing, 0, values), (width, height), interpolation=cv2.INTER_LINEAR)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(known >= 0.5, total / known, np.nan).astype(np.float32)


def overlay(
    image: np.ndarray,
    values: np.ndarray,
    opacity: float = 0.4,
    colormap: str | None = None,
    signed: bool = False,
) -> np.ndarray:
    """A heatmap over its photograph: RGB uint8 (H, W, 3) at the photograph's own size.

    image: RGB uint8 (H, W, 3). values: (h, w) in [0, 1], or in [-1, 1] where ``signed``. The coarse map is
    enlarged first and coloured afterwards, so that only colours of the colormap appear between its cells.
    ``opacity`` in [0, 1] is the share of the heatmap's colour. A diverging colormap keeps zero in its middle,
    signed or not. Raises CnnvisError for an opacity outside [0, 1].
    """
    opacity = number(opacity, "opacity", 0, 1)
    height, width = image.shape[:2]
    colormap = colormap or colormaps.default(signed)
    fine = enlarge(values, height, width)
    colours = colorize(fine, colormap, -1.0 if signed or colormap in colormaps.DIVERGING else 0.0, 1.0)
    blended = (1 - opacity) * image.astype(np.float32) + opacity * colours
    return np.rint(blended).astype(np.uint8)
