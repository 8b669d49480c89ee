"""The table of all attribution methods by all metrics of trust, on photographs that three trained networks classify
rightly:

    python benchmarks/trust_table.py --networks FOLDER --photos FOLDER --output FOLDER [--limit N]

FOLDER of networks: mobilenet_v2.weights.h5, googlenet.keras, squeezenet.keras. Photographs: NNN_name.jpg, where NNN is
the index of the ImageNet class, and the same in the folders of ten_classes. It takes hours, so each result is written
down as a line of JSON as soon as it is there (one for each network, photograph and method), and what is there already
is not computed again: stop it and go on whenever you like; two processes with different --only may share a folder.
All methods get a photograph before the next one's turn comes, and the networks take turns, so the tables are balanced
at any time. --table prints them from what there is.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import cnnvis_widgets as cnnvis
from cnnvis_widgets.compute.faithfulness.controls import CONTROLS
from cnnvis_widgets.compute.faithfulness.evaluation import Photograph, judge, photographs_of, summary
from cnnvis_widgets.compute.faithfulness.table import find_metric
from cnnvis_widgets.networks.classes import imagenet_classes

CATS = (281, 282, 283, 284, 285)  # photographs without an index, dcNN.jpg, show one of these
QUICK = (
    *("deletion", "insertion", "road-morf", "road-lerf", "road", "average-drop", "average-increase"),
    *("pointing-2x2", "pointing-3x3"),
)
REPEATED = (
    *("cascading-ssim", "cascading-spearman", "independent-ssim", "independent-spearman", "sensitivity"),
)
# Methods of hundreds of runs a heatmap: theirs is made twice, once of a mosaic, not 20 times, nor of every photograph.
SLOW = ("score-cam", "ablation-cam", "rise", "lime", "kernel-shap", "occlusion", "smoothgrad", "vargrad")
SLOW_PHOTOGRAPHS = 20
REPEATED_PHOTOGRAPHS = 20
ROUND = 10  # photographs of one network, then as many of the next


def caffe(pixels: np.ndarray) -> np.ndarray:
    return pixels[..., ::-1] - np.array([104, 117, 123], np.float32)


def load(name: str, folder: Path):
    if name == "mobilenet_v2":
        return cnnvis.load_network(name, weights=folder / "mobilenet_v2.weights.h5")
    return cnnvis.load_network(folder / f"{name}.keras", class_names=imagenet_classes(), preprocess=caffe)


NETWORKS = ("mobilenet_v2", "googlenet", "squeezenet")


def labelled(folder: Path) -> Iterator[tuple[Path, tuple[int, ...]]]:
    """Photographs and the classes that are right for them, mixed so that any first part is like the whole."""
    files = [file for file in sorted(folder.rglob("*.jpg")) if "README" not in file.name]
    for place in np.random.default_rng(0).permutation(len(files)):
        number = files[place].stem.partition("_")[0]
        yield files[place], (int(number),) if number.isdecimal() else CATS


def rightly_classified(network, folder: Path, limit: int | None) -> list[Photograph]:
    found: list[Photograph] = []
    for file, right in labelled(folder):
        photograph = photographs_of(network, {str(file.relative_to(folder)): file})[0]
        if photograph.target.index in right:
            found.append(photograph)
        if limit is not None and len(found) == limit:
            break
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


def metrics_for(method: str, which: int) -> list[str]:
    """What is computed of a method on the photograph of this number; nothing where it is too dear."""
    if method in SLOW:
        return [name for name in QUICK if name != "pointing-3x3"] if which < SLOW_PHOTOGRAPHS else []
    if method in CONTROLS:  # which follow no weights, and the picture in plain ways
        return list(QUICK)
    return [*QUICK, *(REPEATED if which < REPEATED_PHOTOGRAPHS else ())]


def measure(
    name: str, network, photographs: list[Photograph], upto: int, methods: list[str], file: Path, until: float
) -> None:
    """The first ``upto`` photographs; the others are there for mosaics. Ends soon after the time ``until``."""
    done = {(line["image"], line["method"]) for line in lines_of(file)}
    aside, layer = network.aside(), network.default_layer
    todo = [
        (which, method)
        for which, photograph in enumerate(photographs[:upto])
        for method in methods
        if (photograph.name, method) not in done and metrics_for(method, which)
    ]
    started = time.monotonic()
    for count, (which, method) in enumerate(todo, 1):
        if time.monotonic() > until:
            break
        values: dict[str, float] = {}
        rows = [find_metric(metric) for metric in metrics_for(method, which)]
        for found in judge(aside, photographs, which, method, rows, layer):
            values |= found
        line = {"image": photographs[which].name, "method": method, "values": values}
        with file.open("a", encoding="utf-8") as out:
            out.write(json.dumps(line) + "\n")
        left = (time.monotonic() - started) / count * (len(todo) - count)
        words = f"{name}, {upto} photographs: {count} of {len(todo)}, about {left / 60:.0f} min left"
        print(words, end="\r", file=sys.stderr, flush=True)


def evaluation_of(name: str, methods: list[str], file: Path):
    """What has been written down, as an `Evaluation`."""
    metrics = [find_metric(metric) for metric in (*QUICK, *REPEATED)]
    lines = lines_of(file)
    images = list(dict.fromkeys(line["image"] for line in lines))
    values = np.full((len(methods), len(metrics), len(images)), np.nan)
    seconds = np.full((len(methods), len(images)), np.nan)
    for line in lines:
        if line["method"] not in methods:
            continue
        row, column = methods.index(line["method"]), images.index(line["image"])
        seconds[row, column] = line["values"]["seconds"]
        for place, metric in enumerate(metrics):
            values[row, place, column] = line["values"].get(metric.name, np.nan)
    return summary(values, seconds, methods, metrics, images, name)


def report(evaluation) -> str:
    """The table, and which methods do not beat all controls on insertion and the pointing game."""
    words = [
        f"## {evaluation.network}, {len(evaluation.images)} photographs",
        "",
        evaluation.table("markdown"),
        "",
    ]
    for metric in ("insertion", "pointing-2x2"):
        rows = [evaluation.row(method, metric) for method in evaluation.methods]
        short = [
            f"{row.method} ({', '.join(c for c in evaluation.controls if c not in row.beats)})"
            for row in rows
            if row.n and row.method not in CONTROLS and set(row.beats) != set(evaluation.controls)
        ]
        words.append(f"Not better at {metric} than some control: {'; '.join(short) or 'none'}.")
    return "\n".join(words)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--networks", type=Path, required=True)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--output", type=Path, default=Path("trust_table"), help="folder of the results")
    parser.add_argument("--limit", type=int, help="so many photographs of each network")
    parser.add_argument("--only", default=",".join(NETWORKS), help="some of: " + ", ".join(NETWORKS))
    parser.add_argument("--methods", help="some of the methods, with commas; default all")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="stop after so many; go on later")
    parser.add_argument("--table", action="store_true", help="compute nothing, print what there is")
    given = parser.parse_args()
    every = [row.name for row in cnnvis.methods()]
    methods = [*(given.methods.split(",") if given.methods else every), *CONTROLS]
    given.output.mkdir(parents=True, exist_ok=True)
    files = {name: given.output / f"{name}.jsonl" for name in given.only.split(",")}
    until = time.monotonic() + 60 * given.minutes
    if not given.table:
        networks = {name: load(name, given.networks) for name in files}
        there = {name: rightly_classified(one, given.photos, given.limit) for name, one in networks.items()}
        most = max(map(len, there.values()))
        for upto in range(ROUND, most + ROUND, ROUND):
            for name, file in files.items():
                measure(name, networks[name], there[name], upto, methods, file, until)
    for name, file in files.items():
        print(report(evaluation_of(name, methods, file)), "\n", flush=True)


if __name__ == "__main__":
    main()
