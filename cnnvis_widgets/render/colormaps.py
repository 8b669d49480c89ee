"""Colour tables, made once by matplotlib and handed to figures and browser alike as 256 x 3 bytes.

The defaults are even to the eye and safe for colour-blind readers; turbo and jet must be asked for.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np

from cnnvis_widgets.errors import CnnvisError, did_you_mean

if TYPE_CHECKING:
    from matplotlib.colors import Colormap

SEQUENTIAL = ("cividis", "viridis", "magma", "gray", "turbo", "jet")
DIVERGING = ("blue-orange", "RdBu")
NAMES = SEQUENTIAL + DIVERGING

# From end to middle, both sides equally light (CIE L*), so that equal strength looks equally strong.
_LIGHTNESS = (30, 46, 62, 78, 88, 95)
_BLUES = ("#00478e", "#0073c1", "#3d9edb", "#97c6ef", "#ccdff3", "#f1f1f1")
_ORANGES = ("#7c2e14", "#b44f18", "#e27a30", "#fab175", "#f7d7b9", "#f1f1f1")


def default(signed: bool) -> str:
    """The colormap used where nobody chose one: for values of both signs, or of one."""
    return "blue-orange" if signed else "cividis"


@functools.cache
def table(name: str) -> np.ndarray:
    """The 256 colours of a colormap: (256, 3) uint8, read-only, lowest value first.

    ``name`` is one of `NAMES` or any other name that matplotlib has. In "blue-orange" the two middle colours
    (127 and 128) are the same neutral gray, so that zero, which lies between them, has no hue.
    Raises CnnvisError for an unknown name.
    """
    colours = np.rint(_colormap(name)(np.linspace(0, 1, 256))[:, :3] * 255).astype(np.uint8)
    colours.flags.writeable = False
    return colours


def _colormap(name: str) -> Colormap:
    import matplotlib

    if name == "blue-orange":
        return _blue_orange()
    if name not in matplotlib.colormaps:
        raise CnnvisError(
            f"There is no colormap {name!r}; {did_you_mean(name, (*NAMES, *matplotlib.colormaps))} "
            f"Any matplotlib name works, and these are at hand: {', '.join(NAMES)}."
        )
    return matplotlib.colormaps[name]


def _blue_orange() -> Colormap:
    from matplotlib.colors import LinearSegmentedColormap, ListedColormap

    where = (np.array(_LIGHTNESS) - _LIGHTNESS[0]) / (_LIGHTNESS[-1] - _LIGHTNESS[0])
    strength = np.linspace(0, 1, 128)
    half = {
        anchors: LinearSegmentedColormap.from_list("half", list(zip(where, anchors, strict=True)), N=1024)(
            strength
        )
        for anchors in (_BLUES, _ORANGES)
    }
    return ListedColormap(np.concatenate([half[_BLUES], half[_ORANGES][::-1]]), name="blue-orange")
