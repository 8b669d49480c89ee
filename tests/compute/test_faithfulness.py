"""Whether heatmaps can be trusted: each number against one worked out by hand, or by a slow and plain way."""

import gc
import itertools
import weakref
from dataclasses import replace

import keras
import numpy as np
import pytest
import scipy.stats
from models import functional, picture
from PIL import Image

import cnnvis_widgets as cnnvis
from cnnvis_widgets.compute.faithfulness import hiding, one_image, pointing, road, similarity, table
from cnnvis_widgets.compute.faithfulness.controls import CONTROLS
from cnnvis_widgets.compute.faithfulness.evaluation import bootstrap, photographs_of, summary
from cnnvis_widgets.errors import CnnvisError, MethodError
from cnnvis_widgets.networks.network import Network
from cnnvis_widgets.networks.randomized import randomized
from cnnvis_widgets.results import Heatmap, LayerInfo, Randomization, Target, Trust

COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255), "black": (0, 0, 0)}
SIDE = 16


@pytest.fixture(scope="module")
def network():
    """Four classes, a colour each: a unit answers to each pixel of its colour, and grey says nothing to any of them."""
    inputs = keras.Input((SIDE, SIDE, 3))
    conv = keras.layers.Conv2D(4, 1, activation="relu", name="conv")
    dense = keras.layers.Dense(4, activation="softmax")
    model = keras.Model(inputs, dense(keras.layers.GlobalAveragePooling2D()(conv(inputs))))
    kernel = np.array([[1, -1, -1], [-1, 1, -1], [-1, -1, 1], [-1, -1, -1]], np.float32).T
    conv.set_weights([kernel.reshape(1, 1, 3, 4), np.array([0, 0, 0, 1], np.float32)])
    dense.set_weights([40 * np.eye(4, dtype=np.float32), np.zeros(4, np.float32)])
    return Network(model, name="colours", class_names=tuple(COLOURS), preprocess=lambda x: x / 255)


def square_of(colour: str, top: int = 1, left: int = 2, side: int = 6) -> np.ndarray:
    image = np.full((SIDE, SIDE, 3), 128, np.uint8)
    image[top : top + side, left : left + side] = COLOURS[colour]
    return image


PHOTOGRAPHS = {name: square_of(name) for name in COLOURS}


def weighted(weights: np.ndarray) -> hiding.Score:
    """The score of a picture: its first channel times these weights."""
    return lambda pictures: (pictures[..., 0] * weights).sum(axis=(1, 2))


# Hiding and showing ----------------------------------------------------------------------------------------


def test_deletion_of_a_linear_score_is_what_is_left_of_its_weights():
    weights = np.array([[8.0, 4.0], [1.0, 2.0]])
    ones, nothing = np.ones((2, 2, 1), np.float32), np.zeros((2, 2, 1), np.float32)
    ranks = hiding.ranking(weights)
    np.testing.assert_array_equal(ranks, [[0, 1], [3, 2]])
    for batch in (1, 2, 16):
        curve = hiding.deletion(weighted(weights), ones, ranks, nothing, steps=4, batch=batch)
        np.testing.assert_allclose(curve, [15, 7, 3, 1, 0])
    assert hiding.area(curve) == pytest.approx((7 + 3 + 1 + 7.5) / 4)
    worst = hiding.deletion(weighted(weights), ones, 3 - ranks, nothing, steps=2)
    np.testing.assert_allclose(worst, [15, 12, 0])


def test_insertion_begins_with_a_blurred_picture_and_ends_with_the_sharp_one():
    random = np.random.default_rng(0)
    image, weights = random.random((20, 24, 3)).astype(np.float32), random.random((20, 24))
    ranks = hiding.ranking(weights)
    curve = hiding.insertion(weighted(weights), image, ranks, steps=6)
    order, expected = np.argsort(-weights, axis=None), []
    for count in (0, 80, 160, 240, 320, 400, 480):
        seen = hiding.blurred(image).reshape(480, 3)
        seen[order[:count]] = image.reshape(480, 3)[order[:count]]
        expected.append((seen[:, 0] * weights.ravel()).sum())
    np.testing.assert_allclose(curve, expected, rtol=1e-5)
    assert hiding.blurred(image).std() < image.std() / 5


def test_a_strong_blur_leaves_no_large_things_for_an_edge_detector_to_sharpen():
    thing = np.zeros((224, 224, 3), np.float32)
    thing[100:124] = 1  # 24 pixels high
    mild, strong = hiding.blurred(thing), hiding.strongly_blurred(thing)
    assert mild.max() > 0.95 and 0.3 < strong.max() < 0.5
    y = np.arange(-100, 124)  # from the middle of the strip
    bell = np.exp(-((np.arange(-90, 91) / 20) ** 2) / 2)
    expected = np.convolve(np.abs(y - 11.5) < 12, bell / bell.sum(), "same")
    np.testing.assert_allclose(strong[:, 112, 0], expected, atol=0.01)
    ranks, weights = hiding.ranking(thing[..., 0]), np.ones((224, 224)) / 224**2
    curve = hiding.insertion(weighted(weights), thing, ranks, 2, blur=hiding.strongly_blurred)
    assert curve[0] == pytest.approx(strong[..., 0].mean(), rel=1e-4)
    small = np.random.default_rng(0).random((32, 32, 3)).astype(np.float32)
    assert hiding.strongly_blurred(small).std() < hiding.blurred(small).std()


def test_equal_places_come_in_a_seeded_random_order_and_nan_last():
    heat = np.zeros((40, 40))
    heat[:4] = 1
    heat[0, 0] = np.nan
    ranks = hiding.ranking(heat, seed=1)
    assert sorted(ranks.ravel()) == list(range(1600))
    assert ranks[0, 0] == 1599 and set(ranks[:4].ravel()) == {*range(159), 1599}
    rows = np.nonzero((ranks >= 159) & (ranks < 359))[0]
    assert 15 < rows.mean() < 28, "the next 200 are not the next five rows"
    np.testing.assert_array_equal(ranks, hiding.ranking(heat, seed=1))
    assert (ranks != hiding.ranking(heat, seed=2)).mean() > 0.5


def test_drop_counts_what_is_lost_where_only_heat_shows():
    weights = np.array([[1.0, 2.0, 5.0]])
    ones, nothing = np.ones((1, 3, 1), np.float32), np.zeros((1, 3, 1), np.float32)
    lost, rises = hiding.drop(weighted(weights), ones, np.array([[2.0, 4.0, -3.0]]), nothing)
    assert lost == pytest.approx(1 - (0.5 * 1 + 1 * 2) / 8) and not rises
    against = np.array([[1.0, 2.0, -2.0]])
    assert hiding.drop(weighted(against), ones, np.array([[1.0, 1.0, 0.0]]), nothing) == (0.0, True)
    assert hiding.drop(weighted(weights), ones, np.zeros((1, 3)), nothing) == (1.0, False)


def test_of_a_score_that_is_not_above_zero_no_share_can_be_lost():
    ones, nothing = np.ones((1, 3, 1), np.float32), np.zeros((1, 3, 1), np.float32)
    lost, rises = hiding.drop(weighted(np.full((1, 3), -1.0)), ones, np.array([[1.0, 0.0, 0.0]]), nothing)
    assert np.isnan(lost) and rises


# ROAD ------------------------------------------------------------------------------------------------------


def solved_plainly(image, missing):
    """The same linear system, written down whole."""
    height, width = missing.shape
    matrix, right = np.eye(height * width), image.reshape(-1, image.shape[2]).astype(np.float64)
    for y, x in zip(*np.nonzero(missing), strict=True):
        near = {
            (y + dy, x + dx): 1 / 12 if dy and dx else 1 / 6
            for dy, dx in itertools.product((-1, 0, 1), repeat=2)
            if (dy or dx) and 0 <= y + dy < height and 0 <= x + dx < width
        }
        row = y * width + x
        right[row] = 0
        for (ny, nx), weight in near.items():
            matrix[row, ny * width + nx] = -weight / sum(near.values())
    return np.linalg.solve(matrix, right).reshape(image.shape)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("kind", ["hole", "noise"])
def test_what_is_removed_is_the_weighted_mean_of_its_neighbours(share, kind):
    image = cnnvis.sample_images()["cat"][100:226:5, 120:300:5].astype(np.float32)
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    heat = -np.hypot(y - 3, x - 9) if kind == "hole" else np.random.default_rng(0).random(image.shape[:2])
    missing = hiding.ranking(heat) < share * heat.size
    ours, plain = road.imputed(image, missing), solved_plainly(image, missing)
    np.testing.assert_array_equal(ours[~missing], image[~missing])
    assert np.abs(plain - image)[missing].max() > 20, "the oracle must have something to compare"
    assert np.abs(ours - plain).max() < 0.02 * image.std()


def test_what_road_guesses_has_a_little_noise_and_what_is_there_has_none():
    image = cnnvis.sample_images()["cat"][:100, :100].astype(np.float32)
    missing = np.random.default_rng(1).random((100, 100)) < 0.5
    noisy = road.imputed(image, missing, np.random.default_rng(2))
    noise = (noisy - road.imputed(image, missing)) / image.std()
    assert not noise[~missing].any() and abs(noise[missing].mean()) < 1e-3
    assert noise[missing].std() == pytest.approx(
        0.01, rel=0.05
    )  # of pictures whose deviation is 1, as the paper's
    seen = []
    road.road_curves(
        lambda pictures: seen.extend(pictures) or pictures[:, 0, 0, 0], image, hiding.ranking(image[..., 0])
    )
    assert any(np.unique(one).size > 5000 for one in seen), "the curves are of pictures with it"


def test_road_takes_away_exactly_its_shares_though_nearly_all_of_the_map_is_zero():
    """A threshold at a percentile would take away nothing, or everything, where that percentile is zero."""
    image = np.random.default_rng(0).random((20, 20, 3)).astype(np.float32)
    heat = np.zeros((20, 20))
    heat[3:5, 3:5] = 1
    kept = lambda pictures: (pictures == image).all(axis=-1).mean(axis=(1, 2))  # noqa: E731
    for curve in road.road_curves(kept, image, hiding.ranking(heat), batch=3):
        np.testing.assert_allclose(curve, 1 - np.array(road.FRACTIONS), atol=1e-9)


def test_road_of_a_right_map_falls_with_what_is_hot_first_and_stays_with_what_is_cold_first():
    image = square_of("red").astype(np.float32) / 255
    heat = (image[..., 0] > 0.9).astype(float)  # 36 of 256 places
    redness = lambda pictures: np.maximum(pictures[..., 0] - pictures[..., 1:].sum(-1), 0).sum(axis=(1, 2))  # noqa: E731
    highest, lowest = road.road_curves(redness, image, hiding.ranking(heat))
    assert highest[2] == pytest.approx(0, abs=1), "all of it is gone, and what surrounds it is grey"
    assert (lowest[:5] > 35.5).all() and (lowest[:5] < 45).all(), (
        "it stays, and reddens what is guessed beside it"
    )


# Pointing --------------------------------------------------------------------------------------------------


def test_localization_is_the_share_of_positive_heat_in_the_cell():
    heat = np.array([[3.0, 1.0, -5.0], [0.0, 2.0, 2.0], [np.nan, 0.0, 0.0]])
    assert pointing.localization(heat, slice(0, 1), slice(0, 2)) == pytest.approx(4 / 8)
    assert pointing.localization(-abs(np.nan_to_num(heat)), slice(0, 3), slice(0, 3)) == 0


@pytest.mark.parametrize("side", [2, 3])
def test_a_mosaic_shows_each_photograph_whole_in_its_cell(side):
    shades = [np.full((9, 14, 3), 20 * place, np.uint8) for place in range(side * side)]
    picture_ = pointing.mosaic(shades, side, (31, 40))
    for place in range(side * side):
        assert (picture_[pointing.cell(place, side, (31, 40))] == 20 * place).all()


def test_partners_are_sure_and_each_of_another_class():
    targets, sure = [1, 1, 2, 2, 3, 4, 5], [True, True, True, True, True, False, True]
    for seed in range(20):
        chosen = pointing.partners(0, targets, sure, 3, np.random.default_rng(seed))
        assert sorted(targets[one] for one in chosen) == [2, 3, 5]
    assert len(pointing.partners(0, targets, sure, 8, np.random.default_rng(0))) == 3


# Random weights and likeness -------------------------------------------------------------------------------


def test_random_weights_are_the_trained_ones_in_another_order_and_the_model_keeps_its_own():
    model = functional().model
    network, image = Network(model), picture(3)
    before = [weight.copy() for weight in model.get_weights()]
    network.logits(image)
    kept = network.memory.used
    oracle = keras.models.clone_model(model)
    oracle.set_weights(before)
    with randomized(network) as weights:
        assert weights.layers == ("out", "bn", "conv2", "conv1")
        shuffled = weights.shuffle(("out", "conv2"), seed=4)
        for name, place in (("out", 0), ("conv2", 2)):
            random = np.random.default_rng((4, place))
            layer = oracle.get_layer(name)
            layer.set_weights([random.permutation(w.ravel()).reshape(w.shape) for w in layer.get_weights()])
        expected = oracle(network.prepare(image)).numpy()[0]
        got = shuffled.probabilities(shuffled.logits(image))
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-6)
        assert np.abs(got - model(network.prepare(image)).numpy()[0]).max() > 0.01
        # Also a backward run, and back to none: the trained network again.
        heat = cnnvis.explain(shuffled, image, "gradient", target=1).raw
        same = cnnvis.explain(weights.shuffle(()), image, "gradient", target=1).raw
        real = cnnvis.explain(network, image, "gradient", target=1).raw
        assert np.abs(heat - real).max() > 0.01 * real.max()
        np.testing.assert_allclose(same, real, rtol=1e-4, atol=1e-7)
        for weight, value in zip(before, model.get_weights(), strict=True):
            np.testing.assert_array_equal(weight, value, strict=True)
    assert network.memory.used >= kept, "what was remembered of the real network stays"


def test_weights_stay_whatever_happens_meanwhile(network):
    before = [weight.copy() for weight in network.model.get_weights()]
    logits = network.logits(square_of("red")).copy()
    steps = cnnvis.trust_steps(network, square_of("red"))
    for step in steps:  # left in the midst of it
        if len(step[2].randomization) == 1:
            steps.close()
    with randomized(network) as weights, pytest.raises(CnnvisError):
        cnnvis.explain(weights.shuffle(weights.layers), square_of("red"), target="purple")
    for weight, value in zip(before, network.model.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, value, strict=True)
    network.forget()
    np.testing.assert_array_equal(network.logits(square_of("red")), logits)


def test_two_at_once_do_not_share_their_random_weights(network):
    with randomized(network) as one, randomized(network) as other:
        image = square_of("green")
        one.shuffle(one.layers, seed=1)
        logits = one.network.logits(image).copy()
        other.shuffle(other.layers, seed=2)
        one.network.forget()
        np.testing.assert_array_equal(one.network.logits(image), logits)
        assert one.network is not other.network
    with randomized(network.aside()) as again:
        assert again in (one, other), "traced once, used again"


def test_a_network_that_nobody_holds_any_more_is_gone_with_its_random_weights():
    network = Network(functional().model)
    with randomized(network) as weights:
        weights.shuffle(weights.layers).logits(picture(1))
    gone = [weakref.ref(one) for one in (network, network.probe, weights)]
    del network, weights
    keras.backend.clear_session()
    gc.collect()
    assert [one() for one in gone] == [None] * 3


def test_new_weights_of_the_model_are_what_is_shuffled_next():
    model = functional().model
    network = Network(model)
    with randomized(network) as weights:
        weights.shuffle(())
    model.set_weights([weight + 0.1 for weight in model.get_weights()])
    with randomized(network) as weights:
        got = weights.shuffle(()).logits(picture(1))
    np.testing.assert_allclose(got, network.logits(picture(1)), rtol=1e-5)


def test_spearman_is_that_of_scipy_with_ties_too():
    random = np.random.default_rng(0)
    for one, other in (
        (random.random((9, 9)), random.random((9, 9))),
        (np.maximum(random.normal(size=(9, 9)), 0), random.integers(0, 4, (9, 9))),
    ):
        assert similarity.spearman(one, other) == pytest.approx(
            scipy.stats.spearmanr(one.ravel(), other.ravel())[0]
        )
    assert similarity.spearman(np.zeros(9), np.arange(9)) == 0
    assert similarity.spearman(np.zeros(9), np.ones(9)) == 1


def test_ssim_takes_no_notice_of_scale_and_sign_and_falls_with_likeness():
    heat = cnnvis.sample_images()["cat"][:60:2, :80:2, 0].astype(np.float32)
    assert similarity.ssim(heat, -3 * heat) == pytest.approx(1)
    noise = np.random.default_rng(0).normal(size=heat.shape)
    values = [similarity.ssim(heat, heat + share * noise) for share in (5, 25, 100)]
    assert 1 > values[0] > values[1] > values[2] > -0.2
    # By the formula of its authors, on a map no larger than its one window.
    one, other = np.random.default_rng(1).random((2, 3, 3))
    one, other = one / one.max(), other / other.max()
    covariance = np.cov(one.ravel(), other.ravel())
    above = (2 * one.mean() * other.mean() + 1e-4) * (2 * covariance[0, 1] + 9e-4)
    below = (one.mean() ** 2 + other.mean() ** 2 + 1e-4) * (covariance[0, 0] + covariance[1, 1] + 9e-4)
    assert similarity.ssim(one, other) == pytest.approx(above / below)


def test_sensitivity_is_the_largest_move_as_a_share_of_the_map():
    whole = np.array([[3.0, 4.0]])
    assert similarity.sensitivity(whole, [whole + 1, np.array([[3.0, 6.0]]), whole]) == pytest.approx(2 / 5)
    assert np.isnan(similarity.sensitivity(np.zeros((2, 2)), [np.ones((2, 2))]))
    pixels = np.array([[[0, 128, 255]]], np.uint8).repeat(500, axis=0)
    moved = similarity.nudged(pixels, np.random.default_rng(0)).astype(int) - pixels
    assert moved[:, 0, 1].min() == -5 and moved[:, 0, 1].max() == 5
    assert moved[:, 0, 0].min() == 0 and moved[:, 0, 2].max() == 0, "no value wraps around"


def test_stages_go_from_the_top_layer_to_all():
    assert table.stages(1) == [1]
    assert table.stages(3) == [1, 2, 3]
    assert table.stages(105) == [1, 22, 43, 63, 84, 105]


def test_controls_know_the_picture_at_most():
    pixels = square_of("red")
    edges = CONTROLS["edges"](pixels, 0)
    assert edges[10:, 10:].max() == 0 and edges[1, 3:7].min() > 0.05
    centre = CONTROLS["centre"](np.zeros((11, 21, 3), np.uint8), 0)
    assert np.unravel_index(centre.argmax(), centre.shape) == (5, 10)
    np.testing.assert_allclose(centre, centre[::-1, ::-1], atol=1e-6)
    random = CONTROLS["random"](pixels, 1)
    assert abs(random.mean() - 0.5) < 0.1
    np.testing.assert_array_equal(random, CONTROLS["random"](pixels, 1))


# The table and the evaluation -------------------------------------------------------------------------------


def test_every_metric_says_what_it_is():
    rows = cnnvis.metrics()
    assert len({row.name for row in rows}) == len(rows) >= 14
    for row in rows:
        assert row.better in ("higher", "lower") and row.formula and "arXiv" in row.paper and row.costs
        assert table.find_metric(row.name.upper().replace("-", "_")) is row
    with pytest.raises(MethodError, match="There is no metric 'insertoin'; did you mean 'insertion'"):
        table.find_metric("insertoin")


def test_where_the_network_gives_no_numbers_nothing_is_measured_and_the_verdict_says_so(network):
    broken = keras.models.clone_model(network.model)
    kernel, bias, head, offsets = network.model.get_weights()
    broken.set_weights([kernel, bias, np.full_like(head, np.nan), offsets])
    spoilt = Network(broken, name="spoilt", class_names=tuple(COLOURS), preprocess=lambda x: x / 255)
    found = cnnvis.evaluate(
        spoilt, [PHOTOGRAPHS["red"]], ["grad-cam"], ["deletion", "cascading-ssim"], targets=["red"]
    )
    assert np.isnan(found.values[0]).all()
    assert "nan" not in found.table()
    verdict = cnnvis.trust(spoilt, PHOTOGRAPHS["red"], target="red")
    assert (verdict.verdict, "no numbers" in verdict.sentence) == ("no_numbers", True)


def test_a_right_method_beats_the_controls_where_the_answer_is_known(network):
    said = []
    found = cnnvis.evaluate(
        network,
        PHOTOGRAPHS,
        methods=["grad-cam"],
        metrics=[row.name for row in cnnvis.metrics() if row.name != "pointing-3x3"],
        progress=lambda done, total: said.append((done, total)),
    )
    assert found.methods == ("grad-cam", "random", "edges", "centre") and found.images == tuple(COLOURS)
    assert found.values.shape == (4, 14, 4) and np.isfinite(found.values).all()
    assert said == [(done, 4 * 4 * 10) for done in range(1, 4 * 4 * 10 + 1)]
    # All of the heat lies in the square, and in the mosaic in the square's own photograph.
    assert found.row("grad-cam", "pointing-2x2").mean == pytest.approx(1)
    assert found.row("centre", "pointing-2x2").mean == pytest.approx(0.25, abs=0.01)
    assert found.row("random", "pointing-2x2").mean == pytest.approx(0.25, abs=0.06)
    # Where only the square shows, in front of the mean colour of photographs, nothing is lost.
    assert found.row("grad-cam", "average-drop").mean == pytest.approx(0, abs=0.02)
    # 36 of 256 places hidden, and nothing is left but chance: 1/4.
    assert found.row("grad-cam", "deletion").mean == pytest.approx(0.25 + 0.75 * 0.07, abs=0.05)
    for metric in ("deletion", "insertion", "insertion-strong", "road", "road-morf"):
        assert found.row("grad-cam", metric).ahead[1] > 0, metric  # on each of the four
    for control in CONTROLS:  # they cannot know of other weights
        assert found.row(control, "cascading-spearman").mean == pytest.approx(1)
        assert found.row(control, "independent-ssim").mean == pytest.approx(1)
    assert found.row("grad-cam", "cascading-spearman").mean < 0.9
    assert (found.seconds > 0).all()


def test_another_seed_draws_another_random_control(network):
    first, second, again = (
        cnnvis.evaluate(network, [PHOTOGRAPHS["red"]], [], ["average-drop", "road"], seed=seed).values[0]
        for seed in (1, 2, 1)
    )
    assert (first != second).all()
    np.testing.assert_array_equal(first, again)


def test_an_evaluation_that_is_cancelled_hands_back_what_there_is(network):
    done = []
    found = cnnvis.evaluate(
        network,
        PHOTOGRAPHS,
        methods=["grad-cam"],
        metrics=["deletion"],
        progress=lambda step, total: done.append(step),
        cancel=lambda: len(done) >= 8,
    )
    assert len(done) == 8
    assert np.isfinite(found.values[:, 0, 0]).all() and np.isnan(found.values[:, 0, 1:]).all()
    assert found.row("grad-cam", "deletion").n == 1
    earlier = cnnvis.evaluate(network, PHOTOGRAPHS, ["grad-cam"], ["deletion"], cancel=lambda: True)
    assert "nan" not in found.table() + earlier.table()


def test_an_evaluation_leaves_the_memory_of_what_a_person_looks_at_alone(network):
    network.forget()
    cnnvis.explain(network, PHOTOGRAPHS["red"])
    held = len(network.memory)
    cnnvis.evaluate(network, PHOTOGRAPHS, methods=["grad-cam"], metrics=["deletion", "sensitivity"])
    assert len(network.memory) == held


def test_photographs_have_names_targets_and_are_sure_or_not(network, tmp_path):
    keras.utils.save_img(tmp_path / "a cat.png", PHOTOGRAPHS["red"])
    found = photographs_of(network, [tmp_path / "a cat.png", PHOTOGRAPHS["blue"], square_of("green", side=2)])
    assert [one.name for one in found] == ["a cat", "1", "2"]
    assert [one.target.name for one in found] == ["red", "blue", "green"]
    assert [one.sure for one in found] == [True, True, False]
    (other,) = photographs_of(network, [PHOTOGRAPHS["red"]], ["green"])
    assert (other.target.name, other.sure) == ("green", False)
    with pytest.raises(CnnvisError, match="2 photographs need as many targets; 1 were given"):
        photographs_of(network, [PHOTOGRAPHS["red"]] * 2, ["red"])
    with pytest.raises(CnnvisError, match="no photographs were given"):
        photographs_of(network, [])
    with pytest.raises(CnnvisError, match="load_network"):
        cnnvis.evaluate("vgg16", PHOTOGRAPHS)


def test_photographs_of_one_name_are_all_evaluated_and_rows_named_twice_come_once(network, tmp_path):
    for folder, colour in (("a", "red"), ("b", "green")):
        (tmp_path / folder).mkdir()
        Image.fromarray(PHOTOGRAPHS[colour]).save(tmp_path / folder / "1.png")
    files = [tmp_path / "a" / "1.png", tmp_path / "b" / "1.png", tmp_path / "b" / "1.png"]
    found = cnnvis.evaluate(network, files, ["Grad_CAM", "grad-cam"], ["deletion"] * 2, targets=[0, 1, 0])
    assert found.images == ("1", "1 (1)", "1 (2)") and found.methods == ("grad-cam", *CONTROLS)
    assert found.metrics == ("deletion",) and np.isfinite(found.values).all()


def test_targets_as_a_mapping_are_refused_for_its_keys_would_be_taken_for_classes(network):
    with pytest.raises(CnnvisError, match="targets is a list of classes, one for each"):
        photographs_of(network, {"0": PHOTOGRAPHS["red"]}, {"0": 1})


def test_bootstrap_gives_the_interval_that_theory_gives():
    values = np.random.default_rng(5).normal(3, 2, 400)
    mean, low, high, count = bootstrap(np.append(values, [np.nan, np.nan]))
    half = 1.96 * values.std() / 20
    assert (mean, count) == (pytest.approx(values.mean()), 400)
    assert low == pytest.approx(mean - half, abs=0.015) and high == pytest.approx(mean + half, abs=0.015)
    np.testing.assert_equal(bootstrap(np.array([2.5])), (2.5, np.nan, np.nan, 1))
    assert bootstrap(np.array([np.nan]))[3] == 0


def test_the_interval_of_few_values_holds_as_often_as_it_says():
    random = np.random.default_rng(7)
    for count in (6, 12):
        held = [
            low < 0 < high for low, high in (bootstrap(random.normal(size=count))[1:3] for _ in range(400))
        ]
        assert 0.92 <= np.mean(held) <= 0.98  # plain percentiles: 0.84 and 0.91


def test_a_handful_of_photographs_cannot_show_one_method_ahead():
    names, metrics = ["grad-cam", "random"], [table.find_metric("insertion")]
    for count, beaten in ((1, ()), (5, ()), (6, ("random",))):
        values = np.stack([np.ones((1, count)), np.zeros((1, count))])
        found = summary(values, np.ones((2, count)), names, metrics, list("abcdef"[:count]), "toy")
        assert found.row("grad-cam", "insertion").beats == beaten
        assert "nan" not in found.table()


def test_beating_is_by_the_paired_difference_in_the_direction_that_is_better():
    random = np.random.default_rng(0)
    base = random.normal(0, 10, 30)  # photographs differ far more than methods
    values = np.stack(
        [base + 1 + random.normal(0, 0.1, 30), base, base + 2, base + random.normal(0, 0.1, 30)]
    )
    names, metrics = (
        ["grad-cam", "random", "edges", "centre"],
        [table.find_metric("insertion"), table.find_metric("deletion")],
    )
    found = summary(
        np.stack([values, values], axis=1),
        np.ones((4, 30)),
        names,
        metrics,
        [str(i) for i in range(30)],
        "toy",
    )
    assert found.row("grad-cam", "insertion").beats == ("random", "centre")
    assert found.row("grad-cam", "deletion").beats == ("edges",)
    assert (
        found.row("edges", "insertion").beats == () and np.isnan(found.row("edges", "insertion").ahead).all()
    )
    # Hardest to beat: edges at insertion (1 below), where less is better whoever is lowest.
    apart = values[0] - values[2]
    assert found.row("grad-cam", "insertion").ahead == pytest.approx(bootstrap(apart)[:3])
    assert found.row("grad-cam", "deletion").ahead[0] == pytest.approx(
        (values[1:2] - values[0]).mean(), abs=0.1
    )
    lines = found.table("markdown").splitlines()
    assert lines[0] == "| method | s/image | insertion ↑ | deletion ↓ |" and len(lines) == 6
    assert lines[2].startswith("| grad-cam | 1 | ") and "*" not in found.table()


# One image -------------------------------------------------------------------------------------------------


def test_trust_of_a_right_heatmap_is_good_and_its_numbers_are_those_of_the_metrics(network):
    image, said = square_of("red", top=8, left=9), []
    found = cnnvis.trust(network, image, progress=lambda done, total: said.append((done, total)))
    assert said[-1][0] == said[-1][1] and [one[0] for one in said] == sorted(one[0] for one in said)
    metrics = ["deletion", "insertion"]
    table_ = cnnvis.evaluate(network, [image], methods=["grad-cam"], metrics=metrics)
    for name in ("grad-cam", *CONTROLS):
        assert found.deletion_areas[name] == pytest.approx(table_.row(name, "deletion").mean)
        assert found.insertion_areas[name] == pytest.approx(table_.row(name, "insertion").mean)
        assert found.deletion[name].shape == found.insertion[name].shape == found.fractions.shape
    assert [one.layers for one in found.randomization] == [1, 2]
    assert found.randomization[-1].layer == "conv"
    assert found.verdict == "good" and "red" in found.sentence
    given = cnnvis.trust(network, image, cnnvis.explain(network, image, target="red"))
    assert given.deletion_areas == found.deletion_areas and given.verdict == found.verdict


def test_the_heatmap_on_trial_is_there_before_anything_is_run(network):
    image = square_of("red", top=8, left=9)
    steps = cnnvis.trust_steps(network, image, cnnvis.explain(network, image))
    done, total, found = next(steps)
    assert done == 0 and not found.deletion and found.heatmap.values.max() == 1
    assert next(steps)[:2] == (1, total)
    steps.close()


def test_a_heatmap_of_several_versions_is_compared_with_such_ones_of_random_weights():
    halves = functional()
    network, image = Network(halves.model), picture(3)
    mean = cnnvis.explain(network, image, "gradient", target=2, augment=True)
    found = cnnvis.trust(network, image, mean)
    with randomized(network) as weights:
        shuffled = weights.shuffle(weights.layers[: found.randomization[-1].layers], 0)
        again, plain = (
            cnnvis.explain(shuffled, image, "gradient", target=2, augment=augment).values
            for augment in (True, False)
        )
    assert np.abs(again - plain).max() > 0.01
    np.testing.assert_allclose(found.randomization[-1].values, again, atol=1e-5)


def hand_made(areas: dict, similar: float, raw=1.0) -> Trust:
    layer, target = LayerInfo("conv", "convolution", (2, 2, 1), 1), Target(0, "red")
    values = np.full((2, 2), raw, np.float32)
    heat = Heatmap(values, values, layer, target, "grad-cam", 1.0, "toy", np.zeros((4, 4, 3), np.uint8))
    stage = Randomization(1, "conv", values, 0.5, similar)
    deletion, insertion = ({name: pair[i] for name, pair in areas.items()} for i in (0, 1))
    return Trust(heat, np.zeros(2), {}, {}, deletion, insertion, (stage,), 2, "", {}, "")


BEST = {"grad-cam": (0.1, 0.9), "random": (0.5, 0.5), "edges": (0.2, 0.6), "centre": (0.3, 0.8)}


@pytest.mark.parametrize(
    ("own", "similar", "raw", "verdict", "words"),
    [
        ((0.1, 0.9), 0.1, 1, "good", "On this picture the heatmap holds"),
        ((0.1, 0.7), 0.1, 1, "only_hidden", "a blob in the middle does at least as well"),
        ((0.25, 0.9), 0.1, 1, "only_shown", "an edge detector does at least as well"),
        ((0.6, 0.1), 0.1, 1, "poor", "no more about red in this picture than a blob in the middle"),
        ((0.1, 0.9), 0.7, 1, "weights", "rank correlation 0.70"),
        ((0.1, 0.9), 0.1, 0, "nothing", "no evidence for red"),
    ],
)
def test_the_verdict_follows_from_areas_and_likeness(own, similar, raw, verdict, words):
    found = one_image.judged(hand_made(BEST | {"grad-cam": own}, similar, raw))
    assert found.verdict == verdict and words in found.sentence
    chinese = one_image.verdict_in_words(found.verdict, found.words, "zh")
    assert chinese and chinese != found.sentence and "{" not in chinese


def test_figures_show_what_was_found(network):
    found = cnnvis.evaluate(network, PHOTOGRAPHS, methods=["grad-cam"], metrics=["deletion", "insertion"])
    figure = cnnvis.plot_evaluation(found)
    words = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert words == ["deletion  (lower is better)", "insertion  (higher is better)"]
    fewer = summary(
        np.array([[[1, np.nan, 2, 3]], [[0, 0, 0, 1]]]), np.ones((2, 4)), ["grad-cam", "random"],
        [table.find_metric("insertion")], list("abcd"), "toy",
    )  # fmt: skip
    (axes,) = cnnvis.plot_evaluation(fewer).axes
    assert [text.get_text() for text in axes.texts] == ["3", "insertion  (higher is better)"]
    beside = cnnvis.plot_evaluation(found, ahead=True)
    for axes, metric in zip(beside.axes, found.metrics, strict=True):
        zero, interval, dot = axes.lines  # of the one method: controls are what it is measured against
        mean, low, high = found.row("grad-cam", metric).ahead
        assert zero.get_xdata()[0] == 0 and dot.get_xdata()[0] == pytest.approx(mean)
        np.testing.assert_allclose(interval.get_xdata(), (low, high))
    trust = cnnvis.trust(network, PHOTOGRAPHS["red"])
    figure = cnnvis.plot_trust(trust)
    lines = [line for axes in figure.axes for line in axes.lines]
    assert len(lines) == 8
    assert any("each map on its own scale" in text.get_text() for axes in figure.axes for text in axes.texts)
    np.testing.assert_allclose(lines[0].get_ydata(), trust.deletion["grad-cam"])
    for picture_ in (figure, cnnvis.plot_trust(replace(trust, deletion={}, insertion={}, randomization=()))):
        assert picture_._repr_png_().startswith(b"\x89PNG")
    for plot in (cnnvis.plot_evaluation, cnnvis.plot_trust):
        with pytest.raises(CnnvisError, match="int was given"):
            plot(3)
