"""The classic recipe against the obvious loop, and what it promises: order, seeds, batches, stopping."""

import functools
from dataclasses import replace

import keras
import numpy as np
import oracles
import pytest
import tensorflow as tf
from models import SIZE, functional, nested

from cnnvis_widgets.compute.maximize import maximize_filters
from cnnvis_widgets.compute.maximize.recipes import CLASSIC, grey_noise, standardized, unit_rms_step
from cnnvis_widgets.errors import CnnvisError, MethodError
from cnnvis_widgets.networks.network import Network

classic = functools.partial(maximize_filters, recipe="classic")


@pytest.fixture(scope="module")
def halves():
    return functional()


@pytest.fixture(scope="module")
def network(halves):
    return Network(halves.model)


def test_classic_equals_the_plain_loop_for_every_unit(halves, network):
    made = classic(network, "relu", seed=3)
    noise = (np.random.default_rng(3).random((1, SIZE, SIZE, 3), np.float32) - 0.5) * 20 + 128
    assert sorted(made.units) == list(range(8)) and made.history.shape == (8, 20)
    for row, unit in enumerate(made.units):
        x, history = oracles.classic_maximization(
            lambda x, unit=unit: tf.reduce_mean(halves.up_to(x)[..., unit]), noise, steps=20
        )
        np.testing.assert_allclose(made.history[row], history, rtol=1e-3, atol=1e-5)
        reached = float(tf.reduce_mean(halves.up_to(x)[..., unit]))
        assert made.activations[row] == pytest.approx(reached, rel=1e-3, abs=1e-5)
        shown = (x[0] - x.mean()) / (x.std() + 1e-7) * 0.25 + 0.5
        expected = np.clip(shown, 0, 1) * 255
        assert np.mean(np.abs(made.images[row].astype(float) - expected) < 2) > 0.99


def test_strongest_first_whatever_order_was_asked(network):
    made = classic(network, "relu", units=[5, 1, 7])
    assert list(made.activations) == sorted(made.activations, reverse=True)
    again = classic(network, "relu", units=[7, 5, 1])
    assert list(made.units) == list(again.units)
    np.testing.assert_array_equal(made.images, again.images)


def test_batches_do_not_change_the_result(network, monkeypatch):
    whole = classic(network, "relu", units=range(5), steps=4)
    monkeypatch.setattr("cnnvis_widgets.compute.maximize.maximize.BATCH", 2)
    parts = classic(network, "relu", units=range(5), steps=4)
    np.testing.assert_array_equal(whole.units, parts.units)
    np.testing.assert_allclose(whole.history, parts.history, rtol=1e-4, atol=1e-6)


def test_a_batch_becomes_pictures_before_the_next_one_starts(network, monkeypatch):
    events = []
    recipe = replace(CLASSIC, picture=lambda *given: events.append("picture") or CLASSIC.picture(*given))
    loop = "cnnvis_widgets.compute.maximize.maximize"
    monkeypatch.setattr(f"{loop}.BATCH", 1)
    monkeypatch.setattr(f"{loop}.find_recipe", lambda name: recipe)
    classic(network, "relu", units=[0, 1], steps=1, progress=lambda *step: events.append("step"))
    assert events == ["step", "picture"] * 2, "float inputs of all units would be kept to the end"


def test_activation_rises(network):
    made = classic(network, "conv2", units=range(4))
    assert (made.activations > made.history[:, 0]).all()


def test_seeds(network):
    first = classic(network, "relu", units=[2], steps=2, seed=0)
    np.testing.assert_array_equal(first.images, classic(network, "relu", units=[2], steps=2, seed=0).images)
    assert (first.images != classic(network, "relu", units=[2], steps=2, seed=1).images).any()


def test_another_unit_does_not_trace_again(network):
    classic(network, "conv1", units=[0], steps=1)
    traces = network.probe.traces
    classic(network, "conv1", units=[3], steps=2)
    assert network.probe.traces == traces


def test_noise_is_what_the_network_takes(halves):
    raw = grey_noise(Network(halves.model), (SIZE, SIZE), np.random.default_rng(0))
    assert raw.min() >= 118 and raw.max() <= 138
    less_a_mean = Network(halves.model, preprocess=lambda x: x[..., ::-1] - np.float32([103.9, 116.8, 123.7]))
    np.testing.assert_array_equal(raw, grey_noise(less_a_mean, (SIZE, SIZE), np.random.default_rng(0)))
    scaled = Network(halves.model, preprocess=lambda x: x / 127.5 - 1)
    np.testing.assert_allclose(
        raw / 127.5 - 1, grey_noise(scaled, (SIZE, SIZE), np.random.default_rng(0)), atol=1e-5
    )
    step = unit_rms_step(scaled, np.ones((1, SIZE, SIZE, 3), np.float32))
    np.testing.assert_allclose(step, 1 / 127.5, rtol=1e-3)


def test_preprocessing_that_takes_each_pictures_mean_away(halves):
    standardizing = Network(halves.model, preprocess=lambda x: (x - x.mean()) / max(x.std(), 1e-3))
    noise = grey_noise(standardizing, (SIZE, SIZE), np.random.default_rng(0))
    assert noise.std() > 0.03  # black is -1, white is 1: pixels' deviation of 5.8 / 127.5
    assert classic(standardizing, "relu", units=[1], steps=3).images.std() > 30


def test_preprocessing_without_any_scale_is_refused_in_words(halves):
    constant = Network(halves.model, preprocess=lambda x: x * 0)
    with pytest.raises(MethodError, match="the same of black and white"):
        classic(constant, "relu", units=[1])


def test_networks_that_take_bgr_are_shown_in_rgb(halves):
    bgr = Network(halves.model, preprocess=lambda x: x[..., ::-1])
    x = np.zeros((1, SIZE, SIZE, 3), np.float32)
    x[..., 2] = 100  # red, for a network that takes BGR
    shown = standardized(bgr, x)
    assert shown[0, 0, 0, 0] > shown[0, 0, 0, 2]


def test_works_inside_a_nested_model():
    made = classic(Network(nested().model), "backbone/conv2", units=[0, 1], steps=3)
    assert made.images.shape == (2, SIZE, SIZE, 3) and np.isfinite(made.activations).all()


def test_a_dense_layer_of_another_size_is_refused_in_words(network):
    with pytest.raises(MethodError, match="24x24 only; 32x32 was asked"):
        classic(network, "relu", units=[0], size=(32, 32))


def test_other_sizes_where_the_network_is_open():
    inputs = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(2, 3, name="conv")(inputs)
    open_network = Network(keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(x)), input_size=(16, 16))
    assert classic(open_network, "conv", units=[0], size=(20, 28), steps=1).images.shape == (
        1,
        20,
        28,
        3,
    )


@pytest.mark.parametrize(
    ("units", "words"),
    [([99], "units 0 to 7; 99"), ([], "at least one"), ([0.5], "whole numbers"), (-1, "-1 was")],
)
def test_wrong_units(network, units, words):
    with pytest.raises(MethodError, match=words):
        classic(network, "relu", units=units)


def test_wrong_recipe_and_steps(network):
    with pytest.raises(MethodError, match="no recipe 'clasic'"):
        classic(network, "relu", recipe="clasic")
    with pytest.raises(MethodError, match="steps is a whole number of at least 1"):
        classic(network, "relu", steps=0)


def test_what_is_no_network_recipe_or_size(network):
    with pytest.raises(CnnvisError, match=r"maximize_filters takes a Network; load_network\('vgg16'\)"):
        maximize_filters("vgg16")
    with pytest.raises(MethodError, match="no recipe None"):
        classic(network, "relu", recipe=None)
    with pytest.raises(MethodError, match=r"size is \(height, width\).*; 10 was given"):
        classic(network, "relu", units=[0], size=10)


def test_progress_counts_to_the_end_and_ctrl_c_returns_what_there_is(network):
    seen = []
    classic(network, "relu", units=range(3), steps=2, progress=lambda step, steps: seen.append((step, steps)))
    assert seen == [(1, 2), (2, 2)]

    def interrupt(step, steps):
        if step == 3:
            raise KeyboardInterrupt

    part = classic(network, "relu", units=range(3), progress=interrupt)
    assert (
        len(part.images) == 3
        and np.isfinite(part.history[:, :3]).all()
        and np.isnan(part.history[:, 3:]).all()
    )
    assert CLASSIC.steps == 20
