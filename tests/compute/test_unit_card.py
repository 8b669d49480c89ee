"""A unit's card: its parts against the network's own weights and a plain count."""

import keras
import numpy as np
import pytest
from models import functional

import cnnvis_widgets as cnnvis
from cnnvis_widgets.networks.convolution import find_convolution
from cnnvis_widgets.networks.network import Network


@pytest.fixture(scope="module")
def network():
    return Network(functional().model, preprocess=lambda x: x / 127.5 - 1)


def test_links_and_kernels_are_the_networks_own_weights(network):
    first = cnnvis.unit_card(network, "conv1", 2, recipe="fast")
    kernel = network.model.get_layer("conv1").get_weights()[0]
    np.testing.assert_array_equal(first.kernels[0], kernel[..., 2])
    later = network.model.get_layer("conv2").get_weights()[0]
    lengths = np.sqrt((later[:, :, 2] ** 2).sum(axis=(0, 1)))
    order = np.argsort(-lengths)[:8]
    assert [link.unit for link in first.after] == order.tolist() and {link.layer for link in first.after} == {
        "conv2"
    }
    np.testing.assert_allclose([link.strength for link in first.after], lengths[order], rtol=1e-5)
    card = cnnvis.unit_card(network, "conv2", 5, recipe="fast")
    inwards = np.sqrt((later[..., 5] ** 2).sum(axis=(0, 1)))
    assert [link.unit for link in card.before] == np.argsort(-inwards)[:8].tolist()
    assert card.kernel_channels == tuple(np.argsort(-inwards)[:6].tolist())
    np.testing.assert_array_equal(card.kernels[0], later[:, :, inwards.argmax(), 5])
    maps = [
        cnnvis.feature_maps(network, image, "conv2").values[..., 5]
        for image in cnnvis.sample_images().values()
    ]
    assert card.counts.sum() == sum(m.size for m in maps)
    assert card.edges[-1] == pytest.approx(max(m.max() for m in maps), rel=1e-4) == card.patches.values[0, 0]
    made = cnnvis.maximize_filters(network, "conv2", [5], "fast")
    np.testing.assert_array_equal(card.picture, made.images[0])
    assert card.reached == made.activations[0]
    found = cnnvis.top_patches(network, "conv2", units=[5], count=card.patches.images.shape[1])
    np.testing.assert_array_equal(card.patches.images, found.images)
    words = [text.get_text() for text in cnnvis.plot_unit_card(card).texts]
    assert any("unit 5" in word for word in words)


@pytest.mark.parametrize("kind", ["grouped", "depthwise", "separable"])
def test_what_becomes_of_one_channel_whatever_the_convolution(kind):
    layer = {
        "grouped": keras.layers.Conv2D(6, 3, groups=2, name="conv"),
        "depthwise": keras.layers.DepthwiseConv2D(3, depth_multiplier=2, name="conv"),
        "separable": keras.layers.SeparableConv2D(5, 3, depth_multiplier=2, name="conv"),
    }[kind]
    start = keras.Input((8, 8, 3))
    widened = keras.layers.Conv2D(4, 1, name="wide")(start)
    network = Network(keras.Model(start, keras.layers.GlobalAveragePooling2D()(layer(widened))))
    convolution = find_convolution(network, "conv")
    for channel in range(4):
        found = convolution.weights_of_channel(channel)
        for unit in range(found.shape[-1]):
            channels, kernel, _bias = convolution.unit(unit)
            own = kernel[..., list(channels).index(channel)] if channel in channels else np.zeros((3, 3))
            np.testing.assert_allclose(found[..., unit], own, atol=1e-6)


def test_units_that_do_not_look_at_a_unit_are_no_links_of_it():
    start = keras.Input((8, 8, 3))
    widened = keras.layers.Conv2D(4, 1, name="wide")(start)
    looked_at = keras.layers.DepthwiseConv2D(3, depth_multiplier=2, name="depthwise")(widened)
    network = Network(keras.Model(start, keras.layers.GlobalAveragePooling2D()(looked_at)))
    after = cnnvis.unit_card(network, "wide", 1, recipe="fast").after
    assert sorted((link.layer, link.unit) for link in after) == [("depthwise", 2), ("depthwise", 3)]
