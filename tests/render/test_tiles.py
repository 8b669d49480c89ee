"""The atlas: every tile where it is said to be, in the colours it has alone."""

from __future__ import annotations

import numpy as np
import pytest

from cnnvis_widgets.render import tiles
from cnnvis_widgets.render.pictures import colorize, limits


def maps(h: int = 6, w: int = 9, c: int = 10) -> np.ndarray:
    return np.random.default_rng(0).random((h, w, c)).astype(np.float32)


def test_each_tile_lies_at_its_corner():
    colours = tiles.color_tiles(maps(), "viridis", (0, 1))
    atlas = tiles.arrange(colours, columns=4, label=0.25, gap=0.1)
    height, width = atlas.tile
    assert (atlas.rows, atlas.columns) == (3, 4)
    for index, tile in enumerate(colours):
        top, left = atlas.corner(index)
        seen = atlas.picture[top : top + height, left : left + width]
        assert (seen[:: height // 6, :: width // 9] == tile).all()
    assert (atlas.picture[-height:, 2 * atlas.cell[1] :] == 255).all()  # places that hold nothing


def test_one_scale_for_all_or_one_each():
    values = maps() * np.arange(1, 11)
    shared = tiles.color_tiles(values, "viridis", (0, 10))
    own = tiles.color_tiles(values, "viridis", None)
    for unit in range(10):
        assert (shared[unit] == colorize(values[..., unit], "viridis", 0, 10)).all()
        assert (own[unit] == colorize(values[..., unit], "viridis", *limits(values[..., unit], False))).all()


def test_dead_and_not_a_number_are_told_apart():
    values = maps()
    values[..., 3] = 0
    values[..., 4] = 0.5  # constant, but alive
    values[2, 2, 5] = np.nan
    values[2, 2, 6] = np.inf
    assert np.flatnonzero(tiles.dead(values)).tolist() == [3]
    assert np.flatnonzero(tiles.without_numbers(values)).tolist() == [5, 6]


def test_an_atlas_of_huge_maps_stays_small(monkeypatch):
    monkeypatch.setattr(tiles, "_MOST_PIXELS", 10_000)
    colours = tiles.color_tiles(maps(100, 50, 8), "gray", (0, 1))
    assert colours.shape[1] * colours.shape[2] * 8 <= 10_000
    assert colours.shape[1] == pytest.approx(2 * colours.shape[2], abs=2)


@pytest.mark.parametrize("count", [1, 2, 5, 16, 36, 64, 100, 512, 1024, 2048])
def test_columns_fill_a_wide_screen_and_waste_little(count):
    columns = tiles.default_columns(count)
    rows = -(-count // columns)
    assert 1 <= columns <= count
    assert rows * columns - count <= 0.2 * rows * columns
    if count >= 16:
        assert 0.9 < columns / rows < 4.1


@pytest.mark.parametrize("count", [8, 64, 512, 2048])
def test_a_few_columns_more_or_less_are_fine_if_they_fill_every_row(count):
    assert count % tiles.default_columns(count) == 0
