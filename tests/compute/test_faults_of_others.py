"""Faults known of released packages that no other test would notice here, one test each."""

import keras
import numpy as np
import oracles
import pytest
from models import functional, picture

from cnnvis_widgets.compute import cam
from cnnvis_widgets.compute.case import MEAN_COLOUR, Case, enlarged
from cnnvis_widgets.compute.explain import explain, share_of_maximum
from cnnvis_widgets.errors import MethodError
from cnnvis_widgets.networks.network import Network


def case_of(network, image):
    return Case(network, image, network.default_layer, network.target(0))


def test_channels_that_disagree_at_a_place_cancel_out_there():
    """ReLU before the sum over channels would show the place."""
    activations = np.array([[[1.0, 1.0], [2.0, 0.0]]], np.float32)
    gradients = np.array([[[1.0, -1.0], [1.0, -1.0]]], np.float32)
    for method in (cam.grad_cam, cam.hires_cam):
        np.testing.assert_array_equal(method(activations, gradients), [[0, 2]])


def test_a_map_of_negative_values_keeps_its_sign():
    """Divided by the largest value instead of the largest magnitude it would be turned round."""
    np.testing.assert_allclose(share_of_maximum(np.array([-4.0, -1.0, 0.0])), [-1, -0.25, 0])
    np.testing.assert_allclose(share_of_maximum(np.array([-4.0, -1.0])), [-1, -0.25])


def test_a_channel_that_is_the_same_everywhere_has_no_part_in_a_score_cam():
    """Between its least and its most there is nothing to divide by."""
    inputs = keras.Input((8, 8, 3))
    conv = keras.layers.Conv2D(2, 1, name="conv")
    dense = keras.layers.Dense(2, activation="softmax")
    model = keras.Model(inputs, dense(keras.layers.GlobalAveragePooling2D()(conv(inputs))))
    conv.set_weights([np.array([[1.0, 0], [0, 0], [0, 0]])[None, None], np.array([0.0, 3.0])])
    dense.set_weights([np.array([[2.0, 0], [5.0, 0]]), np.array([-16.0, 0])])
    network, image = Network(model, preprocess=lambda x: x / 64), picture(4, 8, 8)
    case = case_of(network, image)
    activations = case.activations()
    assert (activations[..., 1] == 3).all()
    expected = oracles.score_cam(
        lambda x: np.asarray(model(x)), case.inputs, case.baseline, activations[..., :1], 0
    )
    assert expected.max() > 1e-3
    heat = explain(network, image, "score-cam", target=0)
    np.testing.assert_allclose(heat.raw, expected, rtol=1e-3, atol=1e-5)
    even = explain(network, np.full((8, 8, 3), 200, np.uint8), "score-cam", target=0)
    assert not even.values.any() and even.message.startswith("no positive evidence")


def test_enlarged_maps_stay_within_their_values():
    """Splines overshoot below zero and above the maximum."""
    maps = np.zeros((5, 5, 2), np.float32)
    maps[2, 2] = 1, 3
    large = enlarged(maps, 64, 48)
    assert large.shape == (2, 64, 48) and large.min() == 0 and large[0].max() <= 1 and large[1].max() <= 3


@pytest.mark.parametrize("scale", [1.0, 1 / 127.5])
def test_what_is_hidden_shows_the_mean_colour_in_the_networks_own_input_space(scale):
    """Zero would be black for one preprocessing and grey for another."""
    network = Network(functional().model, preprocess=lambda x: x[..., ::-1] * scale - 1)
    case = case_of(network, picture(1))
    np.testing.assert_allclose(case.baseline[0, 3, 5], np.array(MEAN_COLOUR)[::-1] * scale - 1, rtol=1e-5)
    hidden = case.blended(np.zeros((1, 24, 24), np.float32))
    np.testing.assert_array_equal(hidden, case.baseline)


def test_an_even_picture_that_a_preprocessing_makes_no_numbers_of_is_hidden_by_zeros():
    def own_deviation(x):  # of each colour
        return (x - x.mean(axis=(1, 2), keepdims=True)) / x.std(axis=(1, 2), keepdims=True)

    network = Network(functional().model, preprocess=own_deviation)
    assert not case_of(network, picture(1)).baseline.any()


def test_a_model_of_whole_numbers_is_explained_by_its_layers_and_never_by_a_gradient_that_is_not_there():
    """Cast to integers, nothing comes back; a map of zeros would say that there is no evidence."""
    networks = []
    for dtype in ("uint8", "float32"):
        keras.utils.set_random_seed(3)
        inputs = keras.Input((12, 12, 3), dtype=dtype)
        x = keras.layers.Conv2D(4, 3, activation="relu", name="conv")(keras.layers.Rescaling(1 / 64)(inputs))
        dense = keras.layers.Dense(3, kernel_initializer="ones")
        model = keras.Model(inputs, dense(keras.layers.GlobalAveragePooling2D()(x)))
        networks.append(Network(model, preprocess=lambda x: x))
    for method in ("layer-cam", "occlusion"):
        ours, same = (explain(one, picture(0, 12, 12), method, "conv", 1).raw for one in networks)
        assert np.abs(same).max() > 0
        np.testing.assert_allclose(ours, same, rtol=1e-3, atol=1e-3 * np.abs(same).max())
    for method in ("gradient", "integrated-gradients", "fullgrad"):
        with pytest.raises(
            MethodError, match=r"whole numbers \(uint8\), and through those no gradient leads back"
        ):
            explain(networks[0], picture(0, 12, 12), method, "conv", 1)


class NoisyUnlessTold(keras.layers.Layer):
    """A layer of one's own that is noisy while training, and takes training for granted."""

    def call(self, x, training=True):
        return x + 100 * keras.random.normal(keras.ops.shape(x)) if training else x


@pytest.mark.parametrize("method", ["grad-cam", "gradient", "score-cam", "ablation-cam", "fullgrad"])
def test_networks_are_run_as_in_use_and_never_as_in_training(method):
    keras.utils.set_random_seed(2)
    layers = keras.layers
    inputs = keras.Input((12, 12, 3))
    x = layers.Conv2D(4, 3, name="conv")(layers.Rescaling(1 / 64)(inputs))
    x = layers.ReLU(name="relu")(layers.Dropout(0.5)(layers.BatchNormalization()(NoisyUnlessTold()(x))))
    model = keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling2D()(x)))
    before = [weight.copy() for weight in model.get_weights()]
    first, second = (explain(Network(model), picture(0, 12, 12), method, "relu", 1) for _ in range(2))
    np.testing.assert_array_equal(first.raw, second.raw)
    assert (
        first.score
        == second.score
        == pytest.approx(
            float(model(picture(0, 12, 12)[None].astype(np.float32), training=False)[0, 1]), rel=1e-4
        )
    )
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
