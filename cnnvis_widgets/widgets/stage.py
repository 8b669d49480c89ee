"""The browser view: one model whose panels show photograph and heatmap, all maps, one map large, a filter's picture.

One model, not one a panel, so that arrays travel once and what the panels have in common (the selected unit, the
colours) never waits for the kernel. The view is written in the files of `stage/`; a widget's module cannot import, so
they are joined into one. Everything of one update is set by one `publish`; the browser paints when `frame` moves on.
"""

from __future__ import annotations

import functools
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anywidget
import cv2
import numpy as np
import traitlets

from cnnvis_widgets.locale import sentences
from cnnvis_widgets.render import colormaps

PANELS = ("photo", "maps", "detail", "filter")
PHOTO_SIDE = 1024  # pixels; no screen shows more of a photograph in one panel
MAPS_VALUES = 1_500_000  # float16 values a layer may send (3 MB: 20 to 40 ms to a local browser)
TILE_SIDE = 28  # maps are not sent smaller than this

_FOLDER = Path(__file__).parent / "stage"
_COMMENT = re.compile(
    r"^ *//[^\n]*\n|^ */\*\*((?!\*/).)*\*/ *\n|/\*\*((?!\*/).)*\*/ ?", re.MULTILINE | re.DOTALL
)


@functools.cache
def module_text() -> str:
    """The view's ES module: the files in the order of their names, without comments (each instance sends it)."""
    files = sorted(_FOLDER.glob("*.js"))
    return "\n".join(_COMMENT.sub("", file.read_text(encoding="utf-8")) for file in files)


@functools.cache
def style_text() -> str:
    """The view's style sheet."""
    return (_FOLDER / "stage.css").read_text(encoding="utf-8")


class Stage(anywidget.AnyWidget):
    """Panels in the browser; `publish` what they show, `observe` what the person picked.

    Arrays are bytes, little endian; use the ``*_payload`` functions below to make them. ``unit``, ``opacity``,
    ``colormap``, ``sort``, ``scale`` are set from either side; the browser tells its values at most every 150 ms.
    So publish ``unit`` only where it must change: an older value would turn the person's newer choice back.
    """

    _esm = module_text()
    _css = style_text()

    panels = traitlets.List(traitlets.Enum(PANELS), list(PANELS)).tag(sync=True)
    frame = traitlets.Int(0).tag(sync=True)
    texts = traitlets.Dict().tag(sync=True)
    network = traitlets.Unicode().tag(sync=True)
    layer = traitlets.Dict().tag(sync=True)  # path, kind, shape [h, w, c]

    photo = traitlets.Bytes().tag(sync=True)  # an encoded JPEG or PNG
    photo_size = traitlets.List([0, 0]).tag(sync=True)  # [h, w] before it was made smaller
    photo_name = traitlets.Unicode().tag(sync=True)
    uploads = traitlets.Bool(True).tag(sync=True)  # False: no picture can be dropped here

    heat = traitlets.Bytes().tag(sync=True)  # float32 (h, w) in [0, 1], or [-1, 1] where signed
    heat_shape = traitlets.List([0, 0]).tag(sync=True)
    heat_signed = traitlets.Bool(False).tag(sync=True)
    heat_caption = traitlets.Unicode().tag(sync=True)  # names network, layer, class, method
    heat_message = traitlets.Unicode().tag(sync=True)  # said instead of a heatmap that would be blank

    maps = traitlets.Bytes().tag(sync=True)  # float16 (c, h, w), times maps_scale
    maps_shape = traitlets.List([0, 0, 0]).tag(sync=True)
    maps_scale = traitlets.Float(1.0).tag(sync=True)  # a power of two that keeps float16 from overflowing
    maps_stats = traitlets.Bytes().tag(
        sync=True
    )  # float32 (c, 3): min, max, mean of the full-resolution maps
    detail_map = traitlets.Bytes().tag(sync=True)  # float32 (h, w): one unit, where maps are sent smaller
    detail_shape = traitlets.List([0, 0]).tag(sync=True)
    detail_unit = traitlets.Int(-1).tag(sync=True)

    unit = traitlets.Int(0).tag(sync=True)
    opacity = traitlets.Float(0.4).tag(sync=True)
    colormap = traitlets.Int(0).tag(sync=True)  # index into colormap_names
    sort = traitlets.Enum(("index", "strength"), "index").tag(sync=True)
    scale = traitlets.Enum(("map", "layer"), "map").tag(sync=True)
    colormap_names = traitlets.List(traitlets.Unicode()).tag(sync=True)
    colormap_tables = traitlets.Bytes().tag(sync=True)  # uint8 (n, 256, 3)
    diverging_colormaps = traitlets.List(traitlets.Int()).tag(sync=True)  # with zero in the middle
    signed_colormap = traitlets.Int().tag(sync=True)  # used on both signs unless a diverging one is chosen

    picture = traitlets.Bytes().tag(sync=True)  # RGB uint8 (h, w, 3)
    picture_shape = traitlets.List([0, 0]).tag(sync=True)
    picture_caption = traitlets.Unicode().tag(sync=True)
    picture_unit = traitlets.Int(-1).tag(sync=True)
    picture_progress = traitlets.Dict().tag(sync=True)  # step, steps, seconds_left, message; or empty

    status = traitlets.Unicode().tag(sync=True)  # a sentence that describes the view
    busy = traitlets.Unicode().tag(sync=True)  # a sentence while the kernel works
    error = traitlets.Unicode().tag(sync=True)  # a sentence; the person can dismiss it

    def __init__(self, **traits: Any) -> None:
        self._publishing = threading.RLock()
        self._image_callbacks: list[Callable[[str, bytes], None]] = []
        self._detail_callbacks: list[Callable[[int], None]] = []
        super().__init__(**traits)
        self.on_msg(self._receive)

    @traitlets.default("texts")
    def _default_texts(self) -> dict[str, str]:
        return stage_texts("en")

    @traitlets.default("colormap_names")
    def _default_names(self) -> list[str]:
        return list(colormaps.NAMES)

    @traitlets.default("colormap_tables")
    def _default_tables(self) -> bytes:
        return np.stack([colormaps.table(name) for name in colormaps.NAMES]).tobytes()

    @traitlets.default("diverging_colormaps")
    def _default_diverging(self) -> list[int]:
        return [colormaps.NAMES.index(name) for name in colormaps.DIVERGING]

    @traitlets.default("signed_colormap")
    def _default_signed(self) -> int:
        return colormaps.NAMES.index(colormaps.default(True))

    def publish(self, **changes: Any) -> None:
        """Set traits as one update: one message, one repaint. From any thread.

        Raises AttributeError for a name that is no trait.
        """
        if unknown := [name for name in changes if not self.has_trait(name)]:
            raise AttributeError(f"A Stage has no {', '.join(unknown)}.")
        with self._publishing, self.hold_sync():
            for name, value in changes.items():
                setattr(self, name, value)
            self.frame += 1

    def on_image(self, callback: Callable[[str, bytes], None]) -> None:
        """Call with (file name, file content) when a person opens, drops or pastes a picture."""
        self._image_callbacks.append(callback)

    def on_detail(self, callback: Callable[[int], None]) -> None:
        """Call with the unit whose map is wanted in full resolution; answer by publishing `detail_payload`."""
        self._detail_callbacks.append(callback)

    def _receive(self, _: Any, content: dict, buffers: list[memoryview]) -> None:
        try:
            if content.get("type") == "image" and buffers:
                for on_image in self._image_callbacks:
                    on_image(str(content.get("name", "")), bytes(buffers[0]))
            elif content.get("type") == "detail":
                for on_detail in self._detail_callbacks:
                    on_detail(int(content["unit"]))
        except Exception as error:  # a callback's exception would end in a log that nobody reads
            self.error = str(error) or type(error).__name__


def stage_texts(language: str) -> dict[str, str]:
    """The sentences of the view alone: what the trait ``texts`` holds."""
    return {key: text for key, text in sentences(language).items() if key.startswith("stage.")}


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
    sent, scale = _reduced(planes), 1.0
    largest = float(np.max(np.abs(sent), where=np.isfinite(sent), initial=0))
    if largest and not 2**-6 < largest < 2**15:  # beyond, float16 overflows or loses its digits
        scale = 2.0 ** np.floor(np.log2(largest))
    return {
        "maps": (sent / np.float32(scale)).astype("<f2").tobytes(),
        "maps_shape": list(sent.shape),
        "maps_scale": float(scale),
        "maps_stats": _stats(planes).astype("<f4").tobytes(),
        **no_detail(),
    }


def detail_payload(values: np.ndarray, unit: int) -> dict[str, Any]:
    """Traits that show one unit's map in full resolution: (h, w)."""
    content = np.ascontiguousarray(values, "<f4").tobytes()
    return {"detail_map": content, "detail_shape": list(values.shape), "detail_unit": unit}


def no_detail() -> dict[str, Any]:
    """Traits that forget the map in full resolution: it belonged to other maps."""
    return {"detail_map": b"", "detail_shape": [0, 0], "detail_unit": -1}


def picture_payload(image: np.ndarray, unit: int, caption: str = "") -> dict[str, Any]:
    """Traits that show a filter's picture: RGB uint8 (h, w, 3)."""
    content = np.ascontiguousarray(image, np.uint8).tobytes()
    return {
        "picture": content,
        "picture_shape": list(image.shape[:2]),
        "picture_unit": unit,
        "picture_caption": caption,
    }


def _reduced(planes: np.ndarray) -> np.ndarray:
    """Planes (c, h, w) few enough to send. The mean of cells is no number where one of them is none."""
    _, h, w = planes.shape
    share = max((MAPS_VALUES / planes.size) ** 0.5 if planes.size else 1, TILE_SIDE / min(h, w))
    if share >= 1:
        return planes
    size = (max(1, int(w * share)), max(1, int(h * share)))
    return np.stack([cv2.resize(plane, size, interpolation=cv2.INTER_AREA) for plane in planes])


def _stats(planes: np.ndarray) -> np.ndarray:
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
