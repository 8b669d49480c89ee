"""What goes into a page: every layer's maps, heatmaps and channel weights, as much of them as the budget allows.

First of all every layer gets thumbnails of all its units, as large as an equal share of bytes allows: early layers have
few units, theirs are larger. Then whole layers come back in full, the one on screen first, the small ones next; where a
layer is too large for that, its strongest units do.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cnnvis_widgets.compute import runs
from cnnvis_widgets.compute.class_weights import is_linear_head, mean_gradients
from cnnvis_widgets.compute.explain_layers import explain_layers
from cnnvis_widgets.compute.methods import methods
from cnnvis_widgets.errors import MethodError
from cnnvis_widgets.networks.network import Network
from cnnvis_widgets.page import pack
from cnnvis_widgets.results import Heatmap, LayerInfo, Prediction
from cnnvis_widgets.widgets.payloads import halves, plane_stats
from cnnvis_widgets.widgets.shown import Shown
from cnnvis_widgets.widgets.words import heat_remarks, heat_values, message_key

_SIDES = (5, 28)  # of thumbnails: no smaller, no larger
# Values in all thumbnails of a layer
_SHARES = (64_000, 45_000, 32_000, 23_000, 16_000, 11_000, 8_000, 5_600, 4_000, 0)
# What a layer's maps take beside their bytes: the longest that `LayerIn.packed` can say.
_FRAME = {"shape": [99999] * 3, "scale": 1 / 3, "coded": False, "block": {"deflate": ""}}
_HEAT_SIDE = 64  # positions: heatmaps are smooth, none needs more
_CLASSES = 10  # the most likely ones; all where a network has no more than twice as many
_OF_THUMBNAILS = 0.7  # at most this share of the room goes to thumbnails
_OF_EXTRAS = 0.15  # and this one to all classes of a large head, or to further methods
_WEIGHTED = "grad-cam"  # the method that the browser computes for other classes


@dataclass
class LayerIn:
    """One layer of a page: ``maps`` are whole or thumbnails, ``details`` are single units of a layer kept small."""

    info: LayerInfo
    planes: np.ndarray = field(repr=False)  # (c, h, w) float32
    stats: np.ndarray = field(repr=False)  # (c, 3) float32
    exact: bool = False  # as float16, so that other classes' heatmaps come out as the kernel's
    maps: dict[str, Any] = field(default_factory=dict)
    whole: bool = False
    details: dict[int, pack.Block] = field(default_factory=dict)
    heats: list[dict[str, Any]] = field(default_factory=list)
    weights: dict[str, Any] = field(default_factory=dict)

    @property
    def signed(self) -> bool:
        return bool((self.stats[:, 0] < 0).any() and (self.stats[:, 1] > 0).any())

    @property
    def finite(self) -> bool:
        return bool(np.isfinite(self.planes).all())

    def packed(self, planes: np.ndarray) -> dict[str, Any]:
        """Some resolution of all maps, ready for the page."""
        about: dict[str, Any] = {
            "shape": list(planes.shape),
            "scale": 1.0,
            "coded": self.finite and not self.exact,
        }
        if about["coded"]:
            return about | {"block": pack.block(pack.coded(planes, self.stats, self.signed).tobytes())}
        content, about["scale"] = halves(planes)
        return about | {"block": pack.block(content)}

    def to_dict(self) -> dict[str, Any]:
        layer = {"path": self.info.path, "kind": self.info.kind, "shape": list(self.info.shape)}
        strength = np.nan_to_num(np.abs(self.stats[:, :2]).max(axis=1))
        return {
            "layer": layer,
            "maps": self.maps,
            "stats": pack.block(self.stats.astype("<f4").tobytes()),
            "strongest": int(strength.argmax()),
            "details": {str(unit): packed for unit, packed in self.details.items()},
            "heats": self.heats,
            "weights": self.weights,
        }


@dataclass(frozen=True)
class Contents:
    """What a page holds beside the view itself."""

    layers: list[LayerIn]
    classes: list[Prediction]  # whose evidence can be shown, most likely first
    target: int  # the class that all heatmaps explain
    heats: list[dict[str, Any]]  # that belong to no layer: of methods that explain the input's pixels
    left_out: list[str]  # paths of layers that did not fit

    def told(self) -> dict[str, Any]:
        """The numbers in the sentences that say what is inside."""
        small = [layer for layer in self.layers if not layer.whole]
        sides = sorted({min(layer.maps["shape"][1:]) for layer in small})
        return {
            "layers": len(self.layers),
            "whole": len(self.layers) - len(small),
            "side": "–".join(str(side) for side in dict.fromkeys(sides[:1] + sides[-1:])),
            "details": sum(len(layer.details) for layer in small),
            "left_out": self.left_out,
            "coded": any(layer.maps["coded"] for layer in self.layers),
        }


def collect(
    shown: Shown,
    panels: Sequence[str],
    room: Callable[[list[dict[str, Any]]], int],
    budget: int,
    paths: Sequence[str] | None,
    first: Sequence[str] = (),
) -> Contents:
    """Compute and choose. On the worker thread.

    panels: what the page shows. room: how many bytes are left for maps beside everything else, given the layers as
    they are then. budget: of the whole file. paths: the layers wanted; None: all, the most important first, which are
    the one on screen and those at ``first``.
    """
    network, image = shown.network, shown.image
    infos = [network.layer(path) for path in paths] if paths else list(network.layers)
    here = shown.maps.layer
    named = [network.layer(path) for path in dict.fromkeys(first)]
    infos += [info for info in dict.fromkeys([here, *named]) if info not in infos]
    infos.sort(key=_place(network))
    values = runs.activations(network, image, [info.path for info in infos])
    layers = [_layer(info, values.pop(info.path)) for info in infos]
    classes = _classes(shown)
    target = shown.heatmap.target.index if shown.heatmap else classes[0].index
    heats: list[dict[str, Any]] = []
    if "photo" in panels and shown.heatmap is not None:
        heats = _add_heatmaps(shown, layers, budget, target)
        _add_weights(network, image, layers, [one.index for one in classes], budget)
    exact = {here.path, network.default_layer.path, *network.graph.linear_layers}
    for layer in layers:
        layer.exact = layer.info.path in exact and 2 * layer.planes.size < _OF_EXTRAS * budget
    left_out = _fill(
        layers, room([layer.to_dict() | {"maps": _FRAME} for layer in layers]), [here.path, *first]
    )
    kept = [layer for layer in layers if layer.maps]
    return Contents(kept, classes, target, heats, left_out)


def _place(network: Network) -> Callable[[LayerInfo], int]:
    order = {call.path: place for place, call in enumerate(network.probe.calls)}
    return lambda info: order[info.path]


def _layer(info: LayerInfo, values: np.ndarray) -> LayerIn:
    planes = np.ascontiguousarray(np.moveaxis(values, -1, 0), np.float32)
    return LayerIn(info, planes, plane_stats(planes).astype(np.float32))


def _classes(shown: Shown) -> list[Prediction]:
    """The most likely ones, and the one that is shown."""
    network = shown.network
    few = len(network.class_names) <= 2 * _CLASSES
    listed = network.predict(shown.image, top=len(network.class_names) if few else _CLASSES)
    target = shown.heatmap.target.index if shown.heatmap else listed[0].index
    if target not in [one.index for one in listed]:
        listed += network.predictions(network.logits(shown.image), [target])
    return listed


# Heatmaps --------------------------------------------------------------------------------------------------


def _add_heatmaps(shown: Shown, layers: list[LayerIn], budget: int, target: int) -> list[dict[str, Any]]:
    """Every quick method at every layer, if there is room for that, else Grad-CAM; and what is on screen.

    Returns the heatmaps that belong to no layer.
    """
    quick = [method.name for method in methods() if method.needs == "maps"]
    cost = sum(min(h, _HEAT_SIDE) * min(w, _HEAT_SIDE) for h, w, _ in (layer.info.shape for layer in layers))
    names = quick if len(quick) * cost < _OF_EXTRAS * budget else [_WEIGHTED]
    if shown.state.method in quick and shown.state.method not in names:
        names.append(shown.state.method)
    infos = [layer.info for layer in layers]
    by_path = {layer.info.path: layer for layer in layers}
    for name in names:
        for heatmap in _explained(shown, name, infos, target):
            by_path[heatmap.layer.path].heats.append(_heat(heatmap))
    on_screen = shown.heatmap
    if on_screen is None or on_screen.method in names:
        return []
    if on_screen.layer.path not in by_path:
        return [_heat(on_screen)]
    by_path[on_screen.layer.path].heats.append(_heat(on_screen))
    return []


def _explained(shown: Shown, method: str, infos: list[LayerInfo], target: int) -> list[Heatmap]:
    """A method's heatmaps at all layers, or at those that it can explain."""
    network, image = shown.network, shown.image
    try:
        return explain_layers(network, image, method, infos, target)
    except MethodError:  # one that is for the last layer alone
        last = [info for info in infos if info.path in network.graph.linear_layers]
        with contextlib.suppress(MethodError):
            return explain_layers(network, image, method, last, target)
        return []


def _heat(heatmap: Heatmap) -> dict[str, Any]:
    values = pack.thumbnails(np.nan_to_num(heatmap.values)[None], _HEAT_SIDE)[0]
    return {
        "method": heatmap.method,
        "layer": heatmap.layer.path,
        "shape": list(values.shape),
        "signed": heatmap.signed,
        "most": float(heatmap.raw[np.isfinite(heatmap.raw)].max(initial=0)),
        "values": heat_values(heatmap),
        "remarks": heat_remarks(heatmap),
        "message": message_key(heatmap),
        "block": pack.block(pack.shares(values, heatmap.signed).tobytes()),
    }


def _add_weights(
    network: Network, image: np.ndarray, layers: list[LayerIn], classes: list[int], budget: int
) -> None:
    """Grad-CAM's channel weights: of every class where they are known and few enough, else of the likely ones."""
    for layer in layers:
        info, every = layer.info, len(network.class_names)
        head = None
        if is_linear_head(network, info) and 2 * every * info.units < _OF_EXTRAS * budget:
            head = runs.head_weights(network, image, info)
        rows = head
        if rows is None:
            rows = np.stack([mean_gradients(network, image, target, info) for target in classes])
        content, scale = halves(rows)
        named = {"from": "slopes" if head is None else "head", "classes": classes if head is None else []}
        layer.weights = named | {"scale": scale, "block": pack.block(content)}


# Room ------------------------------------------------------------------------------------------------------


def _fill(layers: list[LayerIn], room: int, first: list[str]) -> list[str]:
    """Give each layer the maps there is room for. Returns the paths of layers that got nothing."""
    if sum(layer.planes.size for layer in layers) < 8 * max(room, 0):  # else they cannot fit, however small
        whole = [layer.packed(layer.planes) for layer in layers]
        if sum(pack.size(one["block"]) for one in whole) <= room:
            for layer, maps in zip(layers, whole, strict=True):
                layer.maps, layer.whole = maps, True
            return []
    # Deep ones are small
    order = sorted(layers, key=lambda layer: (layer.info.path not in first, layer.planes.size))
    wanted, small = _thumbnails(order, room)
    for layer, maps in zip(wanted, small, strict=True):
        layer.maps = maps
        layer.whole = maps["shape"] == list(layer.planes.shape)
        room -= pack.size(maps["block"])
    _restore(wanted, room)
    return [layer.info.path for layer in layers if not layer.maps]


def _thumbnails(order: list[LayerIn], room: int) -> tuple[list[LayerIn], list[dict[str, Any]]]:
    """Every layer's, at the largest share of values at which they fit, else the smallest of the layers that do."""
    small: list[dict[str, Any]] = []
    for share in _SHARES:
        small = [layer.packed(pack.thumbnails(layer.planes, _side(layer, share))) for layer in order]
        if sum(pack.size(maps["block"]) for maps in small) <= _OF_THUMBNAILS * room:
            return order, small
    fits = int((np.cumsum([pack.size(maps["block"]) for maps in small]) <= room).sum())
    return order[:fits], small[:fits]


def _side(layer: LayerIn, share: int) -> int:
    """Of one thumbnail, where all of the layer's units together have ``share`` values."""
    smallest, largest = _SIDES
    return min(largest, max(smallest, int((share / len(layer.planes)) ** 0.5)))


def _restore(layers: list[LayerIn], room: int) -> None:
    """Whole layers as long as there is room; what is left goes in equal parts to the strongest units of the others."""
    others: list[LayerIn] = []
    for layer in layers:
        if layer.whole:
            continue
        freed = pack.size(layer.maps["block"])
        maps = layer.packed(layer.planes) if layer.planes.size < 16 * room else None
        if maps is not None and pack.size(maps["block"]) - freed <= room:
            room -= pack.size(maps["block"]) - freed
            layer.maps, layer.whole = maps, True
        else:
            others.append(layer)
    for place, layer in enumerate(others):
        part = room // (len(others) - place)
        room -= _restore_units(layer, part)


def _restore_units(layer: LayerIn, room: int) -> int:
    """A layer's strongest units in full. Returns the bytes that they take."""
    taken = 0
    if not layer.finite:
        return taken
    for unit in np.argsort(-np.abs(layer.stats[:, :2]).max(axis=1), kind="stable"):
        one = slice(unit, unit + 1)
        packed = pack.block(pack.coded(layer.planes[one], layer.stats[one], layer.signed).tobytes())
        if taken + pack.size(packed) + 8 > room:
            break
        layer.details[int(unit)] = packed
        taken += pack.size(packed) + 8
    return taken
