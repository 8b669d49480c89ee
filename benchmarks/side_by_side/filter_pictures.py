"""(c) Filter pictures: as strongly exciting as the original recipe's, of units of VGG16's block5_conv1 at 224 x 224.

`original_speed.py` has both; here they take turns, a few units each, and its figures become rows: seconds a unit to
reach at least the activation that the original's twenty steps reach, and a step beside tf-keras-vis and Xplique, of one
unit and of eight in one batch.
"""

from __future__ import annotations

import functools

import numpy as np
import original_speed

import cnnvis_widgets as cnnvis
from side_by_side import peers
from side_by_side.bench import Bench
from side_by_side.limits import Work, forward
from side_by_side.rows import OURS

ROUNDS, UNITS, THEIRS = 2, 12, 4


def measure(bench: Bench) -> None:
    if not bench.quick:  # VGG16 is part of the recipe
        network = cnnvis.load_network("vgg16", weights="random")
        weights = network.model.get_weights()[: 2 * 13]  # of the convolutions: kernel and bias of each
        bench.attempt("vgg16", "a unit's picture", lambda: _to_equal_activation(bench, network, weights))
        together = np.arange(original_speed.TOGETHER)
        for task, units in (
            ("a step of one picture", together[:1]),
            ("a step of eight, a picture", together),
        ):
            bench.attempt("vgg16", task, functools.partial(_steps, bench, network, weights, task, units))


def _to_equal_activation(bench: Bench, network, weights: list[np.ndarray]) -> None:
    """Each round has other units; ours makes a batch of `UNITS`, of which the first `THEIRS` are the original's too.

    Only those are compared: what the original reaches differs from unit to unit. `original_speed.py` has it make all.
    """
    task, theirs, ours, reached = "a unit's picture of equal activation", [], [], []
    for number in range(ROUNDS):
        units = np.arange(UNITS) + number * UNITS
        seconds, wanted = original_speed.original(weights, list(units[:THEIRS]))
        theirs.append(seconds)
        goal = np.concatenate([wanted, np.zeros(UNITS - THEIRS)])
        steps, seconds, compiling, got = original_speed.ours(network, units, goal, "pixels", UNITS)
        ours.append(seconds)
        reached += original_speed.times(got[:THEIRS], wanted).tolist()
    least = min(reached, default=0.0)
    if least < 1:
        bench.note("vgg16", task, OURS, [], "s", remark=f"not timed: reached {least:.2f} of the activation")
        return
    limit = (_a_step(network) * steps).seconds(bench.rates)
    said = (
        f"ours: {steps} steps, at least {least:.2f} times the activation; compiling, once: {compiling:.1f} s"
    )
    bench.note("vgg16", task, OURS, ours, "s", goal="10x", limit=limit, about=said)
    bench.note("vgg16", task, peers.ORIGINAL, theirs, "s")


def _steps(bench: Bench, network, weights: list[np.ndarray], task: str, units: np.ndarray) -> None:
    """At full size all the way, as theirs are; each tool makes all these units' pictures in one batch."""
    ours: list[float] = []
    every = {"tf-keras-vis": original_speed.tf_keras_vis_step, "xplique": original_speed.xplique_step}
    theirs: dict[str, list[float]] = {tool: [] for tool in every if peers.version(tool)}
    for _ in range(ROUNDS):
        ours.append(original_speed.our_step(network, units, 4))
        for tool, figures in theirs.items():
            figures.append(every[tool](weights, units, 3))
    bench.note("vgg16", task, OURS, ours, "s", goal="4x", limit=_a_step(network).seconds(bench.rates))
    for tool, figures in theirs.items():
        bench.note("vgg16", task, tool, figures, "s")


def _a_step(network) -> Work:
    """Forward to the layer, and back to the picture."""
    names = [layer.name for layer in network.model.layers]
    return forward(network.model, layers=network.model.layers[: names.index(original_speed.LAYER) + 1]) * 2
