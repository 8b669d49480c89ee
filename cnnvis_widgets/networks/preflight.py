"""What a person should know of a network before anything heavy: size, colours, values, classes, memory, and doubts.

The idea: nothing is guessed in silence. What preprocessing does is found by trying it on colours, why it is assumed is
said, and answers to real photographs that hardly differ, or are all certain, point to wrong input.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from cnnvis_widgets.networks.network import Network

_FLOAT = 4  # bytes
# On the four sample photographs, trained networks given the right input differed by 0.9 and more, and were at most 0.75
# certain in the mean; given input of a wrong scale some differed by 0.03 and less, or were 0.999 certain.
_ALIKE = 0.05
_CERTAIN = 0.99
_FEW = 5  # with fewer classes than this, being certain is nothing special


@dataclass(frozen=True)
class Preflight:
    """Facts about a network that cost nothing to find; ``str()`` of it is for people."""

    network: str
    input_size: tuple[int, int]
    channels: int
    colours: str  # "RGB", "BGR", "grey", or "unknown"
    values: tuple[float, float]  # what black and white become
    why: str  # who said that this is the right scale
    classes: int
    head: str
    layers: int
    parameters: int
    bytes_of_weights: int
    bytes_of_layers: int  # of all layers' outputs on one picture; gradients take as much again

    def __str__(self) -> str:
        height, width = self.input_size
        low, high = self.values
        head = "no softmax or sigmoid" if self.head == "none" else self.head
        rows = (
            ("network", self.network),
            ("input", f"{height} x {width} pixels, {_counted(self.channels, 'channel')}, {self.colours}"),
            ("values", f"{low:.4g} (black) to {high:.4g} (white): {self.why}"),
            ("scores", f"{_counted(self.classes, 'class', 'classes')}, {head}"),
            ("layers", f"{_counted(self.layers, 'layer')} to look at, {self.parameters:,} parameters"),
            (
                "memory",
                f"about {megabytes(self.bytes_of_weights)} of weights, "
                f"{megabytes(2 * self.bytes_of_layers)} for one picture's maps and gradients",
            ),
        )
        return "\n".join(f"{name:<8} {words}" for name, words in rows)


def preflight(network: Network) -> Preflight:
    """`Preflight` of a network; its model is not run."""
    calls = network.probe.calls
    sizes = [np.prod([side or 1 for side in call.shape], dtype=np.int64) for call in calls]
    weights = network.model.weights
    low, high, colours = _colours(network)
    return Preflight(
        network.name,
        network.input_size,
        network.probe.input_shape[-1],
        colours,
        (low, high),
        _why(network, [call.type_name for call in calls]),
        network.probe.classes,
        network.head,
        len(network.layers),
        int(sum(np.prod(weight.shape, dtype=np.int64) for weight in weights)),
        int(sum(np.prod(weight.shape, dtype=np.int64) * _itemsize(weight) for weight in weights)),
        int(sum(sizes)) * _FLOAT,
    )


def doubts(network: Network, photographs: Iterable[np.ndarray]) -> str:
    """One sentence where answers to real photographs look like wrong preprocessing, with the likely remedy, else "".

    photographs: at least three that show different things. Runs the network on each.
    """
    logits = np.stack([network.logits(photograph) for photograph in photographs])
    if not np.isfinite(logits).all():
        seems = "answers with values that are no numbers"
    elif float(np.ptp(answers := network.probabilities(logits), axis=0).max()) < _ALIKE:
        seems = "answers nearly the same to photographs of different things"
    elif answers.shape[1] >= _FEW and network.head != "sigmoid" and answers.max(axis=1).min() > _CERTAIN:
        seems = "is certain about every photograph, whatever it shows"
    else:
        return ""
    return f"{network.name} {seems}; perhaps its input is prepared wrongly: {_remedy(network)}."


def _remedy(network: Network) -> str:
    """What most likely helps, going by what the network is given now."""
    low, high, _colours_found = _colours(network)
    scales = any(call.type_name in ("Rescaling", "Normalization") for call in network.probe.calls)
    if abs(high - low) < 128:
        before = "it scales its input itself" if scales else "if it was trained on values from 0 to 255"
        return f"{before}, give preprocess=lambda pixels: pixels"
    if scales:
        return "it scales its input itself, so its weights may be untrained or of another network"
    return (
        "if it was trained on values in [0, 1], give preprocess=lambda pixels: pixels / 255, "
        "if in [-1, 1], pixels / 127.5 - 1"
    )


def _colours(network: Network) -> tuple[float, float, str]:
    """What black and white become, and the order of the colours, found by trying a picture of four stripes."""
    height, width = network.input_size
    edges = np.arange(5) * width // 4
    picture = np.zeros((height, width, 3), np.uint8)
    for place, colour in enumerate(((0, 0, 0), (255, 255, 255), (255, 0, 0), (0, 0, 255))):
        picture[:, edges[place] : edges[place + 1]] = colour
    inputs = network.prepare(picture)[0, height // 2]
    black, white, red, blue = (inputs[min(place, width - 1)] for place in (edges[:-1] + edges[1:]) // 2)
    if inputs.shape[-1] == 1:
        return float(black.mean()), float(white.mean()), "grey"
    order = "unknown"
    if inputs.shape[-1] == 3 and width >= 4:
        first, last = red[0] - blue[0], red[-1] - blue[-1]
        order = "RGB" if first > last else "BGR" if last > first else "unknown"
    return float(black.mean()), float(white.mean()), order


def _why(network: Network, types: list[str]) -> str:
    scaling = next((name for name in types if name in ("Rescaling", "Normalization")), None)
    if network.preprocess is not None:
        return "its preprocess says so"
    if scaling:
        return f"its own layer {scaling} goes on from there"
    return "assumed, nothing says otherwise; preprocess= changes it"


def megabytes(count: int) -> str:
    """Bytes for people: "12 MB", "1.5 GB"."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{max(count / 1e6, 0.1):.{int(count < 1e7)}f} MB"


def _itemsize(weight) -> int:
    return (
        2
        if "16" in str(weight.dtype)
        else 8
        if "64" in str(weight.dtype)
        else 1
        if "8" in str(weight.dtype)
        else 4
    )


def _counted(number: int, one: str, many: str | None = None) -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"
