"""The Explorer: controls and stage around one network and one image.

A person's change becomes a wanted `State` and a request to the worker, nothing more; callbacks return at once.
The worker makes the whole wanted state true or, where that fails, says why and goes back to the last good one.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import ipywidgets as widgets
import numpy as np

from cnnvis_widgets.compute.explain import explain, methods
from cnnvis_widgets.compute.feature_maps import feature_maps
from cnnvis_widgets.compute.maximize import ascend, find_recipe
from cnnvis_widgets.compute.maximize.maximize import seconds_left
from cnnvis_widgets.errors import CnnvisError
from cnnvis_widgets.images import load_image, sample_images
from cnnvis_widgets.jobs.worker import Ticket, worker
from cnnvis_widgets.locale import say
from cnnvis_widgets.networks import load_network, network_names
from cnnvis_widgets.render import colormaps
from cnnvis_widgets.results import FeatureMaps, Heatmap
from cnnvis_widgets.widgets import stage as payloads
from cnnvis_widgets.widgets.controls import TOP, Controls, offer
from cnnvis_widgets.widgets.stage import Stage
from cnnvis_widgets.widgets.state import State

_RECIPE = "classic"
_FRAME_SECONDS = 0.06  # live pictures are sent no faster than this
_NETWORKS_KEPT = 3
# What the stage holds itself, so that the browser changes it without the kernel.
_ON_STAGE = ("unit", "opacity", "colormap", "scale", "sort")


class Explorer(widgets.VBox):
    """Look inside a network: photograph with heatmap, every feature map, one map large, what a filter wants.

    network: a name, a path, a `keras.Model` or a `Network` (anything `load_network` takes).
    image: anything `load_image` takes; None gives the sample cat.
    state: where to begin: layer="block2_conv1", unit=7, target=3 or "dog", method=, colormap=, opacity=, ...

    ``state``, ``feature_map``, ``heatmap`` and ``image`` read what is shown (they wait for a running computation);
    ``update(...)`` and ``image = array`` change it. Raises what `load_network` and `load_image` raise.
    """

    panels = ("photo", "maps", "detail", "filter")
    rows = (
        ("network", "image", "target", "search"),
        ("layer", "unit", "method", "colormap", "opacity"),
    )
    filter_row = ("maximize", "cancel", "follow")

    def __init__(self, network: Any = "bundled", image: Any = None, **state: Any):
        self._images: dict[str, Any] = dict(sample_images())
        self._networks: dict[str, Any] = {}
        self._shown: State | None = None  # the last good state
        self._maps: FeatureMaps | None = None
        self._heatmap: Heatmap | None = None
        self._failure: Exception | None = None
        self._updating: int | None = None  # the thread that is changing controls itself
        self._cancelled = False
        self._wishing = threading.RLock()

        language = state.get("language", "en")
        self.stage = Stage(panels=list(self.panels), texts=payloads.stage_texts(language))
        self.controls = Controls(self.stage, [method.name for method in methods()], language)
        name = worker().call(lambda: self._keep_network(network))
        wanted = {"network": name, **state}
        if image is not None:
            wanted["image"] = self._keep_image(image)
        self._wanted = State().with_changes(**self._plain(wanted))
        super().__init__([*self._children()], layout=widgets.Layout(width="100%"))
        self.add_class("cnnvis-explorer")
        self._fill_fixed_options()
        self._observe()
        self._wish()

    # What code reads and writes ---------------------------------------------------------------------------

    @property
    def state(self) -> dict[str, Any]:
        """What is shown now, as a dictionary that `Explorer(**state)` or ``update(**state)`` takes."""
        self._settle()
        state = self._shown or self._wanted
        return state.with_changes(
            unit=self.stage.unit,
            opacity=self.stage.opacity,
            colormap=colormaps.NAMES[self.stage.colormap],
            scale=self.stage.scale,
            sort=self.stage.sort,
        ).to_dict()

    def update(self, **changes: Any) -> None:
        """Change what is shown and wait until it is. Raises what is wrong with the change; the view stays as it was."""
        self._failure = None
        self._wish(**self._plain(changes))
        self._settle()
        if self._failure is not None:
            raise self._failure

    @property
    def network(self):
        """The `Network` that is looked into."""
        self._settle()
        return self._networks[(self._shown or self._wanted).network]

    @property
    def image(self) -> np.ndarray:
        """The photograph: RGB uint8 (H, W, 3). Set it to anything `load_image` takes."""
        self._settle()
        return load_image(self._images[(self._shown or self._wanted).image])

    @image.setter
    def image(self, image: Any) -> None:
        self.update(image=self._keep_image(image))

    @property
    def feature_maps(self) -> FeatureMaps:
        """All maps of the layer shown."""
        self._settle()
        return self._maps

    @property
    def feature_map(self) -> np.ndarray:
        """The selected unit's map: (h, w) float32."""
        return self.feature_maps.values[..., self.stage.unit]

    @property
    def heatmap(self) -> Heatmap:
        """The heatmap shown."""
        self._settle()
        return self._heatmap

    def close(self) -> None:
        """Stop this Explorer's work and take its widgets away."""
        for lane in ("view", "filter", "detail"):
            worker().cancel((id(self), lane))
        super().close()

    # What a person does: each callback only notes a wish and returns ---------------------------------------

    def _children(self) -> Iterator[widgets.Widget]:
        for row in self.rows:
            yield self.controls.row(*row)
        yield self.stage
        if "filter" in self.panels:
            yield self.controls.row(*self.filter_row)

    def _fill_fixed_options(self) -> None:
        own = [name for name in self._networks if name not in network_names()]
        offer(self.controls.network, [*own, *network_names()], self._wanted.network)
        offer(self.controls.image, list(self._images), self._wanted.image)
        self.controls.method.value = self._wanted.method
        self.controls.colormap.value = self._wanted.colormap
        self.controls.opacity.value = self._wanted.opacity
        self.stage.publish(
            opacity=self._wanted.opacity,
            colormap=colormaps.NAMES.index(self._wanted.colormap),
            scale=self._wanted.scale,
            sort=self._wanted.sort,
        )

    def _observe(self) -> None:
        controls = self.controls
        self._on_value(controls.network, lambda name: {"network": name})
        self._on_value(controls.image, lambda name: {"image": name})
        self._on_value(controls.layer, lambda path: {"layer": path})
        self._on_value(controls.target, lambda index: {"target": None if index == TOP else index})
        self._on_value(controls.method, lambda name: {"method": name})
        self._on_value(controls.search, self._searched)
        controls.maximize.on_click(lambda _button: self._maximize())
        controls.cancel.on_click(lambda _button: self._cancel())
        controls.follow.observe(lambda change: self._maximize() if change.new else None, "value")
        self.stage.observe(self._unit_changed, "unit")
        self.stage.on_image(self._uploaded)
        self.stage.on_detail(self._detail_wanted)

    def _on_value(self, control: widgets.Widget, changes) -> None:
        def changed(event):
            if threading.get_ident() == self._updating or event.new is None:
                return
            if wish := changes(event.new):
                self._wish(**wish)

        control.observe(changed, "value")

    def _searched(self, name: str) -> dict[str, Any]:
        names = self._networks[self._wanted.network].class_names
        return {"target": names.index(name)} if name in names else {}

    def _uploaded(self, name: str, content: bytes) -> None:
        self._wish(image=self._keep_image(content, name))

    def _unit_changed(self, event) -> None:
        if self.controls.follow.value and threading.get_ident() != self._updating:
            self._maximize()

    def _detail_wanted(self, unit: int) -> None:
        def work(ticket: Ticket) -> None:
            maps = self._maps
            if maps is not None and 0 <= unit < maps.layer.units:
                self.stage.publish(**payloads.detail_payload(maps.values[..., unit], unit))

        worker().submit((id(self), "detail"), work)

    def _wish(self, **changes: Any) -> None:
        """Have the worker make a changed state true; a request not yet done gives way to this one. Any thread."""
        with self._wishing:
            wanted = self._wanted = self._wanted.with_changes(**changes)
            self.stage.busy = say("explorer.busy", wanted.language, network=wanted.network)
            self._ticket = worker().submit(
                (id(self), "view"),
                lambda ticket: self._show(ticket, wanted),
                lambda error: self._failed(error, wanted),
            )

    def _settle(self) -> None:
        """Wait until nothing is on its way. The worker itself must not wait for itself."""
        ticket = None
        while ticket is not self._ticket and threading.current_thread().name != "cnnvis-worker":
            ticket = self._ticket
            ticket.wait()

    # What the worker does ----------------------------------------------------------------------------------

    def _show(self, ticket: Ticket, wanted: State) -> None:
        before = self._shown
        network = self._networks[self._keep_network(wanted.network)]
        ticket.check()
        image = self._images[wanted.image] = load_image(self._images[wanted.image])
        layer = network.layer(wanted.layer)
        # The heatmap first: its one pass records what the maps need.
        heatmap = explain(network, image, wanted.method, layer, wanted.target)
        maps = feature_maps(network, image, layer)
        ticket.check()

        new_image = before is None or before.image != wanted.image
        new_maps = self._maps is None or maps.values is not self._maps.values
        new_layer = before is None or (before.network, before.layer) != (wanted.network, layer.path)
        unit = self.stage.unit
        if wanted.unit is not None and wanted.unit != (before and before.unit):
            unit = wanted.unit
        elif wanted.unit is None and new_layer:
            unit = _strongest(maps)
        changes: dict[str, Any] = payloads.heat_payload(
            heatmap.values, signed=heatmap.signed, caption=_caption(heatmap), message=heatmap.message
        )
        if new_image:
            changes |= payloads.photo_payload(image, wanted.image)
        if new_maps:
            changes |= payloads.maps_payload(maps.values)
        if not 0 <= unit < layer.units:
            raise CnnvisError(f"Layer {layer.path!r} has units 0 to {layer.units - 1}; {unit} was asked for.")
        # Only where it must change: the person may be further along with the slider than the kernel knows.
        new_unit = unit != self.stage.unit
        if new_unit:
            changes["unit"] = unit
        predictions = network.predict(image, top=max(5, min(len(network.class_names), 10)))
        best = predictions[0]
        self._maps, self._heatmap = maps, heatmap
        self._shown = wanted.with_changes(layer=layer.path, unit=unit)
        with self._wishing:
            if self._wanted is wanted:
                self._wanted = self._shown
        self._update_controls(network, predictions, ticket)
        if new_unit:
            self.controls.unit.value = unit
        self.stage.publish(
            **changes,
            network=network.name,
            layer={"path": layer.path, "kind": layer.kind, "shape": list(layer.shape)},
            status=say(
                "explorer.status",
                wanted.language,
                network=network.name,
                name=best.name,
                share=f"{best.probability:.0%}",
                layer=layer.path,
                count=layer.units,
                height=layer.shape[0],
                width=layer.shape[1],
            ),
            busy="",
            error="",
        )
        if new_layer and self.controls.follow.value:
            self._maximize()

    def _failed(self, error: Exception, wanted: State) -> None:
        """Say what is wrong; picture, state and controls stay what they were."""
        self._failure = error
        if isinstance(self._images.get(wanted.image), bytes):  # an upload that could not be read
            del self._images[wanted.image]
        words = str(error) if isinstance(error, CnnvisError) else f"{type(error).__name__}: {error}"
        if self._shown is not None:
            with self._wishing:
                if self._wanted is wanted:
                    self._wanted = self._shown
            self._update_controls(self._networks[self._shown.network], None, self._ticket)
        self.stage.publish(error=words, busy="")

    def _update_controls(self, network, predictions, ticket: Ticket) -> None:
        """Bring the controls to what is shown, without taking that for a person's wish."""
        if ticket.stopped:  # they already say something newer, which will be shown next
            return
        state, controls = self._shown, self.controls
        self._updating = threading.get_ident()
        try:
            offer(controls.network, list(controls.network.options), state.network)
            offer(controls.image, list(self._images), state.image)
            controls.show_layers(network.layers, network.layer(state.layer))
            controls.unit.max = network.layer(state.layer).units - 1
            if predictions is None:
                predictions = network.predict(load_image(self._images[state.image]), top=10)
            controls.show_classes(predictions, network.class_names, state.target)
            controls.method.value = state.method
        finally:
            self._updating = None

    def _maximize(self) -> None:
        self._cancelled = False
        worker().submit((id(self), "filter"), self._grow, self._grow_failed)

    def _cancel(self) -> None:
        self._cancelled = True
        worker().cancel((id(self), "filter"))

    def _grow(self, ticket: Ticket) -> Iterator[None] | None:
        """The picture that the selected unit wants: one step of ascent at a time, shown as it grows."""
        state, unit = self._shown, self.stage.unit
        network = self._networks[state.network]
        layer, recipe = network.layer(state.layer), find_recipe(_RECIPE)
        caption = say(
            "explorer.filter_caption",
            state.language,
            network=network.name,
            layer=layer.path,
            unit=unit,
            recipe=recipe.name,
            steps=recipe.steps,
        )
        key = ("filter", layer.path, unit, recipe.name)
        known = network.memory.get(key)
        if known is not None:
            self.stage.publish(**payloads.picture_payload(known, unit, caption), picture_progress={})
            return None
        return self._growing(ticket, network, layer, unit, recipe, caption, key)

    def _growing(self, ticket, network, layer, unit, recipe, caption, key) -> Iterator[None]:
        language = self._shown.language
        self.controls.cancel.disabled = False
        self.stage.publish(
            picture_progress={"step": 0, "steps": recipe.steps, "seconds_left": None, "message": ""}
        )
        started, sent, frame, finished = time.monotonic(), 0.0, None, False
        try:
            for frame in ascend(network, layer, np.array([unit]), recipe):
                finished = frame.step == frame.steps
                if finished or time.monotonic() - sent >= _FRAME_SECONDS:
                    sent = time.monotonic()
                    picture = recipe.picture(network, frame.inputs)[0]
                    left = seconds_left(started, frame.step, frame.steps)
                    progress = {"step": frame.step, "steps": frame.steps, "seconds_left": left, "message": ""}
                    self.stage.publish(
                        **payloads.picture_payload(picture, unit, caption),
                        picture_progress={} if finished else progress,
                    )
                yield
            network.memory.put(key, picture)
        finally:
            if not finished and self._cancelled:
                step = 0 if frame is None else frame.step
                words = say("explorer.cancelled", language, step=step, steps=recipe.steps)
                self.stage.publish(picture_progress={"message": words})
            if finished or self._cancelled:
                self.controls.cancel.disabled = True

    def _grow_failed(self, error: Exception) -> None:
        self.controls.cancel.disabled = True
        self.stage.publish(error=str(error) or type(error).__name__, picture_progress={})

    # Names for networks and images ------------------------------------------------------------------------

    def _keep_network(self, source: Any) -> str:
        """The name under which a network is kept, loading it where that is needed. On the worker thread."""
        from cnnvis_widgets.networks.network import Network

        if isinstance(source, str) and source in self._networks:
            return source
        network = source if isinstance(source, Network) else load_network(source)
        name = source if isinstance(source, str) and source in network_names() else network.name
        self._networks[name] = network
        loadable = [old for old in self._networks if old in network_names() and old != name]
        while len(loadable) >= _NETWORKS_KEPT:  # those can be loaded again
            del self._networks[loadable.pop(0)]
        return name

    def _keep_image(self, source: Any, name: str = "") -> str:
        """The name under which an image is kept. Raises `ImageError` for arrays and paths that are none."""
        if not isinstance(source, bytes):  # an upload is decoded by the worker, anything from code at once
            if isinstance(source, str) and source in self._images:
                return source
            name = name or (source if isinstance(source, str) else say("explorer.my_image", "en"))
            source = load_image(source)
        name = name.replace("\\", "/").rsplit("/", 1)[-1] or say("explorer.my_image", "en")
        self._images[name] = source
        return name

    def _plain(self, changes: dict[str, Any]) -> dict[str, Any]:
        """Changes in the words that a `State` holds: class names become indices, arrays and paths names."""
        changes = dict(changes)
        if "image" in changes:
            changes["image"] = self._keep_image(changes["image"])
        if "network" in changes and not (
            isinstance(changes["network"], str) and changes["network"] in self._networks
        ):
            changes["network"] = worker().call(lambda: self._keep_network(changes["network"]))
        if changes.get("target") is not None:
            network = self._networks[changes.get("network", getattr(self, "_wanted", State()).network)]
            changes["target"] = network.target(changes["target"]).index
        if changes.get("colormap") is not None and changes["colormap"] not in colormaps.NAMES:
            colormaps.table(changes["colormap"])  # says what there is
            raise CnnvisError(f"The Explorer's colormaps are {', '.join(colormaps.NAMES)}.")
        return changes


def _strongest(maps: FeatureMaps) -> int:
    """The unit with the highest peak; units with NaN do not count."""
    return int(np.argmax(np.nan_to_num(maps.values, nan=-np.inf).max(axis=(0, 1))))


def _caption(heatmap: Heatmap) -> str:
    return (
        f"{heatmap.method} · {heatmap.network} · {heatmap.layer.path} · "
        f"{heatmap.target.name} (logit {heatmap.score:.2f})"
    )
