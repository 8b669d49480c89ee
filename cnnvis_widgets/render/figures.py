"""The same pictures as in the widgets, as matplotlib figures: for papers, slides, and without a notebook.

All tiles are one image: 512 axes would take 20 seconds. What figures are drawn with is in `paper.py`.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from matplotlib.patches import Rectangle

from cnnvis_widgets.errors import CnnvisError
from cnnvis_widgets.images import resize
from cnnvis_widgets.render import colormaps, tiles
from cnnvis_widgets.render.concepts import colour_of
from cnnvis_widgets.render.paper import (
    BAR_HEIGHT,
    FAINT,
    INK,
    MARGIN,
    NARROWEST,
    SMALL,
    UNDER,
    WIDTH,
    Figure,
    Heading,
    axes_at,
    colour_bar,
    counted,
    crossed,
    draw_strokes,
    short,
    show_picture,
    write,
    write_over,
)
from cnnvis_widgets.render.pictures import limits
from cnnvis_widgets.results import Concepts, FeatureMaps, FilterPictures, Heatmap, TopPatches

_TALLEST, _LARGEST_TILE = 24.0, 3.0  # inches
_LEAST_LEGIBLE = 6  # points
_MOST_CROSSES = 1000  # in a heatmap; more of them would take seconds, and one over them all says the same
_MOST_COLUMNS = 1000  # of tiles

# What a recipe does to its pictures at the end, so that nobody compares the contrast of two of them.
_FINISH = {"classic": "contrast of each stretched to be seen (mean 0.5, deviation 0.25)"}


def plot_feature_maps(
    maps: FeatureMaps,
    units: Iterable[int] | int | None = None,
    columns: int | None = None,
    colormap: str | None = None,
    scale: str = "layer",
) -> Figure:
    """The maps of a layer side by side, each with its unit's number.

    ``units``: which ones, in this order; default all. ``scale="layer"`` shows all on one scale, so that they
    can be compared; ``scale="map"`` shows each on its own. Dead units (zero everywhere on this image) carry a
    stroke, those with values that are not numbers a cross, and the title counts them. ``columns``: None fits the width;
    ``colormap``: any matplotlib name, None gives one that is even to the eye, diverging where maps have both signs.
    Returns a matplotlib `Figure`, made without pyplot.
    Raises CnnvisError for units that the layer does not have, an unknown scale or colormap, another kind of result.
    """
    _check_kind(maps, FeatureMaps, "plot_feature_maps", "feature_maps")
    if scale not in ("layer", "map"):
        raise CnnvisError(
            f"There is no scale {scale!r}; use 'layer' (one for all maps) or 'map' (each map its own)."
        )
    chosen = _check_units(units, maps)
    signed = colormap in colormaps.DIVERGING or maps.signed
    colormap = colormap or colormaps.default(signed)
    # The scale is the whole layer's even if few units are shown: the same unit always looks the same.
    low, high = limits(maps.values, signed)
    values = maps.values[..., chosen]
    sheet = _Sheet(
        tiles.color_tiles(values, colormap, (low, high) if scale == "layer" else None, signed),
        columns,
        names=[str(unit) for unit in chosen],
        consecutive=chosen == list(range(chosen[0], chosen[0] + len(chosen))),
    )
    broken, dead = tiles.without_numbers(values), tiles.dead(values)
    height, width = maps.values.shape[:2]
    counts = [
        counted(
            len(chosen),
            "feature map",
            f" of {maps.values.shape[2]}" if len(chosen) < maps.values.shape[2] else "",
        ),
        f"{height} x {width}",
        f"{dead.sum()} dead (/ : zero everywhere on this image)" if dead.any() else "",
        f"{broken.sum()} with values that are not numbers (x, magenta)" if broken.any() else "",
    ]
    figure = sheet.draw(f"{maps.network}  ·  {maps.layer.path}", " · ".join(filter(None, counts)), bar=True)
    sheet.mark(dead, broken)
    if scale == "layer":
        ticks = {low: short(low), 0.0: "0", high: short(high)}
        words = f"activation; one scale for the whole layer, {short(low)} to {short(high)}"
    else:
        low, high = (-1.0, 1.0) if signed else (low and -1.0, high and 1.0)
        ticks = {low: "own min" if not signed else "-own max", 0.0: "0", high: "own max"}
        words = "activation; each map on its own scale"
    colour_bar(figure, sheet.left, colormap, ticks, words)
    return figure


def plot_filters(
    pictures: FilterPictures, columns: int | None = None, patches: TopPatches | None = None
) -> Figure:
    """The pictures that excite a layer's units, strongest first, each with the activation it reached.

    A unit whose activation stayed 0 carries a stroke, one whose activation is not a number a cross. ``columns``: None
    fits the width. ``patches``: what `top_patches` found for these units; then each picture begins a row, and beside it
    stand those patches that excite the unit, with the activation at each. Returns a matplotlib `Figure`.
    Raises CnnvisError for no pictures, columns that cannot be drawn, patches of other units, another kind of result.
    """
    _check_kind(pictures, FilterPictures, "plot_filters", "maximize_filters")
    numbers = pictures.activations
    images, names = pictures.images, [str(unit) for unit in pictures.units]
    notes, every = [short(number) for number in numbers], 1
    if patches is not None:
        beside, values = _patches_of(patches, pictures)
        every = columns = 1 + values.shape[1]  # tiles of a unit
        images = np.concatenate([images[:, None], beside], axis=1).reshape(-1, *images.shape[1:])
        names = [name for unit in names for name in (unit, *" " * values.shape[1])]
        rows = zip(notes, values, strict=True)
        notes = [note for own, row in rows for note in (own, *(short(v) if v > 0 else "" for v in row))]
    sheet = _Sheet(images, columns, names, notes)
    broken, dead = ~np.isfinite(numbers), numbers == 0
    steps = pictures.history.shape[1] if pictures.history.ndim == 2 else 0
    facts = [
        f"{counted(len(numbers), 'filter')}, strongest first, with the mean activation reached",
        f"recipe {pictures.recipe!r}, {steps} steps, seed {pictures.seed}",
        _FINISH.get(pictures.recipe, ""),
        f"{dead.sum()} dead from this noise (/ : activation stayed 0)" if dead.any() else "",
        f"{broken.sum()} not a number (x)" if broken.any() else "",
        f"beside each: what excites it on {counted(patches.searched, 'photograph')}" if patches else "",
    ]
    figure = sheet.draw(f"{pictures.network}  ·  {pictures.layer.path}", " · ".join(filter(None, facts)))
    first = np.arange(len(images)) % every == 0
    sheet.mark(np.repeat(dead, every) & first, np.repeat(broken, every) & first)
    return figure


def _patches_of(patches: TopPatches, pictures: FilterPictures) -> tuple[np.ndarray, np.ndarray]:
    """((n, k, H, W, 3) uint8, (n, k)): the patches that excite these units, each whole within a picture's size."""
    _check_kind(patches, TopPatches, "plot_filters(patches=...)", "top_patches")
    row = {int(unit): number for number, unit in enumerate(patches.units)}
    lacking = [int(unit) for unit in pictures.units if int(unit) not in row]
    if lacking or patches.layer.path != pictures.layer.path:
        raise CnnvisError(
            f"The patches are of units {patches.units.tolist()[:9]} of {patches.layer.path!r}, the pictures of "
            f"units {pictures.units.tolist()[:9]} of {pictures.layer.path!r}; find those of the same units."
        )
    rows = [row[int(unit)] for unit in pictures.units]
    height, width = pictures.images.shape[1:3]
    share = min(height / patches.images.shape[2], width / patches.images.shape[3])
    tall, wide = (max(1, round(side * share)) for side in patches.images.shape[2:4])
    top, left = (height - tall) // 2, (width - wide) // 2
    found = np.full((len(rows), patches.images.shape[1], height, width, 3), 255, np.uint8)
    values = patches.values[rows]
    for unit, place in np.argwhere(values > 0):
        patch = resize(patches.images[rows[unit], place], (tall, wide))
        found[unit, place, top : top + tall, left : left + wide] = patch
    return found, values


def plot_patches(patches: TopPatches) -> Figure:
    """The patches of photographs that excite units most: a row for each unit, strongest first, with activations.

    Grey is padding beyond the photograph. Units that are active on none of them carry a stroke.
    Returns a matplotlib `Figure`. Raises CnnvisError for another kind of result.
    """
    _check_kind(patches, TopPatches, "plot_patches", "top_patches")
    count = patches.images.shape[1]
    names = [str(unit) if column == 0 else " " for unit in patches.units for column in range(count)]
    sheet = _Sheet(
        patches.images.reshape(-1, *patches.images.shape[2:]),
        count,
        names=names,
        notes=[short(value) if np.isfinite(value) else "" for value in patches.values.ravel()],
    )
    silent = ~patches.active
    facts = [
        f"{counted(len(patches.units), 'unit')}, a row each: where the activation is highest on "
        f"{counted(patches.searched, 'photograph')}",
        f"{silent.sum()} active on none of them (/)" if silent.any() else "",
    ]
    figure = sheet.draw(f"{patches.network}  ·  {patches.layer.path}", " · ".join(filter(None, facts)))
    sheet.mark(np.repeat(silent, count), np.zeros(len(names), bool))
    return figure


def plot_heatmap(heatmap: Heatmap, opacity: float = 0.4, colormap: str | None = None) -> Figure:
    """The photograph beside its heatmap, and in words what is explained, by which method and at which layer.

    ``opacity`` in [0, 1] is the share of the heatmap's colour. Places whose values are not numbers are magenta,
    carry a cross and are counted. ``colormap``: as for `plot_feature_maps`. Returns a matplotlib `Figure`.
    Raises CnnvisError for an opacity outside [0, 1], an unknown colormap, another kind of result.
    """
    _check_kind(heatmap, Heatmap, "plot_heatmap", "explain")
    broken = ~np.isfinite(heatmap.values)
    overlay = heatmap.overlay(opacity, colormap)
    colormap = colormap or colormaps.default(heatmap.signed)
    height, width = heatmap.image.shape[:2]
    panel_width = (WIDTH - 3 * MARGIN) / 2
    panel_height = panel_width * height / width
    if panel_height > 0.6 * WIDTH:  # a tall photograph: fit its height instead
        panel_width, panel_height = panel_width * 0.6 * WIDTH / panel_height, 0.6 * WIDTH
    figure_width = max(2 * panel_width + 3 * MARGIN, NARROWEST)
    title = f"{heatmap.target.name}  ·  score {short(heatmap.score)}"
    facts = [
        f"{heatmap.network} · {heatmap.method} at {heatmap.layer.path}",
        "" if heatmap.target.weights or heatmap.target.of == "unit" else f"class {heatmap.target.index}",
        f"{broken.sum()} of {broken.size} places are not numbers (x, magenta)" if broken.any() else "",
        *(f"{name} {short(value)}" for name, value in heatmap.details.items()),
    ]
    heading = Heading(title, " · ".join(filter(None, facts)), figure_width)
    figure = Figure(figure_width, heading.height + panel_height + UNDER)
    heading.write(figure)
    left = (figure_width - 2 * panel_width - MARGIN) / 2
    for picture, start in ((heatmap.image, left), (overlay, left + panel_width + MARGIN)):
        axes = axes_at(
            figure, start, figure.get_figheight() - heading.height - panel_height, panel_width, panel_height
        )
        show_picture(axes, picture)
    h, w = heatmap.values.shape
    cells = np.argwhere(broken)
    ends = cells + 1
    if len(cells) > _MOST_CROSSES:
        cells, ends = cells.min(axis=0)[None], ends.max(axis=0)[None]
    crosses: list[list[tuple[float, float]]] = []
    for (top, left_edge), (bottom, right_edge) in zip(
        cells * (height / h, width / w) - 0.5, ends * (height / h, width / w) - 0.5, strict=True
    ):
        crosses += crossed(left_edge, right_edge, top, bottom)
    draw_strokes(axes, crosses, max(0.5, min(1.5, panel_width / w * 2)), "not numbers")
    if heatmap.message:
        write_over(axes, heatmap.message, panel_width)
    signed = heatmap.signed or colormap in colormaps.DIVERGING
    strongest = np.abs(heatmap.raw[np.isfinite(heatmap.raw)]).max(initial=0)
    scale = f"1 = strongest here ({short(strongest)} unscaled)" if strongest else "none to scale"
    words = f"evidence, {scale}; {h} x {w} places enlarged, opacity {opacity:.0%}"
    ticks = {-1.0: "-1", 0.0: "0", 1.0: "1"} if signed else {0.0: "0", 1.0: "1"}
    colour_bar(figure, left, colormap, ticks, words)
    return figure


def plot_concepts(concepts: Concepts | Sequence[Concepts], opacity: float = 0.6) -> Figure:
    """The parts of a layer's maps in colours of their own over the photograph, and each part's share.

    Of one picture: beside the photograph. Of several, as a list of pictures gives: all of them side by side, with the
    shares in all. ``opacity`` in [0, 1] is that of the strongest place. Returns a matplotlib `Figure`.
    Raises CnnvisError for an opacity outside [0, 1], more parts than can be told apart, another kind of result.
    """
    several: list[Any] = list(concepts) if isinstance(concepts, list | tuple) else [concepts]
    for one in several:
        _check_kind(one, Concepts, "plot_concepts", "concepts")
    if not several:
        raise CnnvisError("There is nothing to draw: no parts are there.")
    first = several[0]
    drawn = [one.overlay(opacity) for one in several]
    pictures = [first.image, *drawn] if len(several) == 1 else drawn
    shapes = [picture.shape[1] / picture.shape[0] for picture in pictures]
    height = min((WIDTH - (len(pictures) + 1) * MARGIN) / sum(shapes), 0.6 * WIDTH)
    figure_width = max(height * sum(shapes) + (len(pictures) + 1) * MARGIN, NARROWEST)
    explained = np.mean([one.explained for one in several])
    facts = f"{counted(len(first.maps), 'part')}, which reproduce {explained:.0%} of the layer's activity"
    heading = Heading(f"{first.network}  ·  {first.layer.path}", facts, figure_width)
    figure = Figure(figure_width, heading.height + height + UNDER)
    heading.write(figure)
    left = (figure_width - height * sum(shapes) - (len(pictures) - 1) * MARGIN) / 2
    for picture, shape in zip(pictures, shapes, strict=True):
        axes = axes_at(figure, left, UNDER, height * shape, height)
        show_picture(axes, picture)
        left += height * shape + MARGIN
    if first.message:
        write_over(axes, first.message, height * shape)
    _swatches(figure, np.mean([one.share for one in several], axis=0))
    return figure


def _swatches(figure: Figure, shares: np.ndarray) -> None:
    """Each part's colour, number and share, along the bottom."""
    room = figure.get_figwidth() - 2 * MARGIN
    axes = axes_at(figure, MARGIN, MARGIN, room, BAR_HEIGHT)
    axes.set(xlim=(0, room), ylim=(0, BAR_HEIGHT))
    axes.set_axis_off()
    step = room / len(shares)
    for part, share in enumerate(shares):
        colour = tuple(value / 255 for value in colour_of(part))
        axes.add_patch(Rectangle((part * step, 0), BAR_HEIGHT, BAR_HEIGHT, facecolor=colour))
        words = f"part {part + 1}  {share:.0%}"
        write(axes, part * step + 1.5 * BAR_HEIGHT, BAR_HEIGHT / 2, words, 10, color=INK, va="center")


class _Sheet:
    """Tiles, their numbers and marks, on a figure whose size follows from how many there are."""

    def __init__(
        self,
        pictures: np.ndarray,
        columns: int | None,
        names: Sequence[str],
        notes: Sequence[str] | None = None,
        consecutive: bool = False,
    ) -> None:
        if len(pictures) == 0:
            raise CnnvisError("There is nothing to draw: no filter pictures are there.")
        shape = pictures.shape[1] / pictures.shape[2]
        columns = (
            tiles.default_columns(len(pictures), shape + 0.2) if columns is None else _whole_number(columns)
        )
        if not 1 <= columns <= _MOST_COLUMNS:
            raise CnnvisError(f"{columns} columns cannot be drawn; ask for 1 to {_MOST_COLUMNS}.")
        rows = math.ceil(len(pictures) / columns)
        room = WIDTH - 2 * MARGIN
        # Numbers shrink with their tiles until they stop being legible; then rows and columns have numbers.
        self.size = min(_LARGEST_TILE, room / columns, _TALLEST / (rows * (shape + 0.2)))
        longest = max(len(name) for name in names) + (
            0 if notes is None else 2 + max(len(note) for note in notes)
        )
        self.letters = min(SMALL, 72 * self.size * 0.9 / (0.62 * longest), 72 * self.size * 0.3)
        self.numbered = self.letters >= _LEAST_LEGIBLE
        self.names, self.notes, self.consecutive = names, notes, consecutive
        if not self.numbered:
            self.size = min(self.size, (room - 0.35) / columns)
        label = 1.35 * self.letters / 72 / self.size if self.numbered else 0.08
        self.atlas = tiles.arrange(pictures, columns, label, gap=0.08)
        self.columns, self.count = columns, len(pictures)

    def draw(self, title: str, facts: str, bar: bool = False) -> Figure:
        atlas = self.atlas
        width = self.columns * self.size
        height = width * atlas.picture.shape[0] / atlas.picture.shape[1]
        edge = 0 if self.numbered else 0.35  # room for the numbers of rows
        figure_width = max(width + edge + 2 * MARGIN, NARROWEST)
        heading = Heading(title, facts, figure_width)
        over = 0 if self.numbered else 0.2
        under = UNDER if bar else MARGIN
        self.left = MARGIN + edge
        self.figure = Figure(figure_width, heading.height + over + height + under)
        heading.write(self.figure)
        self.axes = axes_at(self.figure, self.left, under, width, height)
        show_picture(self.axes, atlas.picture)
        self._number_tiles() if self.numbered else self._number_rows()
        return self.figure

    def mark(self, dead: np.ndarray, broken: np.ndarray) -> None:
        """A stroke through dead tiles, a cross through those with values that are not numbers."""
        height, width = self.atlas.tile
        strokes: dict[str, list] = {"dead": [], "not numbers": []}
        for index in np.flatnonzero(dead | broken).tolist():
            top, left = self.atlas.corner(index)
            bottom, right = top + height - 1, left + width - 1
            cross = crossed(left, right, top, bottom)
            if broken[index]:
                strokes["not numbers"] += cross
            else:
                strokes["dead"] += cross[:1]
        thick = max(0.8, min(2.0, self.size * 2))
        for name, lines in strokes.items():
            draw_strokes(self.axes, lines, thick, name)

    def _number_tiles(self) -> None:
        for index, name in enumerate(self.names):
            top, left = self.atlas.corner(index)
            write(self.axes, left, top, name, self.letters, color=INK, va="bottom")
            if self.notes is not None:
                right = left + self.atlas.tile[1]
                write(
                    self.axes,
                    right,
                    top,
                    self.notes[index],
                    self.letters * 0.9,
                    color=FAINT,
                    ha="right",
                    va="bottom",
                )

    def _number_rows(self) -> None:
        """For tiles too small for numbers: the first unit of every row, and how far each column is."""
        pitch = 72 * self.size
        letters = min(8, pitch * 0.9)
        for row in range(self.atlas.rows):
            top, left = self.atlas.corner(row * self.columns)
            middle = top + self.atlas.tile[0] / 2
            name = self.names[row * self.columns]
            write(
                self.axes,
                left - 0.5 * self.atlas.tile[1],
                middle,
                name,
                letters,
                color=INK,
                ha="right",
                va="center",
            )
        every = next(step for step in (1, 2, 4, 8, 16, 32, 64, 128, 256) if step * pitch > 20)
        for column in range(0, self.columns, every) if self.consecutive else ():
            top, left = self.atlas.corner(column)
            middle = left + self.atlas.tile[1] / 2
            write(self.axes, middle, top, f"+{column}", letters, color=INK, ha="center", va="bottom")


def _check_units(units: Iterable[int] | int | None, maps: FeatureMaps) -> list[int]:
    count = maps.values.shape[2]
    if units is None:
        return list(range(count))
    try:
        chosen = [operator.index(unit) for unit in (units if isinstance(units, Iterable) else [units])]
    except TypeError:
        raise CnnvisError(
            f"Units are whole numbers from 0 to {count - 1}, one or a list of them; {units!r} was given."
        ) from None
    if not chosen:
        raise CnnvisError("There is nothing to draw: no units were chosen.")
    unknown = [str(unit) for unit in chosen if not 0 <= unit < count]
    if unknown:
        raise CnnvisError(
            f"There is no unit {', '.join(unknown[:5])} in {maps.layer.path} of {maps.network}; "
            f"its units are 0 to {count - 1}."
        )
    return chosen


def _whole_number(columns: int) -> int:
    try:
        return operator.index(columns)
    except TypeError:
        raise CnnvisError(
            f"{columns!r} columns cannot be drawn; ask for a whole number, 1 or more."
        ) from None


def _check_kind(result: object, wanted: type, plot: str, made_by: str) -> None:
    """One kind of result given for another: say what it is and what draws it."""
    if isinstance(result, wanted):
        return
    drawn_by = {
        FeatureMaps: "plot_feature_maps",
        FilterPictures: "plot_filters",
        Heatmap: "plot_heatmap",
        Concepts: "plot_concepts",
    }
    remedy = next(
        (f"; {name} draws these" for kind, name in drawn_by.items() if isinstance(result, kind)), ""
    )
    raise CnnvisError(
        f"{plot} draws the {wanted.__name__} that {made_by} gives; "
        f"an object of type {type(result).__name__} was given{remedy}."
    )
