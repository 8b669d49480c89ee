"""Moves and penalties against loops, and their gradients against finite differences."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from cnnvis_widgets import maximize
from cnnvis_widgets.compute.maximize import (
    Adam,
    Normalized,
    Penalties,
    Pixels,
    Recipe,
    Transforms,
    neuron,
)
from cnnvis_widgets.compute.maximize.transforms import blurred, warped
from cnnvis_widgets.networks.network import Network

STILL = np.array([[1, 0, 0], [0, 1, 0]], np.float32)
MOVED = np.array([[0.9, 0.3, 0.11], [-0.25, 1.2, -0.23]], np.float32)


def pictures(number=2, height=7, width=10):
    return np.random.default_rng(3).random((number, height, width, 3)).astype(np.float32)


def looped(given, warp, outside):
    """Every pixel by itself: where it comes from, and the four neighbours there."""
    _, height, width, _ = given.shape
    made = np.zeros(given.shape)

    def at(y, x):
        if outside == "wrap":
            return given[:, y % height, x % width]
        if outside == "mirror":
            return np.pad(given, ((0, 0), (height, height), (width, width), (0, 0)), "symmetric")[
                :, y + height, x + width
            ]
        inside = 0 <= y < height and 0 <= x < width
        return given[:, y, x] if inside else np.full((len(given), 3), 0.5)

    for row in range(height):
        for column in range(width):
            middle = np.array([(height - 1) / 2, (width - 1) / 2])
            y, x = warp[:, :2] @ (np.array([row, column]) - middle) + warp[:, 2] * (height, width) + middle
            top, left = int(np.floor(y)), int(np.floor(x))
            for v, h in [(0, 0), (0, 1), (1, 0), (1, 1)]:
                share = (1 - abs(y - top - v)) * (1 - abs(x - left - h))
                made[:, row, column] += share * at(top + v, left + h)
    return made


@pytest.mark.parametrize("outside", ["wrap", "mirror", "grey"])
def test_a_warp_is_the_plain_loop(outside):
    given = pictures()
    np.testing.assert_allclose(warped(given, MOVED, outside), looped(given, MOVED, outside), atol=1e-5)


@pytest.mark.parametrize("size", [(6, 6), (7, 10), (5, 4)])
def test_standing_still_changes_nothing(size):
    given = pictures(1, *size)
    np.testing.assert_array_equal(warped(given, STILL), given)
    drawn = Transforms().draw(np.random.default_rng(0))
    np.testing.assert_allclose(drawn, STILL, atol=1e-7)


@pytest.mark.parametrize("outside", ["wrap", "mirror", "grey"])
def test_the_gradient_through_a_warp_is_that_of_finite_differences(outside):
    given = pictures(1, 5, 6)
    weights = np.random.default_rng(4).normal(size=given.shape).astype(np.float32)
    with tf.GradientTape() as tape:
        x = tf.constant(given)
        tape.watch(x)
        total = tf.reduce_sum(warped(x, MOVED, outside) * weights)
    gradient = tape.gradient(total, x).numpy()
    for place in [(0, 0, 0, 0), (0, 4, 5, 2), (0, 2, 3, 1), (0, 0, 5, 0), (0, 3, 0, 2)]:
        step = np.zeros_like(given)
        step[place] = 0.5  # a warp is linear, so that a large step is exact
        both = [float(np.sum(np.asarray(warped(given + s, MOVED, outside)) * weights)) for s in (step, -step)]
        assert gradient[place] == pytest.approx(both[0] - both[1], abs=2e-4)


def test_moves_stay_in_bounds_and_are_even_on_both_sides():
    transforms = Transforms(jitter=0.1, scale=(0.8, 1.25), rotation=10)
    random = np.random.default_rng(0)
    drawn = np.stack([transforms.draw(random) for _ in range(4000)])
    scales = 1 / np.sqrt(np.linalg.det(drawn[:, :, :2]))
    angles = np.degrees(np.arctan2(drawn[:, 1, 0], drawn[:, 0, 0]))
    assert 0.8 <= scales.min() < 0.81 and 1.24 < scales.max() <= 1.2501
    assert np.abs(angles).max() <= 10.001 and np.abs(drawn[:, :, 2]).max() <= 0.1
    for values, widest in [
        (drawn[:, 0, 2], 0.1),
        (drawn[:, 1, 2], 0.1),
        (angles, 10),
        (np.log(scales), 0.223),
    ]:
        assert abs(values.mean()) < 4 * widest / np.sqrt(3 * 4000)


def test_jitter_does_not_let_the_picture_drift():
    """A neuron in the middle of an identity: what grows lies around the middle after 300 moved steps."""
    inputs = keras.Input((17, 21, 3))
    outputs = keras.layers.Conv2D(1, 1, name="sum", kernel_initializer="ones")(inputs)
    network = Network(keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(outputs)))
    recipe = Recipe(
        "jitter",
        300,
        Pixels(deviation=0, decorrelated=False),
        Transforms(jitter=0.2),
        Normalized(0.3),
        fading=False,
    )
    grown = maximize(network, neuron("sum", 0), recipe).images[0].astype(float).sum(axis=-1)
    grown -= grown.min()
    assert grown.max() > 0
    for axis, side in ((0, 17), (1, 21)):
        shares = grown.sum(axis=1 - axis) / grown.sum()
        assert abs((shares * np.arange(side)).sum() - (side - 1) / 2) < 0.6


def test_blur_is_a_gaussian_over_mirrored_borders():
    given, deviation = pictures(1, 9, 8), 1.2
    bell = np.exp(-0.5 * (np.arange(-3, 4) / deviation) ** 2)
    bell /= bell.sum()
    padded = np.pad(given[0], ((3, 3), (3, 3), (0, 0)), "symmetric")
    for axis in (0, 1):
        padded = np.apply_along_axis(lambda line: np.convolve(line, bell, "valid"), axis, padded)
    np.testing.assert_allclose(blurred(given, deviation)[0], padded, atol=1e-5)
    np.testing.assert_allclose(Transforms(blur=deviation).apply(given, MOVED)[0], padded, atol=1e-5)
    both = Transforms(jitter=0.1, blur=deviation).apply(given, MOVED)
    np.testing.assert_allclose(both[0], looped(padded[None], MOVED, "wrap")[0], atol=1e-5)


def test_penalties_are_means_over_pixels():
    given = pictures(2, 4, 5).astype(np.float64)
    for n, found in enumerate(np.asarray(Penalties(variation=2, l1=3, l2=5).value(given))):
        picture = given[n]
        variation = sum(
            np.mean([abs(picture[y + v, x + h] - picture[y, x]) for y in range(4 - v) for x in range(5 - h)])
            for v, h in ((1, 0), (0, 1))
        )
        expected = 2 * variation + 3 * np.abs(picture - 0.5).mean() + 5 * ((picture - 0.5) ** 2).mean()
        assert found == pytest.approx(expected)


def test_adam_is_that_of_keras():
    target = np.random.default_rng(0).normal(size=(1, 4, 3)).astype(np.float32)
    ours, slots = np.zeros_like(target), [np.zeros_like(target)] * 2
    theirs, optimizer = keras.Variable(np.zeros_like(target)), keras.optimizers.Adam(0.05, epsilon=1e-12)
    for count in range(1, 20):
        ours, slots = Adam(0.05).step(ours, slots, -2 * (ours - target), float(count), 1.0)
        optimizer.apply([2 * (theirs.value - target)], [theirs])
    np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-4, atol=1e-5)


def test_a_normalized_step_has_its_length_whatever_the_gradient():
    gradient = np.random.default_rng(0).normal(size=(2, 5, 3)).astype(np.float32) * [[[1e-6]], [[1e3]]]
    after, _ = Normalized(0.7).step(np.zeros_like(gradient), [], gradient, 1.0, 0.5)
    np.testing.assert_allclose(np.linalg.norm(np.asarray(after).reshape(2, -1), axis=1), 0.35, rtol=1e-4)
    after, _ = Normalized(0.7, each=True).step(np.zeros_like(gradient), [], gradient, 1.0, 0.5)
    np.testing.assert_allclose(np.sqrt((np.asarray(after) ** 2).mean(axis=(1, 2))), 0.35, rtol=1e-4)
    still, _ = Normalized(0.7).step(np.ones((1, 3)), [], np.zeros((1, 3)), 1.0, 1.0)
    np.testing.assert_array_equal(still, np.ones((1, 3)))
