"""Measure what photographs are like, for the numbers in `cnnvis_widgets/compute/maximize/natural.py`.

    python tools/measure_natural_pictures.py

From scikit-image's own photographs: the magnitude of waves by frequency in decorrelated colour, which the recipe "maco"
keeps, and how far the decorrelated channels of these few photographs still go together.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cnnvis_widgets.compute.maximize.natural import COLOURS, FREQUENCIES
from cnnvis_widgets.images import load_image, resize, sample_images

SIDE = 256  # photographs are brought to this shorter side: what a network's input is


def photographs() -> list[np.ndarray]:
    """RGB float in [0, 1] (SIDE, SIDE, 3): squares that cover each photograph."""
    import skimage

    folder = Path(skimage.__file__).parent / "data"
    pictures = [
        *sample_images().values(),
        *(load_image(folder / f"motorcycle_{eye}.png") for eye in ("left",)),
    ]
    squares = []
    for picture in pictures:
        height, width = picture.shape[:2]
        scale = SIDE / min(height, width)
        small = resize(picture, (round(height * scale), round(width * scale))) / 255
        last = max(small.shape[:2]) - SIDE
        for start in {0, last}:
            squares.append(
                small[start : start + SIDE, :SIDE] if height > width else small[:SIDE, start : start + SIDE]
            )
    return squares


def uncoloured(rgb: np.ndarray) -> np.ndarray:
    """The inverse of `parametrizations.coloured`, in decorrelated colour; black and white are brought in a little."""
    rgb = np.clip(rgb, 0.02, 0.98)
    return np.log(rgb / (1 - rgb)) @ np.linalg.inv(COLOURS).T


def magnitudes(squares: list[np.ndarray]) -> np.ndarray:
    """(frequencies, 3): the root mean square of |F| / sqrt(h w) around each of `FREQUENCIES`.

    The window takes the step at the border away, which would look like fine detail.
    """
    window = np.outer(np.hanning(SIDE), np.hanning(SIDE))[..., None]
    window /= np.sqrt(np.mean(window**2))
    power = np.zeros((SIDE, SIDE, 3))
    for square in squares:
        values = uncoloured(square)
        values = (values - values.mean(axis=(0, 1))) * window
        power += np.abs(np.fft.fft2(values, axes=(0, 1))) ** 2 / SIDE**2 / len(squares)
    cycles = np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.fftfreq(SIDE)[None])
    rows = []
    for frequency in FREQUENCIES:
        near = np.abs(np.log2(np.maximum(cycles, 1e-9) / frequency)) < 0.35
        rows.append(np.sqrt(power[near].mean(axis=0)))
    return np.array(rows)


def main() -> None:
    squares = photographs()
    print(f"{len(squares)} squares of {SIDE} pixels")
    print("MAGNITUDES, by frequency:")
    for frequency, row in zip(FREQUENCIES, magnitudes(squares), strict=True):
        print(f"    ({', '.join(f'{value:.3g}' for value in row)}),  # {frequency:.4g} cycles per pixel")
    colours = np.concatenate([square.reshape(-1, 3) for square in squares])
    print("correlation of RGB:\n", np.corrcoef(colours.T).round(2))
    print(
        "correlation of the decorrelated channels:\n",
        np.corrcoef((colours @ np.linalg.inv(COLOURS).T).T).round(2),
    )


if __name__ == "__main__":
    main()
