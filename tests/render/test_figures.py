"""Figures: what is written on them, what is marked, and that any thread may draw them at any time."""

from __future__ import annotations

import dataclasses
import io
import itertools
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import matplotlib.text
import numpy as np
import pytest
from PIL import Image

from cnnvis_widgets.errors import CnnvisError
from cnnvis_widgets.render import colormaps
from cnnvis_widgets.render.figures import plot_feature_maps, plot_filters, plot_heatmap
from cnnvis_widgets.render.pictures import NAN_COLOUR
from cnnvis_widgets.results import FeatureMaps, FilterPictures, Heatmap, LayerInfo, Target, TopPatches

PHOTOGRAPH = np.random.default_rng(9).integers(0, 256, (48, 72, 3), np.uint8)


def layer(h: int, w: int, c: int) -> LayerInfo:
    return LayerInfo("backbone/block4_conv3", "convolution", (h, w, c), c)


def feature_maps(h: int = 8, w: int = 8, c: int = 12, low: float = 0) -> FeatureMaps:
    values = np.random.default_rng(0).uniform(low, 4, (h, w, c)).astype(np.float32)
    return FeatureMaps(values, layer(h, w, c), "vgg16", PHOTOGRAPH)


def filter_pictures(n: int = 6) -> FilterPictures:
    images = np.random.default_rng(1).integers(0, 256, (n, 32, 32, 3), np.uint8)
    activations = np.linspace(9, 1, n, dtype=np.float32)
    history = np.zeros((n, 20), np.float32)
    return FilterPictures(
        images, np.arange(n)[::-1] + 40, activations, history, layer(8, 8, 64), "vgg16", "classic", 7
    )


def heatmap(**changes) -> Heatmap:
    raw = np.random.default_rng(2).random((4, 6)).astype(np.float32) * 0.05
    one = Heatmap(
        raw / raw.max(), raw, layer(4, 6, 32), Target(281, "tabby"), "grad-cam", 8.25, "vgg16", PHOTOGRAPH
    )
    return dataclasses.replace(one, **changes)


def words(figure) -> str:
    """Everything that can be read on a figure."""
    figure.draw_without_rendering()
    texts = figure.findobj(lambda artist: isinstance(artist, matplotlib.text.Text) and artist.get_visible())
    return " | ".join(" ".join(text.get_text().split()) for text in texts if text.get_text())


def pixels(figure, **options) -> np.ndarray:
    file = io.BytesIO()
    figure.savefig(file, format="png", **options)
    return np.asarray(Image.open(file).convert("RGB"))


def strokes(figure, name: str) -> int:
    """Line segments of one kind of mark, each drawn once in black and once in white."""
    found = figure.findobj(lambda artist: artist.get_gid() == name)
    return sum(len(collection.get_segments()) for collection in found) // 2


def atlas(figure):
    return max(
        (image for axes in figure.axes for image in axes.images), key=lambda image: image.get_array().size
    )


def test_feature_maps_name_network_layer_units_and_scale():
    said = words(plot_feature_maps(feature_maps()))
    for part in (
        "vgg16",
        "backbone/block4_conv3",
        "12 feature maps",
        "8 x 8",
        "one scale for the whole layer",
    ):
        assert part in said
    assert {str(unit) for unit in range(12)} <= set(said.split(" | "))
    assert f"{feature_maps().values.max():.3g}" in said.split(" | ")  # the colour bar's upper limit
    assert "dead" not in said


def test_chosen_units_keep_their_numbers_and_the_layers_scale():
    maps = feature_maps()
    maps.values[0, 0, 5] = 50
    said = words(plot_feature_maps(maps, units=[9, 2, 11])).split(" | ")
    assert {"9", "2", "11", "50"} <= set(said)
    assert "3" not in said
    assert any("3 of 12 feature maps" in text for text in said)


def test_each_map_on_its_own_scale_is_said_in_words():
    said = words(plot_feature_maps(feature_maps(), scale="map"))
    assert "each map on its own scale" in said
    assert "own max" in said


def test_maps_of_both_signs_get_a_diverging_scale_around_zero():
    maps = feature_maps(low=-1)
    figure = plot_feature_maps(maps)
    strongest = f"{np.abs(maps.values).max():.3g}"
    assert {f"-{strongest}", "0", strongest} <= set(words(figure).split(" | "))
    bar = figure.axes[-1].images[0].get_array()
    assert (bar[0] == colormaps.table("blue-orange")).all()


def test_dead_units_and_nan_units_are_marked_and_counted():
    maps = feature_maps()
    maps.values[..., [3, 7]] = 0
    maps.values[2, 2, 5] = np.nan
    figure = plot_feature_maps(maps)
    said = words(figure)
    assert "2 dead" in said
    assert "1 with values that are not numbers" in said
    assert strokes(figure, "dead") == 2
    assert strokes(figure, "not numbers") == 2  # one cross
    assert (pixels(figure) == NAN_COLOUR).all(axis=-1).any()


def test_marks_lie_on_their_own_tiles():
    maps = feature_maps()
    maps.values[..., 7] = 0
    figure = plot_feature_maps(maps, columns=4)
    (start, end) = figure.findobj(lambda artist: artist.get_gid() == "dead")[0].get_segments()[0]
    height, width = atlas(figure).get_array().shape[:2]
    for x, y in (start, end):
        assert int(x / width * 4) == 3  # unit 7 in rows of four: second row, last column
        assert int(y / height * 3) == 1


def test_a_figure_shows_tiles_upright_and_in_order():
    values = np.zeros((2, 2, 2), np.float32)
    values[0, 1, 0] = values[1, 0, 1] = 1  # top right of the first, bottom left of the second
    maps = FeatureMaps(values, layer(2, 2, 2), "n", PHOTOGRAPH)
    figure = plot_feature_maps(maps, columns=2, colormap="magma")
    picture = pixels(figure)
    box = figure.axes[0].get_window_extent()
    sheet = picture[
        len(picture) - round(box.y1) : len(picture) - round(box.y0), round(box.x0) : round(box.x1)
    ]
    first, second = (sheet[-round(0.45 * box.width) :, round(share * box.width) :] for share in (0, 0.5))
    size = first.shape[0]
    for tile, bright in ((first, (0, 1)), (second, (1, 0))):
        for row, column in np.ndindex(2, 2):
            seen = tile[round((row + 0.5) / 2 * size), round((column + 0.5) / 2 * size)]
            assert (seen == colormaps.table("magma")[255 if (row, column) == bright else 0]).all()


def test_many_small_tiles_have_numbers_at_rows_and_columns():
    said = words(plot_feature_maps(feature_maps(2, 2, 2048))).split(" | ")
    assert {"0", "64", "1984", "+0", "+32"} <= set(said)
    assert "65" not in said


def test_all_tiles_are_one_image_and_512_are_drawn_quickly():
    maps = feature_maps(28, 28, 512)
    times = []
    for _ in range(3):
        begin = time.process_time()
        figure = plot_feature_maps(maps)
        assert len(figure._repr_png_()) > 10_000
        times.append(time.process_time() - begin)
    assert len(figure.axes) == 2  # the atlas and the colour bar
    # 0.7 s of processor time was measured, on a machine that was busy with other things; 1.5 s is the promise.
    assert min(times) < 1.5


@pytest.mark.parametrize("name", ["maps.jpg", "maps.png", "maps.pdf", "maps.svg"])
def test_savefig_at_600_dpi(tmp_path, name, monkeypatch):
    figure = plot_feature_maps(feature_maps(14, 14, 64))
    figure.savefig(tmp_path / name, dpi=600)
    if name.endswith((".jpg", ".png")):
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
        size = Image.open(tmp_path / name).size
        assert size == tuple((figure.get_size_inches() * 600).astype(int))
    else:
        assert (tmp_path / name).stat().st_size > 5000


def test_in_vector_formats_pictures_lie_where_they_lie_on_screen():
    file = io.StringIO()
    figure = plot_heatmap(heatmap())
    figure.savefig(file, format="svg")
    places = [float(x) for x in re.findall(r'<image[^>]*? x="([\d.]+)"', file.getvalue())]
    expected = [axes.get_position().x0 * figure.get_figwidth() * 72 for axes in figure.axes]
    assert places == pytest.approx(expected, abs=1.5)


def test_filters_name_unit_activation_recipe_and_seed():
    said = words(plot_filters(filter_pictures()))
    for part in (
        "vgg16",
        "backbone/block4_conv3",
        "6 filters",
        "classic",
        "20 steps",
        "seed 7",
        "contrast of each stretched to be seen (mean 0.5, deviation 0.25)",
        "45 | 9 | 44",
    ):
        assert part in said


def test_only_recipes_that_stretch_the_contrast_say_so():
    assert "contrast" not in words(plot_filters(dataclasses.replace(filter_pictures(), recipe="another")))


def test_filters_that_did_not_wake_or_broke_are_marked():
    pictures = filter_pictures()
    pictures.activations[4:] = np.nan, 0
    figure = plot_filters(pictures, columns=3)
    assert "1 dead" in words(figure)
    assert "1 not a number" in words(figure)
    assert (strokes(figure, "dead"), strokes(figure, "not numbers")) == (1, 2)


def top_patches(units, h: int = 10, w: int = 20) -> TopPatches:
    """Three patches of each unit, all of one colour: (unit, 80 * place, 200); the last excites nothing."""
    colours = [[(unit, 80 * place, 200) for place in range(3)] for unit in units]
    images = np.broadcast_to(np.uint8(colours)[:, :, None, None], (len(units), 3, h, w, 3))
    values = np.float32([[unit, unit / 2, 0] for unit in units])
    nowhere = (
        np.zeros((len(units), 3, 2), int),
        ((("cat",) * 3),) * len(units),
        np.zeros((len(units), 3, 4), int),
    )
    return TopPatches(images, values, *nowhere, np.asarray(units), layer(8, 8, 64), "vgg16", 4)


def test_beside_each_filter_stand_the_patches_of_that_very_unit():
    pictures = dataclasses.replace(filter_pictures(3), images=np.zeros((3, 48, 48, 3), np.uint8))
    pictures.activations[2] = 0
    figure = plot_filters(pictures, patches=top_patches([40, 41, 42, 43]))  # in another order, and one more
    said = words(figure)
    assert "42 | 9 |" in said and " 21 |" in said and "beside each: what excites it on 4 photographs" in said
    assert strokes(figure, "dead") == 1, "the picture's, not its patches'"
    sheet = np.asarray(figure.axes[0].images[0].get_array())[..., :3]
    left_of = {}
    for unit in (40, 41, 42):
        for place in range(2):
            rows, columns = np.nonzero((sheet == (unit, 80 * place, 200)).all(axis=-1))
            assert (np.ptp(rows) + 1, np.ptp(columns) + 1) == (24, 48), "whole, as wide as the picture"
            left_of[unit, place] = rows.min(), columns.min()
    tops = [left_of[unit, 0][0] for unit in (42, 41, 40)]
    assert tops == sorted(tops), "rows in the order of the pictures"
    for unit in (40, 41, 42):
        assert len({left_of[unit, place][0] for place in range(2)}) == 1
        assert 48 < left_of[unit, 0][1] < left_of[unit, 1][1]
        assert not (sheet == (unit, 160, 200)).all(axis=-1).any(), "what does not excite it is left out"
    with pytest.raises(
        CnnvisError, match=r"The patches are of units \[1\] of .*, the pictures of units \[42, 41, 40\]"
    ):
        plot_filters(pictures, patches=top_patches([1]))


def test_heatmap_names_class_score_method_layer_network_and_scale():
    said = words(plot_heatmap(heatmap(), opacity=0.25))
    for part in (
        "tabby",
        "281",
        "8.25",
        "grad-cam",
        "backbone/block4_conv3",
        "vgg16",
        "4 x 6",
        "opacity 25%",
    ):
        assert part in said
    assert f"{heatmap().raw.max():.3g} unscaled" in said
    assert {"0", "1"} <= set(said.split(" | "))


def test_heatmap_shows_photograph_and_overlay():
    figure = plot_heatmap(heatmap(), opacity=0.25, colormap="magma")
    photograph, overlay = (axes.images[0].get_array() for axes in figure.axes[:2])
    assert (photograph == PHOTOGRAPH).all()
    assert (overlay == heatmap().overlay(0.25, "magma")).all()


def test_no_positive_evidence_is_said_in_words():
    nothing = np.zeros((4, 6), np.float32)
    said = words(plot_heatmap(heatmap(values=nothing, raw=nothing)))
    assert "no positive evidence for 'tabby'" in said
    assert "no positive evidence" not in words(plot_heatmap(heatmap()))


def test_signed_heatmap_has_zero_in_the_middle_of_its_bar():
    figure = plot_heatmap(heatmap(values=np.array([[-1, 0.5]], np.float32), signed=True))
    assert {"-1", "0", "1"} <= set(words(figure).split(" | "))
    assert (figure.axes[-1].images[0].get_array()[0] == colormaps.table("blue-orange")).all()


def test_nan_in_a_heatmap_is_counted_and_marked_where_it_is():
    values = heatmap().values.copy()
    values[3, 4:] = np.nan
    figure = plot_heatmap(heatmap(values=values))
    assert "2 of 24 places are not numbers (x, magenta)" in words(figure)
    assert strokes(figure, "not numbers") == 4  # two crosses
    segments = figure.axes[1].collections[0].get_segments()
    low, high = np.min(segments, axis=(0, 1)), np.max(segments, axis=(0, 1))
    height, width = PHOTOGRAPH.shape[:2]
    np.testing.assert_allclose((low, high), np.array([[4 / 6, 3 / 4], [1, 1]]) * (width, height) - 0.5)
    assert (pixels(figure) == figure.axes[1].images[0].get_array()[-1, -1]).all(axis=-1).any()


def test_a_large_region_of_nan_carries_one_cross():
    values = np.ones((112, 112), np.float32)
    values[56:, 28:] = np.nan
    figure = plot_heatmap(heatmap(values=values, raw=values))
    assert strokes(figure, "not numbers") == 2
    (start, end) = figure.axes[1].collections[0].get_segments()[0]
    np.testing.assert_allclose((start, end), [(17.5, 47.5), (71.5, 23.5)])


@pytest.mark.parametrize("signed", [False, True])
def test_a_heatmap_of_nothing_but_nan_is_drawn(signed):
    nothing = np.full((4, 6), np.nan, np.float32)
    figure = plot_heatmap(heatmap(values=nothing, raw=nothing, score=np.nan, signed=signed), opacity=1)
    assert "24 of 24 places are not numbers" in words(figure)
    assert (pixels(figure) == NAN_COLOUR).all(axis=-1).any()


def test_names_from_outside_are_plain_text():
    figure = plot_heatmap(heatmap(target=Target(0, r"$\frac{broken$ <b>&amp;")))
    assert r"$\frac{broken$ <b>&amp;" in words(figure)
    pixels(figure)


def test_very_long_names_stay_on_the_figure():
    figure = plot_heatmap(heatmap(target=Target(0, "a very long class name " * 12)))
    renderer = figure.canvas.get_renderer()
    for text in figure.texts:
        box = text.get_window_extent(renderer)
        assert box.x0 >= 0
        assert box.x1 <= figure.bbox.width
    assert figure.texts[0].get_window_extent(renderer).y0 > figure.axes[0].get_window_extent(renderer).y1


def test_the_numbers_of_tiles_do_not_run_into_each_other():
    figure = plot_feature_maps(feature_maps(4, 4, 512))
    renderer = figure.canvas.get_renderer()
    boxes = [text.get_window_extent(renderer) for text in figure.axes[0].texts]
    assert len(boxes) == 512
    for one, following in itertools.pairwise(boxes):
        assert following.x0 >= one.x1 or following.y1 <= one.y0


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"units": [3, 12]}, "no unit 12 in backbone/block4_conv3"),
        ({"units": -1}, "no unit -1"),
        ({"units": []}, "no units were chosen"),
        ({"scale": "log"}, "no scale 'log'"),
        ({"units": "abc"}, "Units are whole numbers from 0 to 11.*'abc' was given"),
        ({"units": [1, 2.5]}, "Units are whole numbers"),
        ({"columns": 0}, "0 columns"),
        ({"columns": 2.5}, "2.5 columns cannot be drawn; ask for a whole number"),
        ({"columns": "4"}, "'4' columns cannot be drawn"),
        ({"colormap": "cividus"}, "'cividis'"),
    ],
)
def test_a_wrong_request_gets_one_sentence(options, sentence):
    with pytest.raises(CnnvisError, match=sentence):
        plot_feature_maps(feature_maps(), **options)


@pytest.mark.parametrize(
    ("plot", "result", "sentence"),
    [
        (plot_heatmap, feature_maps(), "draws the Heatmap that explain gives.*plot_feature_maps draws these"),
        (plot_feature_maps, filter_pictures(), "feature_maps gives.*plot_filters draws these"),
        (plot_filters, heatmap(), "maximize_filters gives.*plot_heatmap draws these"),
        (plot_heatmap, PHOTOGRAPH, "type ndarray was given\\.$"),
    ],
)
def test_another_kind_of_result_is_named(plot, result, sentence):
    with pytest.raises(CnnvisError, match=sentence):
        plot(result)


def test_units_and_columns_may_be_numpy_numbers():
    figure = plot_feature_maps(feature_maps(), units=np.array([3, 5]), columns=np.int64(2))
    assert {"3", "5"} <= set(words(figure).split(" | "))


def test_a_notebook_cell_shows_the_figure_without_pyplot():
    code = """
import sys, numpy as np
from IPython.core.formatters import DisplayFormatter
from cnnvis_widgets import FeatureMaps, LayerInfo, plot_feature_maps
values = np.ones((4, 4, 3), np.float32)
maps = FeatureMaps(values, LayerInfo("conv", "convolution", (4, 4, 3), 3), "n", np.zeros((8, 8, 3), np.uint8))
bundle, _ = DisplayFormatter().format(plot_feature_maps(maps))
assert bundle["image/png"].startswith(b"\\x89PNG"), bundle.keys()
assert "matplotlib.pyplot" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_eight_threads_draw_the_same_picture_as_one():
    def draw(index: int) -> bytes:
        if index % 2:
            return plot_feature_maps(feature_maps())._repr_png_()
        return plot_heatmap(heatmap())._repr_png_()

    expected = [draw(0), draw(1)]
    with ThreadPoolExecutor(8) as pool:
        drawn = list(pool.map(draw, range(32)))
    assert all(picture == expected[index % 2] for index, picture in enumerate(drawn))
