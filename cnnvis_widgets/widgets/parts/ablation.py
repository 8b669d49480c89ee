"""Units silenced from code, and how the prediction moves without them, said in the bar until they speak again."""

from __future__ import annotations

from collections.abc import Iterable

from cnnvis_widgets.compute.ablate import ablate
from cnnvis_widgets.jobs.worker import worker
from cnnvis_widgets.locale import say
from cnnvis_widgets.results import Ablation
from cnnvis_widgets.widgets.parts.part import Part
from cnnvis_widgets.widgets.shown import Shown

_CLASSES_SAID, _UNITS_SAID = 3, 8


class Ablating(Part):
    """Follows the image; forgets the units when the network changes."""

    lane = "ablation"

    def __init__(self, explorer):
        super().__init__(explorer)
        self._silenced: Ablation | None = None

    def silence(self, layer, units: Iterable[int] | int) -> Ablation:
        network, image = self.explorer.network, self.explorer.image
        result: Ablation = worker().call(lambda: ablate(network, image, layer, units))
        self._say(result)
        return result

    def restore(self) -> None:
        self._say(None)

    def after(self, shown: Shown, before: Shown | None) -> None:
        if self._silenced is None or before is None:
            return
        if shown.network is not before.network:
            self._say(None)
        elif shown.image is not before.image:
            layer, units = self._silenced.layer, self._silenced.units
            self.submit(lambda _ticket: self._say(ablate(shown.network, shown.image, layer, units)))
        elif shown.state.language != before.state.language:
            self._say(self._silenced)

    def _say(self, result: Ablation | None) -> None:
        self._silenced = result
        self.explorer.bar.note = "" if result is None else _sentence(result, self.explorer.wanted.language)


def _sentence(result: Ablation, language: str) -> str:
    """Without which units, and the classes that move most: "cat 96% → 41%"."""
    moves = sorted(
        zip(result.before, result.after, strict=True),
        key=lambda pair: -abs(pair[0].probability - pair[1].probability),
    )[:_CLASSES_SAID]
    said = [f"{old.name} {old.probability:.1%} → {new.probability:.1%}" for old, new in moves]
    units = [str(unit) for unit in result.units]
    more = len(units) - _UNITS_SAID
    named = ", ".join(units[:_UNITS_SAID]) + (f" +{more}" if more > 0 else "")
    return say("explorer.ablated", language, units=named, layer=result.layer.path, moves=" · ".join(said))
