"""Many small maps -> one picture: a layer's tiles side by side in a single array, so that it is drawn once.

Says, too, which units have nothing to show: dead (zero everywhere on this image) or not numbers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from cnnvis_widgets.errors import CnnvisError
from cnnvis_widgets.render.pictures import colorize, limits

_ROUND_NUMBERS = (*range(1, 11), 12, 16, 20, 24, 32, 48, 64, 96, 128)
_WIDE = 16 / 9  # a projector's picture
_MOST_PIXELS = 16_000_000  # of an atlas: more than a screen has, and little memory


@dataclass(frozen=True)
class Atlas:
    """Tiles in rows, each with a margin above (for its number) and around (a gap)."""

    picture: np.ndarray  # RGB uint8 (rows * cell height, columns * cell width, 3)
    columns: int
    rows: int
    tile: tuple[int, int]  # (height, width) in atlas pixels
    cell: tuple[int, int]  # (height, width): tile plus margins

    def corner(self, index: int) -> tuple[int, int]:
        """Where tile ``index`` begins: (top, left) in atlas pixels."""
        row, column = divmod(index, self.columns)
        return (row + 1) * self.cell[0] - self.tile[0], column * self.cell[1]


def without_numbers(values: np.ndarray) -> np.ndarray:
    """Which maps of (h, w, c) hold a NaN or an infinity: (c,) bool."""
    return ~np.isfinite(values).all(axis=(0, 1))


def dead(values: np.ndarray) -> np.ndarray:
    """Which maps of (h, w, c) are zero everywhere: (c,) bool."""
    return (values == 0).all(axis=(0, 1))


def default_columns(count: int, cell_height_to_width: float = 1.0) -> int:
    """A round number of columns that fills a wide screen and leaves few places empty in the last row."""

    def misfit(columns: int) -> float:
        rows = math.ceil(count / columns)
        empty = 1 - count / (rows * columns)
        return abs(math.log(columns * _WIDE**-0.5 / math.sqrt(count * cell_height_to_width))) + 3 * empty

    return min((number for number in _ROUND_NUMBERS if number <= count), key=misfit)


def color_tiles(
    values: np.ndarray, colormap: str, scale: tuple[float, float] | None, signed: bool = False
) -> np.ndarray:
    """Maps (h, w, c) as coloured tiles (c, h', w', 3) uint8, on one scale, or on one each if it is None.

    Very large maps are made smaller first (by area): all of them together take at most 16 million pixels.
    """
    height, width, count = values.shape
    shrink = math.sqrt(_MOST_PIXELS / (height * width * count))
    if shrink < 1:
        import cv2

        size = max(1, int(width * shrink)), max(1, int(height * shrink))
        values = np.stack(
            [cv2.resize(values[..., i], size, interpolation=cv2.INTER_AREA) for i in range(count)], axis=-1
        )
    maps = np.moveaxis(values, -1, 0)
    return np.stack([colorize(one, colormap, *(scale or limits(one, signed))) for one in maps])


def arrange(tiles: np.ndarray, columns: int, label: float, gap: float) -> Atlas:
    """Tiles (n, h, w, 3) uint8 on one white sheet; ``label`` and ``gap`` are shares of a tile's width.

    Tiles of few pixels are repeated into blocks, so that margins of whole pixels come out right.
    """
    if columns < 1:
        raise CnnvisError(f"{columns} columns cannot be drawn; ask for 1 or more.")
    count, height, width = tiles.shape[:3]
    repeat = math.ceil(48 / width)
    tiles = tiles.repeat(repeat, axis=1).repeat(repeat, axis=2)
    height, width = height * repeat, width * repeat
    cell = height + max(1, round(label * width)), width + max(1, round(gap * width))
    rows = math.ceil(count / columns)
    sheet = np.full((rows * columns, *cell, 3), 255, np.uint8)
    sheet[:count, cell[0] - height :, :width] = tiles
    picture = (
        sheet.reshape(rows, columns, *cell, 3).swapaxes(1, 2).reshape(rows * cell[0], columns * cell[1], 3)
    )
    return Atlas(picture, columns, rows, (height, width), cell)
