"""A composed recipe at work: values, moves and numbers go into the compiled step, frames come out.

All pictures of a batch start from the same values and see the same moves, so a batch changes nobody's result.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from cnnvis_widgets.compute.maximize import objectives
from cnnvis_widgets.compute.maximize.colours import as_seen, find_colours
from cnnvis_widgets.compute.maximize.objectives import Objective, Plan
from cnnvis_widgets.compute.maximize.parametrizations import Shared
from cnnvis_widgets.compute.maximize.recipes import Recipe
from cnnvis_widgets.errors import MethodError, NetworkLoadError
from cnnvis_widgets.images import resize
from cnnvis_widgets.networks import ascent
from cnnvis_widgets.networks.input_size import checked_size
from cnnvis_widgets.networks.network import Network

# Steps that a unit which is off may take with open ReLUs; one that has not woken by then does not.
WAKING = 32
# Kinds that compare the pictures of a batch: from one start they would never part.
_COMPARING = {"diversity", "alignment"}


@dataclass(frozen=True)
class Progress:
    """One step done of a batch of pictures."""

    step: int
    steps: int
    units: np.ndarray  # (n,)
    activations: np.ndarray  # (n,) means, or objectives, before this step; NaN of a picture at rest
    draw: Callable[[], np.ndarray]  # what makes `inputs`: most frames are never shown

    @functools.cached_property
    def inputs(self) -> np.ndarray:
        """(n, H, W, C) in the network's input space, after this step."""
        return self.draw()


def climb(
    network: Network,
    objective: Objective,
    recipe: Recipe,
    seed: int = 0,
    size: tuple[int, int] | None = None,
    steps: int | None = None,
    units: np.ndarray | None = None,
) -> Iterator[Progress]:
    """The steps of one batch, one at a time; ``units`` are only its names, numbers from 0 where there are none.

    The network is shown pictures of ``size`` and below where its layers can take them; else all of them at its own
    input size, whatever size they are drawn at.
    """
    objectives.check(objective, network)
    size = network.input_size if size is None else checked_size(size, "size", MethodError)
    number = objective.pictures or 1
    count = recipe.steps if steps is None else steps
    shown = network.input_size if network.fixed_size else recipe.view(count - 1, count, size)
    network.probe.check_climb(objective.plan.layers, (number, *shown), size)
    random = np.random.default_rng(seed)
    state = ascent.begin(_starts(recipe, size, random, number, objective.plan), recipe.optimizer)
    seer = _Seer(network, objectives.several(objective, number), recipe, size)
    names = np.arange(number) if units is None else units
    history: list[np.ndarray] = []
    resting = np.zeros(number, bool)
    for step in range(1, count + 1):
        rate = recipe.optimizer.rate * recipe.rate(step - 1, count)
        rows, values = np.flatnonzero(~resting), np.full(number, np.nan, np.float32)
        state, values[rows] = seer.step(state, rows, random, recipe.view(step - 1, count, size), rate)
        yield Progress(step, count, names, values, functools.partial(seer.draw, state))
        history.append(values)
        resting |= recipe.at_rest(history, count)
        if resting.all():
            return
        if seer.together:
            resting[:] = False


def _starts(recipe: Recipe, size, random: np.random.Generator, number: int, plan: Plan) -> list[np.ndarray]:
    if _compares(plan):
        each = [recipe.parametrization.start(size, random) for _ in range(number)]
        return [np.stack(parts) for parts in zip(*each, strict=True)]
    return [np.repeat(part[None], number, axis=0) for part in recipe.parametrization.start(size, random)]


def _compares(plan: Plan) -> bool:
    return plan.kind in _COMPARING or any(_compares(part) for part in plan.parts)


class _Seer:
    """What stays the same through a climb, and how many steps each picture took to wake."""

    def __init__(self, network: Network, objective: Objective, recipe: Recipe, size: tuple[int, int]):
        self.network, self.objective, self.size = network, objective, size
        self.colours = find_colours(network)
        self.plan = ascent.Climb(
            objective.plan,
            recipe.parametrization,
            recipe.transforms,
            # The rate enters as a number, so that recipes which differ in nothing else share what is compiled.
            replace(recipe.optimizer, rate=1.0),  # type: ignore[type-var]
            recipe.penalties,
            size,
            dtype=ascent.quickest_dtype(network.probe),
        )
        self.open_size = True
        self.waking = np.zeros(objective.pictures or 1, int)
        # Then what a picture becomes depends on the others, and none of them is left out of a step.
        self.together = _compares(objective.plan) or isinstance(recipe.parametrization, Shared)
        # A class's score needs the whole network, whose end may insist on the size.
        self.own_size = network.fixed_size and ascent.SCORES in objective.plan.layers

    def step(self, state: ascent.State, rows: np.ndarray, random: np.random.Generator, view, rate: float):
        """(the state after a step of these pictures, their objective before it); with what the network takes."""
        warp = self.plan.transforms.draw(random)
        while True:
            shown = self.network.input_size if self.own_size else view
            try:
                return self._step(state, rows, warp, shown, rate)
            except NetworkLoadError:
                if self.plan.dtype != "float32":  # a layer of one's own, written for float32
                    self.plan = replace(self.plan, dtype="float32")
                elif self.plan.view is None:  # a layer that must know how large its input is
                    self.plan, self.open_size = replace(self.plan, view=shown), False
                elif shown != self.network.input_size:  # a reshape within the network, say
                    self.own_size = True
                else:
                    raise

    def _step(self, whole: ascent.State, rows: np.ndarray, warp, view, rate: float):
        if not self.open_size:
            self.plan = replace(self.plan, view=view)
        every, probe = len(rows) == len(self.waking), self.network.probe
        state = whole if every else ascent.some(whole, rows)
        numbers = _of(self.objective.numbers, rows)
        after, values, arrived = ascent.step(probe, self.plan, state, numbers, warp, self.colours, view, rate)
        off = np.flatnonzero(~arrived & (self.waking[rows] < WAKING))
        if off.size:
            self.waking[rows[off]] += 1
            them = np.arange(len(rows)) if self.together else off
            given = ascent.some(state, them), _of(numbers, them), warp, self.colours, view, rate
            woken, _, _ = ascent.step(probe, self.plan, *given, waking=True)
            after = ascent.put_back(after, off, ascent.some(woken, np.searchsorted(them, off)))
        return (after if every else ascent.put_back(whole, rows, after)), values

    def draw(self, state: ascent.State) -> np.ndarray:
        rgb = ascent.draw(self.plan, state, self.size)
        return (rgb @ self.colours.matrix + self.colours.offset).astype(np.float32)


def _of(numbers: tuple[np.ndarray, ...], rows: np.ndarray) -> tuple[np.ndarray, ...]:
    """Those of some pictures; a number without an axis is everybody's."""
    return tuple(number[rows] if number.ndim else number for number in numbers)


def reached(network: Network, objective: Objective, inputs: np.ndarray) -> np.ndarray:
    """The objective (n,) on finished inputs, as they stand, in float32; at the network's own size where it insists."""
    numbers = objectives.several(objective, len(inputs)).numbers
    pictures = as_seen(network, inputs) / np.float32(255)
    try:
        return ascent.measure(network.probe, objective.plan, numbers, inputs, pictures)
    except NetworkLoadError:
        resized = np.stack([resize(picture, network.input_size) for picture in inputs])
        return ascent.measure(network.probe, objective.plan, numbers, resized, pictures)
