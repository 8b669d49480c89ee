"""What computations return: frozen dataclasses of arrays and names, nothing else.

Pictures (`render/`) and widgets (`widgets/`) are made from these and know nothing of networks.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np


@dataclass(frozen=True)
class LayerInfo:
    """A layer that puts out feature maps.

    path: names through nested models joined by "/", as in "backbone/conv4_block6_out".
    kind: "convolution", "activation", "merge", "pooling", "normalization" or "other".
    shape: (h, w, c) of what it puts out for one picture.
    units: c.
    """

    path: str
    kind: str
    shape: tuple[int, int, int]
    units: int


@dataclass(frozen=True)
class Prediction:
    """One class with the network's answer for it.

    index: of the class, from 0.
    probability: in [0, 1], by the network's own head.
    logit: the score before that head.
    """

    index: int
    name: str
    probability: float
    logit: float


@dataclass(frozen=True)
class Target:
    """The number that a heatmap explains: a class's logit, or another one made of what the network puts out.

    index: of the class, of the first of several, or of the unit.
    weights: (index, weight) of several; () stands for the one at ``index``.
    of: what is weighed: "logit", "probability", or "unit", the mean over space of a layer's units.
    layer: those units' layer.

    `Network.target` and `Network.unit` make these.
    """

    index: int
    name: str
    weights: tuple[tuple[int, float], ...] = ()
    of: str = "logit"
    layer: str = ""

    @property
    def probability(self) -> Target:
        """The same classes' probability in place of their logit."""
        return replace(self, of="probability", name=f"probability of {self.name}")


@dataclass(frozen=True)
class FeatureMaps:
    """All units of one layer on one image.

    values: (h, w, c) float32, read-only: the network remembers the same array.
    network: its name.
    image: RGB uint8 (H, W, 3), as given.
    """

    values: np.ndarray
    layer: LayerInfo
    network: str
    image: np.ndarray = field(repr=False)

    @property
    def signed(self) -> bool:
        """Whether there are values of both signs: they are shown with zero in the middle of the colours."""
        finite = np.isfinite(self.values)
        return bool((finite & (self.values < 0)).any() and (finite & (self.values > 0)).any())


@dataclass(frozen=True)
class FilterPictures:
    """Pictures that excite units, strongest first.

    images: (n, H, W, 3) uint8.
    units: (n,) int.
    activations: (n,) float32, the mean over space that each reaches.
    history: (n, steps) float32, the activation before each step.
    remarks: one for each picture, why its unit stayed off, else empty.
    """

    images: np.ndarray
    units: np.ndarray
    activations: np.ndarray
    history: np.ndarray
    layer: LayerInfo
    network: str
    recipe: str
    seed: int
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class MadePictures:
    """Pictures made for an objective, in the order of its numbers.

    images: (n, H, W, 3) uint8.
    values: (n,) float32, the objective reached.
    history: (n, steps) float32, before each step.
    """

    images: np.ndarray
    values: np.ndarray
    history: np.ndarray
    network: str
    recipe: str
    seed: int


@dataclass(frozen=True)
class TopPatches:
    """The patches of photographs that excite units most, strongest first; those of a unit are a row.

    images: (n, k, h, w, 3) uint8; grey is padding beyond the photograph, or no patch.
    values: (n, k) float32, the activation there; NaN where there is no k-th patch.
    positions: (n, k, 2) int, (y, x) in the layer's map; -1 where there is none.
    sources: (n, k) names of photographs, "" where there is none.
    boxes: (n, k, 4) int, top, left, bottom, right in pixels of the network's input, inclusive.
    units: (n,) int.
    searched: how many photographs were looked at; those that cannot be read do not count.
    """

    images: np.ndarray
    values: np.ndarray
    positions: np.ndarray
    sources: tuple[tuple[str, ...], ...]
    boxes: np.ndarray
    units: np.ndarray
    layer: LayerInfo
    network: str
    searched: int

    @property
    def active(self) -> np.ndarray:
        """(n,) bool: whether a unit is active on any of the photographs; elsewhere the patches mean nothing."""
        return np.nan_to_num(self.values).max(axis=1) > 0


@dataclass(frozen=True)
class Link:
    """One unit's weight in a convolution: how strongly it stands for another.

    layer: path of the layer that has it; "" is the network's input.
    weight: the sum of the kernel's values.
    strength: the kernel's length, the root of the sum of their squares.
    """

    layer: str
    unit: int
    weight: float
    strength: float


@dataclass(frozen=True)
class UnitCard:
    """All there is to know of one unit at a glance.

    picture: (H, W, 3) uint8, synthetic: what excites it; ``reached`` is the mean activation there, ``remark`` why
        it stayed off, else empty.
    patches: `TopPatches` of this unit alone.
    counts: (bins,) int, how often it puts out which activation on the photographs, between ``edges``, (bins + 1,)
        float32.
    kernels: (k, kh, kw) float32 of the source's ``kernel_channels``, strongest first; (1, kh, kw, 3) where it looks
        at colours; (0, 0, 0) where it has none.
    before: the units that its convolution weighs most, strongest first.
    after: the units whose convolutions weigh it most.
    """

    picture: np.ndarray
    reached: float
    recipe: str
    remark: str
    patches: TopPatches
    counts: np.ndarray
    edges: np.ndarray
    kernels: np.ndarray
    kernel_channels: tuple[int, ...]
    before: tuple[Link, ...]
    after: tuple[Link, ...]
    layer: LayerInfo
    unit: int
    network: str


@dataclass(frozen=True)
class Ablation:
    """How the network's answer moves when units are silenced.

    before: the top classes of the whole network, and the new top class where it is none of them.
    after: the same classes in the same order, with the units at zero.
    logits_before, logits_after: (classes,) float32.
    units: those silenced.
    """

    before: list[Prediction]
    after: list[Prediction]
    logits_before: np.ndarray
    logits_after: np.ndarray
    layer: LayerInfo
    units: tuple[int, ...]
    network: str


@dataclass(frozen=True)
class Concepts:
    """A layer's maps on one image as a mixture of a few parts, the largest part of all pictures first.

    maps: (parts, h, w) float32, >= 0: how much of each part is where, summed over channels.
    directions: (parts, c) float32, >= 0: each part's share of the channels; a row sums to 1.
    explained: the share of the layer's positive activity (its squares) that the mixture gives again.
    image: RGB uint8 (H, W, 3), as given.
    even: the layer puts out the same everywhere.
    """

    maps: np.ndarray
    directions: np.ndarray
    explained: float
    layer: LayerInfo
    network: str
    image: np.ndarray = field(repr=False)
    even: bool = False

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
        Raises `CnnvisError` for an opacity outside [0, 1], a part that is not there, or more parts than colours can be
        told apart.
        """
        from cnnvis_widgets.render.concepts import overlay

        return overlay(self.image, self.maps, opacity, parts)


@dataclass(frozen=True)
class Heatmap:
    """Where the evidence for a target lies, at the resolution of the explained layer or of the network's input.

    values: (h, w) float32 in [0, 1], or in [-1, 1] where ``signed``; all 0 without positive evidence; NaN stays.
    raw: (h, w) float32, the method's own numbers, unscaled.
    layer: its path is "input" where a method explains the input's pixels.
    score: the target's logit; the output as it is where ``Network.head`` is "none".
    image: RGB uint8 (H, W, 3), as given.
    details: what a method says of itself, such as "completeness gap".
    """

    values: np.ndarray
    raw: np.ndarray
    layer: LayerInfo
    target: Target
    method: str
    score: float
    network: str
    image: np.ndarray = field(repr=False)
    signed: bool = False
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
        the heatmap's colour. colormap: any matplotlib name; None gives `render.colormaps.default(signed)`.
        Raises `CnnvisError` for an opacity outside [0, 1] or an unknown colormap.
        """
        from cnnvis_widgets.render.pictures import overlay

        return overlay(self.image, self.values, opacity, colormap, self.signed)


@dataclass(frozen=True)
class Epoch:
    """What a network was like after an epoch of its training.

    number: 0 is before training.
    logs: as Keras gives them: "loss", "accuracy", "val_loss", ...
    kernels: (units, kh, kw, n) float32.
    names: of the pictures.
    answers: the top class of each picture.
    heatmaps: one for each picture.
    """

    number: int
    logs: Mapping[str, float]
    kernels: np.ndarray
    names: tuple[str, ...]
    answers: tuple[Prediction, ...]
    heatmaps: tuple[Heatmap, ...]


@dataclass(frozen=True)
class EvaluationRow:
    """One method by one metric, over all photographs.

    low, high: of the 95 % interval of the mean, by bootstrap over photographs; NaN of a single one.
    n: photographs that have a value.
    beats: the controls it is better than by more than the interval of the paired difference; none on fewer than 6.
    ahead: that difference from the control hardest to beat, photograph by photograph (mean, low, high); above 0 is
    better, whichever way the metric goes. NaN of a control.
    """

    method: str
    metric: str
    mean: float
    low: float
    high: float
    n: int
    beats: tuple[str, ...]
    ahead: tuple[float, float, float] = (math.nan,) * 3


@dataclass(frozen=True)
class Evaluation:
    """Methods by metrics: how far their heatmaps can be trusted on some photographs.

    rows: all metrics of the first method, then of the second, ...
    values: (methods, metrics, images) float64, NaN where there is none.
    seconds: (methods, images) float64, to make one heatmap.
    methods: by name, the controls last.
    better: "higher" or "lower", for each metric.
    images: their names.
    """

    rows: tuple[EvaluationRow, ...]
    values: np.ndarray = field(repr=False)
    seconds: np.ndarray = field(repr=False)
    methods: tuple[str, ...]
    metrics: tuple[str, ...]
    better: tuple[str, ...]
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
            spent = self.seconds_per_image(method)
            lines.append((method, "-" if np.isnan(spent) else f"{spent:.2g}", *cells))
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
        interval = f" [{row.low:.3f}, {row.high:.3f}]" if row.n > 1 else ""
        return f"{row.mean:.3f}{interval}{star}"


@dataclass(frozen=True)
class Randomization:
    """The same heatmap with the weights of some layers in random order.

    layers: how many layers, from the top of the network down, and ``layer`` the lowest of them.
    values: as `Heatmap.values`.
    ssim, spearman: structural similarity and rank correlation with the real one.
    """

    layers: int
    layer: str
    values: np.ndarray = field(repr=False)
    ssim: float
    spearman: float


@dataclass(frozen=True)
class Trust:
    """How far one heatmap of one photograph can be trusted: against controls, and against random weights.

    fractions: (n,) of the picture that is hidden, or shown.
    deletion, insertion: (n,) the class's probability, by the method's name, then by each control's.
    deletion_areas, insertion_areas: below the curves; lower is better for deletion, higher for insertion.
    randomization: with ever more layers random, of the ``layers`` that have weights.
    verdict: "" while it is not known, else the key of the ``sentence``, which is filled in with ``words``.
    """

    heatmap: Heatmap
    fractions: np.ndarray
    deletion: Mapping[str, np.ndarray]
    insertion: Mapping[str, np.ndarray]
    deletion_areas: Mapping[str, float]
    insertion_areas: Mapping[str, float]
    randomization: tuple[Randomization, ...]
    layers: int
    verdict: str
    words: Mapping[str, str]
    sentence: str
