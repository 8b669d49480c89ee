"""One unit's card as a figure: picture, patches, activations, kernels and links, side by side."""

from __future__ import annotations

import numpy as np

from cnnvis_widgets.errors import CnnvisError
from cnnvis_widgets.render import colormaps
from cnnvis_widgets.render.figures import _FAINT, _INK, Figure, _short
from cnnvis_widgets.results import Link, UnitCard


def plot_unit_card(card: UnitCard) -> Figure:
    """A `UnitCard` as a figure. Raises CnnvisError for another kind of result."""
    if not isinstance(card, UnitCard):
        raise CnnvisError(f"plot_unit_card draws what unit_card gives; a {type(card).__name__} was given.")
    figure = Figure(12, 6.2)
    title = f"{card.network}  ·  {card.layer.path}  ·  unit {card.unit}"
    figure.text(0.02, 0.97, title, fontsize=15, color=_INK, va="top", parse_math=False)
    words = f"recipe {card.recipe!r} reaches {_short(card.reached)}"
    _picture(figure, (0.02, 0.33, 0.28, 0.55), card.picture, card.remark or words)
    for column in range(min(6, card.patches.images.shape[1])):
        value = card.patches.values[0, column]
        if np.isfinite(value):
            said = f"{card.patches.sources[0][column]} {_short(value)}"
            place = (0.33 + 0.11 * column, 0.68, 0.1, 0.2)
            _picture(figure, place, card.patches.images[0, column], said)
    axes = figure.add_axes((0.35, 0.34, 0.26, 0.22))
    axes.stairs(card.counts, card.edges, fill=True, color=_FAINT)
    axes.set_yscale("symlog")
    axes.set_title("activations on the photographs", fontsize=9, color=_INK)
    axes.tick_params(labelsize=8)
    _kernels(figure, card)
    _links(figure, 0.35, "looks most at", card.before)
    _links(figure, 0.68, "is looked at most by", card.after)
    return figure


def _picture(figure: Figure, place: tuple, picture: np.ndarray, words: str) -> None:
    axes = figure.add_axes(place)
    axes.imshow(picture)
    axes.set_axis_off()
    axes.text(
        0.5,
        -0.03,
        words,
        fontsize=8,
        color=_FAINT,
        va="top",
        ha="center",
        wrap=True,
        parse_math=False,
        transform=axes.transAxes,
    )


def _kernels(figure: Figure, card: UnitCard) -> None:
    colours = card.kernels.ndim == 4
    table = colormaps.table(colormaps.default(True))
    most = np.abs(card.kernels).max(initial=0) or 1
    for column, kernel in enumerate(card.kernels):
        axes = figure.add_axes((0.66 + 0.055 * column, 0.4, 0.05, 0.13))
        if colours:
            axes.imshow(0.5 + 0.5 * kernel / most)
        else:
            axes.imshow(table[np.round((kernel / most + 1) / 2 * 255).astype(int)])
            axes.set_title(str(card.kernel_channels[column]), fontsize=8, color=_FAINT)
        axes.set_xticks([])
        axes.set_yticks([])
    if len(card.kernels):
        figure.text(
            0.66, 0.585, "kernel" if colours else "kernels of the strongest channels", fontsize=9, color=_INK
        )


def _links(figure: Figure, left: float, title: str, links: tuple[Link, ...]) -> None:
    lines = [f"{link.layer} {link.unit}  ({link.weight:+.2g})" for link in links]
    figure.text(left, 0.26, title if lines else "", fontsize=9, color=_INK, va="top")
    figure.text(left, 0.22, "\n".join(lines), fontsize=8, color=_FAINT, va="top", parse_math=False)
