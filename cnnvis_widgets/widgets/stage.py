"""The browser view: one model whose panels show photograph and heatmap, all maps, one map large, a filter's picture.

One model, not one a panel, so that arrays travel once and what the panels have in common (the selected unit, the
colours) never waits for the kernel. The view is written in the files of `stage/`; a widget's module cannot import, so
they are joined into one. Everything of one update is set by one `publish`; the browser paints when `frame` moves on.
Arrays travel as messages of their own: front ends save a widget's state with the notebook, which must stay small.
"""

from __future__ import annotations

import functools
import re
import threading
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import anywidget
import numpy as np
import traitlets

from cnnvis_widgets.render import colormaps
from cnnvis_widgets.widgets.payloads import stage_texts

PANELS = ("photo", "maps", "detail", "filter", "network", "story")  # the last two stand above the others
MESSAGE_BYTES = 4_000_000  # of arrays; over 10 MiB the server drops the connection without a word

_FOLDER = Path(__file__).parent / "stage"
_COMMENT = re.compile(
    r"^ *//[^\n]*\n|^ */\*\*((?!\*/).)*\*/ *\n|/\*\*((?!\*/).)*\*/ ?", re.MULTILINE | re.DOTALL
)
_REMARK = re.compile(
    r"(?<=[;,{})]) +// .*$", re.MULTILINE
)  # at the end of a line; no text of ours holds such
_INDENT = re.compile(r"^[ \n]+", re.MULTILINE)


@functools.cache
def module_text() -> str:
    """The view's ES module; each instance sends it."""
    return join_modules(_FOLDER.glob("*.js"))


@functools.cache
def style_text() -> str:
    """The view's style sheet."""
    return plain_style(_FOLDER / "stage.css") + plain_style(_FOLDER / "lecture.css")


def join_modules(files: Iterable[Path]) -> str:
    """JavaScript files in the order of their names as one, without comments and indentation."""
    text = "\n".join(file.read_text(encoding="utf-8") for file in sorted(files))
    for unneeded in (_COMMENT, _REMARK, _INDENT):
        text = unneeded.sub("", text)
    return text


def plain_style(file: Path) -> str:
    """A style sheet without comments and indentation."""
    text = file.read_text(encoding="utf-8")
    return _INDENT.sub("", re.sub(r"/\*.*?\*/\n?", "", text, flags=re.DOTALL))


def _in_messages(arrays: list[tuple[str, bytes]]) -> list[list[tuple[str, memoryview]]]:
    """Arrays as messages of at most `MESSAGE_BYTES`; what one has no room for goes on in the next, under its name."""
    messages: list[list[tuple[str, memoryview]]] = []
    room = 0
    for name, content in arrays:
        rest = memoryview(content)
        while True:
            if not messages or (rest.nbytes and not room):
                messages.append([])
                room = MESSAGE_BYTES
            messages[-1].append((name, rest[:room]))
            room, rest = room - len(rest[:room]), rest[room:]
            if not rest.nbytes:
                break
    return messages


class Stage(anywidget.AnyWidget):
    """Panels in the browser; `publish` what they show, `observe` what the person picked.

    Arrays are bytes, little endian; `payloads` makes them. All bytes but ``still`` are arrays. ``unit``,
    ``target_choice``, ``opacity``, ``colormap``, ``sort``, ``scale``, ``heat_scale`` are set from either side; the
    browser tells its values at most every 150 ms. So publish ``unit`` and ``target_choice`` only where they must
    change: an older value would turn the person's newer choice back.
    """

    _esm = module_text()
    _css = style_text()

    panels = traitlets.List(traitlets.Enum(PANELS), list(PANELS)).tag(sync=True)
    identity = traitlets.Unicode().tag(sync=True)  # tells models apart whose front end shares the module
    frame = traitlets.Int(0).tag(sync=True)
    still = traitlets.Bytes().tag(
        sync=True, saved=True
    )  # a PNG of the view, shown where the arrays do not come
    texts = traitlets.Dict().tag(sync=True)
    language = traitlets.Unicode("en").tag(sync=True)  # that of `texts`; the browser sets what it would like
    languages = traitlets.Dict().tag(sync=True)  # code: its own name; empty: no choice is offered
    network = traitlets.Unicode().tag(sync=True)
    layer = traitlets.Dict().tag(sync=True)  # path, kind, shape [h, w, c]

    photo = traitlets.Bytes().tag(sync=True)  # an encoded JPEG or PNG
    photo_size = traitlets.List([0, 0]).tag(sync=True)  # [h, w] before it was made smaller
    photo_name = traitlets.Unicode().tag(sync=True)
    uploads = traitlets.Bool(True).tag(sync=True)  # False: no picture can be dropped here
    # Buttons with nothing behind them, where there is no kernel: "camera", "picture", "effect", "steps", "trust",
    # "concepts". They say so.
    absent = traitlets.List(traitlets.Unicode()).tag(sync=True)

    heat = traitlets.Bytes().tag(sync=True)  # float32 (h, w) in [0, 1], or [-1, 1] where signed
    heat_shape = traitlets.List([0, 0]).tag(sync=True)
    heat_signed = traitlets.Bool(False).tag(sync=True)
    heat_caption = traitlets.Unicode().tag(sync=True)  # names network, layer, class, method
    heat_message = traitlets.Unicode().tag(sync=True)  # said instead of a heatmap that would be blank
    heat_target = traitlets.Int(-1).tag(sync=True)  # the class it explains; -1: not told
    heat_most = traitlets.Float(0.0).tag(sync=True)  # its maximum before it was divided by it

    # What the browser needs to draw other classes' heatmaps itself, wherever they are weighted sums of the maps.
    target_choice = traitlets.Int(0).tag(sync=True)  # 0: the top class, k + 1: class k
    classes: traitlets.List = traitlets.List().tag(sync=True)  # the top ones: index, name, probability, logit
    class_names = traitlets.List(traitlets.Unicode()).tag(sync=True)  # all
    logits = traitlets.Bytes().tag(sync=True)  # float32 (classes,)
    method = traitlets.Unicode().tag(sync=True)
    methods = traitlets.List(traitlets.Unicode()).tag(sync=True)  # to compare with; empty: none is offered
    weights_from = traitlets.Enum(("", "head", "slopes"), "").tag(sync=True)  # "": other methods
    head_weights = traitlets.Bytes().tag(sync=True)  # float16 (classes, c), times head_scale: for every image
    head_scale = traitlets.Float(1.0).tag(sync=True)
    slopes = traitlets.Bytes().tag(sync=True)  # float16 (n, c), times slopes_scale: for these maps alone
    slopes_scale = traitlets.Float(1.0).tag(sync=True)
    slopes_classes = traitlets.List(traitlets.Int()).tag(sync=True)  # the n classes

    live = traitlets.Dict().tag(
        sync=True
    )  # the last frame of a camera answered: number, view, target, classes, ...
    live_heat = traitlets.Bytes().tag(sync=True)  # float32 live["shape"], in [0, 1]
    camera_side = traitlets.Int(224).tag(sync=True)  # pixels: frames are sent no larger

    maps = traitlets.Bytes().tag(sync=True)  # float16 (c, h, w), times maps_scale
    maps_shape = traitlets.List([0, 0, 0]).tag(sync=True)
    maps_coded = traitlets.Bool(False).tag(sync=True)  # uint8 instead: 256 steps of each map's colours
    maps_scale = traitlets.Float(1.0).tag(sync=True)  # a power of two that keeps float16 from overflowing
    maps_stats = traitlets.Bytes().tag(
        sync=True
    )  # float32 (c, 3): min, max, mean of the full-resolution maps
    detail_map = traitlets.Bytes().tag(sync=True)  # float32 (h, w): one unit, where maps are sent smaller
    detail_shape = traitlets.List([0, 0]).tag(sync=True)
    detail_unit = traitlets.Int(-1).tag(sync=True)

    unit = traitlets.Int(0).tag(sync=True)
    position: traitlets.List = traitlets.List().tag(
        sync=True
    )  # [y, x]: marked in the maps until the pointer moves; or empty
    opacity = traitlets.Float(0.4).tag(sync=True)
    colormap = traitlets.Int(0).tag(sync=True)  # index into colormap_names
    sort = traitlets.Enum(("index", "strength", "class"), "index").tag(sync=True)
    scale = traitlets.Enum(("map", "layer"), "map").tag(sync=True)
    heat_scale = traitlets.Enum(("own", "shared"), "own").tag(sync=True)  # shared: over classes
    colormap_names = traitlets.List(traitlets.Unicode()).tag(sync=True)
    colormap_tables = traitlets.Bytes().tag(sync=True)  # uint8 (n, 256, 3)
    diverging_colormaps = traitlets.List(traitlets.Int()).tag(sync=True)  # with zero in the middle
    signed_colormap = traitlets.Int().tag(sync=True)  # used on both signs unless a diverging one is chosen

    graph = traitlets.Dict().tag(sync=True)  # `graph_payload` makes it; sent once a network
    field_map = traitlets.Bytes().tag(sync=True)  # float32 (h, w) in [0, 1]: an effective receptive field
    field_shape = traitlets.List([0, 0]).tag(sync=True)
    field_of = traitlets.Dict().tag(sync=True)  # the position that has it: layer, unit, y, x

    picture = traitlets.Bytes().tag(sync=True)  # RGB uint8 (h, w, 3)
    picture_shape = traitlets.List([0, 0]).tag(sync=True)
    picture_caption = traitlets.Unicode().tag(sync=True)
    picture_unit = traitlets.Int(-1).tag(sync=True)
    picture_recipe = traitlets.Unicode().tag(sync=True)
    patches = traitlets.Bytes().tag(
        sync=True
    )  # RGB uint8 (n, h, w, 3): of photographs, for the picture's unit
    patches_shape = traitlets.List([0, 0, 0]).tag(sync=True)  # n, h, w
    patches_said = traitlets.List(traitlets.Unicode()).tag(
        sync=True
    )  # a caption for each; one alone: why none
    picture_progress = traitlets.Dict().tag(sync=True)  # step, steps, seconds_left, message; or empty

    atlas = traitlets.Dict().tag(sync=True)  # `atlas_payload` makes these four; empty: there is none
    atlas_flags = traitlets.Bytes().tag(sync=True)  # uint8 (c,): whether a unit's picture is there
    atlas_tiles = traitlets.Bytes().tag(sync=True)  # a JPEG: pictures of the same size, one below the other
    atlas_units = traitlets.List(traitlets.Int()).tag(sync=True)  # which units those are

    # What was pinned, to compare with: empty, or names, captions, signs and ranges (`payloads.pinned_payload`); then
    # its arrays in the encodings of ``photo``, ``heat`` and ``detail_map``.
    pinned = traitlets.Dict().tag(sync=True)
    pinned_photo = traitlets.Bytes().tag(sync=True)
    pinned_heat = traitlets.Bytes().tag(sync=True)
    pinned_map = traitlets.Bytes().tag(sync=True)
    difference = traitlets.Bool(False).tag(sync=True)  # show B minus A in the place of B

    # Whether the heatmap can be trusted, as far as it has been tested: empty, or what `parts.trusting` makes; then the
    # heatmaps of its strip, float32 (n, h, w), the real one first.
    trust = traitlets.Dict().tag(sync=True)
    trust_maps = traitlets.Bytes().tag(sync=True)
    # The layer's parts: empty, or names, shape, shares and colours (`parts.concepts.concepts_payload`).
    concepts = traitlets.Dict().tag(sync=True)
    concept_maps = traitlets.Bytes().tag(sync=True)  # float32 (parts, h, w), >= 0

    facts = traitlets.Dict().tag(sync=True)  # of the network's answer: name, share, target, method
    convolution = traitlets.Bytes().tag(sync=True)  # float32: what `convolution_payload` strings together
    convolution_info = traitlets.Dict().tag(sync=True)  # of which layer and unit; shapes; or a message

    growing = traitlets.Bool(False).tag(sync=True)  # busy with more of the heatmap shown: nothing is stale
    story: traitlets.List = traitlets.List().tag(sync=True)  # a walkthrough's steps (`story.story_payload`)
    story_step = traitlets.Int(0).tag(sync=True)
    busy = traitlets.Unicode().tag(sync=True)  # a sentence while the kernel works
    error = traitlets.Unicode().tag(sync=True)  # a sentence; the person can dismiss it

    def __init__(self, **traits: Any) -> None:
        self._publishing = threading.RLock()
        self._callbacks: dict[str, list[Callable[[dict[str, Any], list[memoryview]], None]]] = {}
        super().__init__(**traits)
        self.on_msg(self._receive)
        self.on("arrays", lambda _content, _buffers: self._send_arrays(self._arrays))

    @traitlets.default("identity")
    def _default_identity(self) -> str:
        return uuid.uuid4().hex

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

    # Every array counts as state for ipywidgets, and is taken out where state is sent or saved.

    @functools.cached_property
    def _arrays(self) -> frozenset[str]:
        traits = self.traits(sync=True, saved=None)
        return frozenset(name for name, trait in traits.items() if isinstance(trait, traitlets.Bytes))

    def get_state(self, key: Any = None, drop_defaults: bool = False) -> dict[str, Any]:
        state = super().get_state(key, drop_defaults)
        return {name: value for name, value in state.items() if name not in self._arrays}

    def send_state(self, key: str | Iterable[str] | None = None) -> None:
        names = self._arrays if key is None else {key} if isinstance(key, str) else set(key)
        self._send_arrays(self._arrays & names)
        super().send_state(key)

    def open(self) -> None:
        opens = self.comm is None
        super().open()
        if opens:
            self._send_arrays(self._arrays)

    def _send_arrays(self, names: Iterable[str]) -> None:
        """Send what these arrays hold now, before the state of the same frame."""
        with self._publishing:
            messages = _in_messages([(name, getattr(self, name)) for name in sorted(names)])
            for part, pieces in enumerate(messages):
                content = {"type": "arrays", "frame": self.frame, "part": part, "parts": len(messages)}
                self.send(
                    content | {"names": [name for name, _ in pieces]}, [content for _, content in pieces]
                )

    def on(self, kind: str, callback: Callable[[dict[str, Any], list[memoryview]], None]) -> None:
        """Call with (message, buffers) when the browser sends a message of that ``type``.

        "image": a person opened, dropped or pasted a picture: its ``name``, its content as the only buffer.
        "camera": a frame, JPEG as the only buffer; answer by publishing ``live`` with its ``number`` and ``view``.
        "pin": the view is to be pinned, and compared with another ``method`` where one is named; "unpin": no more.
        "detail": the ``unit`` whose map is wanted in full resolution; answer by publishing `detail_payload`.
        "convolution": the ``unit`` to show step by step; answer by publishing `convolution_payload`.
        "trust": the heatmap shown is to be tested; "trust-cancel": no further; "trust-close": no more shown.
        "concepts": the view of the layer's parts was opened or closed (``open``).
        "choose": the class that a person chose in the list, as the ``choice`` that ``target_choice`` then is.
        "layer": the ``path`` of the layer that a person chose on the network strip.
        "atlas": ``units`` of a ``layer`` whose tiles a view lacks, a ``number`` and the ``view`` that asks; answer by
        publishing `atlas_payload`.
        "field": ``unit``, ``y``, ``x``: a position whose effective receptive field is wanted; answer by publishing
        `field_payload`.
        """
        self._callbacks.setdefault(kind, []).append(callback)

    def _receive(self, _: Any, content: dict, buffers: list[memoryview]) -> None:
        try:
            for callback in self._callbacks.get(content.get("type", ""), ()):
                callback(content, buffers)
        except Exception as error:  # a callback's exception would end in a log that nobody reads
            self.error = str(error) or type(error).__name__
