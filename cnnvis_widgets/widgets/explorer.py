"""The Explorer: controls and stage around one network and one image.

A person's change becomes a wanted `State` and a request to the worker, nothing more; callbacks return at once.
The worker makes the whole wanted state true or, where that fails, says why and goes back to the last good one.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import ipywidgets as widgets
import numpy as np
import traitlets
from PIL import Image

from cnnvis_widgets.compute.methods import find_method, methods
from cnnvis_widgets.errors import Cancelled, CnnvisError, short
from cnnvis_widgets.jobs.atlas.store import open_atlas
from cnnvis_widgets.jobs.worker import Ticket, rest, worker
from cnnvis_widgets.locale import LANGUAGES, language_names, say
from cnnvis_widgets.networks import network_names
from cnnvis_widgets.networks.network import Network
from cnnvis_widgets.render import colormaps
from cnnvis_widgets.results import Ablation, FeatureMaps, Heatmap
from cnnvis_widgets.widgets import address as addresses
from cnnvis_widgets.widgets import payloads, stills, views
from cnnvis_widgets.widgets.code import code_for
from cnnvis_widgets.widgets.controls import TOP, Controls, offer
from cnnvis_widgets.widgets.kernels import keep_alive
from cnnvis_widgets.widgets.parts import PARTS
from cnnvis_widgets.widgets.parts.ablation import Ablating
from cnnvis_widgets.widgets.shelf import Shelf
from cnnvis_widgets.widgets.shown import Shown
from cnnvis_widgets.widgets.stage import Stage
from cnnvis_widgets.widgets.state import State
from cnnvis_widgets.widgets.words import heat_words, progress_words

_IDLE_SECONDS = 1.0  # after which parts make ready what is likely to be asked for


class Explorer(widgets.VBox):
    """Look inside a network: photograph with heatmap, every feature map, one map large, what a filter wants.

    network: a name, a path, a `keras.Model` or a `Network` (anything `load_network` takes), or an address of what to
        look at: "mobilenet_v2/block_8_expand/137@5,6" is network/layer/unit@y,x (see `widgets.address`).
    image: anything `load_image` takes; None gives the sample cat.
    atlas: the path or address of an atlas, or an `Atlas`: its pictures are shown where it has them. Without ``network``
        its own is taken where that has a name.
    state: where to begin: layer="block2_conv1", unit=7, target=3 or "dog", method=, colormap=, opacity=, ...

    ``state``, ``feature_map``, ``heatmap`` and ``image`` read what is shown (they wait for a running computation);
    ``update(...)``, ``open(address)`` and ``image = array`` change it. ``view`` is the state as a trait: observers
    (``explorer.observe(function, "view")``) hear of each view once, a moment after it has settled, on the worker's
    thread. Raises what `load_network` and `load_image` raise.
    """

    view = traitlets.Dict()

    panels: tuple[str, ...] = ("network", "photo", "maps", "detail", "filter")
    rows: tuple[tuple[str, ...], ...] = (
        ("network", "image", "target", "search"),
        ("layer", "unit", "method", "augment", "colormap", "opacity"),
    )

    def __init__(self, network: Any = "bundled", image: Any = None, atlas: Any = None, **state: Any):
        self.shelf = Shelf()
        self.atlas = None if atlas is None else open_atlas(atlas)
        if self.atlas is not None and network == "bundled" and self.atlas.terms.network in network_names():
            network = self.atlas.terms.network  # none was named
        self._shown: Shown | None = None
        self._complete: Shown | None = None  # the last one whose heatmap does not grow any more
        self._failure: BaseException | None = None
        self._choice_heard = 0  # the stage's `target_choice`, as a person or we ourselves said it last
        self._target_heard: Any = None  # the class dropdown's value, as its observer has heard it
        self._updating: int | None = None  # the thread that is changing controls itself
        self._wishing = threading.RLock()

        wishes: dict[str, Any] = {"network": network} | ({} if image is None else {"image": image}) | state
        changes = self._plain(wishes, State().network)
        self._check_layer(changes)
        self._wanted = State().with_changes(**changes)
        language = self._wanted.language
        self.stage = Stage(
            panels=list(self.panels),
            texts=payloads.stage_texts(language),
            language=language,
            languages=language_names(),
            methods=[method.name for method in methods()] if "photo" in self.panels else [],
        )
        self.controls = Controls(self.stage, [method.name for method in methods()], language)
        super().__init__(list(self._children()), layout=widgets.Layout(width="100%"))
        self.add_class("cnnvis-explorer")
        self._set_appearance(self._wanted)
        offer(self.controls.network, self.shelf.network_names, self._wanted.network)
        offer(self.controls.image, self.shelf.image_names, self._wanted.image)
        self._target_heard = self.controls.target.value
        self._observe()
        self._parts = [part(self) for part in PARTS]
        keep_alive((*self.controls.every(), *self.children))
        self._wish()

    # What code reads and writes ---------------------------------------------------------------------------

    @property
    def state(self) -> dict[str, Any]:
        """What is shown now, as a dictionary that `Explorer(**state)` or ``update(**state)`` takes."""
        return self.state_of(self.settled()).to_dict()

    def update(self, **changes: Any) -> None:
        """Change what is shown and wait until it is. Raises what is wrong with the change; the view stays as it was."""
        changes = self._plain(changes, self._wanted.network)  # before the lock: it may wait for the worker
        self._failure = None
        with self._wishing:
            wanted = self._wanted.with_changes(**(self._appearance() | changes))
            self._wish(wanted)
        self._settle()
        if self._failure is not None:
            raise self._failure
        self._set_appearance(wanted)
        if changes.get("unit") is not None and changes["unit"] != self.stage.unit:
            self.stage.unit = self.controls.unit.value = changes["unit"]  # the person had moved on from it

    @property
    def address(self) -> str:
        """Where one is, to be copied and opened again: "mobilenet_v2/block_8_expand/137@5,6"."""
        return self.address_of(self.settled())

    def code(self) -> str:
        """The plain Python code that computes and draws what is shown, without a widget."""
        shown = self.settled()
        state = self.state_of(shown)
        drawn = self.stage.picture and self.stage.picture_unit == state.unit
        return code_for(
            shown,
            state,
            network=self.shelf.name_to_load(state.network),
            image=self.shelf.name_of_image(state.image),
            samples=tuple(self.shelf.samples),
            recipe=self.stage.picture_recipe if drawn and "filter" in self.panels else None,
        )

    def to_html(
        self, path: str | os.PathLike, budget_mb: float = 5, layers: Sequence[str] | None = None
    ) -> Path:
        """Write one HTML file that moves without a kernel and without a network: layers, filters, classes, hovering.

        budget_mb: millions of bytes that the file may have; what is kept in full and what small is chosen to fit, and
        the page says so. layers: paths of those wanted, None for all. Returns the path. Raises `CnnvisError`.
        """
        from cnnvis_widgets.page import write_page

        return write_page(self, path, budget_mb, layers)

    def snapshot(self) -> Image.Image:
        """A picture of what is shown now, 900 pixels wide: RGB, as a PIL image (``.save("view.png")``).

        It also becomes the picture that stands in a notebook saved from now on with its widgets' state.
        """
        return stills.renew(self, self.settled())

    def _repr_mimebundle_(self, **options: Any) -> dict[str, Any]:
        return stills.with_still(self, super()._repr_mimebundle_(**options) or {})

    def ablate(self, layer: str | None, units: Iterable[int] | int | None = None) -> Ablation | None:
        """Silence units of a layer and see how the prediction moves; ``ablate(None)`` lets them speak again.

        What is shown stays that of the whole network; the sentence below it tells what is silenced, and follows the
        image. Returns what `compute.ablate` returns; raises what it raises.
        """
        ablating = next(part for part in self._parts if isinstance(part, Ablating))
        if layer is None and units is None:
            ablating.restore()
            return None
        if units is None:
            raise CnnvisError(
                f"Say which units of {layer!r} to silence, as in explorer.ablate({layer!r}, [3, 7])."
            )
        return ablating.silence(layer, units)

    def open(self, where: str | None = None) -> None:
        """Go to an address and wait until it is shown. Raises what is wrong with it; the view stays as it was."""
        if where is None:
            super().open()  # ipywidgets' own: a connection to the browser
        else:
            self.update(**asdict(addresses.read(where)))

    @property
    def network(self) -> Network:
        """The `Network` that is looked into."""
        return self.settled().network

    @property
    def image(self) -> np.ndarray:
        """The photograph: RGB uint8 (H, W, 3). Set it to anything `load_image` takes."""
        return self.settled().image

    @image.setter
    def image(self, image: Any) -> None:
        self.update(image=image)

    @property
    def feature_maps(self) -> FeatureMaps:
        """All maps of the layer shown."""
        return self.settled().maps

    @property
    def feature_map(self) -> np.ndarray:
        """The selected unit's map: (h, w) float32."""
        shown = self.settled()
        return shown.maps.values[..., self._unit(shown)]

    @property
    def heatmap(self) -> Heatmap:
        """The heatmap shown, or that would be shown where no panel shows one."""
        shown = self.settled()
        return shown.heatmap or worker().call(
            lambda: views.explained_by(shown.network, shown.image, shown.state)
        )

    # What parts use ----------------------------------------------------------------------------------------

    @property
    def shown(self) -> Shown | None:
        """The last good view, without waiting for what is on its way; None before the first."""
        return self._shown

    def shown_within(self, seconds: float) -> Shown | None:
        """The last good view, after waiting at most so long for the one that is on its way."""
        if not worker().is_current():
            self._ticket.wait(seconds)
        return self._shown

    def state_of(self, shown: Shown) -> State:
        """The state of a view with what the browser has changed since without the kernel."""
        return shown.state.with_changes(**self._appearance(), unit=self._unit(shown))

    def address_of(self, shown: Shown) -> str:
        state = self.state_of(shown)
        return addresses.written(addresses.Address(state.network, state.layer, state.unit, state.position))

    @property
    def wanted(self) -> State:
        """What has been asked for last; the worker makes it true. Its language is that of everything said."""
        return self._wanted

    @property
    def unit(self) -> int:
        """The selected unit, the browser's newest word on it; without waiting for what is on its way."""
        return self._unit(self._shown) if self._shown else max(self.stage.unit, 0)

    def go_to(self, place: addresses.Address) -> None:
        """Go to an address without waiting until it is shown. On the worker thread: a network may have to be loaded."""
        self.wish(**self._plain(asdict(place), self._wanted.network))

    def wish(self, **changes: Any) -> None:
        """A person's change: note it and return at once. From any thread."""
        with self._wishing:
            self._wish(self._wanted.with_changes(**changes))

    def close(self) -> None:
        """Stop this Explorer's work and take its widgets away."""
        worker().cancel((id(self), "view"))
        self._rest()
        controls = getattr(self, "controls", None)  # none where the constructor failed
        widgets_ = (*controls.links, *controls.every(), *self.children) if controls else ()
        for widget in widgets_:
            widget.close()
        super().close()

    def _rest(self) -> None:
        """Stop all work but that on the view itself."""
        worker().cancel((id(self), "prefetch"))
        for part in getattr(self, "_parts", ()):
            part.stop()

    # What a person does: each callback only notes a wish and returns ---------------------------------------

    def _children(self) -> Iterator[widgets.Widget]:
        for row in self.rows:
            yield self.controls.row(*row)
        yield self.stage
        if "filter" in self.panels:
            yield self.controls.row("maximize", "cancel", "recipe", "follow", "card")

    def _observe(self) -> None:
        controls = self.controls
        self._on_value(controls.network, lambda name: {"network": name})
        self._on_value(controls.image, lambda name: {"image": name})
        self._on_value(controls.layer, lambda path: {"layer": path})
        self._on_value(controls.target, self._target_chosen)
        self._on_value(controls.method, lambda name: {"method": name})
        self._on_value(controls.augment, lambda ticked: {"augment": ticked})
        self._on_value(controls.recipe, lambda name: {"recipe": name})
        self._on_value(controls.search, self._searched)
        self.stage.observe(lambda change: self._spoken_to(change.new), "language")
        # Not the trait `target_choice`: the browser, which links it to the dropdown, also echoes there what it is told.
        self.stage.on("choose", lambda content, _buffers: self._target_wished(int(content["choice"]) - 1))
        self.stage.on("unwatched", lambda _content, _buffers: self._rest())
        self.stage.on(
            "image", lambda content, buffers: self._uploaded(str(content["name"]), bytes(buffers[0]))
        )

    def _on_value(self, control: widgets.Widget, wish: Callable[[Any], dict[str, Any]]) -> None:
        def changed(event) -> None:
            # Else a view could be published between what is heard here and what is wished.
            with self._wishing:
                if control is self.controls.target:
                    self._target_heard = event.new
                by_person = threading.get_ident() != self._updating and event.new is not None
                if by_person and (changes := wish(event.new)):
                    self.wish(**changes)

        control.observe(changed, "value")

    def _target_wished(self, index: int) -> None:
        with self._wishing:
            if changes := self._target_chosen(index):
                self.wish(**changes)

    def _target_chosen(self, index: int) -> dict[str, Any]:
        """A choice may come twice, from the dropdown and from the stage's list; the second is no new wish."""
        self._choice_heard = index + 1
        target = None if index == TOP else index
        return {} if target == self._wanted.target else {"target": target}

    def _searched(self, name: str) -> dict[str, Any]:
        names = self._shown.network.class_names if self._shown else ()
        if name not in names:
            return {}
        self.controls.search.value = ""  # so that the same name can be searched again
        return {"target": names.index(name)}

    def _spoken_to(self, language: str) -> None:
        if language != self._wanted.language and language in LANGUAGES:
            self.wish(language=language)

    def _uploaded(self, name: str, content: bytes) -> None:
        self.wish(image=self.shelf.put_upload(content, name))

    def _wish(self, wanted: State | None = None) -> None:
        """Have the worker make a state true; a request not yet done gives way to this one. From any thread."""
        with self._wishing:
            wanted = self._wanted = wanted or self._wanted
            doing = "busy" if self.shelf.has_network(wanted.network) else "loading"
            painted = self._shown is not None and any(
                part.paints(wanted, self._shown) for part in self._parts
            )
            self.stage.busy = (
                "" if painted else say(f"explorer.{doing}", wanted.language, network=wanted.network)
            )
            self.stage.growing = False
            self._ticket = worker().submit(
                (id(self), "view"),
                lambda ticket: self._show(ticket, wanted),
                lambda error: self._failed(error, wanted),
            )

    def _settle(self) -> None:
        """Wait until nothing is on its way. The worker itself, say in a person's observer, takes what there is."""
        ticket = None
        while ticket is not self._ticket and not worker().is_current():
            ticket = self._ticket
            ticket.wait()

    def settled(self) -> Shown:
        """The view, once nothing is on its way. Raises what went wrong where there is none."""
        self._settle()
        if self._shown is None:
            raise self._failure or CnnvisError("Nothing is shown yet.")
        return self._shown

    # What the worker does ----------------------------------------------------------------------------------

    def _show(self, ticket: Ticket, wanted: State) -> Iterator[None] | None:
        if "photo" in self.panels and views.is_slow(wanted) and not self._is_explained(wanted):
            return self._show_growing(ticket, wanted)
        with self.shelf.network(wanted.network).steady():
            self._replace(ticket, wanted, self.view_of(wanted, ticket))
        return None

    def _show_growing(self, ticket: Ticket, wanted: State) -> Iterator[None]:
        """For methods with many runs of their own: from the first one on, as much as there is of the heatmap.

        Something else may be answered between two runs. Where one fails, the last complete view comes back.
        """
        sent = 0.0
        try:
            for shown in views.growing(self.shelf, wanted):
                if shown.progress is None or not sent or time.monotonic() - sent >= views.GROWTH_SECONDS:
                    wanted = self._replace(ticket, wanted, shown)
                    sent = time.monotonic()
                else:
                    self.stage.busy = progress_words(shown, wanted.language)
                if shown.progress is not None:
                    yield
        except (Cancelled, GeneratorExit):
            raise
        except BaseException:  # thrown into this thread from outside too
            if sent and self._complete is not None:
                self._replace(ticket, self._complete.state, self._complete)
            elif sent:
                self._shown = None
            raise

    def _replace(self, ticket: Ticket, wanted: State, shown: Shown) -> State:
        """Put a new view in the place of the one shown, unless something newer is wanted. Returns its state."""
        before = self._shown
        if before is not None and wanted.unit == before.state.unit:
            # Nobody asked for another one, so wherever the person is with the slider.
            shown = replace(shown, state=replace(shown.state, unit=self._unit(shown)))
        for part in self._parts:
            part.prepare(shown, before)
        with self._wishing:
            ticket.check()  # from here on nothing newer is wanted, and nobody can want it
            additions: dict[str, Any] = {}
            for part in self._parts:  # before anything is replaced: one of them may fail
                additions |= part.changes(shown, before)
            kept = (self._wanted, self._shown, self._complete)
            self._wanted = shown.state
            self._shown = shown
            self._complete = self._complete if shown.progress else shown
            moved = shown.state.unit != self.stage.unit  # by code, or to a layer without that unit
            try:
                if before is not None and shown.network is before.network:
                    # The picture first: each of the controls' messages takes its time in the browser.
                    self.controls.unit.max = max(self.controls.unit.max, shown.state.unit)
                    self._publish(shown, before, additions)
                    self._update_controls(shown, moved)
                else:  # lists that the new view's choices are in
                    self._update_controls(shown, moved)
                    self._publish(shown, before, additions)
            except BaseException:
                self._wanted, self._shown, self._complete = kept
                raise
        for part in self._parts:
            part.after(shown, before)
        if shown.progress is None:
            worker().submit((id(self), "prefetch"), lambda _ticket: self._prepare_next(shown))
        return shown.state

    def _prepare_next(self, shown: Shown) -> Iterator[None]:
        """When nobody has asked for anything for a moment: what is likely to be asked for next."""
        yield from views.prefetch(shown)
        yield from rest(_IDLE_SECONDS)
        for part in self._parts:
            part.idle(shown)
            yield

    def view_of(self, wanted: State, ticket: Ticket | None = None, heatmap: Heatmap | None = None) -> Shown:
        """Everything that belongs to a state, computed or from memory; shows nothing. On the worker thread."""
        explained = "photo" in self.panels
        if heatmap is None and explained and self._shown is not None and self._is_explained(wanted):
            heatmap = self._shown.heatmap
        return views.view_of(self.shelf, wanted, explained, heatmap, ticket)

    def _is_explained(self, wanted: State) -> bool:
        return views.is_explained(self.shelf, self._shown, wanted)

    def _unit(self, shown: Shown) -> int:
        """The unit that the person has chosen, on a layer that has it."""
        return min(max(self.stage.unit, 0), shown.maps.layer.units - 1)

    def _publish(self, shown: Shown, before: Shown | None, additions: dict[str, Any]) -> None:
        """One message with what has changed. The unit only where it must: the person may be further along with it."""
        maps, heatmap, layer, language = shown.maps, shown.heatmap, shown.maps.layer, shown.state.language
        changes: dict[str, Any] = {
            "network": shown.network.name,
            "layer": {"path": layer.path, "kind": layer.kind, "shape": list(layer.shape)},
            "position": list(shown.state.position or ()),
            "facts": views.facts(shown),
            "busy": progress_words(shown, language),
            "growing": shown.progress is not None,
        }
        if before is None or before.progress is None or not before.state.same_but_unit(shown.state):
            changes["error"] = ""  # a view that only grows leaves what has been said meanwhile
        if heatmap is not None:
            changes |= payloads.heat_payload(
                heatmap.values,
                signed=heatmap.signed,
                **heat_words(shown, language),
            )
        if before is None or before.state.language != language:
            changes |= {"language": language, "texts": payloads.stage_texts(language)}
        new_image = before is None or before.image is not shown.image
        if new_image:
            changes |= payloads.photo_payload(shown.image, shown.state.image)
        if not shown.same_maps(before):
            changes |= payloads.maps_payload(maps.values)
        if shown.state.unit != self.stage.unit:
            changes["unit"] = shown.state.unit
        choice = 0 if shown.state.target is None else shown.state.target + 1
        # Only what code has said: a person may by now have chosen something newer than what is shown here.
        if choice != self._choice_heard:
            changes["target_choice"] = self._choice_heard = choice
        self.stage.publish(**changes | additions)

    def _update_controls(self, shown: Shown, moved: bool = False) -> None:
        """Bring the controls to what is shown, without taking that for a person's wish."""
        state, network, controls = shown.state, shown.network, self.controls
        self._updating = threading.get_ident()
        try:
            controls.speak(state.language)
            offer(controls.network, self.shelf.network_names, state.network)
            offer(controls.image, self.shelf.image_names, state.image)
            controls.show_layers(network.layers, shown.maps.layer)
            controls.unit.max = shown.maps.layer.units - 1
            if moved:
                controls.unit.value = state.unit
            if controls.target.value == self._target_heard:  # else a person's newer choice waits to be heard
                controls.show_classes(network.class_names, state.target)
            controls.method.value = find_method(state.method).name
            controls.augment.value = state.augment
            controls.recipe.value = state.recipe
        finally:
            self._updating = None

    def _failed(self, error: BaseException, wanted: State) -> None:
        """Say what is wrong; picture, state and controls stay what they were."""
        self._failure = error
        self.say_error(error)
        self.shelf.drop_unread(wanted.image)
        with self._wishing:
            shown = self._shown
            if shown is not None and self._wanted is wanted:
                self._wanted = shown.state
                self._update_controls(shown)
                self.stage.language = shown.state.language
                if shown.progress is not None:
                    self._wish()  # its heatmap has been left half done for what failed

    def say_error(self, error: BaseException) -> None:
        """Show an error in the widget, in words; everything else stays as it was. From any thread."""
        words = str(error) if isinstance(error, CnnvisError) else f"{type(error).__name__}: {error}"
        self.stage.publish(error=words, busy="", picture_progress={})

    # Names and appearance ----------------------------------------------------------------------------------

    def _plain(self, changes: dict[str, Any], network: str) -> dict[str, Any]:
        """What code gave, as a `State` holds it: networks and images by their names here, classes by index.

        Loads on the worker thread and waits for it, so never called with a lock held.
        """
        changes = addresses.expanded(changes, self.shelf.network_names)
        if "network" in changes:
            source = changes["network"]
            changes["network"] = network = worker().call(lambda: self.shelf.put_network(source))
        if "image" in changes:
            changes["image"] = self.shelf.put_image(changes["image"])
        if changes.get("target") is not None:
            target = changes["target"]
            found = worker().call(lambda: self.shelf.network(network).target(target))
            if found.weights or found.of != "logit":
                raise CnnvisError(
                    f"An Explorer explains the logit of one class; {target!r} was asked for, which explain() takes."
                )
            changes["target"] = found.index
        if "method" in changes:
            changes["method"] = find_method(changes["method"]).name
        if changes.get("pinned") is not None:
            if not isinstance(changes["pinned"], dict):
                raise CnnvisError(f"pinned is a state, a dictionary; {short(changes['pinned'])} was given.")
            pinned = {name: value for name, value in changes["pinned"].items() if name != "pinned"}
            changes["pinned"] = self._plain(pinned, State().network)
        return changes

    def _check_layer(self, changes: dict[str, Any]) -> None:
        """Raise at once where the very first view is impossible; later ones leave the last good view."""
        if changes.get("layer") is not None:
            worker().call(lambda: self.shelf.network(changes["network"]).layer(changes["layer"]))

    def _appearance(self) -> dict[str, Any]:
        """What the stage holds itself, so that the browser changes it without the kernel."""
        return {
            "opacity": self.stage.opacity,
            "colormap": colormaps.NAMES[self.stage.colormap],
            "scale": self.stage.scale,
            "heat_scale": self.stage.heat_scale,
            "sort": self.stage.sort,
            "difference": self.stage.difference,
        }

    def _set_appearance(self, state: State) -> None:
        self.controls.colormap.value, self.controls.opacity.value = state.colormap, state.opacity
        self.stage.publish(
            opacity=state.opacity,
            colormap=colormaps.NAMES.index(state.colormap),
            scale=state.scale,
            heat_scale=state.heat_scale,
            sort=state.sort,
            difference=state.difference,
        )
