"""Colour tables against matplotlib's own, and the promises that the default ones make to the eye."""

from __future__ import annotations

import matplotlib
import numpy as np
import pytest
from skimage.color import rgb2lab

from cnnvis_widgets.errors import CnnvisError
from cnnvis_widgets.render import colormaps


def lightness(name: str) -> np.ndarray:
    return rgb2lab(colormaps.table(name)[None])[0, :, 0]


@pytest.mark.parametrize("name", [name for name in colormaps.NAMES if name != "blue-orange"])
def test_a_table_is_matplotlibs_colormap_in_bytes(name):
    expected = matplotlib.colormaps[name](np.arange(256), bytes=True)[:, :3]
    assert np.abs(colormaps.table(name).astype(int) - expected).max() <= 1


@pytest.mark.parametrize("name", [*colormaps.NAMES, "Set1", "twilight"])
def test_every_table_has_256_colours_and_cannot_be_changed(name):
    table = colormaps.table(name)
    assert (table.shape, table.dtype) == ((256, 3), np.uint8)
    with pytest.raises(ValueError, match="read-only"):
        table[0] = 0


def test_defaults_are_not_jet():
    assert (colormaps.default(False), colormaps.default(True)) == ("cividis", "blue-orange")
    assert "jet" in colormaps.NAMES


def test_the_sequential_default_only_gets_lighter():
    assert (np.diff(lightness("cividis")) > -0.5).all()


def test_blue_orange_is_neutral_at_zero_and_equally_light_on_both_sides():
    table = colormaps.table("blue-orange").astype(int)
    assert np.ptp(table[127]) == np.ptp(table[128]) == 0
    light = lightness("blue-orange")
    assert np.abs(light - light[::-1]).max() < 2
    assert (np.diff(light[:128]) > -0.5).all()
    assert light[128] - light[0] > 50
    assert table[20, 2] > table[20, 0]  # negative is blue
    assert table[235, 0] > table[235, 2]  # positive is orange


def test_blue_orange_steps_are_even_to_the_eye():
    steps = np.abs(np.diff(lightness("blue-orange")[:128]))
    assert steps.max() < 2.5 * steps.mean()


def test_an_unknown_name_is_told_with_the_closest_ones():
    with pytest.raises(CnnvisError, match=r"no colormap 'cividus'.*'cividis'"):
        colormaps.table("cividus")
