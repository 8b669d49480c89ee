"""``explorer.view``: one change for each view, once things have settled, for those who observe an Explorer in code."""

from __future__ import annotations

from collections.abc import Iterator

from cnnvis_widgets.jobs.worker import Ticket, rest
from cnnvis_widgets.widgets.parts.part import Part
from cnnvis_widgets.widgets.shown import Shown

_SETTLED_SECONDS = 0.2
# What the browser changes alone
_LOOK_AND_CHOICE = ["unit", "opacity", "colormap", "scale", "heat_scale", "sort", "difference"]


class Told(Part):
    lane = "told"

    def __init__(self, explorer):
        super().__init__(explorer)
        self.stage.observe(lambda _change: self.submit(self._steps), _LOOK_AND_CHOICE)

    def after(self, shown: Shown, before: Shown | None) -> None:
        self.submit(self._steps)

    def _steps(self, _ticket: Ticket) -> Iterator[None]:
        """Wait until nothing has changed for a moment. A newer request in this lane begins again."""
        yield from rest(_SETTLED_SECONDS)
        shown = self.explorer.shown
        if shown is not None and shown.progress is None:
            self.explorer.view = self.explorer.state
