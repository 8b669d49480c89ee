"""One verb for all attribution methods: a row of the table, a layer and a target become a `Heatmap`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from cnnvis_widgets.compute import cam, runs
from cnnvis_widgets.compute.case import Case, Partial
from cnnvis_widgets.compute.methods import Method, find_method, methods
from cnnvis_widgets.errors import MethodError, UnknownLayerError, did_you_mean
from cnnvis_widgets.images import load_image
from cnnvis_widgets.networks.network import Network, check_network
from cnnvis_widgets.results import Heatmap, LayerInfo

__all__ = [
    "explain",
    "explain_layers",
    "explain_steps",
    "find_method",
    "fuse_heatmaps",
    "methods",
    "share_of_maximum",
]


def explain(
    network: Network,
    image,
    method: str = "grad-cam",
    layer: str | LayerInfo | None = None,
    target=None,
    *,
    seed: int = 0,
    progress: Callable[[int, int], object] | None = None,
    **options: Any,
) -> Heatmap:
    """Where in the image the evidence for a target lies.

    image: anything `load_image` takes. layer: a path; None gives ``network.default_layer``; methods that explain the
    input's pixels take no notice of it. target: the class whose logit (the score before softmax or sigmoid) is
    explained, by index or name, or anything else that `Network.target` takes; None gives the top class.
    seed: of methods that draw at random. progress: called with (done, total) while a method runs.
    options: keywords of the method's own function, such as ``steps=100`` for integrated-gradients.
    Returns a `Heatmap` of (h, w) float32 at the layer's resolution, or at the input's, divided by its own largest
    magnitude: in [0, 1], or in [-1, 1] where ``.signed``. Where there is no evidence it is all zero and ``.message``
    says so. A network whose ``head`` is "none" is explained by its outputs as they are.
    Raises `MethodError`, `UnknownLayerError`, `ImageError`, or `CnnvisError` for an unknown target.
    """
    check_network(network, "explain")
    for step in explain_steps(network, image, method, layer, target, seed=seed, **options):
        if progress is not None:
            progress(step[0], step[1])
    return step[2]


def explain_layers(
    network: Network,
    image,
    method: str = "grad-cam",
    layers: Sequence[str | LayerInfo] | None = None,
    target=None,
    *,
    seed: int = 0,
    **options: Any,
) -> list[Heatmap]:
    """`explain` at many layers (None: at all of them), with one forward and one backward pass where a method can.

    Raises `MethodError` for a method that explains the input's pixels.
    """
    check_network(network, "explain_layers")
    row = find_method(method)
    if row.explains == "input":
        raise MethodError(f"{row.name} explains the input's pixels and no layer; use explain.")
    image = load_image(image)
    infos = [network.layer(layer) for layer in (network.layers if layers is None else layers)]
    if row.needs == "runs":
        one = {"seed": seed, **options}
        return [explain(network, image, method, info, target, **one) for info in infos]
    _check_options(row, options)
    asked = None if target is None else network.target(target)
    index, logits, activations, gradients = runs.gradients(
        network, image, asked, [info.path for info in infos]
    )
    explained = network.target(index) if asked is None else asked
    score = _score(Case(network, image, infos[0], explained), logits) if infos else 0.0
    heatmaps = []
    for info in infos:
        with np.errstate(invalid="ignore", over="ignore"):  # NaN is told by Heatmap.message
            raw = row.function(activations[info.path], gradients[info.path])
        heatmaps.append(_heatmap(row, Case(network, image, info, explained), score, raw, {}))
    return heatmaps


def explain_steps(
    network: Network,
    image,
    method: str = "grad-cam",
    layer: str | LayerInfo | None = None,
    target=None,
    *,
    seed: int = 0,
    **options: Any,
) -> Iterator[tuple[int, int, Heatmap]]:
    """`explain` as work that advances step by step: (done, total, the heatmap so far), the last one complete.

    Whoever iterates can show what there is, and stop. Methods that need no runs of their own take one step.
    """
    check_network(network, "explain_steps")
    row = find_method(method)
    if row.needs == "maps":
        yield 1, 1, explain_layers(network, image, method, [network.layer(layer)], target, **options)[0]
        return
    _check_options(row, options)
    image = load_image(image)
    logits = network.logits(image)
    explained = network.target(int(np.argmax(logits)) if target is None else target)
    case = Case(network, image, _layer_for(row, network, layer), explained, seed)
    score = _score(case, logits)
    for step in _quietly(row.function, case, options):
        yield step.done, step.total, _heatmap(row, case, score, step.raw, step.details)


def fuse_heatmaps(heatmaps: Sequence[Heatmap], shallow: int | None = None) -> Heatmap:
    """One heatmap of several layers', as LayerCAM's authors do (see `cam.fused`), at the largest one's resolution.

    heatmaps: of one image and target, unsigned, from early layers to late ones. shallow: how many of them to brighten
    first; None gives all but the last. Its ``.layer`` is the last one's with all their paths.
    Raises `MethodError` where they do not belong together.
    """
    if not heatmaps:
        raise MethodError("Heatmaps of at least one layer are needed; explain_layers makes them.")
    last = heatmaps[-1]
    alike = {(heat.network, heat.method, heat.target, heat.signed) for heat in heatmaps}
    if len(alike) > 1 or last.signed:
        raise MethodError(
            "Only unsigned heatmaps of one network, method and target can be fused; explain_layers makes them."
        )
    raw = cam.fused([heat.raw for heat in heatmaps], len(heatmaps) - 1 if shallow is None else shallow)
    height, width = raw.shape
    paths = " + ".join(heat.layer.path for heat in heatmaps)
    layer = LayerInfo(paths, last.layer.kind, (height, width, last.layer.units), last.layer.units)
    return Heatmap(
        share_of_maximum(raw), raw, layer, last.target, last.method, last.score, last.network, last.image
    )


def share_of_maximum(raw: np.ndarray) -> np.ndarray:
    """A map divided by its finite largest magnitude; no epsilon, which would dim weak maps. Zero and NaN stay so."""
    highest = np.abs(raw[np.isfinite(raw)]).max(initial=0)
    return raw / highest if highest > 0 else raw


def _quietly(function: Callable, case: Case, options: Mapping[str, Any]) -> Iterator[Partial]:
    """A method's steps, without warnings of values that are no numbers: `Heatmap.message` tells of those."""
    with np.errstate(all="ignore"):
        result = function(case, **options)
    steps = iter([Partial(1, 1, result)] if isinstance(result, np.ndarray) else result)
    while True:
        with np.errstate(all="ignore"):  # not over a yield, where it would hold for whoever iterates too
            step = next(steps, None)
        if step is None:
            return
        yield step


def _heatmap(row: Method, case: Case, score: float, raw: np.ndarray, details: Mapping[str, float]) -> Heatmap:
    raw = np.asarray(raw, np.float32)
    network, layer = case.network, case.layer
    if row.explains == "input":
        layer = _picture_itself(network)
    return Heatmap(
        share_of_maximum(raw),
        raw,
        layer,
        case.target,
        row.name,
        score,
        network.name,
        case.image,
        row.signed,
        details,
    )


def _layer_for(row: Method, network: Network, layer: str | LayerInfo | None) -> LayerInfo:
    """The layer asked for. A network without feature maps can still be explained by the pixels of its input."""
    try:
        return network.layer(layer)
    except UnknownLayerError:
        if row.explains == "input" and layer is None:
            return _picture_itself(network)
        raise


def _picture_itself(network: Network) -> LayerInfo:
    shape = network.probe.input_shape
    return LayerInfo("input", "other", shape, shape[-1])


def _score(case: Case, logits: np.ndarray) -> float:
    """The number that is explained; from logits that are known already, where it is one of them."""
    if case.target.of == "logit":
        return float(logits @ runs.weights(case.network, case.target))
    return float(case.scores(case.inputs)[0])


def _check_options(row: Method, options: Mapping[str, Any]) -> None:
    known = dict(list(inspect.signature(row.function).parameters.items())[1:]) if row.needs == "runs" else {}
    for name, value in options.items():
        if name not in known:
            there_is = did_you_mean(name, known) if known else "it has none."
            raise MethodError(f"{row.name} has no option {name!r}; {there_is}")
        if isinstance(known[name].default, int) and not (isinstance(value, int | np.integer) and value >= 1):
            raise MethodError(f"{name} is a whole number of at least 1; {value!r} was given.")
