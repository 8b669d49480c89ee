"""Can this one heatmap be trusted? Its curves beside the controls', itself with random weights, and a verdict."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import numpy as np

from cnnvis_widgets.compute.case import Case
from cnnvis_widgets.compute.explain import explain_steps
from cnnvis_widgets.compute.faithfulness import hiding
from cnnvis_widgets.compute.faithfulness.controls import CONTROLS
from cnnvis_widgets.compute.faithfulness.table import alike, stages
from cnnvis_widgets.compute.faithfulness.trial import at_size, batch_of
from cnnvis_widgets.errors import MethodError, seed_of
from cnnvis_widgets.images import load_image
from cnnvis_widgets.locale import say
from cnnvis_widgets.networks.network import Network, check_network
from cnnvis_widgets.networks.randomized import randomized
from cnnvis_widgets.results import Heatmap, LayerInfo, Randomization, Trust

# From this mean rank correlation on, a heatmap counts as much the same with random weights.
ALIKE = 0.5


def trust(
    network: Network,
    image,
    method: str | Heatmap = "grad-cam",
    layer: str | LayerInfo | None = None,
    target=None,
    *,
    seed: int = 0,
    progress: Callable[[int, int], object] | None = None,
) -> Trust:
    """Whether a heatmap of this picture says anything about the network.

    method: a method's name with ``layer`` and ``target`` as in `explain`, or the `Heatmap` that `explain` gave.
    Three tests: how the class's probability falls while the hottest places are hidden, and rises while they are shown
    in a blurred picture, beside a random map, an edge detector and a Gaussian in the middle (Petsiuk et al. 2018); and
    whether the heatmap changes when layers get random weights, from the top layer down (Adebayo et al. 2018). The
    model's own weights are never touched. seed: of all that is drawn. progress: called with (done, total).
    Returns a `Trust`: curves, areas, the heatmaps of random weights, and ``.sentence``.
    Raises what `explain` raises.
    """
    check_network(network, "trust")
    for step in trust_steps(network, image, method, layer, target, seed=seed):
        if progress is not None:
            progress(step[0], step[1])
    return step[2]


def trust_steps(
    network: Network,
    image,
    method: str | Heatmap = "grad-cam",
    layer: str | LayerInfo | None = None,
    target=None,
    *,
    seed: int = 0,
) -> Iterator[tuple[int, int, Trust]]:
    """`trust` as work that advances step by step: (done, total, what is known so far), the last one complete.

    Arguments as for `trust`; the parts of an unfinished `Trust` that are not known yet are empty. What `explain`
    raises is raised at the first step.
    """
    check_network(network, "trust_steps")
    seed = seed_of(seed, MethodError)
    image, aside = load_image(image), network.aside()
    if isinstance(method, Heatmap):
        heatmap = method
        layer = None if heatmap.layer.path == "input" and layer is None else layer or heatmap.layer.path
    else:
        for _done, _total, heatmap in explain_steps(network, image, method, layer, target, seed=seed):
            yield 0, 1, _nothing_yet(heatmap)
    case = Case(aside, image, aside.layer(layer), network.target(heatmap.target), seed)
    found = _nothing_yet(heatmap)
    batches = -(-(hiding.STEPS + 1) // batch_of(case))
    with randomized(network) as weights:
        counts, found = stages(len(weights.layers)), replace(found, layers=len(weights.layers))
        done, total = 0, 2 * batches * (1 + len(CONTROLS)) + len(counts)
        # The heatmap itself: what runs the curves has yet to be traced, which takes seconds
        yield done, total, found
        for step in _curves(case, found):
            done, found = done + 1, step
            yield done, total, found
        for count in counts:
            steps = explain_steps(
                weights.shuffle(weights.layers[:count], seed),
                image,
                heatmap.method,
                case.layer,
                case.target,
                seed=seed,
                augment=heatmap.augmented,
            )
            for _done, _total, shuffled in steps:  # noqa: B007 - the last one counts
                yield done, total, found
            ssim, spearman = alike(heatmap.raw, shuffled.raw, case.pixels.shape[:2])
            stage = Randomization(count, weights.layers[count - 1], shuffled.values, ssim, spearman)
            done, found = done + 1, replace(found, randomization=(*found.randomization, stage))
            if done < total:
                yield done, total, found
    yield total, total, judged(found)


def _curves(case: Case, found: Trust) -> Iterator[Trust]:
    """The curves one after the other, the method's own first; a step for each batch of pictures."""
    maps = {found.heatmap.method: at_size(found.heatmap.raw, case.pixels.shape[:2])}
    maps |= {name: control(case.pixels, case.seed) for name, control in CONTROLS.items()}
    image, background, batch = case.inputs[0], case.baseline[0], batch_of(case)
    blurred = hiding.blurred(image)
    for name, heat in maps.items():
        ranks = hiding.ranking(heat, case.seed)
        for kind, start, end in (("deletion", image, background), ("insertion", blurred, image)):
            parts: list[np.ndarray] = []
            for part in hiding.replaced(case.chances, start, end, ranks, batch=batch):
                parts.append(part)
                curve = np.concatenate(parts)
                if len(curve) == hiding.STEPS + 1:
                    found = _with_curve(found, kind, name, curve)
                yield found


def _with_curve(found: Trust, kind: str, name: str, curve: np.ndarray) -> Trust:
    area = hiding.area(curve)
    if kind == "deletion":
        curves, areas = {**found.deletion, name: curve}, {**found.deletion_areas, name: area}
        return replace(found, deletion=curves, deletion_areas=areas)
    curves, areas = {**found.insertion, name: curve}, {**found.insertion_areas, name: area}
    return replace(found, insertion=curves, insertion_areas=areas)


def judged(found: Trust) -> Trust:
    """With the verdict that curves and similarities lead to."""
    heatmap, method = found.heatmap, found.heatmap.method
    words = {"method": method, "name": heatmap.target.name}
    if not np.isfinite(heatmap.raw).all():
        return _said(found, "no_numbers", words)
    if heatmap.message:
        return _said(found, "nothing", words)
    similar = [stage.spearman for stage in found.randomization]
    if similar and np.mean(similar) >= ALIKE:
        return _said(found, "weights", words | {"similarity": f"{np.mean(similar):.2f}"})
    # Whichever control does best; ahead of it is ahead of all.
    hidden = min(CONTROLS, key=lambda name: found.deletion_areas[name])
    shown = max(CONTROLS, key=lambda name: found.insertion_areas[name])
    falls = found.deletion_areas[method] < found.deletion_areas[hidden]
    rises = found.insertion_areas[method] > found.insertion_areas[shown]
    if falls and rises:
        return _said(found, "good", words)
    if falls or rises:
        return _said(
            found, "only_hidden" if falls else "only_shown", words | {"control": shown if falls else hidden}
        )
    return _said(found, "poor", words | {"control": shown})


def verdict_in_words(verdict: str, words: Mapping[str, str], language: str = "en") -> str:
    """The sentence of a verdict; "" where there is none yet."""
    if not verdict:
        return ""
    control = words.get("control")
    named = {"control": say(f"explorer.trust.control.{control}", language)} if control else {}
    return say(f"explorer.trust.{verdict}", language, **{**words, **named})


def _said(found: Trust, verdict: str, words: Mapping[str, str]) -> Trust:
    return replace(found, verdict=verdict, words=words, sentence=verdict_in_words(verdict, words))


def _nothing_yet(heatmap: Heatmap) -> Trust:
    fractions = np.linspace(0, 1, hiding.STEPS + 1)
    return Trust(heatmap, fractions, {}, {}, {}, {}, (), 0, "", {}, "")
