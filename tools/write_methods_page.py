"""docs/methods.md from the table of methods, so that the page never says other things than the program.

python tools/write_methods_page.py
"""

from __future__ import annotations

import inspect
from pathlib import Path

import cnnvis_widgets as cnnvis
from cnnvis_widgets.cli.common import in_markdown

PAGE = Path(__file__).resolve().parents[1] / "docs" / "methods.md"
FAMILIES = {
    "cam": "Class activation maps: sums of a layer's maps, at its resolution",
    "gradient": "Gradients: what each pixel does to the score",
    "perturbation": "Hiding parts of the picture: nothing of the network's inside is looked at",
}
INTRODUCTION = """\
# Attribution methods

`python tools/write_methods_page.py` writes this page from the table that `methods()`, the Explorer and `cnnvis explain`
read.

S is the score explained (a class's logit unless another target is asked for), A_k the map of channel k at the layer,
g_k the gradient of S there, x the network's input and x' an empty one, p a probability. Maps are shown divided by their
own largest magnitude: two of them can be compared by where they are strong, not by how strong they are.

    heatmap = cnnvis.explain(network, image, method="layer-cam", layer="block4_conv3", target="tabby")

## What is explained

| target | in code | `--target` |
|---|---|---|
| the top class | `None` | leave it out |
| a class's logit | `"tabby"` or `281` | `tabby` |
| one class rather than another | `{"tabby": 1, "tiger cat": -1}` | `"tabby - tiger cat"` |
| several classes | `["tabby", "tiger cat"]` | `"tabby + tiger cat"` |
| what speaks against a class | `{"tabby": -1}` | `"!tabby"` |
| its probability | `network.target("tabby").probability` | `"probability of tabby"` |
| a unit of an inner layer | `network.unit("block4_conv3", 7)` | `"unit 7 of block4_conv3"` |

The slope of a probability is p_c (g_c - sum of p_k g_k). For a top class that the network is sure of it points where
the logit's does; for any other class it tells what speaks for that class *rather than the top one*, which looks quite
different from what speaks for the class. So the logit is what is explained unless the probability is asked for.

Several images at once (`explain(network, [one, other])`) go through the network together where a method takes one pass.
`augment=True` explains six versions of the image (mirrored and not, at 90, 100 and 110 % of its brightness), turns
their maps back and shows the mean.
"""
PARTS = """\
## Parts, whatever the class

`concepts(network, image, layer, parts=5)` takes a layer's maps apart: min over W, H >= 0 of ||ReLU(A) - W H||^2, with W
what is where and H which channels it is made of (deep feature factorization, Collins et al. 2018, arXiv:1806.10206).
A list of images shares its parts. `plot_concepts` draws them, the Explorer's button Parts shows them.
"""


def page() -> str:
    """The page as text."""
    text = [INTRODUCTION]
    for family, words in FAMILIES.items():
        rows = [row for row in cnnvis.methods() if row.family == family]
        text.append(f"## {words}\n")
        text.append("| method | formula | paper | costs | options |\n|---|---|---|---|---|")
        text += [_line(row) for row in rows]
        text.append("")
    blind = [row for row in cnnvis.methods() if len(row.depends_on) < 2]
    text.append("## Known not to depend on everything\n")
    text += [f"- `{row.name}`: not on {_missing(row)}." for row in blind]
    text.append(f"\n{PARTS}")
    return "\n".join(text)


def _line(row) -> str:
    words = " | ".join(in_markdown(one) for one in (row.formula, row.paper, row.costs))
    return f"| `{row.name}` | {words} | {_options(row)} |"


def _options(row) -> str:
    if row.needs != "runs":
        return ""
    given = list(inspect.signature(row.function).parameters.values())[1:]
    return ", ".join(f"`{one.name}={one.default}`" for one in given)


def _missing(row) -> str:
    words = {"class": "the class", "weights": "the later layers' weights"}
    return " and not on ".join(what for name, what in words.items() if name not in row.depends_on)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
