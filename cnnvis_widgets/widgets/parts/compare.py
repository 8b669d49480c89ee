"""A view pinned as A, beside whatever is shown: another unit, class, layer, image or network.

What is pinned is a state, so it is saved, shared and opened with the rest; its arrays are computed anew, mostly from
memory.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from cnnvis_widgets.compute.methods import find_method
from cnnvis_widgets.widgets import payloads
from cnnvis_widgets.widgets.parts.part import Part
from cnnvis_widgets.widgets.shown import Shown
from cnnvis_widgets.widgets.state import State


class Compare(Part):
    def __init__(self, explorer):
        super().__init__(explorer)
        self._pinned_state: dict[str, Any] | None = None
        self._pinned: Shown | None = None  # the view of that state
        self.stage.on("pin", self._pin_asked)
        self.stage.on("unpin", lambda _content, _buffers: explorer.wish(pinned=None))

    def prepare(self, shown: Shown, before: Shown | None) -> None:
        state = shown.state.pinned
        if self._pinned_state != state:
            self._pinned = None if state is None else self.explorer.view_of(State(**state))
            self._pinned_state = state

    def changes(self, shown: Shown, before: Shown | None) -> dict[str, Any]:
        about = (shown.state.pinned, shown.state.language)
        if before is not None and about == (before.state.pinned, before.state.language):
            return {}
        if self._pinned is None:
            return payloads.nothing_pinned()
        return payloads.pinned_payload(self._pinned, shown.state.language)

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
            if target == shown.state.target:  # then there is nothing to compute
                self._pinned, self._pinned_state = (
                    replace(shown, state=state),
                    state.to_dict() | {"pinned": None},
                )
            other = {"method": find_method(method).name, "target": target} if method else {}
            self.explorer.wish(pinned=state.to_dict(), **other)
