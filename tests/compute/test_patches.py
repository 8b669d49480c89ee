"""Patches of photographs against a plain search: where, from which photograph, and what was cut out."""

import keras
import numpy as np
import pytest
from models import functional
from PIL import Image

import cnnvis_widgets as cnnvis
from cnnvis_widgets.errors import ImageError, MethodError
from cnnvis_widgets.networks.network import Network


@pytest.fixture(scope="module")
def halves():
    return functional()


@pytest.fixture(scope="module")
def network(halves):
    return Network(halves.model, preprocess=lambda x: x / 127.5 - 1)


@pytest.fixture(scope="module")
def photographs():
    random = np.random.default_rng(0)
    return {name: random.integers(0, 256, (24, 24, 3), np.uint8) for name in "abcdefg"}


def test_one_patch_a_photograph_strongest_first(network, halves, photographs):
    found = cnnvis.top_patches(network, "relu", photographs, count=3)
    maps = {n: np.asarray(halves.up_to(p[None] / np.float32(127.5) - 1))[0] for n, p in photographs.items()}
    field = network.graph.node("relu").field
    for row, unit in enumerate(found.units):
        best = sorted(photographs, key=lambda name: -maps[name][..., unit].max())[:3]
        highest = [maps[name][..., unit].max() for name in best]
        np.testing.assert_allclose(found.values[row], highest, rtol=1e-4, atol=1e-5)
        for k, name in enumerate(found.sources[row]):
            y, x = found.positions[row, k]
            assert maps[name][y, x, unit] == pytest.approx(highest[k], rel=1e-4, abs=1e-5)
            assert tuple(found.boxes[row, k]) == field.box(y, x)
    assert found.active.tolist() == [max(m[..., u].max() for m in maps.values()) > 0 for u in found.units]


def test_the_receptive_field_is_cut_out_and_padding_is_grey():
    inputs = keras.Input((8, 8, 3))
    conv = keras.layers.Conv2D(1, 3, padding="same", name="conv")
    network = Network(keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(conv(inputs))))
    conv.set_weights([np.ones((3, 3, 3, 1), np.float32), np.zeros(1, np.float32)])
    picture = np.zeros((8, 8, 3), np.uint8)
    picture[0, 0], picture[5:8, 2:5] = 255, 40  # a corner, and a square in the middle
    found = cnnvis.top_patches(network, "conv", [picture], count=3)
    assert found.values[0, :2].tolist() == [9 * 3 * 40, 3 * 255] and found.sources[0][0] == "image 0"
    side = found.images.shape[2]
    corner = found.images[0, 1][side // 6 :: side // 3, side // 6 :: side // 3]  # the middles of 3 x 3 pixels
    assert (found.images[0, 0] == 40).all()
    inside = found.positions[0, 1]
    expected = np.full((3, 3, 3), 128)
    for y in range(3):
        for x in range(3):
            at = inside + np.array([y - 1, x - 1])
            if (at >= 0).all():
                expected[y, x] = picture[tuple(at)]
    np.testing.assert_array_equal(corner, expected)
    apart = np.abs(found.positions[0, 0] - found.positions[0, 1:]).max(axis=1)
    assert (apart >= 2).all(), "half a receptive field"


def test_a_folder_streams_through_and_broken_files_are_left_out(network, photographs, tmp_path):
    (tmp_path / "more").mkdir()
    for name, picture in photographs.items():
        Image.fromarray(picture).save(tmp_path / ("more" if name > "d" else ".") / f"{name}.png")
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    done = []
    with pytest.warns(cnnvis.CnnvisWarning, match="1 of 8 photographs cannot be read.*: broken.jpg"):
        found = cnnvis.top_patches(
            network, "relu", tmp_path, [2, 5], count=4, progress=lambda *step: done.append(step)
        )
    assert found.searched == 7, "what could not be read was not searched"
    arrays = cnnvis.top_patches(network, "relu", photographs, [2, 5], count=4)
    np.testing.assert_allclose(found.values, arrays.values, rtol=1e-5)
    np.testing.assert_array_equal(found.images, arrays.images)
    assert {name.split("/")[-1][0] for row in found.sources for name in row} <= set("abcdefg")
    assert done[-1] == (8, 8) and network.memory.get(("activations",)) is None


def test_what_cannot_be_searched(network, photographs, tmp_path):
    for images, error, words in [
        (tmp_path / "none", ImageError, "no folder"),
        (tmp_path, ImageError, "no photographs in"),
        (3, ImageError, "int was given"),
        ([], ImageError, "At least one"),
    ]:
        with pytest.raises(error, match=words):
            cnnvis.top_patches(network, "relu", images)
    with pytest.raises(MethodError, match="units 0 to 7; 8"):
        cnnvis.top_patches(network, "relu", photographs, 8)
    with pytest.raises(cnnvis.CnnvisError, match="count is a whole number"):
        cnnvis.top_patches(network, "relu", photographs, count=0)


def test_a_figure_has_a_row_for_each_unit(network, photographs):
    found = cnnvis.top_patches(network, "relu", photographs, [1, 4], count=3)
    figure = cnnvis.plot_patches(found)
    words = " ".join(text.get_text() for axes in figure.axes for text in axes.texts)
    assert "1" in words.split() and "4" in words.split()
    with pytest.raises(cnnvis.CnnvisError, match="top_patches gives"):
        cnnvis.plot_patches(3)
