"""The table of attribution methods, and the one verb that uses it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from cnnvis_widgets.compute import cam, runs
from cnnvis_widgets.errors import MethodError, did_you_mean
from cnnvis_widgets.images import load_image
from cnnvis_widgets.networks.network import Network, check_network
from cnnvis_widgets.results import Heatmap, LayerInfo, Target


@dataclass(frozen=True)
class Method:
    """One row of the table: what a dropdown, the command line and the docs show of a method."""

    name: str
    family: str
    formula: str
    paper: str
    costs: str
    function: Callable[[np.ndarray, np.ndarray], np.ndarray] = field(repr=False)


_ONE_PASS = "one forward and one backward pass, for all layers together"
_TABLE = (
    Method(
        "grad-cam",
        "cam",
        "ReLU(sum_k mean(g_k) A_k)",
        "Selvaraju et al. 2017, arXiv:1610.02391",
        _ONE_PASS,
        cam.grad_cam,
    ),
    Method(
        "hires-cam",
        "cam",
        "ReLU(sum_k g_k * A_k)",
        "Draelos and Carin 2020, arXiv:2011.08891",
        _ONE_PASS,
        cam.hires_cam,
    ),
    Method(
        "layer-cam",
        "cam",
        "ReLU(sum_k ReLU(g_k) * A_k)",
        "Jiang et al. 2021, doi:10.1109/TIP.2021.3089943",
        _ONE_PASS,
        cam.layer_cam,
    ),
)


def methods() -> tuple[Method, ...]:
    """Every attribution method, one row each: .name, .family, .formula, .paper, .costs."""
    return _TABLE


def find_method(name: str) -> Method:
    """The row of that name; case, spaces, "-" and "_" do not matter. Raises `MethodError`."""
    table = {_plain(method.name): method for method in _TABLE}
    if _plain(name) not in table:
        names = [method.name for method in _TABLE]
        raise MethodError(f"There is no method {name!r}; {did_you_mean(name, names)} methods() lists all.")
    return table[_plain(name)]


def explain(
    network: Network,
    image,
    method: str = "grad-cam",
    layer: str | LayerInfo | None = None,
    target: int | str | Target | None = None,
) -> Heatmap:
    """Where in the image the evidence for a target lies.

    image: anything `load_image` takes. layer: a path; None gives ``network.default_layer``. target: the class
    whose logit (the score before softmax or sigmoid) is explained, by index or name; None gives the top one.
    Returns a `Heatmap` of (h, w) float32 at the layer's resolution, divided by its own maximum; where there is
    no positive evidence it is all zero and ``.message`` says so. A network whose ``head`` is "none" is explained by its
    outputs as they are.
    Raises `MethodError`, `UnknownLayerError`, `ImageError`, or `CnnvisError` for an unknown target.
    """
    check_network(network, "explain")
    return explain_layers(network, image, method, [network.layer(layer)], target)[0]


def explain_layers(
    network: Network,
    image,
    method: str = "grad-cam",
    layers: Sequence[str | LayerInfo] | None = None,
    target: int | str | Target | None = None,
) -> list[Heatmap]:
    """`explain` at many layers (None: at all of them) with one forward and one backward pass."""
    check_network(network, "explain_layers")
    row = find_method(method)
    image = load_image(image)
    infos = [network.layer(layer) for layer in (network.layers if layers is None else layers)]
    asked = None if target is None else network.target(target).index
    index, logits, activations, gradients = runs.gradients(
        network, image, asked, [info.path for info in infos]
    )
    explained = Target(index, network.class_names[index])
    score = float(logits[index])
    heatmaps = []
    for info in infos:
        with np.errstate(invalid="ignore", over="ignore"):  # NaN is told by Heatmap.message
            raw = row.function(activations[info.path], gradients[info.path]).astype(np.float32)
        heatmaps.append(
            Heatmap(share_of_maximum(raw), raw, info, explained, row.name, score, network.name, image)
        )
    return heatmaps


def share_of_maximum(raw: np.ndarray) -> np.ndarray:
    """A map >= 0 divided by its finite maximum; no epsilon, which would dim weak maps. Zero and NaN stay so."""
    highest = raw[np.isfinite(raw)].max(initial=0)
    return raw / highest if highest > 0 else raw


def _plain(name: object) -> str:
    return "".join(letter for letter in str(name).lower() if letter.isalnum())
