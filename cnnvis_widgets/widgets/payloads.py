"""Arrays -> traits of a `Stage`: what is sent, how small, and in which encoding."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from cnnvis_widgets.jobs.atlas.store import Terms
from cnnvis_widgets.locale import sentences
from cnnvis_widgets.networks.fields import ReceptiveField
from cnnvis_widgets.networks.graph import PICTURE
from cnnvis_widgets.networks.network import Network, kind_of
from cnnvis_widgets.results import Prediction
from cnnvis_widgets.widgets.shown import Shown
from cnnvis_widgets.widgets.words import heat_words

PHOTO_SIDE = 1024  # pixels; no screen shows more of a photograph in one panel
MAPS_VALUES = 1_500_000  # float16 values a layer may send (3 MB: 20 to 40 ms to a local browser)
ATLAS_SIDE = 96  # pixels of the longer side of an atlas's tile
TILE_SIDE = 28  # maps are not sent smaller than this
# The same where CNNVIS_FAR_AWAY is 1, as on Binder: 128 kB take 0.1 s at 10 Mbit/s.
FAR_VALUES, FAR_SIDE = 64_000, 10


def stage_texts(language: str) -> dict[str, str]:
    """The sentences of the view alone: what the trait ``texts`` holds."""
    wanted = ("stage.", "explorer.kind.")
    return {key: text for key, text in sentences(language).items() if key.startswith(wanted)}


def photo_payload(image: np.ndarray, name: str = "") -> dict[str, Any]:
    """Traits that show a photograph: RGB uint8 (H, W, 3), made smaller than `PHOTO_SIDE`, JPEG or (where small) PNG."""
    height, width = image.shape[:2]
    share = PHOTO_SIDE / max(height, width)
    small = image
    if share < 1:
        size = (max(1, round(width * share)), max(1, round(height * share)))
        small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    kind, options = (".png", []) if small.size <= 3 * 256 * 256 else (".jpg", [cv2.IMWRITE_JPEG_QUALITY, 92])
    _, content = cv2.imencode(kind, np.ascontiguousarray(small[..., ::-1]), options)
    return {"photo": content.tobytes(), "photo_size": [height, width], "photo_name": name}


def heat_payload(
    values: np.ndarray, *, signed: bool = False, caption: str = "", message: str = ""
) -> dict[str, Any]:
    """Traits that show a heatmap: (h, w) in [0, 1], or [-1, 1] where signed."""
    return {
        "heat": np.ascontiguousarray(values, "<f4").tobytes(),
        "heat_shape": list(values.shape),
        "heat_signed": signed,
        "heat_caption": caption,
        "heat_message": message,
    }


def maps_payload(values: np.ndarray) -> dict[str, Any]:
    """Traits that show a layer's maps: (h, w, c) of any float type, NaN and infinity included.

    Where they are more than `MAPS_VALUES` numbers, they are sent smaller (area means, at least `TILE_SIDE` a side) and
    the browser asks for the selected unit in full; numbers about a map are always those of the full one.
    """
    planes = np.ascontiguousarray(np.moveaxis(values, -1, 0), np.float32)
    sent = _reduced(planes)
    content, scale = halves(sent)
    return {
        "maps": content,
        "maps_shape": list(sent.shape),
        "maps_scale": scale,
        "maps_stats": plane_stats(planes).astype("<f4").tobytes(),
        **no_detail(),
    }


def listed_classes(predictions: Sequence[Prediction]) -> list[dict[str, Any]]:
    """The trait that lists the top classes."""
    names = ("index", "name", "probability", "logit")
    return [{name: getattr(prediction, name) for name in names} for prediction in predictions]


def head_payload(weights: np.ndarray) -> dict[str, Any]:
    """Traits that hold Grad-CAM's channel weights of every class: (classes, c), of a layer before pooling and Dense."""
    content, scale = halves(weights)
    return {"head_weights": content, "head_scale": scale}


def slopes_payload(weights: Sequence[np.ndarray], classes: Sequence[int]) -> dict[str, Any]:
    """Traits that hold the channel weights of some classes for the maps shown: one (c,) a class."""
    content, scale = halves(np.stack(weights)) if len(weights) else (b"", 1.0)
    return {"slopes": content, "slopes_scale": scale, "slopes_classes": list(classes)}


def detail_payload(values: np.ndarray, unit: int) -> dict[str, Any]:
    """Traits that show one unit's map in full resolution: (h, w)."""
    content = np.ascontiguousarray(values, "<f4").tobytes()
    return {"detail_map": content, "detail_shape": list(values.shape), "detail_unit": unit}


def no_detail() -> dict[str, Any]:
    """Traits that forget the map in full resolution: it belonged to other maps."""
    return {"detail_map": b"", "detail_shape": [0, 0], "detail_unit": -1}


def graph_payload(network: Network) -> dict[str, Any]:
    """The trait that shows the whole network; rows instead of dictionaries keep 400 layers under 60 kB.

    A row is [path, kind, type_name, shape, parameters, field, from]: from counts rows; the field is None where it is
    not known, "all" where every position sees everything, else [size, jump, start] down and across (the positions'
    intervals on one line, `ReceptiveField.box`) and, where that line says more than is true, the exact
    [position, first, last, ...] of those positions (`ReceptiveField.exceptions`). The first row is the picture, in
    place of input layers.
    """
    height, width = network.input_size
    picture: list[Any] = [
        "input",
        "input",
        "InputLayer",
        [*network.input_size, 3],
        0,
        [[1, 1, 0], [1, 1, 0]],
        [],
    ]
    rows, place = [picture], {PICTURE: 0}
    for node in network.graph.nodes:
        before = sorted({place[path] for path in node.predecessors})
        if node.type_name == "InputLayer" and len(before) == 1:
            place[node.path] = before[0]
            continue
        place[node.path] = len(rows)
        shape = [side for side in node.shape if side is not None]
        field = _field(node.field)
        rows.append(
            [node.path, kind_of(node.type_name), node.type_name, shape, node.parameters, field, before]
        )
    return {"graph": {"input": [height, width], "nodes": rows}}


def field_payload(values: np.ndarray, layer: str, unit: int, position: tuple[int, int]) -> dict[str, Any]:
    """Traits that show the effective receptive field of one position (y, x): (h, w) in [0, 1]."""
    return {
        "field_map": np.ascontiguousarray(values, "<f4").tobytes(),
        "field_shape": list(values.shape),
        "field_of": {"layer": layer, "unit": unit, "y": position[0], "x": position[1]},
    }


def no_field() -> dict[str, Any]:
    """Traits that forget the effective field: it belonged to another photograph or layer."""
    return {"field_map": b"", "field_shape": [0, 0], "field_of": {}}


def picture_payload(image: np.ndarray, unit: int, caption: str = "", recipe: str = "") -> dict[str, Any]:
    """Traits that show a filter's picture: RGB uint8 (h, w, 3)."""
    content = np.ascontiguousarray(image, np.uint8).tobytes()
    return {
        "picture": content,
        "picture_shape": list(image.shape[:2]),
        "picture_unit": unit,
        "picture_caption": caption,
        "picture_recipe": recipe,
    }


def atlas_payload(
    terms: Terms,
    layer: str,
    flags: np.ndarray,
    units: Sequence[int] = (),
    pictures: np.ndarray | None = None,
    about: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Traits that show which units of a layer an atlas holds, and the pictures (n, H, W, 3) of some as small tiles.

    about: what goes with it unchanged: the ``number`` and ``view`` of the question, a ``note``.
    """
    height, width = terms.size
    told = {
        "network": terms.network,
        "recipe": terms.recipe,
        "layer": layer,
        "count": len(flags),
        "done": int(flags.sum()),
        "aspect": height / width,
    }
    payload: dict[str, Any] = {
        "atlas": told | {"tiles_of": layer if len(units) else ""} | (about or {}),
        "atlas_flags": flags.astype(np.uint8).tobytes(),
    }
    if pictures is not None and len(units):
        # Sides of whole JPEG blocks, so that no tile shows a trace of its neighbour.
        size = [-(-side * ATLAS_SIDE // (16 * max(terms.size))) * 16 for side in (width, height)]
        small = [cv2.resize(picture, size, interpolation=cv2.INTER_AREA)[..., ::-1] for picture in pictures]
        _, content = cv2.imencode(".jpg", np.concatenate(small), [cv2.IMWRITE_JPEG_QUALITY, 90])
        payload |= {"atlas_tiles": content.tobytes(), "atlas_units": list(units)}
    return payload


def patches_payload(images: np.ndarray, said: Sequence[str]) -> dict[str, Any]:
    """Traits that show patches of photographs beside a filter's picture: RGB uint8 (n, h, w, 3), a caption each."""
    return {
        "patches": np.ascontiguousarray(images, np.uint8).tobytes(),
        "patches_shape": list(images.shape[:3]),
        "patches_said": list(said),
    }


def no_patches() -> dict[str, Any]:
    """Traits that forget the patches: they belonged to another unit."""
    return {"patches": b"", "patches_shape": [0, 0, 0], "patches_said": []}


def pinned_payload(shown: Shown, language: str) -> dict[str, Any]:
    """Traits that pin a view, to compare others with it."""
    plane = np.ascontiguousarray(shown.maps.values[..., shown.state.unit], "<f4")
    heatmap, words = shown.heatmap, heat_words(shown, language)
    low, high, _mean = plane_stats(plane[None])[0].tolist()
    about = {
        "network": shown.network.name,
        "layer": shown.maps.layer.path,
        "unit": shown.state.unit,
        "photo_name": shown.state.image,
        "map_shape": list(plane.shape),
        "map_range": [low, high] if np.isfinite(low) else [0.0, 0.0],
        "map_signed": shown.maps.signed,
        "heat_shape": list(heatmap.values.shape) if heatmap else [0, 0],
        "heat_signed": bool(heatmap and heatmap.signed),
        "heat_caption": words["caption"],
        "heat_message": words["message"],
    }
    return {
        "pinned": about,
        "pinned_photo": photo_payload(shown.image)["photo"],
        "pinned_heat": np.ascontiguousarray(heatmap.values, "<f4").tobytes() if heatmap else b"",
        "pinned_map": plane.tobytes(),
    }


def nothing_pinned() -> dict[str, Any]:
    """Traits that forget the pinned view."""
    return {"pinned": {}, "pinned_photo": b"", "pinned_heat": b"", "pinned_map": b"", "difference": False}


def _field(field: ReceptiveField | None) -> Any:
    if field is None or field.everything:
        return None if field is None else "all"
    axes = []
    for axis, line in enumerate(zip(field.size, field.jump, field.start, strict=True)):
        numbers: list[Any] = [int(n) if n == int(n) else round(n, 4) for n in line]
        exceptions = field.exceptions(axis)
        axes.append(numbers + [[n for each in exceptions for n in each]] * bool(exceptions))
    return axes


def halves(values: np.ndarray) -> tuple[bytes, float]:
    """Values / scale as float16, and the power of two that keeps them from overflowing or losing their digits."""
    largest = float(np.max(np.abs(values), where=np.isfinite(values), initial=0))
    scale = 1.0
    if largest and not 2**-6 < largest < 2**15:
        scale = 2.0 ** np.floor(np.log2(largest))
    return (values / np.float32(scale)).astype("<f2").tobytes(), float(scale)


def _reduced(planes: np.ndarray) -> np.ndarray:
    """Planes (c, h, w) few enough to send. The mean of cells is no number where one of them is none."""
    _, h, w = planes.shape
    far = os.environ.get("CNNVIS_FAR_AWAY", "0") not in ("", "0")
    most, side = (FAR_VALUES, FAR_SIDE) if far else (MAPS_VALUES, TILE_SIDE)
    share = max((most / planes.size) ** 0.5 if planes.size else 1, side / min(h, w))
    if share >= 1:
        return planes
    size = (max(1, int(w * share)), max(1, int(h * share)))
    return np.stack([cv2.resize(plane, size, interpolation=cv2.INTER_AREA) for plane in planes])


def plane_stats(planes: np.ndarray) -> np.ndarray:
    """(c, 3): min, max, mean of each plane's finite values; NaN where it has none."""
    flat = planes.reshape(len(planes), -1)
    finite = np.isfinite(flat)
    if finite.all():
        return np.stack([flat.min(1), flat.max(1), flat.mean(1)], 1)
    count = finite.sum(1)
    low = np.min(flat, axis=1, where=finite, initial=np.inf)
    high = np.max(flat, axis=1, where=finite, initial=-np.inf)
    with np.errstate(invalid="ignore"):
        mean = np.where(finite, flat, 0).sum(1) / count
    return np.where(count[:, None], np.stack([low, high, mean], 1), np.nan)
