"""What every figure is drawn with: paper, heading, pictures, strokes, a colour bar, words; places are in inches.

A figure is made directly, without pyplot and its global state, so any thread may draw one. Words are plain text (no
mathtext: class names hold $).
"""

from __future__ import annotations

import io
import textwrap
from typing import Any

import matplotlib.figure
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.image import AxesImage

from cnnvis_widgets.render import colormaps

# Inches, and points for letters (72 to the inch).
WIDTH, NARROWEST, MARGIN, UNDER = 12.0, 7.0, 0.25, 0.75
BAR_HEIGHT, _BAR_WIDTH = 0.16, 3.0
_TITLE, SMALL = 15, 11
INK, FAINT = "#1a1a1a", "#555555"


class Figure(matplotlib.figure.Figure):
    """A matplotlib figure that a notebook shows by itself, whether or not pyplot was ever imported."""

    def __init__(self, width: float, height: float) -> None:
        super().__init__(figsize=(width, height), dpi=100, facecolor="white")
        FigureCanvasAgg(self)

    def _repr_png_(self) -> bytes:
        png = io.BytesIO()
        self.savefig(png, format="png")
        return png.getvalue()


class _Picture(AxesImage):
    """An RGB picture brought to its size on paper as bytes.

    matplotlib does it in floating point, which at 600 dpi takes seconds and more than a gigabyte.
    """

    def __init__(self, axes: Axes, picture: np.ndarray, extent: tuple[float, float, float, float]) -> None:
        super().__init__(axes, origin="upper", extent=extent)
        self.set_data(picture)

    def make_image(
        self, renderer: Any, magnification: float = 1.0, unsampled: bool = False
    ) -> tuple[np.ndarray, float, float, Any]:
        import cv2

        corners = np.asarray(self.axes.get_window_extent(renderer).extents) * magnification
        left, bottom, right, top = np.rint(corners).astype(int).tolist()
        picture = np.asarray(self.get_array())
        shrinks = right - left < picture.shape[1] or top - bottom < picture.shape[0]
        how = cv2.INTER_AREA if shrinks else cv2.INTER_NEAREST_EXACT
        sized = cv2.resize(picture, (max(1, right - left), max(1, top - bottom)), interpolation=how)
        # Renderers take rows from the bottom up.
        rows = cv2.cvtColor(sized[::-1], cv2.COLOR_RGB2RGBA)
        return rows, left / magnification, bottom / magnification, None


class Heading:
    """Title and facts at the top left, in as many lines as the figure's width asks for."""

    def __init__(self, title: str, facts: str, width: float) -> None:
        room = 72 * (width - 2 * MARGIN)
        self.title = textwrap.wrap(title, max(20, int(room / (0.62 * _TITLE)))) or [" "]
        self.facts = textwrap.wrap(facts, max(20, int(room / (0.52 * SMALL))))
        self.height = MARGIN + 0.15 + (len(self.title) * _TITLE + len(self.facts) * SMALL) * 1.35 / 72

    def write(self, figure: Figure) -> None:
        width, height = figure.get_size_inches()
        top = height - MARGIN
        for lines, letters, colour in ((self.title, _TITLE, INK), (self.facts, SMALL, FAINT)):
            text = figure.text(
                MARGIN / width,
                top / height,
                "\n".join(lines),
                fontsize=letters,
                color=colour,
                va="top",
                parse_math=False,
            )
            text.set_linespacing(1.2)
            top -= len(lines) * letters * 1.35 / 72


def colour_bar(figure: Figure, left: float, colormap: str, ticks: dict[float, str], words: str) -> None:
    """A colour bar along the bottom with its limits written under it, and beside it what it measures."""
    axes = axes_at(figure, left, MARGIN + 0.12, _BAR_WIDTH, BAR_HEIGHT)
    low, high = min(ticks), max(ticks)
    axes.imshow(
        colormaps.table(colormap)[None], extent=(low, high, 0, 1), aspect="auto", interpolation="nearest"
    )
    axes.set_yticks([])
    axes.set_xticks(list(ticks), list(ticks.values()), fontsize=9, color=FAINT)
    axes.tick_params(length=2, pad=2)
    axes.get_xticklabels()[list(ticks).index(low)].set_horizontalalignment("left")
    axes.get_xticklabels()[list(ticks).index(high)].set_horizontalalignment("right")
    room = 72 * (figure.get_figwidth() - left - _BAR_WIDTH - 2 * MARGIN)
    lines = textwrap.wrap(words, max(16, int(room / (0.52 * 10))))
    write(axes, 1.05, 0.5, "\n".join(lines), 10, color=INK, va="center", transform=axes.transAxes)


def write_over(axes: Axes, sentence: str, width: float) -> None:
    """A sentence in the middle of a picture ``width`` inches wide."""
    lines = textwrap.wrap(sentence, max(12, int(72 * width / (0.6 * 14))))
    box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.9, "pad": 8}
    middle = {"ha": "center", "va": "center", "transform": axes.transAxes}
    write(axes, 0.5, 0.5, "\n".join(lines), 14, color=INK, bbox=box, **middle)


def axes_at(figure: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
    """Axes at a place given in inches."""
    w, h = figure.get_size_inches()
    return figure.add_axes((left / w, bottom / h, width / w, height / h))


def crossed(left: float, right: float, top: float, bottom: float) -> list[list[tuple[float, float]]]:
    """Two strokes through a rectangle, the rising one first."""
    return [[(left, bottom), (right, top)], [(left, top), (right, bottom)]]


def draw_strokes(axes: Axes, lines: list, thick: float, name: str) -> None:
    """White on black: seen on every colour of every colormap."""
    from matplotlib.collections import LineCollection

    for colour, breadth in (("black", 2 * thick), ("white", thick)) if lines else ():
        axes.add_collection(LineCollection(lines, colors=colour, linewidths=breadth, gid=name))


def show_picture(axes: Axes, picture: np.ndarray) -> None:
    """A picture (H, W, 3) uint8 that fills its axes, upright, one unit of the axes to a pixel."""
    height, width = picture.shape[:2]
    axes.add_image(_Picture(axes, picture, (-0.5, width - 0.5, height - 0.5, -0.5)))
    axes.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))
    axes.set_axis_off()


def write(axes: Axes, x: float, y: float, words: str, letters: float, **how: Any) -> None:
    axes.text(x, y, words, fontsize=letters, parse_math=False, **how)


def short(number: float) -> str:
    return f"{float(number):.3g}"


def counted(number: int, what: str, more: str = "") -> str:
    return f"{number}{more} {what}{'s' if number != 1 or more else ''}"
