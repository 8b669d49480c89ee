"""What computations return: frozen dataclasses of arrays and names, nothing else.

Pictures (`render/`) and widgets (`widgets/`) are made from these and know nothing of networks.
"""

from __future__ import annotations

from collections.abc import Mapping
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
    weights: tuple[
        tuple[int, float], ...
    ] = ()  # (index, weight) of several; () stands for the one at ``index``
    of: str = (
        "logit"  # what is weighed: "logit", "probability", or "unit": the mean over space of a layer's units
    )
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

    before: list[
        Prediction
    ]  # the top classes of the whole network, and the new top class where it is none of them
    after: list[Prediction]  # the same classes in the same order, with the units at zero
    logits_before: np.ndarray  # (classes,) float32
    logits_after: np.ndarray  # (classes,) float32
    layer: LayerInfo
    units: tuple[int, ...]
    network: str


@dataclass(frozen=True)
class Heatmap:
    """Where the evidence for a target lies, at the resolution of the explained layer or of the network's input."""

    values: (
        np.ndarray
    )  # (h, w) float32: [0, 1], or [-1, 1] where signed; all 0 without positive evidence; NaN stays
    raw: np.ndarray  # (h, w) float32: the method's own numbers, unscaled
    layer: LayerInfo  # its path is "input" where a method explains the input's pixels
    target: Target
    method: str
    score: float  # the target's logit; the output as it is where ``Network.head`` is "none"
    network: str
    image: np.ndarray = field(repr=False)  # RGB uint8 (H, W, 3), as given
    signed: bool = False
    details: Mapping[str, float] = field(
        default_factory=dict
    )  # what a method says of itself: "completeness gap"

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

    def overlay(self, opacity: float = 0.4, colormap: str | None = None) -> np.ndarray:
        """The heatmap over its image: RGB uint8 (H, W, 3) at the image's own size.

        The coarse map is enlarged first (bilinear) and then coloured; ``opacity`` in [0, 1] is the share of
        the heatmap's colour. Colormap: any matplotlib name; default `render.colormaps.default(signed)`.
        """
        from cnnvis_widgets.render.pictures import overlay

        return overlay(self.image, self.values, opacity, colormap, self.signed)
