"""Scales, colours and overlays against slow and plain re-implementations."""

from __future__ import annotations

import math

import numpy as np
import pytest

from cnnvis_widgets.errors import CnnvisError
from cnnvis_widgets.render import colormaps, pictures

NAN, INFINITY = float("nan"), float("inf")


def bilinear_by_hand(values: np.ndarray, height: int, width: int) -> np.ndarray:
    """Between cell centres, each pixel on its own; beyond the outermost centres the outermost value."""
    h, w = values.shape
    result = np.zeros((height, width))
    for i in range(height):
        for j in range(width):
            y = min(max((i + 0.5) * h / height - 0.5, 0), h - 1)
            x = min(max((j + 0.5) * w / width - 0.5, 0), w - 1)
            top, left = math.floor(y), math.floor(x)
            bottom, right = min(top + 1, h - 1), min(left + 1, w - 1)
            upper = values[top, left] * (1 - x + left) + values[top, right] * (x - left)
            lower = values[bottom, left] * (1 - x + left) + values[bottom, right] * (x - left)
            result[i, j] = upper * (1 - y + top) + lower * (y - top)
    return result


def colour_by_hand(value: float, name: str, low: float, high: float) -> np.ndarray:
    step = math.floor((value - low) / (high - low) * 256)
    return colormaps.table(name)[min(max(step, 0), 255)]


@pytest.mark.parametrize(
    ("values", "signed", "expected"),
    [
        ([0, 1, 3], None, (0, 3)),
        ([2, 3], None, (0, 3)),
        ([-1, -3], None, (-3, 0)),
        ([-1, 3], None, (-3, 3)),
        ([-4, 3], None, (-4, 4)),
        ([0, 3], True, (-3, 3)),
        ([-1, 3], False, (-1, 3)),
        ([0, 0], None, (0, 1)),
        ([0, 0], True, (-1, 1)),
        ([NAN, 2, INFINITY, -INFINITY], None, (0, 2)),
        ([NAN, NAN], None, (0, 1)),
        ([], None, (0, 1)),
    ],
)
def test_limits_hold_zero_and_ignore_what_is_not_a_number(values, signed, expected):
    assert pictures.limits(np.array(values, np.float32), signed) == expected


def test_colours_are_looked_up_in_256_equal_steps():
    values = np.random.default_rng(0).normal(size=(9, 11)).astype(np.float32)
    colours = pictures.colorize(values, "magma", -1.5, 1.25)
    for i, j in np.ndindex(values.shape):
        assert (colours[i, j] == colour_by_hand(values[i, j], "magma", -1.5, 1.25)).all()


def test_values_beyond_the_scale_get_the_end_colours():
    low, high = pictures.colorize(np.array([-INFINITY, INFINITY]), "viridis", 0, 1)
    assert (low == colormaps.table("viridis")[0]).all()
    assert (high == colormaps.table("viridis")[255]).all()


@pytest.mark.parametrize("name", ["cividis", "blue-orange", "gray"])
def test_nan_has_a_colour_of_its_own(name):
    colours = pictures.colorize(np.array([NAN, 0.0]), name, 0, 1)
    assert tuple(colours[0]) == pictures.NAN_COLOUR
    assert tuple(colours[1]) == tuple(colormaps.table(name)[0])
    assert pictures.NAN_COLOUR not in {tuple(colour) for colour in colormaps.table(name).tolist()}


@pytest.mark.parametrize("size", [(20, 30), (7, 9), (64, 64)])
def test_enlarging_is_bilinear_between_cell_centres(size):
    values = np.random.default_rng(1).random((4, 5)).astype(np.float32)
    assert pictures.enlarge(values, *size) == pytest.approx(bilinear_by_hand(values, *size), abs=1e-5)


def test_the_enlarged_peak_lies_over_its_cell():
    values = np.zeros((4, 4), np.float32)
    values[1, 2] = 1
    fine = pictures.enlarge(values, 40, 80)
    assert fine.max() == fine[14:16, 49:51].max()


def test_nan_stays_in_its_cell_and_never_becomes_zero():
    values = np.ones((4, 4), np.float32)
    values[1, 2] = NAN
    fine = pictures.enlarge(values, 40, 40)
    assert np.isnan(fine[14:16, 24:26]).all()
    assert np.isfinite(fine[:, :20]).all()
    assert fine[np.isfinite(fine)] == pytest.approx(1)


def test_overlay_is_enlarged_then_coloured_then_blended():
    rng = np.random.default_rng(2)
    image = rng.integers(0, 256, (21, 34, 3), np.uint8)
    values = rng.random((3, 4)).astype(np.float32)
    fine = bilinear_by_hand(values, 21, 34)
    colours = np.array([[colour_by_hand(value, "cividis", 0, 1) for value in row] for row in fine])
    expected = 0.7 * image + 0.3 * colours
    result = pictures.overlay(image, values, 0.3)
    assert (result.shape, result.dtype) == (image.shape, np.uint8)
    # One step of the table may differ where a value lies between two.
    assert np.abs(result - expected).max() < 2


def test_between_two_cells_only_colours_of_the_colormap_appear():
    black = np.zeros((8, 64, 3), np.uint8)
    result = pictures.overlay(black, np.array([[0.0, 1.0]]), 1.0, "jet")
    known = {tuple(colour) for colour in colormaps.table("jet").tolist()}
    assert {tuple(colour) for colour in result.reshape(-1, 3).tolist()} <= known


@pytest.mark.parametrize(("signed", "colormap"), [(True, None), (True, "gray"), (False, "blue-orange")])
def test_zero_is_the_middle_colour_where_signs_or_a_diverging_colormap_ask_for_it(signed, colormap):
    black = np.zeros((4, 4, 3), np.uint8)
    result = pictures.overlay(black, np.zeros((2, 2), np.float32), 1.0, colormap, signed)
    assert (result == colormaps.table(colormap or "blue-orange")[128]).all()


def test_opacity_runs_from_photograph_to_heatmap():
    image = np.random.default_rng(3).integers(0, 256, (6, 6, 3), np.uint8)
    values = np.full((2, 2), 0.5)
    assert (pictures.overlay(image, values, 0) == image).all()
    assert (pictures.overlay(image, values, 1) == colormaps.table("cividis")[128]).all()
    for opacity in (-0.1, 1.1, NAN):
        with pytest.raises(CnnvisError, match="opacity is a number"):
            pictures.overlay(image, values, opacity)
