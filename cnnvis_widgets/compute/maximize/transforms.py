"""Small random moves before a picture is looked at: what remains is what the unit wants wherever it stands.

All moves of a step are one affine map, and the picture is sampled once through it, bilinearly. The picture itself is
never moved, so nothing drifts. The numbers are drawn outside of the compiled graph and enter it as one small array.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from keras import ops

from cnnvis_widgets.errors import MethodError, did_you_mean, number, short

_OUTSIDE = ("wrap", "mirror", "grey")


@dataclass(frozen=True)
class Transforms:
    """What is drawn anew at each step, uniformly, the same for all pictures of a batch.

    jitter: shift up to this share of the picture's sides, either way. scale: (least, most) enlargement; beyond 1 it
    is a crop. rotation: up to this many degrees, either way. blur: deviation of a Gaussian, in pixels, the same at
    every step. outside: what lies beyond the border: "wrap" (the picture again), "mirror" or "grey" (padding).
    """

    jitter: float = 0.0
    scale: tuple[float, float] = (1.0, 1.0)
    rotation: float = 0.0
    blur: float = 0.0
    outside: str = "wrap"

    def __post_init__(self) -> None:
        for name in ("jitter", "rotation", "blur"):
            number(getattr(self, name), name, error=MethodError)
        try:
            least, most = (number(side, "scale", error=MethodError) for side in self.scale)
        except (TypeError, ValueError):
            least = most = 0.0
        if not 0 < least <= most:
            raise MethodError(
                f"scale is (least, most), above 0, such as (0.9, 1.2); {short(self.scale)} was given."
            )
        object.__setattr__(self, "scale", (least, most))  # a list would not go into what is compared
        if self.outside not in _OUTSIDE:
            raise MethodError(
                f"Nothing called {self.outside!r} lies outside of a picture; {did_you_mean(self.outside, _OUTSIDE)}"
            )

    def draw(self, random: np.random.Generator) -> np.ndarray:
        """(2, 3) float32: where a pixel's (y, x), counted from the middle, comes from; the shift in shares of sides."""
        shift = random.uniform(-self.jitter, self.jitter, 2)
        # Evenly in the logarithm: as often half as double.
        scale = math.exp(random.uniform(*np.log(self.scale)))
        angle = math.radians(random.uniform(-self.rotation, self.rotation))
        turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]) / scale
        return np.column_stack([turn, shift]).astype(np.float32)

    def apply(self, pictures, warp):
        """Pictures (n, h, w, 3) as they are seen through a drawn ``warp``, the same shape."""
        if self.blur:
            pictures = blurred(pictures, self.blur)
        if self == Transforms(blur=self.blur):
            return pictures
        return warped(pictures, warp, self.outside)


def warped(pictures, warp, outside: str = "wrap"):
    """Pictures sampled, for every pixel (y, x) counted from the middle, at ``warp @ (y, x, 1)``; bilinear.

    warp: (2, 3), its last column in shares of height and width.

    Exact gradients: each pixel gives back to the four that it was mixed from.
    """
    _, height, width, _ = ops.shape(pictures)  # numbers, or tensors where the size is open
    sides = ops.cast(ops.stack([height, width]), "float32")
    middle = (sides - 1) / 2
    rows, columns = (ops.arange(side, dtype="float32") for side in (height, width))
    grid = ops.reshape(ops.stack(ops.meshgrid(rows, columns, indexing="ij"), axis=-1), (-1, 2)) - middle
    places = ops.matmul(grid, ops.transpose(warp[:, :2])) + warp[:, 2] * sides + middle
    corner = ops.floor(places)
    share = places - corner
    corner = ops.cast(corner, "int32")
    # A pixel of all pictures is a row
    flat = ops.reshape(ops.transpose(pictures, (1, 2, 0, 3)), (height * width, -1))
    total = 0.0
    for down in (0, 1):
        for right in (0, 1):
            y, x = corner[:, 0] + down, corner[:, 1] + right
            weight = (share[:, 0] if down else 1 - share[:, 0]) * (share[:, 1] if right else 1 - share[:, 1])
            taken = ops.take(flat, _inside(y, height, outside) * width + _inside(x, width, outside), axis=0)
            if outside == "grey":
                there = (y >= 0) & (y < height) & (x >= 0) & (x < width)
                taken = ops.where(there[:, None], taken, 0.5)
            total = total + taken * weight[:, None]
    return ops.transpose(ops.reshape(total, (height, width, -1, 3)), (2, 0, 1, 3))


def _inside(places, side: int, outside: str):
    """Whole-numbered places brought into [0, side)."""
    if outside == "mirror":
        folded = places % (2 * side)
        return ops.minimum(folded, 2 * side - 1 - folded)
    return places % side if outside == "wrap" else ops.clip(places, 0, side - 1)


def blurred(pictures, deviation: float):
    """Each colour through a Gaussian of this deviation in pixels; the border is mirrored."""
    reach = max(1, math.ceil(2 * deviation))
    bell = np.exp(-0.5 * (np.arange(-reach, reach + 1) / deviation) ** 2)
    bell = (bell / bell.sum()).astype(np.float32)
    padded = ops.pad(pictures, ((0, 0), (reach, reach), (reach, reach), (0, 0)), "symmetric")
    _, height, width, _ = ops.shape(pictures)
    down = sum(w * padded[:, i : i + height] for i, w in enumerate(bell))
    return sum(w * down[:, :, i : i + width] for i, w in enumerate(bell))
