"""The machine's limits: how fast it multiplies matrices and copies memory, and what a network cannot do without.

A layer takes at least the time of its multiplications and additions at the machine's matrix-product rate, or that of
reading its weights and inputs and writing its outputs at the copy rate, whichever is longer. Going back through a
layer, with respect to its input alone, costs as much as going forward.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Rates:
    """Measured in the same run."""

    products: float  # floating-point operations a second, in float32 matrix products
    copies: float  # bytes read or written a second

    @property
    def words(self) -> str:
        return f"matrix product {self.products / 1e9:.0f} GFLOP/s, copy {self.copies / 1e9:.1f} GB/s"


@dataclass(frozen=True)
class Work:
    """What has to be done at the least: (operations, bytes) of parts that wait for each other."""

    parts: tuple[tuple[float, float], ...]

    def seconds(self, rates: Rates) -> float:
        return sum(max(count / rates.products, size / rates.copies) for count, size in self.parts)

    def __add__(self, other: Work) -> Work:
        return Work(self.parts + other.parts)

    def __mul__(self, times: float) -> Work:
        return Work(tuple((count * times, size * times) for count, size in self.parts))


def measured(quick: bool = False) -> Rates:
    """The best of some rounds: a busy moment tells nothing of the machine."""
    import tensorflow as tf

    side, cells = (512, 1 << 20) if quick else (2048, 1 << 26)
    matrix = tf.random.normal((side, side))
    product = tf.function(lambda x: x @ x)
    source, target = np.ones(cells, np.float32), np.empty(cells, np.float32)
    products = _best(lambda: product(matrix).numpy())
    copies = _best(lambda: np.copyto(target, source))
    return Rates(2 * side**3 / products, 2 * source.nbytes / copies)


def _best(function, rounds: int = 6) -> float:
    spent = []
    for _ in range(rounds):
        started = time.perf_counter()
        function()
        spent.append(time.perf_counter() - started)
    return min(spent)


def forward(model, images: int = 1, layers: Iterable | None = None) -> Work:
    """A forward pass of a Keras model, or of some of its layers."""
    return Work(
        tuple(
            _layer(layer, images) for layer in (model.layers if layers is None else layers) if layer.weights
        )
    )


def behind(model, name: str) -> list:
    """The layers that run after one, where the network is a chain or nearly one."""
    names = [layer.name for layer in model.layers]
    return model.layers[names.index(name) + 1 :]


def _layer(layer, images: int) -> tuple[float, float]:
    weights = [np.prod(weight.shape) for weight in layer.weights]
    inputs, outputs = (_values(tensor) for tensor in (layer.input, layer.output))
    operations = 2 * outputs  # scale and shift
    if hasattr(layer, "kernel"):
        kernel = tuple(layer.kernel.shape)
        units = kernel[-1] * kernel[-2] if "Depthwise" in type(layer).__name__ else kernel[-1]
        operations = 2 * float(np.prod(kernel)) * outputs / units
    return images * operations, 4 * (sum(weights) + images * (inputs + outputs))


def _values(tensor) -> float:
    tensors = tensor if isinstance(tensor, list) else [tensor]
    return float(sum(np.prod([side or 1 for side in one.shape[1:]]) for one in tensors))
