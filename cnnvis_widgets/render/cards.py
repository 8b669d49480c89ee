"""One unit's card as a figure: picture, patches, activations, kernels and links, side by side."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from cnnvis_widgets.errors import CnnvisError
from cnnvis_widgets.render import colormaps
from cnnvis_widgets.render.paper import FAINT, INK, Figure, short
from cnnvis_widgets.results import Link, UnitCard

_WIDTH = 9.0  # inches: as wide as a notebook's column, so that nothing is made smaller to be shown
_LETTERS = 9.5  # points


def plot_unit_card(card: UnitCard) -> Figure:
    """A `UnitCard` as a matplotlib `Figure`, nine inches wide: picture, patches, activations, kernels and links.

    Activations are counted on a logarithmic axis. Raises CnnvisError for another kind of result.
    """
    if not isinstance(card, UnitCard):
        raise CnnvisError(f"plot_unit_card draws what unit_card gives; a {type(card).__name__} was given.")
    figure = Figure(_WIDTH, 5.6 if card.before or card.after else 3.9)
    title = f"{card.network}  ·  {card.layer.path}  ·  unit {card.unit}"
    _words(figure, 0.2, 0.12, title, 14)
    words = f"recipe {card.recipe!r} reaches {short(card.reached)}"
    _picture(figure, (0.2, 0.6, 2.5, 2.5), card.picture, card.remark or words)
    _patches(figure, card)
    axes = _axes(figure, 3.4, 2.5, 2.3 if len(card.kernels) else 5.4, 0.95)
    axes.stairs(card.counts, card.edges, fill=True, color=FAINT)
    axes.set_yscale("symlog")
    axes.tick_params(labelsize=8.5)
    _words(figure, 3.0, 2.2, "activations on the photographs")
    _kernels(figure, card)
    _links(figure, 3.0, "looks most at", card.before)
    _links(figure, 6.1, "is looked at most by", card.after)
    return figure


def _axes(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Axes by their place in inches, from the figure's top left corner."""
    wide, tall = figure.get_size_inches()
    return figure.add_axes((left / wide, 1 - (top + height) / tall, width / wide, height / tall))


def _words(figure: Figure, left: float, top: float, words: str, size: float = _LETTERS, **style: Any) -> None:
    wide, tall = figure.get_size_inches()
    usual: dict[str, Any] = {"color": INK, "va": "top", "parse_math": False, "fontsize": size}
    figure.text(left / wide, 1 - top / tall, words, **(usual | style))


def _picture(figure: Figure, place: tuple, picture: np.ndarray, words: str) -> None:
    axes = _axes(figure, *place)
    axes.imshow(picture)
    axes.set_axis_off()
    left, top, width, height = place
    middle, below = left + width / 2, top + height + 0.05
    _words(figure, middle, below, words, color=FAINT, ha="center", wrap=True)


def _patches(figure: Figure, card: UnitCard) -> None:
    """Those that excite the unit at all, strongest first."""
    values = card.patches.values[0]
    for column in range(min(6, card.patches.images.shape[1])):
        if np.isfinite(values[column]) and values[column] > 0:
            said = f"{card.patches.sources[0][column][:12]}\n{short(values[column])}"
            _picture(figure, (3.0 + 0.99 * column, 0.6, 0.93, 0.93), card.patches.images[0, column], said)


def _kernels(figure: Figure, card: UnitCard) -> None:
    colours = card.kernels.ndim == 4
    table = colormaps.table(colormaps.default(True))
    most = np.abs(card.kernels).max(initial=0) or 1
    side = 0.9 if len(card.kernels) == 1 else 0.42
    for column, kernel in enumerate(card.kernels):
        axes = _axes(figure, 6.1 + 0.47 * column, 2.55 if side > 0.5 else 2.7, side, side)
        if colours:
            axes.imshow(0.5 + 0.5 * kernel / most)
        else:
            axes.imshow(table[np.round((kernel / most + 1) / 2 * 255).astype(int)])
            axes.set_title(str(card.kernel_channels[column]), fontsize=8.5, color=FAINT, pad=3)
        axes.set_xticks([])
        axes.set_yticks([])
    if len(card.kernels):
        _words(figure, 6.1, 2.2, "kernel" if colours else "kernels of the strongest channels")


def _links(figure: Figure, left: float, title: str, links: tuple[Link, ...]) -> None:
    if not links:
        return
    lines = [f"{link.layer or 'input'} {link.unit}  ({link.weight:+.2g})" for link in links]
    _words(figure, left, 3.85, title)
    _words(figure, left, 4.08, "\n".join(lines), 9, color=FAINT)
