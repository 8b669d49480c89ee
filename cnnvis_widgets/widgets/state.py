"""What an Explorer shows, as one small dictionary of names and numbers: no arrays."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from cnnvis_widgets.errors import CnnvisError, closest


@dataclass(frozen=True)
class State:
    """Everything needed to show the same view again. None leaves the choice to the Explorer."""

    network: str = "bundled"
    image: str = "cat"
    layer: str | None = None  # None: the network's default layer
    unit: int | None = None  # None: the strongest unit
    target: int | None = None  # None: the top class
    method: str = "grad-cam"
    colormap: str = "cividis"
    opacity: float = 0.4
    scale: str = "map"
    sort: str = "index"
    language: str = "en"

    def with_changes(self, **changes: Any) -> State:
        """A changed copy; what belonged to a network or layer that changed is forgotten unless it is said anew.

        Raises `CnnvisError` for a name that is not part of the state.
        """
        known = [field.name for field in fields(self)]
        for name in changes:
            if name not in known:
                raise CnnvisError(f"The state has no {name!r}; did you mean {closest(name, known)}?")
        forgotten: dict[str, Any] = {}
        if changes.get("network", self.network) != self.network:
            forgotten = {"layer": None, "unit": None, "target": None}
        elif changes.get("layer", self.layer) != self.layer:
            forgotten = {"unit": None}
        return replace(self, **(forgotten | changes))

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)
