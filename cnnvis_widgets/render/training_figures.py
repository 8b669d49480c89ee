"""A training as a figure: a row for each epoch, its filters at the left and its heatmaps beside them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from cnnvis_widgets.errors import CnnvisError, listed, short
from cnnvis_widgets.render import colormaps, tiles
from cnnvis_widgets.render.paper import FAINT, INK, MARGIN, Figure, axes_at, show_picture, write
from cnnvis_widgets.render.pictures import colorize
from cnnvis_widgets.results import Epoch

# Inches: a picture, what is between two, what is written above and below
_TILE, _GAP, _WORDS = (1.2, 0.12, 0.75)
_MOST_KERNELS = 32
_HEATMAPS_OPACITY = 0.6


def plot_training(epochs: Sequence[Epoch] | Epoch) -> Figure:
    """The kernels, and the pictures with their heatmaps, of one epoch or several below each other.

    Kernels that look at three channels are shown in colours, grey being zero; others as the mean over their
    channels, blue below zero and orange above. Each row has a scale of its own; at most 32 kernels are drawn.
    Returns a matplotlib `Figure`. Raises CnnvisError for no epochs.
    """
    epochs = [epochs] if isinstance(epochs, Epoch) else listed(epochs, "epochs", "what a recorder has kept")
    if others := [one for one in epochs if not isinstance(one, Epoch)]:
        raise CnnvisError(
            f"plot_training draws what a recorder has kept (recorder.epochs); {short(others[0])} is none."
        )
    if not epochs:
        raise CnnvisError(
            "There is no epoch yet: give the recorder to model.fit(callbacks=[recorder]) first."
        )
    sheets = [kernel_sheet(epoch.kernels) for epoch in epochs]
    filters = _TILE * sheets[0].shape[1] / sheets[0].shape[0]  # inches wide
    width = 2 * MARGIN + filters + 0.3 + len(epochs[0].heatmaps) * (_TILE + _GAP)
    figure = Figure(max(width, 6.0), len(epochs) * (_TILE + _WORDS) + MARGIN)
    for number, (epoch, sheet) in enumerate(zip(epochs, sheets, strict=True), 1):
        bottom = (len(epochs) - number) * (_TILE + _WORDS) + MARGIN
        axes = axes_at(figure, MARGIN, bottom, filters, _TILE)
        show_picture(axes, sheet)
        _beside(axes, 1.22, in_words(epoch), 10)
        _beside(axes, 1.04, f"{_shown(epoch)} filters", 8)
        for place, heatmap in enumerate(epoch.heatmaps):
            left = MARGIN + filters + 0.3 + place * (_TILE + _GAP)
            axes = axes_at(figure, left, bottom, _TILE, _TILE)
            show_picture(axes, heatmap.overlay(_HEATMAPS_OPACITY))
            answer = epoch.answers[place]
            _beside(axes, 1.04, f"{epoch.names[place]}: {answer.name} {answer.probability:.0%}", 8)
            _beside(axes, -0.13, f"why {heatmap.target.name}?" if heatmap.raw.any() else heatmap.message, 7)
    return figure


def in_words(epoch: Epoch) -> str:
    """ "epoch 3: loss 0.41, accuracy 0.88", whatever Keras counted."""
    if not epoch.number:
        return "before training"
    figures = ", ".join(f"{name} {value:.3g}" for name, value in epoch.logs.items())
    return f"epoch {epoch.number}: {figures}" if figures else f"epoch {epoch.number}"


def kernel_sheet(kernels: np.ndarray) -> np.ndarray:
    """Kernels (units, kh, kw, n) as tiles beside each other: RGB uint8, all on one scale with zero in its middle."""
    kernels = kernels[:_MOST_KERNELS]
    most = float(np.abs(kernels).max(initial=0)) or 1.0
    if kernels.shape[-1] == 3:
        pictures = np.rint((kernels / most + 1) * 127.5).astype(np.uint8)
    else:
        means = kernels.mean(axis=-1)
        most = float(np.abs(means).max(initial=0)) or 1.0
        pictures = colorize(means, colormaps.default(True), -most, most)
    return tiles.arrange(pictures, tiles.default_columns(len(pictures)), label=0.12, gap=0.12).picture


def _shown(epoch: Epoch) -> str:
    count = len(epoch.kernels)
    return str(count) if count <= _MOST_KERNELS else f"{_MOST_KERNELS} of {count}"


def _beside(axes: Axes, height: float, words: str, letters: float) -> None:
    """Words above or below a picture; ``height`` in shares of its own."""
    colour = FAINT if height < 0 else INK
    write(axes, 0, height, words, letters, color=colour, va="bottom", transform=axes.transAxes)
