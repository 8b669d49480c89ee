"""The table of all attribution methods by all metrics of trust, on photographs that three trained networks classify
rightly:

    nice python benchmarks/trust_table.py --networks FOLDER --photos FOLDER --output FOLDER [--minutes N]

FOLDER of networks: mobilenet_v2.weights.h5, googlenet.keras, squeezenet.keras. Photographs: NNN_name.jpg, where NNN is
the index of the ImageNet class, and the same in the folders of ten_classes. It takes hours, so each result is written
down as a line of JSON as soon as it is there (one for each network, photograph, method and kind of test), and what is
there already is not computed again: stop it and go on whenever you like. `SCHEDULE` says what comes first: the cheap
and decisive tests on all photographs, the dear ones on the first few of an order that takes one of each folder in turn.
`benchmarks/trust` holds what is there by now; --output benchmarks/trust goes on with it on the same photographs.
--table prints the tables of what there is; trust_page.py writes them into the documentation.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

import cnnvis_widgets as cnnvis
from cnnvis_widgets.compute.case import Case
from cnnvis_widgets.compute.faithfulness import hiding
from cnnvis_widgets.compute.faithfulness.controls import CONTROLS
from cnnvis_widgets.compute.faithfulness.evaluation import Photograph, photographs_of, summary
from cnnvis_widgets.compute.faithfulness.table import alike, find_metric, judged, stages
from cnnvis_widgets.compute.faithfulness.trial import Trial, at_size, batch_of, explainer_of
from cnnvis_widgets.networks.classes import imagenet_classes
from cnnvis_widgets.networks.randomized import randomized
from cnnvis_widgets.results import Evaluation

NETWORKS = ("mobilenet_v2", "googlenet", "squeezenet")
CATS = (281, 282, 283, 284, 285)  # photographs without an index, dcNN.jpg, show one of these

# Kinds of tests, each computed at once: what one photograph and all its methods share is made once.
KINDS = {
    "curves": ("deletion", "insertion", "average-drop", "average-increase"),
    "strong blur": ("insertion-strong",),
    "pointing": ("pointing-2x2", "pointing-3x3"),
    "road": ("road-morf", "road-lerf", "road"),
    "random weights": ("cascading-ssim", "cascading-spearman", "independent-ssim", "independent-spearman"),
    "sensitivity": ("sensitivity",),
}
METRICS = tuple(itertools.chain.from_iterable(KINDS.values()))
# Half of what `evaluate` takes: one area differs by up to 0.02, to either side (see `--steps`), the mean hardly; and
# both ends of a curve are the same for all methods: 26 pictures a method instead of 58.
CURVE_STEPS = 14
TIMED = 5  # photographs on which a method starts with an empty memory, and its processor time is noted

# Of hundreds of passes a heatmap; of dozens, forward and backward; the rest takes a few.
SLOW = ("score-cam", "ablation-cam", "rise", "lime", "kernel-shap", "occlusion")
MEDIUM = ("smooth-grad-cam++", "integrated-gradients", "smoothgrad", "vargrad")
QUICK = tuple(row.name for row in cnnvis.methods() if row.name not in SLOW + MEDIUM)
FIRST = ("grad-cam", *CONTROLS)
CHEAP = ("curves", "pointing")
HEATMAP = ("curves", "strong blur", "road")  # of the same heatmap: made once
# (of so many photographs, these methods, these kinds): one after the other, the networks taking turns in each.
SCHEDULE = (
    (20, FIRST, CHEAP),
    (10, QUICK, CHEAP),
    (20, FIRST, ("strong blur",)),
    (3, QUICK, ("random weights", "sensitivity")),
    (999, FIRST, CHEAP),
    (10, MEDIUM + SLOW, HEATMAP),
    (30, QUICK, CHEAP),
    (10, (*QUICK, *CONTROLS), ("road", "strong blur")),
    (10, QUICK, ("random weights", "sensitivity")),
    (10, MEDIUM + SLOW, ("pointing",)),
    (60, QUICK, CHEAP),
    (999, QUICK, CHEAP),
    (3, MEDIUM, ("sensitivity", "random weights")),
    (30, MEDIUM + SLOW, HEATMAP),
    (30, (*QUICK, *CONTROLS), ("road", "strong blur")),
    (30, MEDIUM + SLOW, ("pointing",)),
    (3, SLOW, ("sensitivity", "random weights")),
)


def finish(steps):
    """The answer of a generator, taken to its end."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def caffe(pixels: np.ndarray) -> np.ndarray:
    return pixels[..., ::-1] - np.array([104, 117, 123], np.float32)


def load(name: str, folder: Path):
    if name == "mobilenet_v2":
        return cnnvis.load_network(name, weights=folder / "mobilenet_v2.weights.h5")
    return cnnvis.load_network(folder / f"{name}.keras", class_names=imagenet_classes(), preprocess=caffe)


def labelled(folder: Path) -> Iterator[tuple[Path, tuple[int, ...]]]:
    """Photographs and the classes that are right for them, one of each folder in turn, so that a few are many kinds."""
    files = [file for file in sorted(folder.rglob("*.jpg")) if "README" not in file.name]
    of_folder: dict[Path, list[Path]] = {}
    for place in np.random.default_rng(0).permutation(len(files)):
        of_folder.setdefault(files[place].parent, []).append(files[place])
    for file in itertools.chain.from_iterable(itertools.zip_longest(*of_folder.values())):
        if file is not None:
            number = file.stem.partition("_")[0]
            yield file, (int(number),) if number.isdecimal() else CATS


def rightly_classified(network, folder: Path) -> list[Photograph]:
    found: list[Photograph] = []
    for file, right in labelled(folder):
        photograph = photographs_of(network, {str(file.relative_to(folder)): file})[0]
        if photograph.target.index in right:
            found.append(photograph)
    return found


def lines_of(file: Path) -> list[dict]:
    if not file.exists():
        return []
    lines = []
    for line in file.read_text(encoding="utf-8").splitlines():
        try:
            lines.append(json.loads(line))
        except ValueError:  # stopped while it was written
            continue
    return lines


def measured(
    network,
    photographs: Sequence[Photograph],
    which: int,
    methods: Sequence[str],
    kind: str,
    heatmaps: dict[str, np.ndarray],
) -> Iterator[tuple[str, Mapping[str, float]]]:
    """The values of each method on the photograph of this number, whose heatmaps are kept from kind to kind."""
    aside, layer, photograph = network.aside(), network.default_layer, photographs[which]
    if kind == "random weights":
        yield from under_random_weights(network, photograph, methods)
        return
    case = Case(aside, photograph.pixels, layer, photograph.target)
    trials: dict[str, Trial] = {}
    spent: dict[str, float] = {}
    for method in methods:
        explainer = explainer_of(method, layer)
        if method not in heatmaps:
            timed = kind == "curves" and which < TIMED
            if timed:
                aside.forget()
            started = time.process_time()
            heatmaps[method] = finish(explainer(aside, photograph.pixels, photograph.target, case.seed))
            if timed:
                spent[method] = time.process_time() - started
        raw = heatmaps[method]
        ranks = hiding.ranking(at_size(raw, photograph.pixels.shape[:2]), case.seed)
        trials[method] = Trial(case, raw, explainer, photographs, which, ranks)
    areas = curve_areas(case, {method: trial.ranks for method, trial in trials.items()}, KINDS[kind])
    for method, trial in trials.items():
        values = dict(areas.get(method, {}))
        rest = [find_metric(name) for name in KINDS[kind] if name not in values]
        if method in MEDIUM + SLOW:
            rest = [metric for metric in rest if metric.name != "pointing-3x3"]
        for found in judged(trial, rest):
            values |= found
        yield method, values | ({"seconds": spent[method]} if method in spent else {})


def curve_areas(
    case: Case, ranks: Mapping[str, np.ndarray], metrics: Sequence[str], steps: int = CURVE_STEPS
) -> dict[str, dict[str, float]]:
    """Those of the metrics that are areas below curves, by method's ranks; all their pictures in common batches."""
    sharp, empty = case.inputs[0], case.baseline[0]
    blurred, faint = hiding.blurred(sharp), hiding.strongly_blurred(sharp)
    every = {"deletion": (sharp, empty), "insertion": (blurred, sharp), "insertion-strong": (faint, sharp)}
    ends = {name: pair for name, pair in every.items() if name in metrics}
    if not ends:
        return {}
    ways = {name: (*pair, *case.chances(np.stack(pair))) for name, pair in ends.items()}
    counts = np.linspace(0, sharp.shape[0] * sharp.shape[1], steps + 1).round().astype(int)[1:-1]
    pictures = (
        np.where((order < count)[..., None], end, start)
        for order in ranks.values()
        for start, end, _first, _last in ways.values()
        for count in counts
    )
    parts = []
    while batch := list(itertools.islice(pictures, batch_of(case))):
        parts.append(case.chances(np.stack(batch)))
    scores = np.concatenate(parts).reshape(len(ranks), len(ways), len(counts))
    return {
        method: {
            name: hiding.area(np.concatenate([[first], curve, [last]]))
            for (name, (_start, _end, first, last)), curve in zip(ways.items(), of_method, strict=True)
        }
        for method, of_method in zip(ranks, scores, strict=True)
    }


def under_random_weights(
    network, photograph: Photograph, methods: Sequence[str]
) -> Iterator[tuple[str, Mapping[str, float]]]:
    """The sanity check of all methods together: weights are put in random order once for all of them."""
    explainers = {method: explainer_of(method, network.default_layer) for method in methods}
    about, size = (photograph.pixels, photograph.target, 0), photograph.pixels.shape[:2]
    aside = network.aside()
    own = {method: finish(explainer(aside, *about)) for method, explainer in explainers.items()}
    found: dict[str, dict[str, float]] = {method: {} for method in methods}
    with randomized(network) as weights:
        for kind in ("cascading", "independent"):
            alikes: dict[str, list[tuple[float, float]]] = {method: [] for method in methods}
            for count in stages(len(weights.layers)):
                other = weights.shuffle(weights.layers[0 if kind == "cascading" else count - 1 : count], 0)
                for method, explainer in explainers.items():
                    alikes[method].append(alike(own[method], finish(explainer(other, *about)), size))
            for method, pairs in alikes.items():
                ssim, spearman = np.mean(pairs, axis=0).tolist()
                found[method] |= {f"{kind}-ssim": ssim, f"{kind}-spearman": spearman}
    yield from found.items()


def measure(name: str, network, photographs, row: int, file: Path, until: float) -> None:
    """One row of the schedule for one network; ends soon after the time ``until``."""
    upto, methods, kinds = SCHEDULE[row]
    done = {(line["image"], line["method"], line["kind"]) for line in lines_of(file)}
    for which, kind in itertools.product(range(min(upto, len(photographs))), kinds):
        image = photographs[which].name
        if kind == kinds[0]:
            heatmaps: dict[str, np.ndarray] = {}
        todo = [method for method in methods if (image, method, kind) not in done]
        if not todo:
            continue
        if time.monotonic() > until:
            break
        with file.open("a", encoding="utf-8") as out:
            for method, values in measured(network, photographs, which, todo, kind, heatmaps):
                line = {"image": image, "method": method, "kind": kind, "values": values}
                out.write(json.dumps(line) + "\n")
                out.flush()
        words = (
            f"row {row + 1} of {len(SCHEDULE)}, {name}: {kind}, photograph {which + 1} of {len(photographs)}"
        )
        print(time.strftime("%H:%M:%S"), words, file=sys.stderr, flush=True)


def evaluation_of(name: str, file: Path, metrics: Sequence[str] = METRICS) -> Evaluation:
    """What has been written down of these metrics, as an `Evaluation`."""
    methods = [*(row.name for row in cnnvis.methods()), *CONTROLS]
    lines = [line for line in lines_of(file) if line["method"] in methods]
    images = list(dict.fromkeys(line["image"] for line in lines))
    values = np.full((len(methods), len(metrics), len(images)), np.nan)
    seconds = np.full((len(methods), len(images)), np.nan)
    for line in lines:
        row, column = methods.index(line["method"]), images.index(line["image"])
        for metric, value in line["values"].items():
            if metric == "seconds":
                seconds[row, column] = value
            elif metric in metrics:
                values[row, metrics.index(metric), column] = value
    return summary(values, seconds, methods, [find_metric(one) for one in metrics], images, name)


def compare_steps(network, photographs: Sequence[Photograph]) -> None:
    """How far the areas of short curves are from those of 28 steps."""
    for photograph in photographs:
        case = Case(network.aside(), photograph.pixels, network.default_layer, photograph.target)
        ranks = {}
        for method in FIRST:
            raw = finish(
                explainer_of(method, case.layer)(case.network, photograph.pixels, photograph.target, 0)
            )
            ranks[method] = hiding.ranking(at_size(raw, photograph.pixels.shape[:2]))
        short, long = (curve_areas(case, ranks, KINDS["curves"], n) for n in (CURVE_STEPS, hiding.STEPS))
        print({m: {k: round(short[m][k] - long[m][k], 4) for k in short[m]} for m in FIRST}, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--networks", type=Path)
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--output", type=Path, default=Path("trust_table"), help="folder of the results")
    parser.add_argument("--only", default=",".join(NETWORKS), help="some of: " + ", ".join(NETWORKS))
    parser.add_argument("--minutes", type=float, default=float("inf"), help="stop after so many; go on later")
    parser.add_argument("--steps", action="store_true", help="compare curves of 14 and of 28 steps, no more")
    parser.add_argument("--table", action="store_true", help="compute nothing, print what there is")
    given = parser.parse_args()
    given.output.mkdir(parents=True, exist_ok=True)
    files = {name: given.output / f"{name}.lines.jsonl" for name in given.only.split(",")}
    until = time.monotonic() + 60 * given.minutes
    if given.table:
        for name, file in files.items():
            print(f"## {name}\n\n{evaluation_of(name, file).table('markdown')}\n")
        return
    networks = {name: load(name, given.networks) for name in files}
    there = {name: rightly_classified(one, given.photos) for name, one in networks.items()}
    print({name: len(photographs) for name, photographs in there.items()}, file=sys.stderr, flush=True)
    for row, name in itertools.product(range(len(SCHEDULE)), files):
        if given.steps:
            compare_steps(networks[name], there[name][:5]) if row == 0 else None
            continue
        measure(name, networks[name], there[name], row, files[name], until)


if __name__ == "__main__":
    main()
