"""Methods that hide parts of the picture, on networks of which the answer is known."""

import functools
import math

import keras
import numpy as np
import oracles
import pytest
from oracles import assert_close

from cnnvis_widgets.compute import perturbation
from cnnvis_widgets.compute.case import Case
from cnnvis_widgets.compute.explain import explain
from cnnvis_widgets.errors import MethodError
from cnnvis_widgets.images import sample_images
from cnnvis_widgets.networks.network import Network


def linear_network(height, width, weights):
    """One score: the sum of weights (H, W) times the pixels' red."""
    inputs = keras.Input((height, width, 3))
    conv, dense = keras.layers.Conv2D(1, 1, use_bias=False), keras.layers.Dense(1, use_bias=False)
    model = keras.Model(inputs, dense(keras.layers.Flatten()(conv(inputs))))
    conv.set_weights([np.array([1, 0, 0], np.float32).reshape(1, 1, 3, 1)])
    dense.set_weights([weights.reshape(-1, 1).astype(np.float32)])
    return Network(model, preprocess=lambda x: x / 255)


def curved_network(height, width):
    """Parts of the picture that matter together: two layers with ReLU and a maximum, two classes."""
    keras.utils.set_random_seed(5)
    inputs = keras.Input((height, width, 3))
    x = keras.layers.Conv2D(4, 3, strides=2, activation="relu")(inputs)
    x = keras.layers.Conv2D(4, 3, strides=2, activation="relu")(x)
    return Network(
        keras.Model(inputs, keras.layers.Dense(2)(keras.layers.GlobalMaxPooling2D()(x))),
        preprocess=lambda x: x / 64 - 2,
    )


def case_of(network, image, target=0, seed=0):
    return Case(network, image, network.default_layer, network.target(target), seed)


def photograph(height, width):
    return np.ascontiguousarray(sample_images()["cat"][60 : 60 + 4 * height : 4, 100 : 100 + 4 * width : 4])


@pytest.mark.parametrize("size", [(12, 20), (20, 12)])
def test_occlusion_equals_a_plain_reimplementation(size):
    network, image = curved_network(*size), photograph(*size)
    case = case_of(network, image)
    expected = oracles.occlusion(
        lambda x: float(network.model(x)[0, 0]), case.inputs, case.baseline, window=4, stride=2
    )
    assert_close(explain(network, image, "occlusion", target=0, window=4, stride=2).raw, expected, 1e-3)


@pytest.mark.parametrize("size", [(11, 26), (26, 11), (17, 17)])
def test_occlusion_covers_every_picture_to_its_border(size):
    image = np.full((*size, 3), 255, np.uint8)
    heat = explain(linear_network(*size, np.ones(size)), image, "occlusion", window=5, stride=4)
    # Every window takes the same away.
    np.testing.assert_allclose(heat.raw, 25 * (1 - 124 / 255), rtol=1e-3)


def test_what_lowers_the_score_when_it_is_hidden_is_positive():
    weights = np.zeros((14, 21))
    weights[:, :7], weights[:, 14:] = 1, -1
    image = np.full((14, 21, 3), 255, np.uint8)
    for method, options in {
        "occlusion": {},
        "rise": {},
        "lime": {"segments": 9},
        "kernel-shap": {"segments": 9},
    }.items():
        values = explain(linear_network(14, 21, weights), image, method, **options).values
        assert values[:, :3].mean() > 0.3 and values[:, -3:].mean() < -0.3, method


def test_windows_that_would_leave_gaps_are_refused():
    with pytest.raises(MethodError, match="Windows of 3 pixels 4 apart leave gaps"):
        explain(curved_network(12, 12), photograph(12, 12), "occlusion", window=3, stride=4)


def test_rise_equals_its_formula():
    network, image = curved_network(15, 22), photograph(15, 22)
    case = case_of(network, image, 1, seed=3)
    random = np.random.default_rng(3)
    masks = [perturbation._soft_mask(random, 15, 22, 7, 0.5) for _ in range(50)]
    said = []
    for mask in masks:
        seen = case.inputs * mask[None, ..., None] + case.baseline * (1 - mask[None, ..., None])
        scores = np.exp(network.model(seen)[0].numpy())
        said.append(scores[1] / scores.sum())
    expected = sum((f - np.mean(said)) * m for f, m in zip(said, masks, strict=True)) / (50 * 0.5)
    assert_close(explain(network, image, "rise", target=1, seed=3, masks=50).raw, expected, 1e-3)


def test_masks_of_rise_show_each_pixel_as_often():
    random = np.random.default_rng(0)
    masks = np.stack([perturbation._soft_mask(random, 30, 50, 7, 0.3) for _ in range(3000)])
    assert masks.shape == (3000, 30, 50) and masks.min() >= 0 and masks.max() <= 1
    np.testing.assert_allclose(masks.mean(axis=0), 0.3, atol=0.04)


def test_superpixels_are_numbered_without_gaps_and_follow_the_picture():
    case = case_of(curved_network(48, 64), photograph(48, 64))
    parts = perturbation.superpixels(case, 30)
    assert parts.shape == (48, 64)
    assert list(np.unique(parts)) == list(range(parts.max() + 1)) and 10 < parts.max() < 60


def test_lime_equals_weighted_ridge_regression():
    network, image = curved_network(32, 40), photograph(32, 40)
    case = case_of(network, image, seed=2)
    heat = explain(network, image, "lime", target=0, seed=2, samples=60, segments=12)
    parts = perturbation.superpixels(case, 12)
    count = parts.max() + 1
    shown = np.random.default_rng(2).random((60, count)) < 0.5
    shown[0] = True
    scores, nearness = [], []
    for row in shown:
        mask = row[parts][None, ..., None]
        scores.append(float(network.model(np.where(mask, case.inputs, case.baseline))[0, 0]))
        cosine = row.sum() / (np.sqrt(row.sum()) * np.sqrt(count))
        nearness.append(np.exp(-((1 - cosine) ** 2) / 0.25**2))
    # Ridge regression as least squares: a row of ones for the constant, and a row for the penalty of each weight.
    root = np.sqrt(nearness)[:, None]
    rows = np.vstack([np.hstack([shown, np.ones((60, 1))]) * root, np.eye(count, count + 1)])
    values = np.concatenate([np.array(scores) * root[:, 0], np.zeros(count)])
    weights = np.linalg.lstsq(rows, values, rcond=None)[0][:count]
    assert_close(heat.raw, weights[parts], 1e-3)


def test_kernel_shap_of_few_superpixels_is_exact():
    colours = np.array(
        [[[250, 0, 0], [0, 250, 0], [0, 0, 250]], [[250, 250, 0], [0, 250, 250], [250, 0, 250]]], np.uint8
    )
    network, image = curved_network(24, 36), np.kron(colours, np.ones((12, 12, 1), np.uint8))
    case = case_of(network, image, 1)
    parts = perturbation.superpixels(case, 6)
    players = int(parts.max()) + 1
    assert 4 <= players <= 7

    @functools.cache
    def known(*present):
        mask = np.array(present)[parts][None, ..., None]
        return float(network.model(np.where(mask, case.inputs, case.baseline))[0, 1])

    def worth(present):
        return known(*present.tolist())

    heat = explain(network, image, "kernel-shap", target=1, samples=200, segments=6)
    assert_close(heat.raw, oracles.shapley(worth, players)[parts], 1e-2)


def test_sampled_shapley_values_sum_to_the_score_and_are_exact_for_a_sum():
    weights = np.random.default_rng(3).normal(size=(32, 40))
    network, image = linear_network(32, 40, weights), photograph(32, 40)
    case = case_of(network, image)
    parts = perturbation.superpixels(case, 14)
    heat = explain(network, image, "kernel-shap", samples=100, segments=14)
    shares = weights * (case.inputs - case.baseline)[0, ..., 0]
    expected = np.array([shares[parts == part].sum() for part in range(parts.max() + 1)])
    assert 2 ** len(expected) > 200
    assert_close(heat.raw, expected[parts], 1e-2)


def test_a_mask_of_rise_is_bilinear_between_its_cells_and_shifted_by_less_than_one():
    height, width, cells, shown = 20, 30, 4, 0.5
    random = np.random.default_rng(2)
    coarse = random.random((cells, cells)) < shown
    tall, wide = 5, 8  # of a cell, rounded up; the large mask has one cell more than the picture
    top, left = random.integers(tall), random.integers(wide)
    assert top and left and coarse.any() and not coarse.all()
    expected = np.zeros((height, width))
    for y, x in np.ndindex(height, width):
        at_y = np.clip((y + top + 0.5) * cells / ((cells + 1) * tall) - 0.5, 0, cells - 1)
        at_x = np.clip((x + left + 0.5) * cells / ((cells + 1) * wide) - 0.5, 0, cells - 1)
        for (i, j), here in np.ndenumerate(coarse):
            expected[y, x] += here * max(0, 1 - abs(at_y - i)) * max(0, 1 - abs(at_x - j))
    drawn = perturbation._soft_mask(np.random.default_rng(2), height, width, cells, shown)
    np.testing.assert_allclose(drawn, expected, atol=1e-5)


def test_superpixels_are_drawn_together_as_often_as_the_weights_of_shapley_say():
    count = 16
    shown, weights = perturbation._coalitions(count, 8000, np.random.default_rng(0))
    assert shown.shape == (8000, count) and (weights == 1).all()
    sizes = np.arange(1, count)
    ways = np.array([math.comb(count, int(size)) for size in sizes])
    kernel = (count - 1) / (ways * sizes * (count - sizes))  # of one set of that size (theorem 2)
    expected = ways * kernel / (ways * kernel).sum()
    np.testing.assert_allclose(np.bincount(shown.sum(axis=1))[1:] / 8000, expected, atol=0.012)
    np.testing.assert_allclose(shown.mean(axis=0), 0.5, atol=0.001)  # each with its opposite


@pytest.mark.parametrize(
    ("method", "options", "words"),
    [
        ("rise", {"shown": 0}, "shown is the chance of a cell to be seen, between 0 and 1; 0 was given"),
        ("rise", {"shown": 1.5}, "between 0 and 1; 1.5 was given"),
        ("lime", {"width": 0}, "width is a number above 0; 0 was given"),
        ("vargrad", {"samples": 1}, "A variance needs at least 2 samples; 1 was given"),
    ],
)
def test_an_option_that_leaves_nothing_to_measure_is_refused_and_not_blamed_on_the_network(
    method, options, words
):
    with pytest.raises(MethodError, match=words):
        explain(curved_network(12, 12), photograph(12, 12), method, **options)
