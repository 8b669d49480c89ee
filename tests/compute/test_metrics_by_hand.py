"""What `evaluate` says by each metric, against the same worked out here step by step with `explain` and plain NumPy."""

import keras
import numpy as np
import pytest
import scipy.stats
from models import functional, picture
from skimage.metrics import structural_similarity

import cnnvis_widgets as cnnvis
from cnnvis_widgets.compute.faithfulness import hiding, similarity
from cnnvis_widgets.networks.network import Network
from cnnvis_widgets.networks.randomized import randomized

SEED, TARGET = 3, 3


@pytest.fixture(scope="module")
def network():
    """Its probabilities are neither 0 nor 1."""
    return Network(functional().model, preprocess=lambda x: x / 32)


def measured(network, image, metric, method="layer-cam"):
    found = cnnvis.evaluate(network, [image], [method], [metric], [TARGET], seed=SEED)
    return found.row(method, metric).mean


def enlarged(raw, size):
    return keras.ops.convert_to_numpy(keras.ops.image.resize(raw[..., None], size))[..., 0]


@pytest.mark.parametrize("kind", ["cascading", "independent"])
def test_random_weights_go_from_the_top_down_or_one_layer_at_a_time(network, kind):
    image = picture(1)
    real = cnnvis.explain(network, image, "layer-cam", target=TARGET).raw
    correlations, likenesses = [], []
    with randomized(network) as weights:
        assert len(weights.layers) == 4
        for count in (1, 2, 3, 4):
            shuffled = weights.layers[:count] if kind == "cascading" else weights.layers[count - 1 : count]
            raw = cnnvis.explain(weights.shuffle(shuffled, SEED), image, "layer-cam", target=TARGET).raw
            correlations.append(scipy.stats.spearmanr(real.ravel(), raw.ravel())[0])
            large = [enlarged(one, (24, 24)) / one.max() for one in (real, raw)]
            large = [one / one.max() for one in large]
            likenesses.append(structural_similarity(*large, data_range=1.0))
    assert measured(network, image, f"{kind}-spearman") == pytest.approx(np.mean(correlations), abs=1e-3)
    assert measured(network, image, f"{kind}-ssim") == pytest.approx(np.mean(likenesses), abs=1e-3)


def test_sensitivity_is_of_heatmaps_of_pictures_with_a_little_noise(network):
    image = picture(1)
    real = cnnvis.explain(network, image, "layer-cam", target=TARGET).raw
    random, moves = np.random.default_rng(SEED), []
    for _ in range(5):
        noisy = similarity.nudged(image, random)
        assert 0 < np.abs(noisy.astype(int) - image).max() <= 5
        raw = cnnvis.explain(network, noisy, "layer-cam", target=TARGET).raw
        moves.append(np.linalg.norm(raw - real) / np.linalg.norm(real))
    assert max(moves) > 0.001
    assert measured(network, image, "sensitivity") == pytest.approx(max(moves), rel=1e-3)


def test_areas_are_of_the_probability_from_a_whole_an_empty_or_a_blurred_picture():
    """On a picture so large that the two blurs differ."""
    keras.utils.set_random_seed(4)
    inputs = keras.Input((112, 112, 3))
    x = keras.layers.Conv2D(6, 3, strides=2, activation="relu")(inputs)
    x = keras.layers.Conv2D(6, 3, strides=2, activation="relu")(x)
    head = keras.layers.Dense(5, activation="softmax", kernel_initializer="random_normal")
    network = Network(
        keras.Model(inputs, head(keras.layers.GlobalMaxPooling2D()(x))), preprocess=lambda x: x / 4 - 32
    )
    image = np.ascontiguousarray(cnnvis.sample_images()["cat"][50:274:2, 100:324:2])
    heat = enlarged(cnnvis.explain(network, image, "layer-cam", target=TARGET).raw, (112, 112))
    whole = network.prepare(image)[0]
    empty = network.prepare(np.full_like(image, (124, 117, 104)))[0]
    starts = {"deletion": whole, "insertion": hiding.blurred(whole)}
    starts["insertion-strong"] = hiding.strongly_blurred(whole)
    ranks, areas = hiding.ranking(heat, SEED), {}
    for name, start in starts.items():
        end, counts = empty if name == "deletion" else whole, np.linspace(0, 112 * 112, 29).round()
        mixed = np.stack([np.where((ranks < count)[..., None], end, start) for count in counts])
        curve = np.asarray(network.model(mixed))[:, TARGET]
        areas[name] = np.mean((curve[1:] + curve[:-1]) / 2)
    assert np.diff(sorted(areas.values())).min() > 0.01, "the three must differ"
    found = cnnvis.evaluate(network, [image], ["layer-cam"], list(areas), [TARGET], seed=SEED)
    np.testing.assert_allclose(found.values[0, :, 0], list(areas.values()), atol=2e-3)


def test_average_increase_counts_where_less_of_the_picture_says_more(network):
    pictures, target = [picture(seed) for seed in range(6)], 1  # a class of which some rise and some do not
    found = cnnvis.evaluate(
        network, pictures, ["occlusion"], ["average-increase", "average-drop"], [target] * 6
    )
    expected = []
    for image in pictures:
        heat = np.maximum(cnnvis.explain(network, image, "occlusion", target=target).values, 0)[..., None]
        whole, empty = network.prepare(image), network.prepare(np.full_like(image, (124, 117, 104)))
        before, after = (
            np.asarray(network.model(x))[0, target]
            for x in (whole, empty + heat / max(heat.max(), 1e-9) * (whole - empty))
        )
        expected.append([float(after > before), max(0, before - after) / before])
    increases = np.array(expected)[:, 0]
    assert 0 < increases.sum() < 6
    np.testing.assert_allclose(found.values[0], np.transpose(expected), atol=2e-3)


@pytest.mark.parametrize("side", [2, 3])
def test_pointing_is_at_ones_own_cell_of_so_many_photographs(side):
    """Ten classes, a colour each: the heat of a colour is exactly where that colour is."""
    colours = np.array([(k % 3, k // 3 % 3, k // 9) for k in range(10)]) * 127
    inputs = keras.Input((18, 24, 10))
    conv, dense = keras.layers.Conv2D(10, 1, use_bias=False, name="conv"), keras.layers.Dense(10)
    model = keras.Model(inputs, dense(keras.layers.GlobalAveragePooling2D()(conv(inputs))))
    conv.set_weights([np.eye(10)[None, None]])
    dense.set_weights([20 * np.eye(10), np.zeros(10)])

    def one_of_them(pixels):
        return (np.abs(pixels[..., None, :] - colours).max(axis=-1) < 60).astype(np.float32)

    network = Network(model, preprocess=one_of_them)
    photographs = [np.full((18, 24, 3), colour, np.uint8) for colour in colours]
    metric = f"pointing-{side}x{side}"
    found = cnnvis.evaluate(network, photographs, ["grad-cam"], [metric])
    np.testing.assert_allclose(found.values[0, 0], 1)
    by_chance = found.values[found.methods.index("random"), 0]
    np.testing.assert_allclose(by_chance, 1 / side**2, atol=0.08)
    few = cnnvis.evaluate(network, photographs[: side * side - 1], ["grad-cam"], [metric])
    assert np.isnan(few.values).all() and few.row("grad-cam", metric).n == 0, "too few of different classes"
