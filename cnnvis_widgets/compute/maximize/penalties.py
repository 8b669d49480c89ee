"""What a picture pays for: roughness and strong colours, taken off the objective."""

from __future__ import annotations

from dataclasses import dataclass

from keras import ops


@dataclass(frozen=True)
class Penalties:
    """Weights of means over all pixels, so that a weight means the same at any size.

    variation: total variation, the absolute differences to the pixel below and to the one on the right. l1, l2: the
    absolute and the squared difference from grey.
    """

    variation: float = 0.0
    l1: float = 0.0
    l2: float = 0.0

    def value(self, pictures):
        """(n,) of pictures (n, h, w, 3) in [0, 1]; 0.0 where nothing is weighted."""
        axes, total = (1, 2, 3), 0.0
        if self.variation:
            down = ops.mean(ops.abs(pictures[:, 1:] - pictures[:, :-1]), axis=axes)
            right = ops.mean(ops.abs(pictures[:, :, 1:] - pictures[:, :, :-1]), axis=axes)
            total = total + self.variation * (down + right)
        if self.l1:
            total = total + self.l1 * ops.mean(ops.abs(pictures - 0.5), axis=axes)
        if self.l2:
            total = total + self.l2 * ops.mean((pictures - 0.5) ** 2, axis=axes)
        return total
