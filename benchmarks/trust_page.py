"""Writes what trust_table.py has measured so far into the documentation, docs/trust.md:

    python benchmarks/trust_page.py --results benchmarks/trust

The words stand here, all numbers and the sentences about them come from the results: run it again whenever there are
more. It computes nothing but means and intervals.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import trust_table

import cnnvis_widgets as cnnvis
from cnnvis_widgets.compute.faithfulness.controls import CONTROLS
from cnnvis_widgets.compute.faithfulness.evaluation import FEWEST, bootstrap
from cnnvis_widgets.results import Evaluation

PAGE = Path(__file__).parents[1] / "docs" / "trust.md"
NAMES = {"mobilenet_v2": "MobileNetV2", "googlenet": "GoogLeNet", "squeezenet": "SqueezeNet 1.1"}
TABLES = (
    ("deletion", "insertion", "insertion-strong", "pointing-2x2", "pointing-3x3"),
    ("average-drop", "average-increase", "road-morf", "road-lerf", "road", "sensitivity"),
    ("cascading-ssim", "cascading-spearman", "independent-ssim", "independent-spearman"),
)
DECISIVE = ("insertion", "insertion-strong", "pointing-2x2")
GROUPS = {
    "ahead": "**ahead of all three controls**",
    "between": "not to be told from the hardest control",
    "behind": "behind a control",
    "few": "on too few photographs to tell",
}

HEAD = """# Can heatmaps be trusted? Measured

<!-- Written by benchmarks/trust_page.py: change it there. -->

Every method on photographs that three trained networks classify rightly, beside three maps that know nothing of any
network: random numbers, an edge detector (Sobel) and a Gaussian in the middle. `evaluate` makes such a table of your
own network and photographs, and the Explorer's *Can I trust it?* tests the one heatmap that you look at.

- A cell is the mean, its 95 % interval (bootstrap over photographs) and, small, the number n of photographs. One alone
  has no interval, and that of two or three says little. Dear methods and tests have fewer photographs: the first n of
  an order that takes one of each kind in turn.
- A star: better than all three controls by more than the 95 % interval of the *paired* difference, photograph by
  photograph. Intervals of two means may overlap where the paired difference is sure. The figures show that difference
  from the control hardest to beat: right of the line is ahead of it.
- "Not to be told" from a control: that difference may be either way; on few photographs this says more about them than
  about the method. "Behind": worse than that control, surely. Fewer than 6 photographs show nothing of the kind.
- The pointing game takes only photographs that are classified with a probability of at least 0.8.
- ↓ lower is better, ↑ higher is better. Curves have 14 steps, half of what `evaluate` takes; on the photographs that
  came first Grad-CAM's and the controls' have 28. That moves the area of one photograph by up to 0.02, the mean hardly.
  "insertion" begins with the blur of RISE's code, "insertion-strong" with one four times as wide (see below).
- "cascading" and "independent" say how alike a map stays where layers get random weights, from the top down and one at
  a time: a map that stays the same does not show what the network has learned.
- "seconds" are processor seconds for one heatmap from an empty memory, the median of up to five photographs; a cell is
  empty where it was not measured.
- Class activation maps are those of the network's default layer, its last one with positions.
"""

BLUR = """## Why an edge detector does well at insertion

Insertion begins with a blurred picture and makes it sharp where the heatmap is highest. RISE's blur (11 pixels wide,
sigma 5, for 224 x 224) leaves large things visible: SqueezeNet still gave such pictures 16 % of their class (25
photographs). What it takes away is edges, and an edge detector gives back exactly those, everywhere, without knowing
what the network looks for. Neither the layer nor the way maps are enlarged was the cause: on SqueezeNet enlarging
without interpolation moved Grad-CAM's mean from 0.736 to 0.739, the layer before the last was worse or the same.
Beginning with a blur four times as wide (sigma 20, 0.1 % of the class is left) Grad-CAM was ahead of edges by 0.13
[0.06, 0.19], from the mean colour by 0.26 [0.18, 0.33]. So a method that does not beat the edges at "insertion" may
still show the right place: look at "insertion-strong" and at the pointing game beside it.
"""


def cell(found: Evaluation, method: str, metric: str) -> str:
    row = found.row(method, metric)
    if not row.n:
        return ""
    star = "\\*" if set(row.beats) == set(found.controls) else ""
    interval = f"[{row.low:.2f},\u00a0{row.high:.2f}]\u00a0" if row.n > 1 else ""
    return f"{row.mean:.3f}{star}<br><small>{interval}{row.n}</small>"


def table(found: Evaluation, metrics: Sequence[str], seconds: bool) -> str:
    arrows = dict(zip(found.metrics, found.better, strict=True))
    heads = [f"{name} {'↑' if arrows[name] == 'higher' else '↓'}" for name in metrics]
    lines = [["method", *heads, *["seconds"] * seconds]]
    lines.append(["---"] * len(lines[0]))
    for method in found.methods:
        cells = [cell(found, method, metric) for metric in metrics]
        spent = found.seconds_per_image(method)
        if any(cells):
            last = ["" if np.isnan(spent) else f"{spent:.2g}"] * seconds
            lines.append([method, *cells, *last])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def sentences(found: Evaluation) -> list[str]:
    """What the decisive metrics say, in words."""
    said = []
    for metric in DECISIVE:
        rows = [found.row(method, metric) for method in found.methods if method not in CONTROLS]
        rows = [row for row in rows if row.n]
        groups: dict[str, list[str]] = {}
        for row in rows:
            high = row.ahead[2]
            ahead = set(row.beats) == set(found.controls)
            place = "few" if row.n < FEWEST else "ahead" if ahead else "behind" if high < 0 else "between"
            groups.setdefault(place, []).append(row.method)
        words = [f"{GROUPS[place]}: {', '.join(groups[place])}" for place in GROUPS if place in groups]
        said.append(f"- *{metric}*: {'; '.join(words)}.")
    for control in found.controls:
        own, other = (found.methods.index(name) for name in ("grad-cam", control))
        values = found.values[:, found.metrics.index("insertion")]
        mean, low, high, n = bootstrap(values[own] - values[other])
        words = f"{mean:+.3f} [{low:+.3f}, {high:+.3f}], {n} photographs"
        said.append(f"- Grad-CAM's insertion minus that of *{control}*: {words}.")
    return said


def overview(evaluations: Sequence[Evaluation]) -> str:
    """What the three networks say together."""

    def means(method: str, metric: str) -> str:
        found = [found.row(method, metric) for found in evaluations]
        return ", ".join(f"{row.mean:.2f}" if row.n else "not measured" for row in found)

    def stars(method: str, metric: str) -> int:
        return sum(set(found.row(method, metric).beats) == set(found.controls) for found in evaluations)

    methods = [method for method in evaluations[0].methods if method not in CONTROLS]
    pointing = {
        name: np.mean([one.row(name, "pointing-2x2").mean for one in evaluations]) for name in methods
    }
    best = sorted(methods, key=lambda name: -np.nan_to_num(pointing[name]))[:5]
    lines = [
        "## What it shows",
        "",
        "Three figures are MobileNetV2's, GoogLeNet's and SqueezeNet's. Dear methods had fewer photographs to show"
        " themselves ahead.",
        "",
    ]
    for metric in DECISIVE:
        every = [method for method in methods if stars(method, metric) == len(evaluations)]
        none = [method for method in methods if not stars(method, metric)]
        words = f"ahead of all three controls on all three networks: {', '.join(every) or 'none'}"
        lines.append(f"- *{metric}*: {words}; on none: {', '.join(none) or 'none'}.")
    lines += [
        "- Where a linear head follows global pooling, CAM, Grad-CAM, XGrad-CAM and HiResCAM are one and the same map,"
        " and on SqueezeNet, whose last maps are the classes themselves, Grad-CAM++, LayerCAM and Eigen-Grad-CAM too:"
        " rows that agree are no accident.",
        "- Best at pointing (2 x 2), in the mean of the three: "
        + "; ".join(f"{name} {means(name, 'pointing-2x2')}" for name in best)
        + f". Grad-CAM has {means('grad-cam', 'pointing-2x2')}, chance 0.25.",
        "- Deletion alone proves little: gradient x input does best or nearly so"
        f" ({means('gradient-x-input', 'deletion')})"
        f" and is behind edges at insertion ({means('gradient-x-input', 'insertion')} against"
        f" {means('edges', 'insertion')}): it scatters what it removes over the picture, and few scattered pixels"
        " upset a network. A Gaussian in the middle"
        f" ({means('centre', 'deletion')}) comes close to Grad-CAM ({means('grad-cam', 'deletion')}).",
        "- Average drop multiplies the photograph by the map; of a fine-grained map that leaves next to nothing"
        f" (gradient: {means('gradient', 'average-drop')}), whatever it shows.",
        "- While layers get random weights, from the top down, Grad-CAM's map has little to do with the real one"
        f" (Spearman {means('grad-cam', 'cascading-spearman')}), guided backpropagation's much"
        f" ({means('guided-backpropagation', 'cascading-spearman')}): much of what it shows is the photograph.",
        "- One layer's random weights change less in GoogLeNet, perhaps because its branches run side by side: look at"
        " the cascading test there.",
        "- No sensitivity to noise is no virtue: deconvolution's"
        f" ({means('deconvolution', 'sensitivity')}) is none on MobileNetV2 because there, without max pooling, its"
        " map is the same for every photograph.",
    ]
    return "\n".join(lines) + "\n"


def page(results: Path) -> str:
    evaluations = [
        trust_table.evaluation_of(name, results / f"{name}.lines.jsonl") for name in trust_table.NETWORKS
    ]
    text = [HEAD, overview(evaluations)]
    for name, found in zip(trust_table.NETWORKS, evaluations, strict=True):
        file = results / f"{name}.lines.jsonl"
        figure = cnnvis.plot_evaluation(trust_table.evaluation_of(name, file, DECISIVE), ahead=True)
        figure.savefig(PAGE.parent / "images" / f"trust-{name}.png")
        text.append(f"## {NAMES[name]}\n\n![How far ahead of the controls](images/trust-{name}.png)\n")
        text.append("\n".join(sentences(found)) + "\n")
        for place, metrics in enumerate(TABLES):
            text.append(table(found, metrics, seconds=place == 0) + "\n")
    return "\n".join([*text, BLUR])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--results", type=Path, default=Path("trust_table"), help="--output of trust_table.py"
    )
    PAGE.write_text(page(parser.parse_args().results), encoding="utf-8")


if __name__ == "__main__":
    main()
