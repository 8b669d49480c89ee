"""What computations return: frozen dataclasses of arrays and names, nothing else.

Pictures (`render/`) and widgets (`widgets/`) are made from these and know nothing of networks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np


@dataclass(frozen=True)
class LayerInfo:
    """A layer that puts out feature maps."""

    path: str  # names through nested models joined by "/": "backbone/conv4_block6_out"
    kind: str  # "convolution", "activation", "merge", "pooling", "normalization" or "other"
    shape: tuple[int, int, int]  # (h, w, c)
    units: int  # c


@dataclass(frozen=True)
class Prediction:
    """One class with the network's answer for it."""

    index: int
    name: str
    probability: float
    logit: float


@dataclass(frozen=True)
class Target:
    """The number that a heatmap explains: a class's logit, or another one made of what the network puts out.

    `Network.target` and `Network.unit` make these.
    """

    index: int  # of the class, of the first of several, or of the unit
    name: str
    # (index, weight) of several; () stands for the one at ``index``
    weights: tuple[tuple[int, float], ...] = ()
    # What is weighed: "logit", "probability", or "unit": the mean over space of a layer's units
    of: str = "logit"
    layer: str = ""  # the units' layer

    @property
    def probability(self) -> Target:
        """The same classes' probability in place of their logit."""
        return replace(self, of="probability", name=f"probability of {self.name}")


@dataclass(frozen=True)
class FeatureMaps:
    """All units of one layer on one image."""

    values: np.ndarray  # (h, w, c) float32, read-only: the network remembers the same array
    layer: LayerInfo
    network: str
    image: np.ndarray = field(repr=False)  # RGB uint8 (H, W, 3), as given

    @property
    def signed(self) -> bool:
        """Whether there are values of both signs: they are shown with zero in the middle of the colours."""
        finite = np.isfinite(self.values)
        return bool((finite & (self.values < 0)).any() and (finite & (self.values > 0)).any())


@dataclass(frozen=True)
class FilterPictures:
    """Pictures that excite units, strongest first."""

    images: np.ndarray  # (n, H, W, 3) uint8
    units: np.ndarray  # (n,) int
    activations: np.ndarray  # (n,) float32: the mean activation reached
    history: np.ndarray  # (n, steps) float32
    layer: LayerInfo
    network: str
    recipe: str
    seed: int
    remarks: tuple[str, ...] = ()  # one for each picture: why a unit stayed off, else empty


@dataclass(frozen=True)
class MadePictures:
    """Pictures made for an objective, in the order of its numbers."""

    images: np.ndarray  # (n, H, W, 3) uint8
    values: np.ndarray  # (n,) float32: the objective reached
    history: np.ndarray  # (n, steps) float32
    network: str
    recipe: str
    seed: int


@dataclass(frozen=True)
class TopPatches:
    """The patches of photographs that excite units most, strongest first; those of a unit are a row."""

    images: np.ndarray  # (n, k, h, w, 3) uint8; grey is padding beyond the photograph, or no patch
    values: np.ndarray  # (n, k) float32: the activation there; NaN where there is no k-th patch
    positions: np.ndarray  # (n, k, 2) int: (y, x) in the layer's map; -1 where there is none
    sources: tuple[tuple[str, ...], ...]  # (n, k): names of photographs, "" where there is none
    boxes: np.ndarray  # (n, k, 4) int: top, left, bottom, right in pixels of the network's input, inclusive
    units: np.ndarray  # (n,) int
    layer: LayerInfo
    network: str
    searched: int  # how many photographs there were

    @property
    def active(self) -> np.ndarray:
        """(n,) bool: whether a unit is active on any of the photographs; elsewhere the patches mean nothing."""
        return np.nan_to_num(self.values).max(axis=1) > 0


@dataclass(frozen=True)
class Link:
    """One unit's weight in a convolution: how strongly it stands for another."""

    layer: str  # path of the layer that has it; "" is the network's input
    unit: int
    weight: float  # the sum of the kernel's values
    strength: float  # the kernel's length: the root of the sum of their squares


@dataclass(frozen=True)
class UnitCard:
    """All there is to know of one unit at a glance."""

    picture: np.ndarray  # (H, W, 3) uint8: what excites it, synthetic
    reached: float  # the mean activation there
    recipe: str
    remark: str  # why it stayed off, else empty
    patches: TopPatches  # of this unit alone
    counts: np.ndarray  # (bins,) int: how often it puts out which activation on the photographs
    edges: np.ndarray  # (bins + 1,) float32
    kernels: np.ndarray  # (k, kh, kw) float32, or (1, kh, kw, 3) where it looks at colours; none: (0, 0, 0)
    kernel_channels: tuple[int, ...]  # of the source, strongest first
    before: tuple[Link, ...]  # the units that its convolution weighs most, strongest first
    after: tuple[Link, ...]  # the units whose convolutions weigh it most
    layer: LayerInfo
    unit: int
    network: str


@dataclass(frozen=True)
class Ablation:
    """How the network's answer moves when units are silenced."""

    # The top classes of the whole network, and the new top class where it is none of them
    before: list[Prediction]
    after: list[Prediction]  # the same classes in the same order, with the units at zero
    logits_before: np.ndarray  # (classes,) float32
    logits_after: np.ndarray  # (classes,) float32
    layer: LayerInfo
    units: tuple[int, ...]
    network: str


@dataclass(frozen=True)
class Concepts:
    """A layer's maps on one image as a mixture of a few parts, the largest part of all pictures first."""

    maps: np.ndarray  # (parts, h, w) float32, >= 0: how much of each part is where, summed over channels
    directions: np.ndarray  # (parts, c) float32, >= 0: each part's share of the channels; a row sums to 1
    explained: float  # share of the layer's positive activity (its squares) that the mixture gives again
    layer: LayerInfo
    network: str
    image: np.ndarray = field(repr=False)  # RGB uint8 (H, W, 3), as given
    even: bool = False  # the layer puts out the same everywhere

    @property
    def share(self) -> np.ndarray:
        """(parts,) float64: each part's share of all that the parts add up to here."""
        sums = self.maps.sum(axis=(1, 2), dtype=np.float64)
        return sums / (sums.sum() or 1)

    @property
    def message(self) -> str:
        """Said instead of parts that would tell nothing, else empty."""
        if not np.isfinite(self.maps).all():
            return f"{self.network} gave values that are no numbers at {self.layer.path}"
        if not self.maps.any():
            return f"nothing above 0 at {self.layer.path}, so there are no parts"
        return f"{self.layer.path} puts out the same everywhere, so no part is anywhere" if self.even else ""

    def overlay(self, opacity: float = 0.6, parts: Iterable[int] | None = None) -> np.ndarray:
        """The parts in colours of their own over the greyed photograph: RGB uint8 (H, W, 3) at the image's own size.

        Each place has the colour of its mixture, as strong as what its parts add up to; ``opacity`` in [0, 1] is that
        of the strongest place. parts: which ones, by number from 0; None gives all.
        Raises `CnnvisError` for more parts than colours can be told apart.
        """
        from cnnvis_widgets.render.concepts import overlay

        return overlay(self.image, self.maps, opacity, parts)


@dataclass(frozen=True)
class Heatmap:
    """Where the evidence for a target lies, at the resolution of the explained layer or of the network's input."""

    # (h, w) float32: [0, 1], or [-1, 1] where signed; all 0 without positive evidence; NaN stays
    values: np.ndarray
    raw: np.ndarray  # (h, w) float32: the method's own numbers, unscaled
    layer: LayerInfo  # its path is "input" where a method explains the input's pixels
    target: Target
    method: str
    score: float  # the target's logit; the output as it is where ``Network.head`` is "none"
    network: str
    image: np.ndarray = field(repr=False)  # RGB uint8 (H, W, 3), as given
    signed: bool = False
    # What a method says of itself: "completeness gap"
    details: Mapping[str, float] = field(default_factory=dict)

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        """The values: ``np.asarray(heatmap)``."""
        return self.values.astype(dtype or self.values.dtype)

    @property
    def message(self) -> str:
        """Said instead of a blank map, else empty."""
        where = f"for {self.target.name!r} at {self.layer.path}"
        if not np.isfinite(self.raw).all():
            return f"{self.network} gave values that are no numbers {where}"
        evidence = "evidence" if self.signed else "positive evidence"
        return "" if self.raw.any() else f"no {evidence} {where}"

    @property
    def augmented(self) -> bool:
        """Whether it is the mean over several versions of the image (``explain(..., augment=True)``)."""
        return "versions averaged" in self.details

    def overlay(self, opacity: float = 0.4, colormap: str | None = None) -> np.ndarray:
        """The heatmap over its image: RGB uint8 (H, W, 3) at the image's own size.

        The coarse map is enlarged first (bilinear) and then coloured; ``opacity`` in [0, 1] is the share of
        the heatmap's colour. Colormap: any matplotlib name; default `render.colormaps.default(signed)`.
        """
        from cnnvis_widgets.render.pictures import overlay

        return overlay(self.image, self.values, opacity, colormap, self.signed)


@dataclass(frozen=True)
class Epoch:
    """What a network was like after an epoch of its training."""

    number: int  # 0: before training
    logs: Mapping[str, float]  # as Keras gives them: "loss", "accuracy", "val_loss", ...
    kernels: np.ndarray  # (units, kh, kw, n) float32
    names: tuple[str, ...]  # of the pictures
    answers: tuple[Prediction, ...]  # the top class of each picture
    heatmaps: tuple[Heatmap, ...]  # one for each picture


@dataclass(frozen=True)
class EvaluationRow:
    """One method by one metric, over all photographs."""

    method: str
    metric: str
    mean: float
    low: float  # of the 95 % interval of the mean, by bootstrap over photographs
    high: float
    n: int  # photographs that have a value
    # The controls it is better than by more than the interval of the paired difference
    beats: tuple[str, ...]


@dataclass(frozen=True)
class Evaluation:
    """Methods by metrics: how far their heatmaps can be trusted on some photographs."""

    rows: tuple[EvaluationRow, ...]  # all metrics of the first method, then of the second, ...
    values: np.ndarray = field(repr=False)  # (methods, metrics, images) float64, NaN where there is none
    seconds: np.ndarray = field(repr=False)  # (methods, images) float64: to make one heatmap
    methods: tuple[str, ...]  # the controls last
    metrics: tuple[str, ...]
    better: tuple[str, ...]  # "higher" or "lower", for each metric
    images: tuple[str, ...]
    controls: tuple[str, ...]
    network: str
    seed: int

    def row(self, method: str, metric: str) -> EvaluationRow:
        """The row of a method and a metric, by their names."""
        return self.rows[self.methods.index(method) * len(self.metrics) + self.metrics.index(metric)]

    def seconds_per_image(self, method: str) -> float:
        """The median over photographs: the first one may have compiled something."""
        found = self.seconds[self.methods.index(method)]
        found = found[np.isfinite(found)]
        return float(np.median(found)) if found.size else float("nan")

    def table(self, style: str = "text") -> str:
        """A line for each method: its mean of every metric, the interval in brackets; "*" where it beats all controls.

        style: "text", in columns, or "markdown".
        """
        arrows = {"higher": "↑", "lower": "↓"}
        heads = [f"{name} {arrows[way]}" for name, way in zip(self.metrics, self.better, strict=True)]
        lines = [("method", "s/image", *heads)]
        for method in self.methods:
            cells = [self._cell(self.row(method, metric)) for metric in self.metrics]
            lines.append((method, f"{self.seconds_per_image(method):.2g}", *cells))
        if style == "markdown":
            rule = ("---",) * len(lines[0])
            return "\n".join(f"| {' | '.join(line)} |" for line in (lines[0], rule, *lines[1:]))
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        padded = ((cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)
        return "\n".join("  ".join(line).rstrip() for line in padded)

    def _cell(self, row: EvaluationRow) -> str:
        if not row.n:
            return "-"
        star = "*" if self.controls and set(row.beats) == set(self.controls) else ""
        return f"{row.mean:.3f} [{row.low:.3f}, {row.high:.3f}]{star}"


@dataclass(frozen=True)
class Randomization:
    """The same heatmap with the weights of some layers in random order."""

    layers: int  # how many layers, from the top of the network down
    layer: str  # the lowest of them
    values: np.ndarray = field(repr=False)  # as `Heatmap.values`
    ssim: float  # structural similarity to the real one
    spearman: float  # rank correlation with the real one


@dataclass(frozen=True)
class Trust:
    """How far one heatmap of one photograph can be trusted: against controls, and against random weights."""

    heatmap: Heatmap
    fractions: np.ndarray  # (n,) of the picture that is hidden, or shown
    # (n,) the class's probability, by the method's name, then each control's
    deletion: Mapping[str, np.ndarray]
    insertion: Mapping[str, np.ndarray]
    deletion_areas: Mapping[str, float]  # below the curves: lower is better
    insertion_areas: Mapping[str, float]  # higher is better
    randomization: tuple[Randomization, ...]  # with ever more layers random
    layers: int  # that have weights
    verdict: str  # "" while it is not known, else the key of the sentence
    words: Mapping[str, str]  # what the sentence is filled in with
    sentence: str
