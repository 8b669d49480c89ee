"""Receptive fields: what a position of a feature map can see of the picture, by exact arithmetic.

The idea: along each axis a position of a feature map sees one interval of input pixels. An operation only says which
positions of its input a position of its output reads; intervals are joined along that. It is done twice: for the
positions that exist, position by position, which is exact whatever the network does; and as one line for all
positions, as if nothing had a border, so that the padding that a position looks at can be shown.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

Box = tuple[int, int, int, int]

_NOWHERE = 2**40  # the first pixel of an empty interval; the last one is its negative
_ROUNDING = 1e-6  # of a jump such as 1/3 in floats, against which a whole pixel must not be lost


@dataclass(frozen=True, eq=False)
class ReceptiveField:
    """Which pixels of the network's input a position of a layer can see: the union over all units there.

    A position (y, x) sees the rows from start + y * jump to start + y * jump + size - 1, if the picture went on beyond
    its borders; the same for columns. All are floats, in pixels, and whole numbers unless the network enlarges its
    maps. Where branches of different jumps meet, or maps are enlarged after they were reduced, this line is the
    narrowest that holds all positions' intervals; ``rows`` and ``columns`` are exact everywhere.
    """

    size: tuple[float, float]  # (height, width)
    jump: tuple[float, float]  # (down, right); 0 where there is one position only, as after global pooling
    start: tuple[float, float]  # (top, left) of position (0, 0); negative where it looks at padding
    # (h, 2) int: first and last row of the picture that really reach a position; none: first > last
    rows: np.ndarray
    columns: np.ndarray  # (w, 2)
    picture: tuple[int, int]  # (H, W)

    def box(self, y: int, x: int) -> Box:
        """(top, left, bottom, right) in input pixels, all inclusive, not clipped to the picture."""
        (top, bottom), (left, right) = (self._interval(axis, p) for axis, p in enumerate((y, x)))
        return top, left, bottom, right

    def seen(self, y: int, x: int) -> Box | None:
        """(top, left, bottom, right), inclusive: the smallest box around the pixels that really have an influence.

        This is `box` clipped to the picture, and a little less at borders that the network leaves out (cropping,
        strides that do not reach the end) or misses (dilated kernels). None where it sees nothing but padding.
        """
        (top, bottom), (left, right) = self.rows[y].tolist(), self.columns[x].tolist()
        return None if top > bottom or left > right else (top, left, bottom, right)

    def positions(self, row: int, column: int) -> Box | None:
        """The inverse: (top, left, bottom, right), inclusive, of the positions that see a pixel, or None."""
        found = [
            np.flatnonzero((axis[:, 0] <= pixel) & (pixel <= axis[:, 1]))
            for axis, pixel in ((self.rows, row), (self.columns, column))
        ]
        if not all(map(len, found)):
            return None
        down, right = found
        return int(down[0]), int(right[0]), int(down[-1]), int(right[-1])

    def exceptions(self, axis: int) -> list[tuple[int, int, int]]:
        """(position, first, last), inclusive, down (0) or right (1), wherever the line says more than is true.

        What reaches a border of the picture goes on beyond it as the line does; where nothing is seen, it is 0 to -1.
        """
        found, border = [], self.picture[axis] - 1
        for position, (first, last) in enumerate((self.rows, self.columns)[axis].tolist()):
            low, high = self._interval(axis, position)
            if first > last:
                exact = (0, -1) if low <= border and high >= 0 else (low, high)
            else:
                exact = (min(low, 0) if first == 0 else first, max(high, border) if last == border else last)
            if exact != (low, high):
                found.append((position, *exact))
        return found

    @property
    def everything(self) -> bool:
        """Whether every position sees the whole picture."""
        return all(
            bool((axis == (0, length - 1)).all())
            for axis, length in zip((self.rows, self.columns), self.picture, strict=True)
        )

    def _interval(self, axis: int, position: int) -> tuple[int, int]:
        first = self.start[axis] + position * self.jump[axis]
        return math.ceil(first - _ROUNDING), math.floor(first + self.size[axis] - 1 + _ROUNDING)


@dataclass(frozen=True, eq=False)
class Axis:
    """The intervals along one axis: exact position by position, and without borders as one line."""

    low: np.ndarray  # (n,) int64
    high: np.ndarray
    start: Fraction  # without borders position p sees start + p * jump ... stop + p * jump
    stop: Fraction
    jump: Fraction

    @classmethod
    def of_picture(cls, length: int) -> Axis:
        every = np.arange(length)
        return cls(every, every, Fraction(0), Fraction(0), Fraction(1))

    def __len__(self) -> int:
        return len(self.low)

    def move(self, first, last, slope: Fraction | int, step: int = 1) -> Axis:
        """The axis of a map whose position p reads positions first[p], first[p] + step, ... last[p] of this one.

        Positions that this axis does not have are padding. slope: how many positions of this axis one of the new
        one advances.
        """
        first, last, slope = np.asarray(first), np.asarray(last), Fraction(slope)
        low = np.full(len(first), _NOWHERE)
        high = -low
        for tap in range(int(((last - first) // step).max(initial=-1)) + 1):
            at = first + tap * step
            real = (at >= 0) & (at < len(self)) & (at <= last)
            at = at.clip(0, len(self) - 1)
            low = np.where(real, np.minimum(low, self.low[at]), low)
            high = np.where(real, np.maximum(high, self.high[at]), high)
        line = np.arange(len(first)) * slope.numerator
        before = Fraction(int((first * slope.denominator - line).min()), slope.denominator)
        after = Fraction(int((last * slope.denominator - line).max()), slope.denominator)
        return Axis(
            low, high, self.start + self.jump * before, self.stop + self.jump * after, self.jump * slope
        )

    def together(self) -> Axis:
        """One position that sees what all of them see."""
        stop = self.stop + self.jump * (len(self) - 1)
        return Axis(self.low.min(keepdims=True), self.high.max(keepdims=True), self.start, stop, Fraction(0))


def joined(axes: Sequence[Axis]) -> Axis:
    """The union, position by position; an axis with one position is seen by all."""
    length = max(map(len, axes))
    jumps = [axis.jump if len(axis) == length else Fraction(0) for axis in axes]
    jump = max(jumps)
    ends = (0, length - 1)
    return Axis(
        np.minimum.reduce([np.broadcast_to(axis.low, length) for axis in axes]),
        np.maximum.reduce([np.broadcast_to(axis.high, length) for axis in axes]),
        min(axis.start + (own - jump) * p for axis, own in zip(axes, jumps, strict=True) for p in ends),
        max(axis.stop + (own - jump) * p for axis, own in zip(axes, jumps, strict=True) for p in ends),
        jump,
    )
