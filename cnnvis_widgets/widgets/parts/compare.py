"""A view pinned as A, beside whatever is shown: another unit, class, layer, image or network.

What is pinned is a state, so it is saved, shared and opened with the rest; its arrays are computed anew, mostly from
memory.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from cnnvis_widgets.compute.methods import find_method
from cnnvis_widgets.jobs.worker import Ticket
from cnnvis_widgets.widgets import payloads, views
from cnnvis_widgets.widgets.parts.part import Part
from cnnvis_widgets.widgets.shown import Shown
from cnnvis_widgets.widgets.state import State


class Compare(Part):
    """Where the pinned heatmap takes many runs, it grows in a lane of its own, beside the view."""

    lane = "compare"

    def __init__(self, explorer):
        super().__init__(explorer)
        self._pinned_state: dict[str, Any] | None = None
        self._pinned: Shown | None = None  # the view of that state
        self._growing: tuple[dict[str, Any] | None, Ticket | None] = (None, None)  # which state, its work
        self.stage.on("pin", self._pin_asked)
        self.stage.on("unpin", lambda _content, _buffers: explorer.wish(pinned=None))

    def prepare(self, shown: Shown, before: Shown | None) -> None:
        state = shown.state.pinned
        if self._pinned_state != state:
            self._pinned = None if state is None else self._view_of(State(**state))
            self._pinned_state = state

    def changes(self, shown: Shown, before: Shown | None) -> dict[str, Any]:
        about = (shown.state.pinned, shown.state.language)
        if before is not None and about == (before.state.pinned, before.state.language):
            return {}
        if self._pinned is None:
            return payloads.nothing_pinned()
        return payloads.pinned_payload(self._pinned, shown.state.language)

    def after(self, shown: Shown, before: Shown | None) -> None:
        """Begin what is not complete, or go on after nobody has watched for a while."""
        if self._pinned is None or self._pinned.progress is None:
            return
        state, ticket = self._growing
        if state != self._pinned_state or ticket is None or ticket.wait(0):
            self._growing = (self._pinned_state, self.submit(self._steps))

    def _view_of(self, wanted: State) -> Shown:
        """The view to pin; without its heatmap where that takes many runs."""
        explorer = self.explorer
        slow = "photo" in explorer.panels and views.is_slow(wanted)
        if not slow or views.is_explained(explorer.shelf, explorer.shown, wanted):
            return explorer.view_of(wanted)
        return replace(views.view_of(explorer.shelf, wanted, explained=False), progress=(0, 0))

    def _steps(self, _ticket: Ticket) -> Iterator[None]:
        state, sent = self._pinned_state, float("-inf")
        if state is None:
            return
        for view in views.growing(self.explorer.shelf, State(**state)):
            if self._pinned_state != state:
                return
            self._pinned = view
            if view.progress is None or time.monotonic() - sent >= views.GROWTH_SECONDS:
                self.stage.publish(**payloads.pinned_payload(view, self.explorer.wanted.language))
                sent = time.monotonic()
            yield

    def _pin_asked(self, pin: dict[str, Any], _buffers: object) -> None:
        self._pin(int(pin["unit"]), int(pin["choice"]), str(pin.get("method", "")))

    def _pin(self, unit: int, choice: int, method: str = "") -> None:
        """What the person sees: unit and class (its number + 1, 0 for the top one) may be newer than the kernel's.

        method: what to show beside it, on the same image, layer and class; "" leaves that to the person.
        """
        shown = self.explorer.shown
        if shown is not None:
            target = None if choice == 0 else choice - 1
            state = shown.state.with_changes(
                unit=min(max(unit, 0), shown.maps.layer.units - 1), target=target
            )
            if target == shown.state.target and shown.progress is None:  # then there is nothing to compute
                self._pinned, self._pinned_state = (
                    replace(shown, state=state),
                    state.to_dict() | {"pinned": None, "difference": False},
                )
            other = {"method": find_method(method).name, "target": target} if method else {}
            self.explorer.wish(pinned=state.to_dict(), **other)
