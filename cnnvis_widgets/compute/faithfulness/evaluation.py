"""Methods by metrics over photographs: the numbers behind "can this method be trusted", controls beside it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import ndtr, stdtrit

from cnnvis_widgets.compute.faithfulness.controls import CONTROLS
from cnnvis_widgets.compute.faithfulness.table import Metric, find_metric, judged
from cnnvis_widgets.compute.faithfulness.trial import Photograph, explainer_of, on_trial, saying
from cnnvis_widgets.compute.methods import find_method
from cnnvis_widgets.errors import CnnvisError, MethodError, listed, seed_of
from cnnvis_widgets.images import load_image, resize
from cnnvis_widgets.networks.network import Network, check_network
from cnnvis_widgets.results import Evaluation, EvaluationRow, LayerInfo

METHODS = ("grad-cam", "layer-cam", "eigen-cam", "gradient", "guided-backpropagation")
METRICS = ("deletion", "insertion", "road", "average-drop", "average-increase", "pointing-2x2")
SURE = 0.8  # the probability from which on a photograph is let into a mosaic
FEWEST = (
    6  # photographs that can show one method ahead: of five, all favour the same by chance once in sixteen
)
_RESAMPLES = 2000
_LEVEL = 0.95


def evaluate(
    network: Network,
    images: Sequence[Any] | Mapping[str, Any],
    methods: Sequence[str] = METHODS,
    metrics: Sequence[str] = METRICS,
    targets: Sequence[Any] | None = None,
    *,
    layer: str | LayerInfo | None = None,
    seed: int = 0,
    progress: Callable[[int, int], object] | None = None,
    cancel: Callable[[], bool] | None = None,
) -> Evaluation:
    """How far methods can be trusted: each by each metric on each photograph, beside three controls.

    images: each anything `load_image` takes; a mapping names them. methods, metrics: names out of `methods` and
    `metrics`. targets: one for each image, anything `Network.target` takes; None stands for its top class.
    layer: for methods that explain one; None gives ``network.default_layer``. seed: of all that is drawn.
    progress: called with (done, total). cancel: asked between steps; where it answers True, and at Ctrl-C, what there
    is so far is returned.

    The controls (a random map, an edge detector, a Gaussian in the middle) know nothing of the network and come last.
    The pointing game takes photographs that the network classifies as the target with a probability of at least 0.8;
    where too few of different classes are there, it has no value. What a person looks at stays in memory.
    Returns an `Evaluation`. Raises `MethodError` for unknown names, `ImageError`, `CnnvisError`.
    """
    check_network(network, "evaluate")
    seed = seed_of(seed, MethodError)
    run = _Run(network, images, methods, metrics, targets, network.layer(layer), seed)
    try:
        for done in run.steps():
            if progress is not None and done is not None:
                progress(done, run.total)
            if cancel is not None and cancel():
                break
    except KeyboardInterrupt:
        if not np.isfinite(run.values).any():
            raise
    return run.result()


class _Run:
    """An evaluation on its way."""

    def __init__(self, network, images, methods, metrics, targets, layer: LayerInfo, seed: int):
        methods = listed(methods, "methods", "names of methods", MethodError)
        asked = (find_method(method).name for method in methods if method not in CONTROLS)
        self.names = list(dict.fromkeys([*asked, *CONTROLS]))  # each once, however often it is named
        self.metrics = list(
            dict.fromkeys(
                find_metric(one) for one in listed(metrics, "metrics", "names of metrics", MethodError)
            )
        )
        if not self.metrics:
            raise MethodError("There is nothing to measure: name at least one metric.")
        self.network, self.layer, self.seed = network.aside(), layer, seed
        self.photographs = photographs_of(network, images, targets)
        shape = (len(self.names), len(self.metrics), len(self.photographs))
        self.values = np.full(shape, np.nan)
        self.seconds = np.full((shape[0], shape[2]), np.nan)
        families = len({metric.function for metric in self.metrics})
        self.total = shape[0] * shape[2] * (1 + families)

    def steps(self) -> Iterator[int | None]:
        """How much of ``total`` is done, where that has changed; else None."""
        done = 0
        for which in range(len(self.photographs)):
            for row, name in enumerate(self.names):
                for found in judge(
                    self.network, self.photographs, which, name, self.metrics, self.layer, self.seed
                ):
                    done += bool(found)
                    for metric, value in found.items():
                        if metric == "seconds":
                            self.seconds[row, which] = value
                        else:
                            self.values[row, [m.name for m in self.metrics].index(metric), which] = value
                    yield done if found else None

    def result(self) -> Evaluation:
        images = [photograph.name for photograph in self.photographs]
        return summary(
            self.values, self.seconds, self.names, self.metrics, images, self.network.name, self.seed
        )


def judge(
    network: Network,
    photographs: Sequence[Photograph],
    which: int,
    method: str,
    metrics: Sequence[Metric],
    layer: LayerInfo,
    seed: int = 0,
) -> Iterator[Mapping[str, float]]:
    """One method on one photograph, as it comes: {"seconds": ...} of its heatmap, then each metric's value; {} between.

    network: one ``aside``, because its memory is emptied first, so that every method starts from nothing.
    """
    network.forget()
    started = time.perf_counter()
    nothing_yet: Mapping[str, float] = {}
    steps = on_trial(network, photographs, which, explainer_of(method, layer), layer, seed)
    trial = yield from saying(nothing_yet, steps)
    yield {"seconds": time.perf_counter() - started}
    yield from judged(trial, metrics)


def photographs_of(network: Network, images, targets: Sequence[Any] | None = None) -> list[Photograph]:
    """The photographs to try methods on, with what is explained of each."""
    if isinstance(images, np.ndarray) and images.ndim == 3:
        images = [images]
    named = dict(images) if isinstance(images, Mapping) else _named(listed(images, "images", "photographs"))
    if not named:
        raise CnnvisError("There is nothing to evaluate on: no photographs were given.")
    if isinstance(targets, Mapping):  # its keys would be taken for classes
        raise CnnvisError(
            "targets is a list of classes, one for each photograph in order; a mapping was given."
        )
    wanted = [None] * len(named) if targets is None else listed(targets, "targets", "classes")
    if len(wanted) != len(named):
        raise CnnvisError(f"{len(named)} photographs need as many targets; {len(wanted)} were given.")
    found = []
    for (name, image), target in zip(named.items(), wanted, strict=True):
        pixels = resize(load_image(image), network.input_size)
        logits = network.aside().logits(pixels)
        chances = network.probabilities(logits)
        explained = network.target(int(np.argmax(logits)) if target is None else target)
        sure = explained.of == "logit" and not explained.weights and chances[explained.index] >= SURE
        found.append(Photograph(name, pixels, explained, bool(sure and np.argmax(logits) == explained.index)))
    return found


def summary(
    values: np.ndarray,
    seconds: np.ndarray,
    names: Sequence[str],
    metrics: Sequence[Metric],
    images: Sequence[str],
    network: str,
    seed: int = 0,
) -> Evaluation:
    """Means and intervals of values (methods, metrics, images), NaN where there are none; controls by their names."""
    controls = tuple(name for name in names if name in CONTROLS)
    rows = []
    for name, of_method in zip(names, values, strict=True):
        for place, metric in enumerate(metrics):
            mean, low, high, count = bootstrap(of_method[place], seed)
            ahead = {}
            for control in controls if name not in CONTROLS else ():
                more = of_method[place] - values[names.index(control), place]
                ahead[control] = bootstrap(more if metric.better == "higher" else -more, seed)[:3]
            enough = count >= FEWEST
            beaten = tuple(
                control for control, (_mean, least, _most) in ahead.items() if enough and least > 0
            )
            hardest = min(ahead.values(), key=itemgetter(1), default=(math.nan,) * 3)
            rows.append(EvaluationRow(name, metric.name, mean, low, high, count, beaten, hardest))
    better = tuple(metric.better for metric in metrics)
    plain = tuple(metric.name for metric in metrics)
    return Evaluation(
        tuple(rows), values, seconds, tuple(names), plain, better, tuple(images), controls, network, seed
    )


def bootstrap(values: np.ndarray, seed: int = 0) -> tuple[float, float, float, int]:
    """The mean of values, the ends of its 95 % interval, and how many there are.

    Percentiles over 2000 resamples, further out the fewer the values are, as Student's t is (Hesterberg 2015,
    arXiv:1411.5279, "expanded percentiles"): plain ones are too narrow. Values that are no number are left out; of none
    at all the mean is NaN, of one the interval.
    """
    known = values[np.isfinite(values)]
    count = int(known.size)
    if count < 2:
        return float(known[0]) if count else math.nan, math.nan, math.nan, count
    random = np.random.default_rng(seed)
    means = known[random.integers(count, size=(_RESAMPLES, count))].mean(axis=1)
    tail = ndtr(math.sqrt(count / (count - 1)) * stdtrit(count - 1, (1 - _LEVEL) / 2))
    low, high = np.quantile(means, [tail, 1 - tail])
    return float(known.mean()), float(low), float(high), count


def _named(images: Sequence[Any]) -> dict[str, Any]:
    """By the file's name, else by place; by both where a name is taken already, so that no photograph is lost."""
    named: dict[str, Any] = {}
    for place, image in enumerate(images):
        name = Path(image).stem if isinstance(image, str | Path) else str(place)
        while name in named:
            name = f"{name} ({place})"
        named[name] = image
    return named
