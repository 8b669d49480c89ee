"""One verb for all attribution methods: a row of the table, a layer and a target become a `Heatmap`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar, overload

import numpy as np

from cnnvis_widgets.compute import runs
from cnnvis_widgets.compute.case import Case, Partial, batch_size
from cnnvis_widgets.compute.methods import Method, find_method
from cnnvis_widgets.errors import (
    MethodError,
    UnknownLayerError,
    did_you_mean,
    number,
    seed_of,
    whole,
)
from cnnvis_widgets.images import is_several, load_image
from cnnvis_widgets.networks.network import Network, check_network
from cnnvis_widgets.results import Heatmap, LayerInfo

Item = TypeVar("Item")
Answer = TypeVar("Answer")

# Test-time augmentation: (mirrored, brightness), as pytorch-grad-cam's aug_smooth.
VERSIONS = tuple((mirrored, brightness) for mirrored in (False, True) for brightness in (0.9, 1.0, 1.1))


@overload
def explain(network: Network, image: list | tuple, *args: Any, **options: Any) -> list[Heatmap]: ...
@overload
def explain(network: Network, image: Any, *args: Any, **options: Any) -> Heatmap: ...
def explain(
    network: Network,
    image: Any,
    method: str = "grad-cam",
    layer: str | LayerInfo | None = None,
    target=None,
    *,
    seed: int = 0,
    augment: bool = False,
    progress: Callable[[int, int], object] | None = None,
    **options: Any,
) -> Heatmap | list[Heatmap]:
    """Where in the image the evidence for a target lies.

    image: anything `load_image` takes; of a list of them, or an array (n, H, W, 3), each gets a heatmap; where a method
    takes one pass, they go through the network together. layer: a path; None gives ``network.default_layer``; methods
    that explain the input's pixels take no notice of it. target: the class whose logit (the score before softmax or
    sigmoid) is explained, by index or name, or anything else that `Network.target` takes; None gives the top class.
    seed: of methods that draw at random. augment: the mean over six versions of the image (see `VERSIONS`), which takes
    six times as long. progress: called with (done, total) while a method runs.
    options: keywords of the method's own function, such as ``steps=100`` for integrated-gradients.
    Returns a `Heatmap`, or a list of them, of (h, w) float32 at the layer's resolution, or at the input's, divided by
    its own largest magnitude: in [0, 1], or in [-1, 1] where ``.signed``. Where there is no evidence it is all zero
    and ``.message`` says so. A network whose ``head`` is "none" is explained by its outputs as they are.
    Raises `MethodError`, `UnknownLayerError`, `ImageError`, or `CnnvisError` for an unknown target.
    """
    check_network(network, "explain")
    several = is_several(image)
    images = [load_image(one) for one in image] if several else [load_image(image)]
    row = find_method(method)
    about = None if target is None else network.target(target)
    together = _together(network, row, network.layer(layer)) if several and not augment else 1

    def steps(place: int) -> Iterator[tuple[int, int, Heatmap]]:
        if together > 1 and place % together == 0:
            part = images[place : place + together]
            runs.record_several(network, part, about, network.layer(layer).path, row.rule, together)
        return steps_of(network, images[place], row, layer, target, seed, augment, options)

    heatmaps = last_of_each(range(len(images)), steps, progress)
    return heatmaps if several else heatmaps[0]


def last_of_each(
    items: Sequence[Item],
    steps: Callable[[Item], Iterator[tuple[int, int, Answer]]],
    progress: Callable[[int, int], object] | None,
) -> list[Answer]:
    """The complete answer of each item's steps (done, total, answer so far), telling how far all of them are.

    How many steps an item takes is known once it is begun: until then each is counted like the present one.
    """
    answers, before = [], 0
    for place, item in enumerate(items):
        for done, total, answer in steps(item):  # noqa: B007 - the last one is complete
            if progress is not None:
                progress(before + done, before + total * (len(items) - place))
        answers.append(answer)
        before += total
    return answers


def _together(network: Network, row: Method, layer: LayerInfo) -> int:
    """Of how many pictures a method's one pass is made at once; 1 for methods that fill their batches themselves."""
    if row.needs == "runs" and row.rule is None:
        return 1
    height, width, channels = network.probe.input_shape if row.rule is not None else layer.shape
    each = 2 * 4 * height * width * channels
    return max(1, min(batch_size(network, backward=True), network.memory.limit // 2 // each))


def at_layers(
    network: Network,
    image: np.ndarray,
    row: Method,
    infos: Sequence[LayerInfo],
    target,
    options: Mapping[str, Any],
) -> list[Heatmap]:
    """A method's heatmaps at some layers, of their activations and gradients."""
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
    augment: bool = False,
    **options: Any,
) -> Iterator[tuple[int, int, Heatmap]]:
    """`explain` as work that advances step by step: (done, total, the heatmap so far), the last one complete.

    Whoever iterates can show what there is, and stop. Methods that need no runs of their own take one step.
    Arguments as for `explain`, of one image; what that raises is raised at the first step.
    """
    check_network(network, "explain_steps")
    yield from steps_of(
        network, load_image(image), find_method(method), layer, target, seed, augment, options
    )


def steps_of(
    network: Network,
    image: np.ndarray,
    row: Method,
    layer: str | LayerInfo | None,
    target,
    seed: int,
    augment: bool,
    options: Mapping[str, Any],
) -> Iterator[tuple[int, int, Heatmap]]:
    """`explain_steps` of an RGB uint8 image, by a row of the table."""
    seed = seed_of(seed, MethodError)
    if augment:
        yield from _augmented(network, image, row, layer, target, seed, options)
        return
    if row.needs == "maps":
        yield 1, 1, at_layers(network, image, row, [network.layer(layer)], target, options)[0]
        return
    _check_options(row, options)
    logits = network.logits(image)
    explained = network.target(int(np.argmax(logits)) if target is None else target)
    case = Case(network, image, _layer_for(row, network, layer), explained, seed)
    score = _score(case, logits)
    for step in _quietly(row.function, case, options):
        yield step.done, step.total, _heatmap(row, case, score, step.raw, step.details)


def _augmented(
    network: Network,
    image: np.ndarray,
    row: Method,
    layer: str | LayerInfo | None,
    target,
    seed: int,
    options: Mapping[str, Any],
) -> Iterator[tuple[int, int, Heatmap]]:
    """`steps_of` the mean over `VERSIONS`: each map is turned back, then the unscaled ones are averaged."""
    logits = network.logits(image)
    explained = network.target(int(np.argmax(logits)) if target is None else target)
    info = network.layer(layer)
    case = Case(network, image, info, explained)
    score, before = _score(case, logits), np.zeros(())
    details: dict[str, float] = {}
    for version_number, (mirrored, brightness) in enumerate(VERSIONS):
        version = np.rint(np.minimum(np.arange(256) * brightness, 255)).astype(np.uint8)[image]
        version = np.ascontiguousarray(version[:, ::-1]) if mirrored else version
        for done, total, heatmap in steps_of(network, version, row, info, explained, seed, False, options):
            raw = heatmap.raw[:, ::-1] if mirrored else heatmap.raw
            mean = (before + raw) / np.float32(version_number + 1)
            said = {name: max(value, details.get(name, value)) for name, value in heatmap.details.items()}
            said["versions averaged"] = version_number + 1
            yield version_number * total + done, len(VERSIONS) * total, _heatmap(row, case, score, mean, said)
        before, details = before + raw, said


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
        if value is None and known[name].default is None:
            continue
        kind = str(known[name].annotation)
        if kind.startswith("int"):
            whole(value, name, error=MethodError)
        elif kind.startswith("float"):
            number(value, name, error=MethodError)
