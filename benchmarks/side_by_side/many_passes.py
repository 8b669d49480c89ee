"""(d) Methods of many passes: Integrated Gradients, SmoothGrad, occlusion, RISE and Score-CAM.

Another picture each round. Integrated Gradients by different quadratures, and methods that draw at random, are compared
by correlation: "differs by" is 1 - r.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

import cnnvis_widgets as cnnvis
from side_by_side import peers
from side_by_side.bench import Bench, Call, Task, unlike
from side_by_side.limits import forward
from side_by_side.rows import OURS
from side_by_side.subjects import Subject, subject


def measure(bench: Bench) -> None:
    of = subject("small" if bench.quick else "mobilenet_v2")
    for task in _tasks(of, bench.quick):
        bench.attempt(of.name, "a method of many passes", lambda task=task: bench.time(of.name, task()))


def _tasks(of: Subject, quick: bool) -> list[Callable[[], Task]]:
    passes, masks, window = (8, 40, 8) if quick else (50, 1000, 16)
    side = of.model.input_shape[1] // window
    channels = of.model.get_layer(of.layer).output.shape[-1]
    return [
        lambda: _task(
            *(of, f"Integrated Gradients, {passes} steps", "integrated-gradients", {"steps": passes}),
            *(peers.INTEGRATED_GRADIENTS, passes, 2 * passes, 0.05),
        ),
        lambda: _task(
            *(of, f"SmoothGrad, {passes} samples", "smoothgrad", {"samples": passes, "noise": peers.NOISE}),
            *(peers.SMOOTH_GRAD, passes, 2 * passes, 0.9),
        ),
        lambda: _task(
            *(of, f"occlusion, {side * side} windows", "occlusion", {"window": window, "stride": window}),
            *(peers.OCCLUSION, window, side * side, None),
        ),
        lambda: _task(
            *(of, f"RISE, {masks} masks", "rise", {"masks": masks}, peers.RISE, masks, masks, 0.9),
        ),
        lambda: _task(
            *(of, f"Score-CAM, {channels} channels", "score-cam", {}),
            *(peers.SCORE_CAM, of.layer, channels, None),
        ),
    ]


def _task(
    of: Subject,
    name: str,
    method: str,
    options: dict,
    makers: dict,
    argument,
    passes: int,
    close: float | None,
) -> Task:
    """close: how far 1 - r may be from 0; None: answers are compared value by value."""
    index = min(281, of.classes - 1)
    pictures = [of.inputs(number) for number in range(8)]

    def ours(number: int) -> np.ndarray:
        return cnnvis.explain(of.network, of.image(number), method, of.layer, index, **options).raw

    calls = {OURS: Call(ours)}
    for tool, make in peers.installed(makers).items():
        explain = make(of.model, argument)
        calls[tool] = Call(
            lambda i, explain=explain: explain(pictures[i], index), fault=peers.fault(tool, method)
        )
    alike = {} if close is None else {"apart": unlike, "close": close}
    return Task(name, calls, forward(of.model, passes), "2x", rounds=3, **alike)
