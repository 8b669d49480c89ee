"""A still picture of what an Explorer shows: for where no widget runs, in a saved notebook, on GitHub, on paper.

Plain arrays in, a small PNG out: no network is run and nothing is waited for, so any thread may draw.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from cnnvis_widgets.images import resize
from cnnvis_widgets.locale import say
from cnnvis_widgets.render import colormaps
from cnnvis_widgets.render.pictures import colorize, limits, overlay
from cnnvis_widgets.render.tiles import arrange, color_tiles
from cnnvis_widgets.results import FeatureMaps, Heatmap
from cnnvis_widgets.widgets.payloads import plane_stats
from cnnvis_widgets.widgets.shown import Shown
from cnnvis_widgets.widgets.state import State
from cnnvis_widgets.widgets.words import blindness, percent, progress_words

WIDTH = 900  # pixels
_MARGIN, _ROW, _GRID, _LEAST_TILE, _LARGEST_TILE = 14, 280, 260, 16, 64
_PAPER, _INK, _SOFT = (255, 255, 255), (26, 26, 26), (85, 85, 85)
_LETTERS = 13
# 256 colours are a third of the bytes; at this size the eye finds the difference only with the original beside it.
_COLOURS = 256


@dataclass(frozen=True)
class _Part:
    """One picture and what is said under it."""

    picture: np.ndarray  # RGB uint8 (h, w, 3)
    caption: str


def snapshot(
    shown: Shown,
    state: State,
    panels: Sequence[str],
    filter_picture: np.ndarray | None = None,
    weights: Mapping[int, np.ndarray] | None = None,
) -> Image.Image:
    """Photograph with heatmap, the chosen map, the filter's picture, all maps: what ``panels`` names, with captions.

    state: unit and appearance as they are now. filter_picture: RGB uint8 (h, w, 3). weights: (c,) of the channels for
    each class of the list, as far as they are known: for the order by class and one scale for all classes.
    """
    top, weights = [], weights or {}
    if "photo" in panels:
        top.append(_photograph(shown, state, weights))
    if "detail" in panels:
        top.append(_one_map(shown.maps, state))
    if "filter" in panels and filter_picture is not None:
        top.append(_Part(filter_picture, _say("filter", unit=state.unit)))
    strips = [_side_by_side(top)] if top else []
    if "maps" in panels:
        strips.append(_side_by_side([_grid(shown, state, weights)], _GRID))
    words = _lines(title(shown), WIDTH - 2 * _MARGIN, 2)
    height = _MARGIN + _line_height() * len(words) + sum(strip.height + _MARGIN for strip in strips)
    sheet = Image.new("RGB", (WIDTH, height), _PAPER)
    y = _write(ImageDraw.Draw(sheet), words, _MARGIN, _MARGIN // 2, _INK)
    for strip in strips:
        sheet.paste(strip, (_MARGIN, y + _MARGIN // 2))
        y += strip.height + _MARGIN
    return sheet


def png(picture: Image.Image) -> bytes:
    """A picture as a small PNG."""
    file = io.BytesIO()
    picture.quantize(_COLOURS).save(file, "PNG", optimize=True)
    return file.getvalue()


def _photograph(shown: Shown, state: State, weights: Mapping[int, np.ndarray]) -> _Part:
    image, heatmap = _smaller(shown.image), shown.heatmap
    if heatmap is None:
        return _Part(image, "")
    high, words = 1.0, _heatmap_words(shown, heatmap)
    if state.heat_scale == "shared" and not heatmap.signed and not heatmap.message and weights:
        own = _most(heatmap.raw)
        high = max(own, *(_most(shown.maps.values @ each) for each in weights.values())) / (own or 1)
        words += " · " + _say("shared")
    colours = _colours(heatmap.signed, state)
    return _Part(overlay(image, heatmap.values / high, state.opacity, colours, heatmap.signed), words)


def _most(evidence: np.ndarray) -> float:
    return float(evidence[np.isfinite(evidence)].max(initial=0))


def _one_map(maps: FeatureMaps, state: State) -> _Part:
    values = maps.values[..., state.unit or 0]
    low, high, colours = _scale(maps, values, state)
    picture = colorize(values, colours, low, high)
    finite = values[np.isfinite(values)]
    words = _say("unit", unit=state.unit, layer=maps.layer.path)
    if finite.size:
        words += " · " + _say("range", low=f"{finite.min():.3g}", high=f"{finite.max():.3g}")
    picture = _blocks(picture, _ROW)
    if state.position:
        words += " · @{},{}".format(*state.position)
        _frame(picture, state.position, values.shape)
    return _Part(picture, words)


def _grid(shown: Shown, state: State, weights: Mapping[int, np.ndarray]) -> _Part:
    """All maps, as many as are legible, in the order of the grid in the browser."""
    maps, values = shown.maps, shown.maps.values
    height, width, count = values.shape
    room = WIDTH - 2 * _MARGIN
    fits = (
        c for c in range(1, room // _LEAST_TILE) if math.ceil(count / c) * room / c * height / width <= _GRID
    )
    columns = min(count, max(next(fits, room // _LEAST_TILE), room // _LARGEST_TILE))
    rows = min(math.ceil(count / columns), max(1, int(_GRID * columns * width / (room * height))))
    target = shown.heatmap.target.index if shown.heatmap else -1
    order = _order(maps, state.sort, weights.get(target))[: rows * columns]
    signed = maps.signed
    scale = limits(values) if state.scale == "layer" else None
    small = np.stack([_smaller(values[..., unit], 64) for unit in order], -1)
    atlas = arrange(color_tiles(small, _colours(signed, state), scale, signed), columns, 0.06, 0.06)
    key = "maps" if len(order) == count else "some_maps"
    words = _say(key, layer=maps.layer.path, count=count, shown=len(order), height=height, width=width)
    return _Part(atlas.picture, words)


def _order(maps: FeatureMaps, sort: str, weights: np.ndarray | None) -> np.ndarray:
    """Units as the grid in the browser has them: by index, strongest first, or by what each adds to the class."""
    if sort == "index" or (sort == "class" and weights is None):
        return np.arange(maps.values.shape[-1])
    low, high, mean = plane_stats(np.moveaxis(maps.values, -1, 0)).T
    ranks = mean * weights if sort == "class" else np.maximum(-low, high) if maps.signed else high
    return np.argsort(-np.where(np.isfinite(ranks), ranks, -np.inf), kind="stable")


def _scale(maps: FeatureMaps, values: np.ndarray, state: State) -> tuple[float, float, str]:
    """(low, high, colormap): zero in the middle where the layer has both signs or the colours want it."""
    colours = _colours(maps.signed, state)
    symmetric = maps.signed or colours in colormaps.DIVERGING
    low, high = limits(maps.values if state.scale == "layer" else values, symmetric or None)
    return low, high, colours


def _colours(signed: bool, state: State) -> str:
    """The chosen colormap; on both signs only one with zero in its middle."""
    return state.colormap if not signed or state.colormap in colormaps.DIVERGING else colormaps.default(True)


def _frame(picture: np.ndarray, position: tuple[int, int], shape: tuple[int, ...]) -> None:
    """A black and white frame around one position of an enlarged map."""
    (height, width), (h, w) = picture.shape[:2], shape
    top, bottom = position[0] * height // h, (position[0] + 1) * height // h - 1
    left, right = position[1] * width // w, (position[1] + 1) * width // w - 1
    for inset, colour in ((0, 0), (1, 255)):
        rows, columns = (top + inset, bottom - inset), (left + inset, right - inset)
        picture[rows, left + inset : right - inset + 1] = colour
        picture[top + inset : bottom - inset + 1, columns] = colour


def _side_by_side(parts: Sequence[_Part], height: int = _ROW) -> Image.Image:
    """Pictures of one height in a row, captions below, within the width of the sheet."""
    room = WIDTH - 2 * _MARGIN - _MARGIN * (len(parts) - 1)
    shapes = [part.picture.shape[1] / part.picture.shape[0] for part in parts]
    height = min(height, int(room / sum(shapes)))
    widths = [max(1, round(height * shape)) for shape in shapes]
    # A narrow picture gets a wider column, so that its caption can be read.
    spare = max(0, room - sum(widths)) // len(parts)
    columns = [width + min(spare, max(0, 300 - width)) for width in widths]
    captions = [_lines(part.caption, column, 3) for part, column in zip(parts, columns, strict=True)]
    lines = max(len(caption) for caption in captions)
    strip = Image.new("RGB", (WIDTH - 2 * _MARGIN, height + 4 + lines * _line_height()), _PAPER)
    draw, x = ImageDraw.Draw(strip), 0
    for part, width, column, caption in zip(parts, widths, columns, captions, strict=True):
        strip.paste(Image.fromarray(resize(part.picture, (height, width))), (x, 0))
        _write(draw, caption, x, height + 4, _SOFT)
        x += column + _MARGIN
    return strip


def _smaller(picture: np.ndarray, side: int = WIDTH) -> np.ndarray:
    """At most ``side`` pixels a side: nothing here is shown larger, and less is blended and coloured."""
    height, width = picture.shape[:2]
    share = side / max(height, width)
    if share >= 1:
        return picture
    return resize(picture, (max(1, round(height * share)), max(1, round(width * share))))


def _blocks(picture: np.ndarray, least: int) -> np.ndarray:
    """Few pixels repeated into blocks, so that one cell of a map looks like one."""
    times = max(1, math.ceil(least / picture.shape[0]))
    return np.ascontiguousarray(picture.repeat(times, 0).repeat(times, 1))


def title(shown: Shown, language: str = "en") -> str:
    """What the network says of which picture."""
    best = shown.predictions[0]
    return say(
        "snapshot.title",
        language,
        network=shown.network.name,
        image=shown.state.image,
        name=best.name,
        share=percent(best.probability),
    )


def _heatmap_words(shown: Shown, heatmap: Heatmap) -> str:
    words = _say("heatmap", method=heatmap.method, layer=heatmap.layer.path, name=heatmap.target.name)
    remarks = [progress_words(shown, "en") or heatmap.message, blindness(heatmap, "en")]
    return " · ".join([words, *(remark for remark in remarks if remark)])


def _say(key: str, **values: object) -> str:
    """In English whatever the widget speaks: the letters drawn here are those of matplotlib's font."""
    return say(f"snapshot.{key}", "en", **values)


@cache
def _font() -> ImageFont.FreeTypeFont:
    import matplotlib

    return ImageFont.truetype(Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"), _LETTERS)


def _line_height() -> int:
    return _LETTERS + 5


def _lines(text: str, width: int, most: int) -> list[str]:
    """Text broken into at most so many lines that fit, the last one cut short where it must be."""
    font, lines = _font(), [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= width or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    cut = lines[:most]
    if len(lines) > most:
        cut[-1] += " …"
    return [_shortened(line, width) for line in cut]


def _shortened(line: str, width: int) -> str:
    if _font().getlength(line) <= width:
        return line
    while line and _font().getlength(line + "…") > width:
        line = line[:-1]
    return line + "…"


def _write(
    draw: ImageDraw.ImageDraw, lines: Sequence[str], x: int, y: int, colour: tuple[int, int, int]
) -> int:
    """Write lines; returns where the next would begin."""
    for line in lines:
        draw.text((x, y), line, colour, _font())
        y += _line_height()
    return y
