"""A layer's maps taken apart, on networks of which the parts are known."""

import keras
import numpy as np
import pytest
from models import functional, picture

from cnnvis_widgets.compute.concepts import concepts
from cnnvis_widgets.errors import CnnvisError, ImageError, MethodError
from cnnvis_widgets.networks.network import Network
from cnnvis_widgets.render.concepts import COLOURS
from cnnvis_widgets.render.figures import plot_concepts


def colour_network(kernel, bias=0.0, size=(8, 12), activation="relu"):
    """One layer: each channel a mixture of red, green and blue."""
    inputs = keras.Input((*size, 3))
    conv = keras.layers.Conv2D(kernel.shape[1], 1, activation=activation, name="conv")
    model = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(conv(inputs)))
    conv.set_weights([kernel[None, None].astype(np.float32), np.full(kernel.shape[1], bias, np.float32)])
    return Network(model, preprocess=lambda x: x / 255)


def patches():
    """Red on the left, green in the middle, half as much blue on the right."""
    image = np.zeros((8, 12, 3), np.uint8)
    image[:, :6, 0], image[:, 6:9, 1], image[:, 9:, 2] = 255, 255, 128
    return image


MIXED = np.array([[3.0, 1, 0, 0, 0], [0, 0, 2, 0, 0], [0, 0, 0, 1, 3]])  # channels of red, green, blue


def test_parts_that_lie_apart_are_found_with_their_channels_and_shares():
    found = concepts(colour_network(MIXED), patches(), "conv", parts=3)
    assert found.explained == pytest.approx(1, abs=1e-4)
    assert found.maps.shape == (3, 8, 12) and found.maps.dtype == np.float32 and found.maps.min() >= 0
    np.testing.assert_allclose(found.directions.sum(axis=1), 1, rtol=1e-5)
    amounts = {
        0: 6 * 8 * 4,
        2: 3 * 8 * 4 * 128 / 255,
        1: 3 * 8 * 2,
    }  # red, blue, green: positions x channels' sum
    for part, (colour, amount) in enumerate(amounts.items()):
        np.testing.assert_allclose(found.directions[part], MIXED[colour] / MIXED[colour].sum(), atol=0.01)
        assert found.share[part] == pytest.approx(amount / sum(amounts.values()), abs=0.01)
        where = found.maps[part] > 0.01 * found.maps[part].max()
        np.testing.assert_array_equal(where, patches()[..., colour] > 0)


def test_several_pictures_share_their_directions():
    network, one, other = colour_network(MIXED), patches(), patches()[:, ::-1].copy()
    first, second = concepts(network, [one, other], "conv", parts=3)
    assert first.directions is second.directions
    np.testing.assert_allclose(first.maps, second.maps[:, :, ::-1], rtol=1e-2, atol=1e-2)
    stacked = concepts(network, np.stack([one, other]), "conv", parts=3)
    np.testing.assert_array_equal(stacked[1].maps, second.maps)
    with pytest.raises(ImageError, match="at least one picture"):
        concepts(network, [])


def test_a_seed_gives_the_same_parts_and_negative_values_count_as_none():
    network, image = Network(functional().model), picture(3)
    first, again = (concepts(network, image, "conv2", 4, seed=1) for _ in range(2))
    np.testing.assert_array_equal(first.maps, again.maps)
    layer = network.model.get_layer("conv2").output
    values = keras.Model(network.model.input, layer)(image[None].astype(np.float32)).numpy()[0]
    assert (values < 0).any()
    rest = np.maximum(values, 0) - np.moveaxis(first.maps, 0, -1) @ first.directions
    assert first.explained == pytest.approx(
        1 - (rest**2).sum() / (np.maximum(values, 0) ** 2).sum(), abs=1e-4
    )
    assert 0.5 < first.explained < 1


def test_dead_and_constant_maps_are_told():
    dead = concepts(colour_network(-MIXED), patches(), "conv", 2)
    assert dead.message == "nothing above 0 at conv, so there are no parts"
    assert not dead.maps.any() and not dead.share.any() and dead.explained == 0
    even = concepts(colour_network(0 * MIXED, bias=1), patches(), "conv", 2)
    assert even.message == "conv puts out the same everywhere, so no part is anywhere"
    broken = concepts(colour_network(np.nan * MIXED, activation=None), patches(), "conv", 2)
    assert "no numbers at conv" in broken.message
    for one in (dead, even, broken):
        assert one.overlay().shape == (8, 12, 3)
        assert plot_concepts(one)._repr_png_()


@pytest.mark.parametrize("parts", [0, 6, 2.5, True])
def test_a_number_of_parts_that_cannot_be_is_refused(parts):
    with pytest.raises(
        MethodError, match=r"8 x 12 places, 5 channels\) can be taken apart into 1 to 5 parts"
    ):
        concepts(colour_network(MIXED), patches(), "conv", parts=parts)


def test_each_place_has_the_hue_of_its_part_over_a_grey_photograph():
    found = concepts(colour_network(MIXED), patches(), "conv", parts=3)
    drawn = found.overlay(opacity=1.0)
    assert drawn.shape == (8, 12, 3) and drawn.dtype == np.uint8
    np.testing.assert_allclose(drawn[4, 2], COLOURS[0], atol=2)  # red: as strong as it gets
    grey = found.overlay(opacity=0.0)
    assert (grey == grey[..., :1]).all()
    alone = found.overlay(opacity=1.0, parts=[0])
    np.testing.assert_array_equal(alone[:, :5], drawn[:, :5])
    np.testing.assert_array_equal(alone[:, 10:], grey[:, 10:])
    with pytest.raises(CnnvisError, match="parts 0 to 2; 3 was asked"):
        found.overlay(parts=[3])
    with pytest.raises(CnnvisError, match="opacity is a number from 0 to 1; 2"):
        found.overlay(opacity=2)
    many = concepts(Network(functional().model), picture(3), "conv2", 8)
    with pytest.raises(CnnvisError, match="7 parts can be told apart by colour"):
        many.overlay()
    assert many.overlay(parts=range(7)).any()


def test_figures_of_one_and_of_several_pictures():
    network = colour_network(MIXED)
    one = plot_concepts(concepts(network, patches(), "conv", 3))
    assert len(one.axes) == 3 and any("part 3" in text.get_text() for text in one.axes[-1].texts)
    assert len(plot_concepts(concepts(network, [patches()] * 3, "conv", 3)).axes) == 4
    with pytest.raises(CnnvisError, match="plot_concepts draws the Concepts that concepts gives"):
        plot_concepts(network)
