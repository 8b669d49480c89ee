"""The card of the selected unit below an Explorer: one picture of all there is to know of it, made on request.

It is drawn in Python and shown as a picture: nothing of it moves, so the browser has nothing to do.
"""

from __future__ import annotations

import base64
import html
from collections.abc import Iterator

import ipywidgets as widgets

from cnnvis_widgets.compute.unit_card import card_steps
from cnnvis_widgets.jobs.worker import Ticket
from cnnvis_widgets.locale import say
from cnnvis_widgets.render.cards import plot_unit_card
from cnnvis_widgets.results import UnitCard
from cnnvis_widgets.widgets.parts.part import Part
from cnnvis_widgets.widgets.shown import Shown


class Card(Part):
    """Opened and closed by a toggle; while it is open it follows the layer, not every unit that is looked at."""

    lane = "card"

    def __init__(self, explorer):
        super().__init__(explorer)
        self._known: UnitCard | None = None
        if "filter" not in explorer.panels:
            return  # nor is there the toggle
        self.view = explorer.card = widgets.HTML()
        explorer.controls.card.observe(lambda change: self._toggled(change.new), "value")
        explorer.children = (*explorer.children, self.view)

    def after(self, shown: Shown, before: Shown | None) -> None:
        if not self.explorer.controls.card.value or before is None:
            return
        what = [(id(one.network), one.maps.layer.path, one.state.unit) for one in (shown, before)]
        if what[0] != what[1]:
            self.submit(self._make)
        elif before.state.language != shown.state.language and self._known is not None:
            self._show(self._known)

    def _toggled(self, is_open: bool) -> None:
        if is_open:
            self.submit(self._make)
        else:
            self.stop()
            self._known, self.view.value = None, ""

    def _make(self, _ticket: Ticket) -> Iterator[None]:
        shown, unit = self.explorer.shown, self.explorer.unit
        if shown is None:
            return
        language, layer = self.explorer.wanted.language, shown.maps.layer
        waiting = say("explorer.card_soon", language, layer=layer.path, unit=unit)
        self.view.value = f"<p>{html.escape(waiting)}</p>"
        try:
            for card in card_steps(shown.network, layer, unit, self.explorer.wanted.recipe):  # noqa: B007
                yield
        except Exception:
            self.view.value = ""
            raise
        if card is not None and self.explorer.controls.card.value:
            self._show(card)

    def _show(self, card: UnitCard) -> None:
        self._known = card
        words = say(
            "explorer.card_alt",
            self.explorer.wanted.language,
            network=card.network,
            layer=card.layer.path,
            unit=card.unit,
            before=_named(card.before),
            after=_named(card.after),
        )
        picture = base64.b64encode(plot_unit_card(card)._repr_png_()).decode()
        self.view.value = (
            f'<img alt="{html.escape(words)}" style="max-width: 100%" src="data:image/png;base64,{picture}">'
        )


def _named(links) -> str:
    return ", ".join(f"{link.layer} {link.unit}" for link in links[:3]) or "–"
