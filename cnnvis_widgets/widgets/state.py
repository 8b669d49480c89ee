"""What an Explorer shows, as one small dictionary of names and numbers: no arrays."""

from __future__ import annotations

import numbers
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from cnnvis_widgets.compute.maximize import recipes
from cnnvis_widgets.errors import CnnvisError, did_you_mean
from cnnvis_widgets.locale import LANGUAGES
from cnnvis_widgets.render import colormaps

_CHOICES: dict[str, tuple[str, ...]] = {
    "colormap": colormaps.NAMES,
    "scale": ("map", "layer"),
    "heat_scale": ("own", "shared"),
    "sort": ("index", "strength", "class"),
    "language": LANGUAGES,
    "recipe": tuple(recipe.name for recipe in recipes()),
}


@dataclass(frozen=True)
class State:
    """Everything needed to show the same view again. None leaves the choice to the Explorer."""

    network: str = "bundled"
    image: str = "cat"
    layer: str | None = None  # None: the network's default layer
    unit: int | None = None  # None: the strongest unit
    position: tuple[int, int] | None = None  # (y, x) in the layer's maps
    target: int | None = None  # None: the top class
    method: str = "grad-cam"
    augment: bool = False  # the mean heatmap of six versions of the image, see `explain`
    colormap: str = "cividis"
    opacity: float = 0.4
    scale: str = "map"
    heat_scale: str = "own"  # "shared": one scale for all classes, so that weak evidence looks weak
    sort: str = "index"
    language: str = "en"
    recipe: str = "fourier"  # of filter pictures
    pinned: dict[str, Any] | None = (
        None  # the view to compare with: such a dictionary, without a pinned one of its own
    )
    difference: bool = False  # show this view minus the pinned one, where there is one

    def with_changes(self, **changes: Any) -> State:
        """A changed copy; what belonged to a network or layer that changed is forgotten unless it is said anew.

        Raises `CnnvisError` for a name that is not part of the state, or a value that it cannot have.
        """
        known = [field.name for field in fields(self)]
        for name, value in changes.items():
            if name not in known:
                raise CnnvisError(f"The state has no {name!r}; {did_you_mean(name, known)}")
            if name in _CHOICES and value not in _CHOICES[name]:
                raise CnnvisError(f"There is no {name} {value!r} here; there is {', '.join(_CHOICES[name])}.")
        if not _is_number(changes.get("opacity", 0), numbers.Real) or not 0 <= changes.get("opacity", 0) <= 1:
            raise CnnvisError(f"opacity is a number from 0 to 1; {changes['opacity']!r} was asked for.")
        if changes.get("unit") is not None and not _is_number(changes["unit"], numbers.Integral):
            raise CnnvisError(f"A unit is a whole number; {changes['unit']!r} was asked for.")
        for name in ("difference", "augment"):
            if not isinstance(changes.get(name, False), bool):
                raise CnnvisError(f"{name} is True or False; {changes[name]!r} was asked for.")
        if (position := changes.get("position")) is not None:
            changes["position"] = _checked_position(position)
        if changes.get("pinned") is not None:
            changes["pinned"] = State().with_changes(**changes["pinned"] | {"pinned": None}).to_dict()
        forgotten: dict[str, Any] = {}
        if changes.get("network", self.network) != self.network:
            forgotten = {"layer": None, "unit": None, "position": None, "target": None}
        elif changes.get("layer", self.layer) != self.layer:
            forgotten = {"unit": None, "position": None}
        changed = replace(self, **(forgotten | changes))
        return changed if changed.pinned is not None else replace(changed, difference=False)

    def same_but_unit(self, other: State) -> bool:
        return replace(self, unit=other.unit) == other

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def _checked_position(position: Any) -> tuple[int, int]:
    pair = list(position) if isinstance(position, (list, tuple)) else []
    if len(pair) != 2 or not all(_is_number(place, numbers.Integral) and place >= 0 for place in pair):
        raise CnnvisError(
            f"A position is (y, x), row and column in the layer's maps; {position!r} was asked for."
        )
    return int(pair[0]), int(pair[1])


def _is_number(value: Any, kind: type) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)
