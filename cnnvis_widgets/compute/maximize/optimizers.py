"""How values climb: the gradient made into a step. Everything is per picture, so a batch changes nobody's result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from keras import ops


class Optimizer(Protocol):
    """Frozen and compared by value: equal ones share their compiled functions."""

    @property
    def slots(self) -> int:
        """How many arrays it remembers for each array of values."""
        ...

    @property
    def rate(self) -> float:
        """What a step's size is multiplied by."""
        ...

    def step(self, value, slots: list, gradient, count, rate):
        """(the value after the step, its slots after it); ``count`` is the step's number from 1."""
        ...


@dataclass(frozen=True)
class Adam:
    """Adam (Kingma and Ba 2015), upwards."""

    rate: float = 0.05
    fading: tuple[float, float] = (0.9, 0.999)

    slots = 2

    def step(self, value, slots, gradient, count, rate):
        first, second = self.fading
        mean = first * slots[0] + (1 - first) * gradient
        square = second * slots[1] + (1 - second) * ops.square(gradient)
        rate = self.rate * rate * ops.sqrt(1 - second**count) / (1 - first**count)
        return value + rate * mean / (ops.sqrt(square) + 1e-20), [mean, square]


@dataclass(frozen=True)
class Normalized:
    """The gradient brought to the length ``rate``: values move as far, however flat it is there.

    The length over all values of a picture, not their mean: waves that matter are few at any size, so a rate means the
    same at any size. Of pixels all matter: ``each`` makes ``rate`` the root mean square of their changes.
    """

    rate: float = 5.0
    each: bool = False

    slots = 0

    def step(self, value, slots, gradient, count, rate):
        axes = tuple(range(1, len(value.shape)))
        measured = ops.mean if self.each else ops.sum
        length = ops.sqrt(measured(ops.square(gradient), axis=axes, keepdims=True))
        return value + self.rate * rate * gradient / (length + 1e-20), []
