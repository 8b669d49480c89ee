"""Pictures and maps brought to another size, which may be open while a step is compiled: two products with matrices."""

from __future__ import annotations

import numpy as np
from keras import ops


def resized(pictures, shown):
    """(n, h, w, c) -> (n, *shown, c), bilinear and antialiased; shown: two numbers, or two tensors.

    The same as `keras.ops.image.resize`, which insists on numbers: then every resolution would be compiled anew.
    """
    _, height, width, _ = pictures.shape
    if all(isinstance(side, int) for side in shown) and tuple(shown) == (height, width):
        return pictures
    down = ops.einsum("yh,nhwc->nywc", _weights(height, shown[0]), pictures)
    return ops.einsum("xw,nywc->nyxc", _weights(width, shown[1]), down)


def _weights(side: int, shown):
    """(shown, side): how much of each old pixel is in a new one, a tent as wide as the larger of both."""
    step = side / ops.cast(shown, "float32")
    places = (ops.arange(shown, dtype="float32") + 0.5) * step - 0.5
    far = ops.abs(places[:, None] - np.arange(side, dtype=np.float32)) / ops.maximum(step, 1.0)
    weights = ops.maximum(1 - far, 0.0)
    return weights / ops.sum(weights, axis=1, keepdims=True)
