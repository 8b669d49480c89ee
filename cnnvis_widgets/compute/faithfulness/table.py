"""The table of metrics: what a heatmap that can be trusted should get, each one row here.

Metrics that come out of the same work share a function, which answers with all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from cnnvis_widgets.compute.faithfulness import hiding, pointing, similarity
from cnnvis_widgets.compute.faithfulness.road import road_curves
from cnnvis_widgets.compute.faithfulness.trial import Steps, Trial, at_size, saying
from cnnvis_widgets.errors import MethodError, did_you_mean
from cnnvis_widgets.networks.randomized import randomized

STAGES = 6  # of a randomization: from the top layer alone to all layers
_NUDGES = 5

Values = Mapping[str, float]
Judge = Callable[[Trial], Steps[Values]]


@dataclass(frozen=True)
class Metric:
    """One row of the table."""

    name: str
    better: str  # "higher" or "lower"
    formula: str
    paper: str
    costs: str
    function: Judge = field(repr=False)


def deletion(trial: Trial) -> Steps[Values]:
    yield
    curve = hiding.deletion(trial.score, trial.image, trial.ranks, trial.background, batch=trial.batch)
    return {"deletion": hiding.area(curve)}


def insertion(trial: Trial) -> Steps[Values]:
    yield
    curve = hiding.insertion(trial.score, trial.image, trial.ranks, batch=trial.batch)
    return {"insertion": hiding.area(curve)}


def insertion_strong(trial: Trial) -> Steps[Values]:
    yield
    start = hiding.strongly_blurred
    curve = hiding.insertion(trial.score, trial.image, trial.ranks, batch=trial.batch, blur=start)
    return {"insertion-strong": hiding.area(curve)}


def road(trial: Trial) -> Steps[Values]:
    yield
    highest, lowest = road_curves(trial.score, trial.image, trial.ranks, trial.case.seed, trial.batch)
    morf, lerf = float(highest.mean()), float(lowest.mean())
    return {"road-morf": morf, "road-lerf": lerf, "road": (lerf - morf) / 2}


def drop(trial: Trial) -> Steps[Values]:
    yield
    lost, rises = hiding.drop(trial.score, trial.image, trial.heat, trial.background)
    return {"average-drop": lost, "average-increase": float(rises)}


def grid(side: int) -> Judge:
    def point(trial: Trial) -> Steps[Values]:
        yield
        own = trial.photographs[trial.which]
        random = np.random.default_rng((trial.case.seed, trial.which, side))
        targets = [one.target.index for one in trial.photographs]
        sure = [one.sure for one in trial.photographs]
        others = pointing.partners(trial.which, targets, sure, side * side - 1, random)
        if not own.sure or len(others) < side * side - 1:
            return {f"pointing-{side}x{side}": float("nan")}
        place = int(random.integers(side * side))
        pictures = [trial.photographs[other].pixels for other in others]
        pictures.insert(place, own.pixels)
        size = own.pixels.shape[:2]
        raw = yield from trial.again(trial.case.network, pointing.mosaic(pictures, side, size))
        share = pointing.localization(at_size(raw, size), *pointing.cell(place, side, size))
        return {f"pointing-{side}x{side}": share}

    return point


def sensitivity(trial: Trial) -> Steps[Values]:
    random = np.random.default_rng(trial.case.seed)
    moved = []
    for _ in range(_NUDGES):
        moved.append(
            (yield from trial.again(trial.case.network, similarity.nudged(trial.case.pixels, random)))
        )
    return {"sensitivity": similarity.sensitivity(trial.raw, moved)}


def randomization(kind: str) -> Judge:
    def compare(trial: Trial) -> Steps[Values]:
        found: list[tuple[float, float]] = []
        with randomized(trial.case.network) as weights:
            for count in stages(len(weights.layers)):
                shuffled = weights.layers[0 if kind == "cascading" else count - 1 : count]
                raw = yield from trial.again(weights.shuffle(shuffled, trial.case.seed), trial.case.pixels)
                found.append(alike(trial.raw, raw, trial.case.pixels.shape[:2]))
        ssim, spearman = np.mean(found, axis=0).tolist()
        return {f"{kind}-ssim": ssim, f"{kind}-spearman": spearman}

    return compare


def stages(layers: int, most: int = STAGES) -> list[int]:
    """How many layers are random at each stage: the top one first, all at last."""
    return sorted(set(np.linspace(1, layers, min(most, layers)).round().astype(int).tolist()))


def alike(one: np.ndarray, other: np.ndarray, size: tuple[int, int]) -> tuple[float, float]:
    """SSIM of two heatmaps as they are laid over a picture, and Spearman's correlation of their own values."""
    return similarity.ssim(at_size(one, size), at_size(other, size)), similarity.spearman(one, other)


_RISE = "Petsiuk et al. 2018, arXiv:1806.07421"
_ROAD = "Rong et al. 2022, arXiv:2202.00449"
_CAM_PP = "Chattopadhyay et al. 2018, arXiv:1710.11063"
_GRID = "Böhle et al. 2021, arXiv:2104.00032; Rao et al. 2022, arXiv:2205.10435"
_SANITY = "Adebayo et al. 2018, arXiv:1810.03292"
_CURVE = f"{hiding.STEPS + 1} forward passes"
_MAPS = f"{STAGES} heatmaps"


def _family(function: Judge, paper: str, costs: str, *rows: tuple[str, str, str]) -> Iterator[Metric]:
    for name, better, formula in rows:
        yield Metric(name, better, formula, paper, costs, function)


_TABLE = (
    *_family(deletion, _RISE, _CURVE, ("deletion", "lower", "area below p(x without its top k) over k")),
    *_family(
        insertion, _RISE, _CURVE, ("insertion", "higher", "area below p(blurred x with its top k) over k")
    ),
    *_family(
        insertion_strong,
        _RISE,
        _CURVE,
        ("insertion-strong", "higher", "the same from a picture blurred four times as wide"),
    ),
    *_family(
        road,
        _ROAD,
        "14 forward passes",
        ("road-morf", "lower", "mean over k of p(x, its top k imputed)"),
        ("road-lerf", "higher", "mean over k of p(x, its lowest k imputed)"),
        ("road", "higher", "(road-lerf - road-morf) / 2"),
    ),
    *_family(
        drop,
        _CAM_PP,
        "2 forward passes",
        ("average-drop", "lower", "max(0, p(x) - p(x seen through M)) / p(x)"),
        ("average-increase", "higher", "1 where p(x seen through M) > p(x)"),
    ),
    *_family(
        grid(2),
        _GRID,
        "a heatmap",
        ("pointing-2x2", "higher", "share of ReLU(M) in the right one of 4 photographs"),
    ),
    *_family(
        grid(3),
        _GRID,
        "a heatmap",
        ("pointing-3x3", "higher", "share of ReLU(M) in the right one of 9 photographs"),
    ),
    *_family(
        randomization("cascading"),
        _SANITY,
        _MAPS,
        ("cascading-ssim", "lower", "mean SSIM(|M|, |M with the top layers random|)"),
        ("cascading-spearman", "lower", "mean rank correlation(M, M with the top layers random)"),
    ),
    *_family(
        randomization("independent"),
        _SANITY,
        _MAPS,
        ("independent-ssim", "lower", "mean SSIM(|M|, |M with one layer random|)"),
        ("independent-spearman", "lower", "mean rank correlation(M, M with one layer random)"),
    ),
    *_family(
        sensitivity,
        "Yeh et al. 2019, arXiv:1901.09392",
        f"{_NUDGES} heatmaps",
        ("sensitivity", "lower", "max over r of |M(x + r) - M(x)| / |M(x)|, |r| <= 2 %"),
    ),
)


def metrics() -> tuple[Metric, ...]:
    """Every metric, one row each: .name, .better ("higher" or "lower"), .formula, .paper, .costs.

    p is the target's probability, M the heatmap.
    """
    return _TABLE


def find_metric(name: str) -> Metric:
    """The row of that name; case, spaces, "-" and "_" do not matter. Raises `MethodError`."""
    table = {_plain(metric.name): metric for metric in _TABLE}
    if _plain(name) not in table:
        names = [metric.name for metric in _TABLE]
        raise MethodError(f"There is no metric {name!r}; {did_you_mean(name, names)} metrics() lists all.")
    return table[_plain(name)]


def judged(trial: Trial, wanted: Collection[Metric]) -> Iterator[Values]:
    """The values of a trial, as they come: {} while work goes on, one dictionary for each function of the table.

    NaN where the heatmap itself is made of values that are no numbers.
    """
    names = {metric.name for metric in wanted}
    numbers = np.isfinite(trial.raw).all()
    for function in dict.fromkeys(metric.function for metric in wanted):
        if not numbers:
            yield {metric.name: float("nan") for metric in wanted if metric.function is function}
            continue
        nothing_yet: Values = {}
        found = yield from saying(nothing_yet, function(trial))
        yield {name: value for name, value in found.items() if name in names}


def _plain(name: object) -> str:
    return "".join(letter for letter in str(name).lower() if letter.isalnum())
