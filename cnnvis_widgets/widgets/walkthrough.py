"""A lecture in steps: an Explorer with a text above it whose phrases lead it, and light up when one points at them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import ipywidgets as widgets

from cnnvis_widgets.jobs.worker import worker
from cnnvis_widgets.widgets.explorer import Explorer
from cnnvis_widgets.widgets.story import HIDABLE, read_steps, story_payload


class Walkthrough(Explorer):
    """Steps around an Explorer: Page down and Page up (or arrow keys) lead through them, a click reveals an answer.

    steps: a Markdown file, or its text (`widgets.story` says how it is written). network, image, state: as for
    `Explorer`. ``step`` reads and sets the step, from 0. ``to_html`` writes it as one file, which is a slide deck.
    Raises `CnnvisError` for a step that is written wrongly, `UnknownLayerError` for a link that leads nowhere.
    """

    panels = ("story", "network", "photo", "maps", "detail", "filter")

    def __init__(self, steps: str | os.PathLike, network: Any = "bundled", image: Any = None, **state: Any):
        self._steps = read_steps(steps)
        super().__init__(network, image, **state)
        self._story = worker().call(
            lambda: story_payload(self._steps, self.shelf.network(self.wanted.network))
        )
        self.stage.observe(lambda change: self._show_step(change.new), "story_step")
        self.stage.on("go", lambda content, _buffers: self._go(content["place"]))
        self.stage.story = self._story
        self._show_step(0)

    @property
    def step(self) -> int:
        """The number of the step that is shown, from 0."""
        return self.stage.story_step

    @step.setter
    def step(self, number: int) -> None:
        self.stage.story_step = min(max(int(number), 0), len(self._story) - 1)

    def _children(self) -> Iterator[widgets.Widget]:
        rows = list(super()._children())
        yield from sorted(rows, key=lambda row: row is not self.stage)  # the text comes first

    def _show_step(self, number: int) -> None:
        step = self._story[min(max(number, 0), len(self._story) - 1)]
        self.stage.panels = [panel for panel in self.panels if panel not in step["hide"]]
        hidden = {*step["hide"], *(["augment"] if "method" in step["hide"] else [])}  # which belongs to it
        for name in HIDABLE:
            if (control := getattr(self.controls, name, None)) is not None and name not in ("search",):
                control.layout.visibility = "hidden" if name in hidden else "visible"
        if step["show"]:
            self._go(step["show"])
        if step["maximize"]:
            self.controls.maximize.click()

    def _go(self, place: dict[str, Any]) -> None:
        """A link: what it leaves out stays as it is."""
        changes = {
            name: place[name] for name in ("layer", "unit", "target", "method") if place[name] is not None
        }
        if place["y"] is not None:
            changes["position"] = (place["y"], place["x"])
        if "layer" in changes and "unit" not in changes and changes["layer"] != self.wanted.layer:
            changes["unit"] = None
        self.wish(**changes)
