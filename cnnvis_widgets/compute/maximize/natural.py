"""What photographs are like, in few numbers: how their colours go together, and how strong waves of each length are."""

from __future__ import annotations

import numpy as np

# RGB from three channels that vary independently in photographs: brightness, then two of colour. The square root of the
# covariance of colours over ImageNet, as published with feature visualization (Olah et al. 2017), over the norm of its
# largest column.
_ROOT = np.array([[0.26, 0.09, 0.02], [0.27, 0.00, -0.05], [0.27, -0.09, 0.03]], np.float32)
COLOURS = _ROOT / np.linalg.norm(_ROOT, axis=0).max()

# Cycles per pixel, and there the magnitude |F| / sqrt(h w) of the three channels before the sigmoid (see
# `parametrizations.coloured`):
# means over scikit-image's photographs, whatever the direction, by tools/measure_natural_pictures.py.
FREQUENCIES = 2.0 ** -np.arange(1, 9)
MAGNITUDES = np.array(
    [
        (0.239, 0.285, 0.308),
        (0.734, 0.802, 0.763),
        (2.04, 2.11, 1.97),
        (5.75, 6.44, 6.13),
        (12.6, 16.9, 15.3),
        (26.8, 38.0, 35.5),
        (53.6, 67.4, 62.9),
        (70.1, 99.1, 85.5),
    ]
)


def spectrum(size: tuple[int, int]) -> np.ndarray:
    """(h, w // 2 + 1, 3) float32: the magnitudes of `numpy.fft.rfft2` that a photograph of ``size`` has; 0 at 0.

    Between the measured frequencies it is a power law.
    """
    height, width = size
    cycles = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    place = np.log2(np.maximum(cycles, FREQUENCIES.min()))
    known = np.log2(FREQUENCIES[::-1])
    magnitude = np.stack(
        [2 ** np.interp(place, known, np.log2(column[::-1])) for column in MAGNITUDES.T], axis=-1
    )
    magnitude[0, 0] = 0  # the mean colour is grey: a phase could only turn it to its opposite
    return (magnitude * np.sqrt(height * width)).astype(np.float32)
