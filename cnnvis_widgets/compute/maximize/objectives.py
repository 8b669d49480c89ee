"""What a picture is to excite: units, neurons, directions, classes, and sums and products of them.

An objective is plain data: what it reads and which numbers. ``unit("conv", 3) - 0.5 * unit("conv", 9)`` is one too. Its
`Plan`, all but the numbers, is what is compiled; the numbers (units, places, weights) enter as tensors.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from keras import ops

from cnnvis_widgets.compute.maximize.colours import find_colours
from cnnvis_widgets.compute.maximize.resizing import resized
from cnnvis_widgets.errors import MethodError, number, short
from cnnvis_widgets.networks.ascent import SCORES, Other
from cnnvis_widgets.networks.network import Network, check_network
from cnnvis_widgets.results import LayerInfo


@dataclass(frozen=True)
class Plan:
    """An objective without its numbers; equal ones share a compiled function."""

    kind: str
    layer: str = ""
    parts: tuple[Plan, ...] = ()
    other: Other | None = None  # the network whose layer it is, where that is not the one which climbs

    @property
    def place(self) -> Any:
        """Where its output is found: its path, with the other network if it is one's."""
        return self.layer if self.other is None else (self.other, self.layer)

    @property
    def layers(self) -> tuple:
        """The places that it reads, each once; `SCORES` for the scores of classes."""
        own = () if self.parts else (self.place,)
        return tuple(dict.fromkeys([*own, *(path for part in self.parts for path in part.layers)]))

    def value(self, outputs: dict, numbers: Iterable):
        """(n,): the objective of each picture. outputs: by path; numbers: as `Objective.numbers` gives them."""
        return self._value(outputs, iter(numbers))

    def _value(self, outputs: dict, numbers: Iterator):
        if not self.parts:
            row = KINDS[self.kind]
            return row.value(outputs[self.place], *(next(numbers) for _ in row.numbers))
        values = [part._value(outputs, numbers) for part in self.parts]
        if self.kind == "times":
            return values[0] * next(numbers)
        return values[0] + values[1] if self.kind == "sum" else values[0] * values[1]


@dataclass(frozen=True)
class AnyUnit:
    """The plan of a unit of one of several layers, counted through all of them: compiled once, it serves them all.

    The slope of its goal at each layer's mean is known beforehand, 1 for the unit and 0 for all others: `ascent` adds
    it to the gradient where that passes the layer.
    """

    layers: tuple[str, ...]
    units: tuple[int, ...]  # of each

    kind, parts = "any_unit", ()

    def value(self, outputs: dict, numbers: Iterable):
        means = [ops.mean(outputs[path], axis=(1, 2)) for path in self.layers]
        return _taken(ops.concatenate(means, axis=1), next(iter(numbers)))

    def slopes(self, numbers: Iterable) -> dict:
        """(n, 1, 1, c) for each layer."""
        chosen = ops.one_hot(next(iter(numbers)), sum(self.units))[:, None, None, :]
        ends = np.cumsum(self.units)[:-1].tolist()
        parts = ops.split(chosen, ends, axis=3) if ends else [chosen]  # Keras knows no split at no place
        return dict(zip(self.layers, parts, strict=True))


@dataclass(frozen=True, eq=False)
class Objective:
    """A plan and its numbers, for one picture or for ``pictures`` of them in one batch. Has +, - and *."""

    plan: Any  # a `Plan` or an `AnyUnit`
    numbers: tuple[np.ndarray, ...] = field(repr=False)
    pictures: int | None = None  # None: as many as one likes

    def __add__(self, other: Objective) -> Objective:
        return _joined("sum", self, other)

    def __sub__(self, other: Objective) -> Objective:
        return _joined("sum", self, -1 * other)

    def __neg__(self) -> Objective:
        return -1 * self

    def __mul__(self, other: Objective | float) -> Objective:
        if isinstance(other, Objective):
            return _joined("product", self, other)
        try:
            weight = np.array(other, np.float32)
        except (TypeError, ValueError):
            return NotImplemented
        if not np.isfinite(weight).all() or weight.shape not in ((), (self.pictures,)):
            raise MethodError(
                "An objective is weighed by a finite number, or by one for each of its pictures "
                f"({self.pictures or 1}); {short(other)} was given."
            )
        return Objective(Plan("times", parts=(self.plan,)), (*self.numbers, weight), self.pictures)

    __rmul__ = __mul__

    def __truediv__(self, other: float) -> Objective:
        return self * (1 / other)


def unit(layer: str | LayerInfo, units: int | Iterable[int]) -> Objective:
    """The mean activation of a unit; several units make one picture each."""
    return _leaf("unit", layer, _whole(units))


def any_unit(layers: Iterable[LayerInfo], layer: LayerInfo, units: int | Iterable[int]) -> Objective:
    """The same as `unit`, in a plan that is the same for all these layers."""
    every = list(layers)
    before = sum(one.units for one in every[: [one.path for one in every].index(layer.path)])
    plan = AnyUnit(tuple(one.path for one in every), tuple(one.units for one in every))
    numbers = _whole(units) + np.int32(before)
    return Objective(plan, (numbers,), len(numbers))


def neuron(
    layer: str | LayerInfo, units: int | Iterable[int], at: tuple[float, float] = (0.5, 0.5)
) -> Objective:
    """The activation of a unit at one place: ``at`` = (y, x) as shares of the map's height and width."""
    place = _numbers(at)
    if place.shape != (2,) or not ((place >= 0) & (place <= 1)).all():
        raise MethodError(
            f"at is (y, x) as shares of the map's height and width, from 0 to 1; {short(at)} was given."
        )
    return _leaf("neuron", layer, _whole(units), place[None])


def direction(layer: str | LayerInfo, vector: np.ndarray, power: float = 1.0) -> Objective:
    r"""A direction among a layer's units: dot product times cosine, :math:`a \cdot v \, \max(0.1, \cos(a, v))^p`.

    vector: (c,), or (n, c) for a picture each. The mean over all places. With power 0 it is a weighted sum of units.
    """
    return _leaf("direction", layer, np.atleast_2d(_numbers(vector)), _power(power))


def logit(targets: int | Iterable[int]) -> Objective:
    """A class's score before softmax or sigmoid, by index; several classes make one picture each."""
    return _leaf("logit", SCORES, _whole(targets))


def deep_dream(layer: str | LayerInfo) -> Objective:
    """The layer's energy: the mean square of all its activations."""
    return _leaf("deep_dream", layer)


def diversity(layer: str | LayerInfo) -> Objective:
    """How little the pictures of a batch are alike: less the mean cosine of their layers' Gram matrices (<= 0).

    As in ``unit(layer, [5, 5, 5, 5]) + 100 * diversity(layer)``: four pictures of one unit that differ.
    """
    return _leaf("diversity", layer)


def alignment(layer: str | LayerInfo) -> Objective:
    """How much the pictures of a batch are alike place by place: less their mean square difference (<= 0)."""
    return _leaf("alignment", layer)


def caricature(layer: str | LayerInfo, activations: np.ndarray, power: float = 1.0) -> Objective:
    """What the layer sees in a photograph, more so: dot product times cosine with its activations there.

    activations: (h, w, c), such as ``feature_maps(network, photograph, layer).values``.
    """
    maps = _numbers(activations)
    if maps.ndim != 3:
        raise MethodError(f"caricature takes activations (h, w, c); an array of {maps.ndim} axes was given.")
    return _leaf("caricature", layer, maps[None], _power(power))


def seen_by(network: Network, objective: Objective) -> Objective:
    """The objective as another network sees the same picture, at its own input size and with its own preprocessing.

    ``maximize(one, unit("conv", 3) - seen_by(other, unit("conv", 3)))`` is what the first network's unit has learned
    and the other's has not. Layers and classes that are named within are those of ``network``.
    Raises `UnknownLayerError` and `MethodError` for what it has not.
    """
    check_network(network, "seen_by")
    check(objective, network)
    other = Other(network, find_colours(network))

    def moved(plan: Plan) -> Plan:
        if plan.parts:
            return replace(plan, parts=tuple(moved(part) for part in plan.parts))
        return plan if plan.other else replace(plan, other=other)

    return replace(objective, plan=moved(objective.plan))


def several(objective: Objective, pictures: int) -> Objective:
    """The objective for a batch of ``pictures``. Raises `MethodError` where it is for another number of them."""
    if objective.pictures not in (None, 1, pictures):
        raise MethodError(f"This objective is for {objective.pictures} pictures; {pictures} were asked for.")
    repeated = tuple(
        np.repeat(number, pictures, axis=0) if number.ndim and len(number) == 1 else number
        for number in objective.numbers
    )
    return Objective(objective.plan, repeated, pictures)


def _numbers(values: object) -> np.ndarray:
    try:
        numbers = np.asarray(values, np.float32)
    except (TypeError, ValueError):
        raise MethodError(f"An objective is made of numbers; {short(values)} was given.") from None
    if not np.isfinite(numbers).all():
        raise MethodError(f"An objective is made of finite numbers; {short(values)} was given.")
    return numbers


def _power(power: object) -> np.ndarray:
    return np.asarray(number(power, "power", -math.inf, error=MethodError), np.float32)


def _leaf(kind: str, layer: object, *numbers: np.ndarray) -> Objective:
    path = getattr(layer, "path", layer)  # a LayerInfo or its path
    arrays = tuple(np.atleast_1d(n) if d else n for n, d in zip(numbers, KINDS[kind].numbers, strict=True))
    counts = {len(a) for a in arrays if a.ndim} - {1}
    if len(counts) > 1 or 0 in counts:
        raise MethodError(
            f"{kind} was given numbers for {sorted(counts)} pictures; give as many of each, at least one."
        )
    pictures = counts.pop() if counts else (1 if any(a.ndim for a in arrays) else None)
    return Objective(Plan(kind, str(path)), arrays, pictures)


def _whole(indices: int | Iterable[int]) -> np.ndarray:
    chosen = np.atleast_1d(np.asarray(list(indices) if isinstance(indices, Iterable) else indices))
    if chosen.size == 0 or chosen.dtype.kind not in "iu":
        raise MethodError(
            f"Units and classes are whole numbers, at least one of them; {indices!r} was given."
        )
    return chosen.astype(np.int32)


def _joined(kind: str, one: Objective, other: Objective) -> Objective:
    if not isinstance(other, Objective):
        return NotImplemented
    counts = {o.pictures for o in (one, other)} - {None, 1}
    if len(counts) > 1:
        raise MethodError(
            f"Objectives for {one.pictures} and for {other.pictures} pictures cannot be joined; "
            "give as many units to both, or one."
        )
    pictures = counts.pop() if counts else (1 if 1 in (one.pictures, other.pictures) else None)
    return Objective(Plan(kind, parts=(one.plan, other.plan)), (*one.numbers, *other.numbers), pictures)


# How each kind is computed, on maps whose sides may be open: then `ops.shape` gives tensors ---------------------


def _unit(maps, units):
    return _taken(ops.mean(maps, axis=(1, 2)), units)


def _neuron(maps, units, at):
    _, height, width, _ = ops.shape(maps)
    sides = ops.cast(ops.stack([height, width]), "int32")
    places = ops.cast(ops.floor(at * ops.cast(sides, "float32")), "int32")
    places = ops.minimum(places, sides - 1)
    flat = ops.reshape(maps, (-1, height * width, maps.shape[-1]))
    there = ops.take_along_axis(flat, (places[:, 0] * width + places[:, 1])[:, None, None], axis=1)
    return _taken(there[:, 0], units)


def _taken(rows, indices):
    return ops.take_along_axis(rows, indices[:, None], axis=1)[:, 0]


def _direction(maps, vectors, power):
    vectors = vectors[:, None, None, :]
    return ops.mean(_dot_cosine(maps, vectors, power, axes=(3,)), axis=(1, 2))


def _caricature(maps, wanted, power):
    wanted = resized(wanted, ops.shape(maps)[1:3])
    return _dot_cosine(maps, wanted, power, axes=(1, 2, 3))


def _dot_cosine(one, other, power, axes):
    dot = ops.sum(one * other, axis=axes)
    lengths = ops.sqrt(ops.sum(one**2, axis=axes) * ops.sum(other**2, axis=axes) + 1e-12)
    return dot * ops.maximum(0.1, dot / lengths) ** power


def _diversity(maps):
    _, height, width, channels = ops.shape(maps)
    flat = ops.reshape(maps, (-1, height * width, channels))
    gram = ops.reshape(ops.einsum("npc,npd->ncd", flat, flat), (-1, channels * channels))
    gram = gram / ops.sqrt(ops.sum(gram**2, axis=1, keepdims=True) + 1e-12)
    alike = ops.matmul(gram, ops.transpose(gram))
    others = ops.maximum(ops.cast(ops.shape(maps)[0] - 1, "float32"), 1.0)
    return -(ops.sum(alike, axis=1) - ops.diagonal(alike)) / others


def _alignment(maps):
    others = ops.maximum(ops.cast(ops.shape(maps)[0] - 1, "float32"), 1.0)
    return -ops.sum(ops.mean((maps[:, None] - maps[None]) ** 2, axis=(2, 3, 4)), axis=1) / others


@dataclass(frozen=True)
class Kind:
    """A row of the table. ``numbers``: for each number, whether every picture has its own."""

    value: Callable
    numbers: tuple[bool, ...] = ()


KINDS = {
    "unit": Kind(_unit, (True,)),
    "neuron": Kind(_neuron, (True, True)),
    "direction": Kind(_direction, (True, False)),
    "logit": Kind(_taken, (True,)),
    "deep_dream": Kind(lambda maps: ops.mean(maps**2, axis=(1, 2, 3))),
    "diversity": Kind(_diversity),
    "alignment": Kind(_alignment),
    "caricature": Kind(_caricature, (True, False)),
}


def check(objective: Objective, network) -> None:
    """Raise `UnknownLayerError` or `MethodError` where the network has not what the objective reads."""
    if not isinstance(objective, Objective):
        raise MethodError(f"An objective, such as unit(layer, 3), is needed; {short(objective)} was given.")
    if isinstance(objective.plan, AnyUnit):
        return  # made of the network's own layers
    numbers = iter(objective.numbers)

    def visit(plan: Plan) -> None:
        for part in plan.parts:
            visit(part)
        if plan.parts:
            if plan.kind == "times":
                next(numbers)
            return
        given = [next(numbers) for _ in KINDS[plan.kind].numbers]
        whose = plan.other.network if plan.other else network
        known = len(whose.class_names) if plan.layer == SCORES else whose.layer(plan.layer).units
        what = f"{whose.name} has classes" if plan.layer == SCORES else f"Layer {plan.layer!r} has units"
        if plan.kind in ("unit", "neuron", "logit"):
            outside = given[0][(given[0] < 0) | (given[0] >= known)]
            if outside.size:
                raise MethodError(f"{what} 0 to {known - 1}; {int(outside[0])} was asked for.")
        elif plan.kind in ("direction", "caricature") and given[0].shape[-1] != known:
            raise MethodError(f"{what} 0 to {known - 1}; the {plan.kind} has {given[0].shape[-1]} numbers.")

    visit(objective.plan)
