"""What to say of units that stayed off, with the real reason: looked for only when there are any."""

from __future__ import annotations

import numpy as np

from cnnvis_widgets.compute.feature_maps import feature_maps
from cnnvis_widgets.images import sample_images
from cnnvis_widgets.networks.network import Network
from cnnvis_widgets.results import LayerInfo


def remarks(
    network: Network, layer: LayerInfo, units: np.ndarray, reached: np.ndarray, history: np.ndarray
) -> tuple[str, ...]:
    """A sentence for each unit that stayed at 0 or is no number, an empty one for all others.

    reached: (n,) activations of the finished pictures; history: (n, steps), NaN where steps were not taken.
    """
    off = (reached == 0) & ~(np.nan_to_num(history) > 0).any(axis=1)
    if not off.any() and np.isfinite(reached).all():
        return ("",) * len(units)
    strongest = {}
    if off.any():
        for name, photograph in sample_images().items():
            strongest[name] = feature_maps(network, photograph, layer).values.max(axis=(0, 1))
    steps = int(np.isfinite(history).any(axis=0).sum())
    return tuple(
        _remark(int(unit), value, bool(is_off), steps, {name: row[unit] for name, row in strongest.items()})
        for unit, value, is_off in zip(units, reached, off, strict=True)
    )


def _remark(unit: int, reached: float, off: bool, steps: int, strongest: dict[str, float]) -> str:
    if not np.isfinite(reached):
        return f"Unit {unit} gave values that are no numbers."
    if not off:
        return ""
    name = max(strongest, key=strongest.__getitem__)
    if strongest[name] > 0:
        return (
            f"Unit {unit} was never active from this start in {steps} steps, but it is on the sample photograph "
            f"{name!r}; try another seed or recipe."
        )
    return (
        f"Unit {unit} was never active from this start in {steps} steps, nor on any of the "
        f"{len(strongest)} sample photographs; it may be dead."
    )
