"""Arrays -> text in a page: a map becomes the numbers of its colours, bytes are deflated and written in base64.

256 colours are all that a person sees of a map, so a byte a value loses nothing that is painted.
"""

from __future__ import annotations

import base64
import zlib

import cv2
import numpy as np

Block = dict[str, str]


def block(content: bytes) -> Block:
    """Bytes as text: deflated, base64. `unpack` in ``html/10_kernel.js`` is the way back."""
    return {"deflate": base64.b64encode(zlib.compress(content, 6)).decode()}


def size(packed: Block) -> int:
    """How many bytes of the file a block takes."""
    return len(packed["deflate"]) + 16


def coded(planes: np.ndarray, stats: np.ndarray, signed: bool) -> np.ndarray:
    """(c, h, w) uint8: for each value the number of its colour between the ends of its map's own colours.

    planes: (c, h, w) float32, finite; stats: (c, 3) float32, minimum, maximum and mean of each *whole* map; signed:
    whether the layer has both signs, so that zero is in the middle. The ends are those of ``valueRange`` in
    ``widgets/stage/20_colour.js``, `decodeMaps` in ``40_data.js`` the way back: what is painted is the same.
    """
    low, high = stats[:, 0].astype(float), stats[:, 1].astype(float)
    if signed:
        high = np.maximum(np.abs(low), np.abs(high))
        high[high == 0] = 1
        low = -high
    else:
        low, high = np.where(low >= 0, 0, low), np.where(low >= 0, high, np.maximum(high, 0))
        high[(low == 0) & (high == 0)] = 1
    share = (planes - low[:, None, None]) / (high - low)[:, None, None]
    return np.clip(np.floor(share * 256), 0, 255).astype(np.uint8)


def thumbnails(planes: np.ndarray, side: int) -> np.ndarray:
    """Planes (c, h, w) with the shorter side no longer than ``side``: means of areas."""
    _, h, w = planes.shape
    share = side / min(h, w)
    if share >= 1:
        return planes
    shape = (max(1, round(w * share)), max(1, round(h * share)))
    return np.stack([cv2.resize(plane, shape, interpolation=cv2.INTER_AREA) for plane in planes])


def shares(values: np.ndarray, signed: bool) -> np.ndarray:
    """A heatmap in [0, 1], or [-1, 1] where signed, as uint8: steps of 1/255, or of 1/127 around 128."""
    values = np.nan_to_num(values)
    return np.round(values * 127 + 128 if signed else values * 255).astype(np.uint8)
