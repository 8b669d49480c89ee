"""Figures of what can be trusted: an evaluation's methods by metrics, and the tests of one heatmap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from cnnvis_widgets.errors import CnnvisError
from cnnvis_widgets.render import colormaps
from cnnvis_widgets.render.paper import (
    FAINT,
    INK,
    MARGIN,
    WIDTH,
    Figure,
    Heading,
    axes_at,
    show_picture,
    write,
)
from cnnvis_widgets.render.pictures import overlay
from cnnvis_widgets.results import Evaluation, EvaluationRow, Trust

_METHOD, _CONTROL = "#0b5cad", "#777777"
# How each control's line is broken, so that colour is not all that tells.
_DASHES = {"random": (0, (1, 2)), "edges": (0, (5, 2)), "centre": (0, (6, 2, 1, 2))}
_CURVES_HEIGHT, _STRIP_HEIGHT = 2.6, 1.7


def plot_evaluation(evaluation: Evaluation, columns: int = 3, ahead: bool = False) -> Figure:
    """Each metric's methods as dots with their 95 % intervals, the controls grey, and a line at the best of them.

    Filled dots beat every control by more than the interval of the paired difference. ahead: draw that difference,
    `EvaluationRow.ahead`, instead: right of the line at 0 is better than every control. Photographs differ far more
    than methods do, so it tells what the means cannot. columns: metrics side by side.
    Returns a matplotlib `Figure`. Raises CnnvisError for another kind of result, or less than one column.
    """
    if not isinstance(evaluation, Evaluation):
        raise CnnvisError(
            "plot_evaluation draws the Evaluation that evaluate gives; "
            f"an object of type {type(evaluation).__name__} was given."
        )
    if columns < 1:
        raise CnnvisError(f"{columns} columns cannot be drawn; ask for 1 or more.")
    columns = min(columns, len(evaluation.metrics))
    rows = -(-len(evaluation.metrics) // columns)
    methods = [name for name in evaluation.methods if not (ahead and name in evaluation.controls)]
    names = 0.085 * max(map(len, methods), default=0) + 0.1
    height = 0.24 * len(methods) + 0.2
    title = f"{evaluation.network}  ·  {_counted(evaluation)}"
    facts = (
        "better than the hardest control by so much: paired difference and its 95 % interval; filled: surely better"
        if ahead
        else "mean and 95 % interval; filled: better than every control (grey) by more than the paired interval"
    )
    if any(0 < row.n < len(evaluation.images) for row in evaluation.rows):
        facts += "; at the right how many photographs, where fewer"
    heading = Heading(title, facts, WIDTH)
    figure = Figure(WIDTH, heading.height + rows * (height + 0.75) + MARGIN)
    heading.write(figure)
    width = (WIDTH - 2 * MARGIN - names - 0.3 * (columns - 1)) / columns
    for place, (metric, better) in enumerate(zip(evaluation.metrics, evaluation.better, strict=True)):
        down, across = divmod(place, columns)
        left = MARGIN + names + across * (width + 0.3)
        top = figure.get_figheight() - heading.height - down * (height + 0.75) - 0.3
        axes = axes_at(figure, left, top - height, width, height)
        rows_here = [evaluation.row(method, metric) for method in methods]
        _dots(axes, rows_here, evaluation.controls, better, across == 0, ahead)
        for up, row in enumerate(reversed(rows_here)):
            if 0 < row.n < len(evaluation.images):
                write(
                    axes,
                    1.01,
                    up,
                    str(row.n),
                    7,
                    color=FAINT,
                    va="center",
                    transform=axes.get_yaxis_transform(),
                )
        way = "right is better" if ahead else f"{better} is better"
        write(axes, 0, 1.02, f"{metric}  ({way})", 10, color=INK, va="bottom", transform=axes.transAxes)
    return figure


def plot_trust(trust: Trust) -> Figure:
    """The heatmap, its deletion and insertion curves beside the controls', and the heatmaps of random weights.

    Returns a matplotlib `Figure`. Raises CnnvisError for another kind of result.
    """
    if not isinstance(trust, Trust):
        raise CnnvisError(
            f"plot_trust draws the Trust that trust gives; an object of type {type(trust).__name__} was given."
        )
    heatmap = trust.heatmap
    facts = f"{heatmap.network} · {heatmap.method} at {heatmap.layer.path} · {heatmap.target.name}"
    heading = Heading(trust.sentence or "not judged yet", facts, WIDTH)
    shape = heatmap.image.shape[0] / heatmap.image.shape[1]
    tile = _tile_width(trust, shape)
    bottom = tile * shape + 1.25  # of the curves: below them their axis, the strip, and its words
    figure = Figure(WIDTH, heading.height + 0.35 + _CURVES_HEIGHT + bottom)
    heading.write(figure)
    panel = min(3.4, _CURVES_HEIGHT / shape)
    top = bottom + _CURVES_HEIGHT
    show_picture(axes_at(figure, MARGIN, top - panel * shape, panel, panel * shape), heatmap.overlay())
    left = MARGIN + panel + 0.7
    each = (WIDTH - left - MARGIN - 0.6) / 2
    for place, (curves, areas, title) in enumerate(
        (
            (trust.deletion, trust.deletion_areas, "hottest places hidden: sooner down is better"),
            (trust.insertion, trust.insertion_areas, "hottest places shown: sooner up is better"),
        )
    ):
        axes = axes_at(figure, left + place * (each + 0.6), bottom, each, _CURVES_HEIGHT)
        _draw_curves(axes, trust.fractions, curves, areas, heatmap.method)
        write(axes, 0, 1.02, title, 10, color=INK, va="bottom", transform=axes.transAxes)
    _draw_strip(figure, trust, tile, shape)
    return figure


def _dots(
    axes: Axes,
    rows: Sequence[EvaluationRow],
    controls: Sequence[str],
    better: str,
    named: bool,
    ahead: bool,
) -> None:
    places = np.arange(len(rows))[::-1]
    best = [0.0] if ahead else [row.mean for row in rows if row.method in controls and row.n]
    if best:
        axes.axvline(max(best) if better == "higher" else min(best), color=_CONTROL, linewidth=0.8, zorder=0)
    for place, row in zip(places, rows, strict=True):
        mean, low, high = row.ahead if ahead else (row.mean, row.low, row.high)
        if not np.isfinite(mean):
            continue
        colour = _CONTROL if row.method in controls else _METHOD
        filled = bool(controls) and set(row.beats) == set(controls)
        axes.plot([low, high], [place, place], color=colour, linewidth=1.5)
        axes.plot(mean, place, "o", color=colour, markersize=5, markerfacecolor=colour if filled else "white")
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.set_yticks(places, [row.method for row in rows] if named else [""] * len(rows), fontsize=9)
    axes.tick_params(axis="x", labelsize=8, colors=FAINT, length=2)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", color="#eeeeee")
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)


def _draw_curves(
    axes: Axes,
    fractions: np.ndarray,
    curves: Mapping[str, np.ndarray],
    areas: Mapping[str, float],
    method: str,
) -> None:
    for name, curve in curves.items():
        own = name == method
        axes.plot(
            fractions,
            curve,
            color=_METHOD if own else _CONTROL,
            linewidth=2.2 if own else 1.3,
            linestyle="solid" if own else _DASHES.get(name, "solid"),
            label=f"{name}, area {areas[name]:.2f}",
        )
    axes.set(xlim=(0, 1), ylim=(0, max(1.0, *(float(curve.max()) for curve in curves.values()), 1.0) * 1.02))
    axes.xaxis.set_major_formatter(lambda share, _place: f"{share:.0%}")
    axes.tick_params(labelsize=8, colors=FAINT, length=2)
    axes.spines[["top", "right"]].set_visible(False)
    if curves:
        axes.legend(fontsize=8, framealpha=0.85, edgecolor="none")  # a curve may run below it


def _tile_width(trust: Trust, shape: float) -> float:
    count = 1 + len(trust.randomization)
    return min((WIDTH - 2 * MARGIN - 0.15 * (count - 1)) / count, _STRIP_HEIGHT / shape)


def _draw_strip(figure: Figure, trust: Trust, tile: float, shape: float) -> None:
    """The real heatmap and those of random weights, each on its own scale."""
    heatmap = trust.heatmap
    colormap = colormaps.default(heatmap.signed)
    words = ["trained"] + [
        f"{stage.layers} of {trust.layers} layers random\ncorrelation {stage.spearman:.2f}"
        for stage in trust.randomization
    ]
    for place, values in enumerate([heatmap.values, *(stage.values for stage in trust.randomization)]):
        axes = axes_at(figure, MARGIN + place * (tile + 0.15), 0.6, tile, tile * shape)
        show_picture(axes, overlay(heatmap.image, values, 0.7, colormap, heatmap.signed))
        write(axes, 0, -0.05, words[place], 8, color=INK, va="top", transform=axes.transAxes)
        if place == 0:
            scales = "the heatmap with random weights; each map on its own scale"
            write(axes, 0, 1.03, scales, 8, color=FAINT, va="bottom", transform=axes.transAxes)


def _counted(evaluation: Evaluation) -> str:
    count = len(evaluation.images)
    return f"{count} photograph{'s' if count != 1 else ''}"
