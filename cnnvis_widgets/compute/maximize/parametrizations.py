"""What a picture is made of while it climbs: pixels, waves, a pyramid, phases.

A parametrization says where the values start (NumPy) and what picture they stand for (`keras.ops`, so that gradients
flow). It draws the same values at any size: a low resolution leaves the fine parts out and nothing aliases.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from keras import ops

from cnnvis_widgets.compute.maximize import natural
from cnnvis_widgets.compute.maximize.resizing import resized
from cnnvis_widgets.errors import MethodError, listed, whole

Size = tuple[int, int]


class Parametrization(Protocol):
    """Frozen and compared by value: equal ones share their compiled functions."""

    def start(self, size: Size, random: np.random.Generator) -> list[np.ndarray]:
        """The first values, float32, without the axis of pictures."""
        ...

    def picture(self, values: list, size: Size, shown: Size):
        """The pictures (n, *shown, 3) in [0, 1] of values (n, ...) that were started at ``size``.

        shown: two numbers, or two tensors: then the compiled step serves all sizes.
        """
        ...


@dataclass(frozen=True)
class Pixels:
    """Every pixel a value of its own; in correlated or decorrelated colour."""

    deviation: float = 0.01
    decorrelated: bool = True

    def start(self, size, random):
        return [(random.standard_normal((*size, 3)) * self.deviation).astype(np.float32)]

    def picture(self, values, size, shown):
        return coloured(resized(values[0], shown), self.decorrelated)


@dataclass(frozen=True)
class Tile:
    """Pixels of a small picture, repeated to fill a larger one; a small view shows a part of it as large as ever.

    So the network may look at a quarter of the pixels while it climbs, and what it found is as true of the whole: other
    parametrizations show all of the picture in a small view, smaller, and what excites a unit there may be too coarse
    for it afterwards. share: of the picture's sides.
    """

    share: float = 0.5
    deviation: float = 0.5
    decorrelated: bool = True

    def start(self, size, random):
        sides = (max(1, round(side * self.share)) for side in size)
        return [(random.standard_normal((*sides, 3)) * self.deviation).astype(np.float32)]

    def picture(self, values, size, shown):
        (tile,) = values
        for axis in (1, 2):
            tile = ops.take(tile, ops.arange(shown[axis - 1]) % tile.shape[axis], axis=axis)
        return coloured(tile, self.decorrelated)


@dataclass(frozen=True)
class Laplacian:
    """A sum of pictures, each of half the size of the one before, enlarged: coarse shapes move as easily as edges."""

    levels: int = 5
    deviation: float = 0.1
    decorrelated: bool = True

    def __post_init__(self) -> None:
        whole(self.levels, "levels", error=MethodError)

    def start(self, size, random):
        sizes = [tuple(max(1, -(-side // 2**level)) for side in size) for level in range(self.levels)]
        return [(random.standard_normal((*s, 3)) * self.deviation).astype(np.float32) for s in sizes]

    def picture(self, values, size, shown):
        return coloured(sum(resized(value, shown) for value in values), self.decorrelated)


@dataclass(frozen=True)
class Shared:
    """Pixels of each picture's own over coarse ones that all pictures of a batch share: what they agree on lies there.

    So pictures that are compared (of one unit in several networks' states, or along a line between two units) stay at
    their places. shared: how much coarser each of the shared pictures is than the own one.
    """

    shared: tuple[int, ...] = (4, 16)
    deviation: float = 0.1
    decorrelated: bool = True

    def __post_init__(self) -> None:
        each = listed(self.shared, "shared", "whole numbers", MethodError)
        object.__setattr__(
            self, "shared", tuple(whole(one, "Each of shared", error=MethodError) for one in each)
        )

    def start(self, size, random):
        sizes = [tuple(max(1, -(-side // share)) for side in size) for share in (1, *self.shared)]
        return [(random.standard_normal((*s, 3)) * self.deviation).astype(np.float32) for s in sizes]

    def picture(self, values, size, shown):
        own, *coarse = values
        means = [ops.mean(value, axis=0, keepdims=True) for value in coarse]
        parts = [resized(value, shown) for value in (own, *means)]
        return coloured(sum(parts), self.decorrelated)


@dataclass(frozen=True)
class Fourier:
    r"""Waves, each scaled so that all frequencies carry alike (Olah et al. 2017).

    .. math:: x = \mathcal{F}^{-1}\Big(z \, \sqrt{hw} \, / \max(|f|, 1/\max(h, w))^{p}\Big) / 4

    z: complex, drawn from N(0, deviation^2); f: cycles per pixel at ``size``; p: ``decay``.
    """

    decay: float = 1.0
    deviation: float = 0.01
    decorrelated: bool = True

    def start(self, size, random):
        half = (size[0], size[1] // 2 + 1, 3)
        return [(random.standard_normal(half) * self.deviation).astype(np.float32) for _part in "ab"]

    def picture(self, values, size, shown):
        scale = fourier_scale(size, self.decay)[..., None] / 4
        waves = inverse_fourier(values[0] * scale, values[1] * scale, size, shown)
        return coloured(waves, self.decorrelated)


@dataclass(frozen=True)
class Maco:
    r"""Only phases climb; magnitudes stay those of photographs (MACO, Fel et al. 2023).

    .. math:: x = \mathcal{F}^{-1}(r \, e^{i\varphi})

    r: the mean spectrum of photographs by frequency, in decorrelated colour (`natural.spectrum`).
    """

    contrast: float = 1.0

    def start(self, size, random):
        half = (size[0], size[1] // 2 + 1, 3)
        return [random.uniform(-np.pi, np.pi, half).astype(np.float32)]

    def picture(self, values, size, shown):
        (phase,) = values
        magnitude = natural.spectrum(size) * self.contrast
        waves = inverse_fourier(magnitude * ops.cos(phase), magnitude * ops.sin(phase), size, shown)
        return coloured(waves, True)


def frequencies(size: Size) -> np.ndarray:
    """(h, w // 2 + 1): cycles per pixel of each wave, for any size, odd ones too."""
    return np.hypot(np.fft.fftfreq(size[0])[:, None], np.fft.rfftfreq(size[1])[None])


def fourier_scale(size: Size, decay: float) -> np.ndarray:
    """(h, w // 2 + 1) float32: what a wave of N(0, 1) is multiplied by in `Fourier`, before the division by 4."""
    height, width = size
    scale = np.sqrt(height * width) / np.maximum(frequencies(size), 1 / max(height, width)) ** decay
    return scale.astype(np.float32)


def inverse_fourier(real, imaginary, size: Size, shown: Size):
    """numpy.fft.irfft2 of (n, h, w // 2 + 1, c), as matrix products, drawn on a grid of ``shown`` pixels.

    A smaller grid leaves out the waves that it cannot carry; a larger one draws the same picture more finely.
    Matrix products because these sizes are small, any of them (prime, odd) costs the same, and they are
    quicker on a CPU than a transform with its transposes.
    """
    down_cos, down_sin = _waves(size[0], shown[0], np.fft.fftfreq(size[0]))
    right_cos, right_sin = _waves(size[1], shown[1], np.fft.rfftfreq(size[1]))
    # Each wave but the constant and the last of an even width stands for itself and its mirror.
    times = np.full(size[1] // 2 + 1, 2.0, np.float32)
    times[0] = 1.0
    if size[1] % 2 == 0:
        times[-1] = 1.0
    times /= size[0] * size[1]
    down = ops.concatenate(
        [
            ops.concatenate([down_cos, -down_sin], axis=1),
            ops.concatenate([down_sin, down_cos], axis=1),
        ]
    )
    right = ops.concatenate([right_cos * times, -right_sin * times], axis=1)
    waves = ops.transpose(ops.concatenate([real, imaginary], axis=1), (0, 3, 1, 2))
    across, turned = ops.split(ops.matmul(down, waves), 2, axis=2)
    pictures = ops.matmul(ops.concatenate([across, turned], axis=3), ops.transpose(right))
    return ops.transpose(pictures, (0, 2, 3, 1))


def _waves(side: int, shown, cycles: np.ndarray):
    """Cosine and sine of 2 pi f x at the grid's points, (shown, frequencies) each; 0 for waves that it cannot carry."""
    pixels = ops.cast(shown, "float32")
    turns = ops.arange(shown, dtype="float32")[:, None] * (side / pixels) * cycles.astype(np.float32)
    angle = 2 * np.pi * (turns - ops.floor(turns))  # whole turns left out: they would cost digits
    # What a smaller grid can carry lies below half its pixels.
    most = ops.where(pixels < side, pixels / 2, float(side))
    carried = ops.cast(np.float32(np.abs(cycles) * side) < most, "float32")
    return ops.cos(angle) * carried, ops.sin(angle) * carried


def coloured(values, decorrelated: bool):
    """Values of no bound as RGB in [0, 1]: mixed as colours are in photographs, then a sigmoid."""
    return ops.sigmoid(values @ natural.COLOURS.T if decorrelated else values)
