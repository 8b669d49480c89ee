"""Composed recipes on small networks: what they reach, what never traces again, what wakes and what cannot."""

import itertools
from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf
from models import CLASSES, SIZE, functional, nested, picture, sequential, subclassed

import cnnvis_widgets as cnnvis
from cnnvis_widgets import maximize
from cnnvis_widgets.compute.maximize import (
    Adam,
    Laplacian,
    Maco,
    Penalties,
    Pixels,
    Recipe,
    Shared,
    Tile,
    Transforms,
    alignment,
    ascend,
    caricature,
    deep_dream,
    direction,
    diversity,
    find_recipe,
    logit,
    maximize_filters,
    neuron,
    recipes,
    unit,
)
from cnnvis_widgets.compute.maximize.colours import as_seen, find_colours
from cnnvis_widgets.networks import ascent
from cnnvis_widgets.networks.network import Network

COMPOSED = ["fourier", "maco", "fast", "pixels"]


@pytest.fixture(scope="module")
def halves():
    return functional()


@pytest.fixture(scope="module")
def network(halves):
    return Network(halves.model, preprocess=lambda x: x / 127.5 - 1)


def by_hand(kernel, bias):
    """One 1x1 convolution of RGB in [0, 1] with a ReLU: (3, units), (units,)."""
    inputs = keras.Input((16, 16, 3))
    conv = keras.layers.Conv2D(len(bias), 1, activation="relu", name="conv")
    model = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(conv(inputs)))
    conv.set_weights([np.float32(kernel).reshape(1, 1, 3, -1), np.float32(bias)])
    return Network(model, preprocess=lambda x: x / 255)


def test_fourier_is_the_default_and_all_have_names():
    assert [recipe.name for recipe in recipes()] == ["fourier", "maco", "fast", "pixels", "classic"]
    own = replace(find_recipe("fourier"), name="mine")
    assert find_recipe(own) is own


@pytest.mark.parametrize("recipe", COMPOSED)
def test_pictures_excite_more_than_their_start_as_the_network_itself_says(network, halves, recipe):
    made = maximize_filters(network, "relu", recipe=recipe, seed=1)
    assert made.images.shape == (8, SIZE, SIZE, 3) and made.images.dtype == np.uint8 and made.recipe == recipe
    grown = made.activations > made.history[:, 0]
    assert grown.sum() >= 3 and grown[made.activations > 0].all()
    for image, unit_, reached in zip(made.images, made.units, made.activations, strict=True):
        seen = float(
            np.asarray(halves.up_to(image[None] / np.float32(127.5) - 1)).mean(axis=(1, 2))[0, unit_]
        )
        assert seen == pytest.approx(reached, rel=0.02, abs=0.02), "the picture is what was measured"


def test_each_frame_says_what_the_frame_before_shows(network, halves):
    """With no moves at full size, the activation of a step is the oracle's on the last frame's inputs."""
    recipe = replace(find_recipe("fourier"), transforms=Transforms(), stages=((1.0, 1.0),))
    frames = list(ascend(network, network.layer("relu"), np.array([2, 5]), recipe, steps=4))
    assert [frame.step for frame in frames] == [1, 2, 3, 4] and list(frames[0].units) == [2, 5]
    for before, after in itertools.pairwise(frames):
        maps = np.asarray(halves.up_to(before.inputs)).mean(axis=(1, 2))
        np.testing.assert_allclose(after.activations, [maps[0, 2], maps[1, 5]], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("recipe", COMPOSED)
def test_equal_seeds_make_equal_pictures(network, recipe):
    first, again, other = (
        maximize_filters(network, "relu", [2, 6], recipe, seed=seed, steps=6).images for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_a_batch_changes_nobodys_picture(network, monkeypatch):
    whole = maximize_filters(network, "relu", range(5), steps=8)
    monkeypatch.setattr("cnnvis_widgets.compute.maximize.maximize.BATCH", 2)
    parts = maximize_filters(network, "relu", range(5), steps=8)
    np.testing.assert_array_equal(whole.units, parts.units)
    assert np.abs(whole.images.astype(int) - parts.images).max() <= 1


@pytest.mark.parametrize("recipe", COMPOSED)
def test_another_unit_never_traces_again(network, recipe):
    maximize_filters(network, "conv2", [0], recipe, steps=4)
    traces = network.probe.traces
    maximize_filters(network, "conv2", [3], recipe, steps=6, seed=5)
    maximize_filters(network, "conv2", [1, 2, 4], recipe, steps=4)
    assert network.probe.traces == traces


def test_live_pictures_are_the_same_and_one_compiled_step_serves_every_layer(network):
    # With a penalty, beside which the length of the gradient counts: normalized steps alone would not show it.
    how, live = replace(find_recipe("fast"), penalties=Penalties(l2=5.0)), {}
    first = next(ascend(network, network.layer("pool"), np.array([0]), how, live=True))
    traces = network.probe.traces
    for layer, units in (("conv1", [2]), ("relu", [3, 6]), ("conv2", [5])):
        live[layer] = list(ascend(network, network.layer(layer), np.array(units), how, steps=8, live=True))
    assert network.probe.traces == traces and first.step == 1
    for layer, frames in live.items():
        own = list(ascend(network, network.layer(layer), frames[0].units, how, steps=8))
        for one, other in zip(frames, own, strict=True):
            np.testing.assert_allclose(one.activations, other.activations, rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(frames[-1].inputs, own[-1].inputs, atol=1e-2)


# What is computed of a map's or a picture's sides, which differ from resolution to resolution.
OF_SIDES = {
    "neuron": (Pixels(), lambda network: neuron("conv2", [1, 4], at=(0.2, 0.9))),
    "direction": (Laplacian(), lambda network: direction("conv2", np.eye(8)[:2])),
    "caricature": (Shared(), lambda network: caricature("conv2", seen(network, "conv2"))),
    "diversity": (Maco(), lambda network: unit("conv2", [1, 1]) + diversity("conv2")),
    "alignment": (Tile(), lambda network: unit("conv2", [1, 4]) + alignment("conv2")),
}


def seen(network, layer):
    return cnnvis.feature_maps(network, picture(), layer).values


@pytest.mark.parametrize("kind", OF_SIDES)
def test_whatever_climbs_is_traced_once_for_all_resolutions(halves, kind):
    network = Network(halves.model, preprocess=lambda x: x / 127.5 - 1)
    parametrization, objective = OF_SIDES[kind][0], OF_SIDES[kind][1](network)
    recipe = replace(
        find_recipe("fourier"), parametrization=parametrization, stages=((0.6, 0.5), (1.0, 0.5)), steps=8
    )
    traces = network.probe.traces
    made = maximize(network, objective, recipe, size=(96, 60))
    assert network.probe.traces == traces + 2  # the step, and what is reached
    assert made.images.shape[1:] == (96, 60, 3) and (made.values > made.history[:, 0]).all()


def test_other_weights_and_units_of_an_objective_never_trace_again(network):
    maximize(network, unit("conv2", 1) - 0.5 * unit("relu", 3), steps=4)
    traces = network.probe.traces
    maximize(network, unit("conv2", 6) - 0.1 * unit("relu", 0), steps=4)
    assert network.probe.traces == traces


@pytest.mark.parametrize("size", [(17, 30), (40, 25)])
@pytest.mark.parametrize("build", [functional, nested, subclassed])
def test_any_size_up_to_a_layer_even_where_the_network_insists_on_one(build, size):
    halves = build()
    network = Network(halves.model, input_size=(SIZE, SIZE))
    made = maximize_filters(network, halves.path, [1], size=size, steps=8)
    assert made.images.shape == (1, *size, 3) and np.isfinite(made.activations).all()


def test_the_network_is_traced_no_further_than_the_layer():
    class Later(keras.layers.Layer):
        ran = 0

        def call(self, x):
            Later.ran += 1
            return x

    inputs = keras.Input((SIZE, SIZE, 3))
    x = Later()(keras.layers.Conv2D(2, 3, name="early")(inputs))
    network = Network(keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(x)))
    assert network.layer("early")
    ran = Later.ran
    maximize_filters(network, "early", [0], steps=3)
    assert Later.ran == ran


def test_a_class_of_a_network_that_insists_on_its_size():
    halves = sequential()  # it flattens
    network = Network(halves.model, preprocess=lambda x: x / 127.5 - 1)
    made = maximize(network, logit(range(CLASSES)), size=(30, 20), steps=12)
    assert made.images.shape == (CLASSES, 30, 20, 3)
    assert (made.values > made.history[:, 0]).all()
    same = maximize(network, logit([3]), steps=12)
    inputs = same.images / np.float32(127.5) - 1
    seen = float(np.asarray(halves.after(halves.up_to(inputs)))[0, 3])
    assert same.values[0] == pytest.approx(seen, rel=0.02, abs=0.02)


def test_diversity_makes_pictures_of_one_unit_differ(network):
    alike = maximize(network, unit("relu", [2, 2, 2]), steps=5).images
    np.testing.assert_array_equal(alike[0], alike[1])
    apart = maximize(network, unit("relu", [2, 2, 2]) + 10 * diversity("conv2"), steps=5).images
    assert (apart[0] != apart[1]).mean() > 0.5


def test_a_unit_that_is_off_from_the_start_wakes():
    # Off around grey: red alone, 0.9 of it, turns it on.
    network = by_hand([[1, 1], [-1, 0], [-1, 0]], [-0.9, 0])
    made = maximize_filters(network, "conv", [0, 1], seed=0, size=(16, 16))
    reached = dict(zip(made.units.tolist(), made.activations.tolist(), strict=True))
    assert made.history[list(made.units).index(0), 0] == 0 < reached[0]
    assert made.remarks == ("", "")
    beside = maximize_filters(network, "conv", [1], seed=0, size=(16, 16))
    assert reached[1] == pytest.approx(beside.activations[0], rel=1e-4), (
        "waking one leaves its neighbour alone"
    )


def test_a_penalty_does_not_hide_that_a_unit_is_off():
    network = by_hand([[1], [-1], [-1]], [-0.9])
    made = maximize_filters(
        network, "conv", [0], replace(find_recipe("fourier"), penalties=Penalties(l2=1e-3))
    )
    assert made.activations[0] > 0


def test_penalties_count_beside_the_objective(network):
    plain = Recipe("plain", 20, Pixels(deviation=1.0), optimizer=Adam(0.1))
    loose, smooth, grey = (
        maximize_filters(network, "conv1", [3], replace(plain, penalties=penalties)).images[0] / 255
        for penalties in (Penalties(), Penalties(variation=1e4), Penalties(l2=1e4))
    )
    assert np.abs(np.diff(smooth, axis=0)).mean() < 0.5 * np.abs(np.diff(loose, axis=0)).mean()
    assert ((grey - 0.5) ** 2).mean() < 0.5 * ((loose - 0.5) ** 2).mean()


def test_ctrl_c_returns_the_unfinished_picture(network):
    def interrupt(step, steps):
        assert steps == 48
        if step == 3:
            raise KeyboardInterrupt

    made = maximize(network, unit("conv2", [1, 4]) + deep_dream("relu"), progress=interrupt)
    assert made.images.shape == (2, SIZE, SIZE, 3) and np.isfinite(made.values).all()
    assert np.isfinite(made.history[:, :3]).all() and np.isnan(made.history[:, 3:]).all()


def test_a_layer_written_for_float32_is_run_in_float32(monkeypatch):
    class Strict(keras.layers.Layer):
        def call(self, x):
            return tf.linalg.matmul(tf.cast(x, x.dtype), tf.eye(3, dtype=tf.float32))

    inputs = keras.Input((16, 16, 3))
    x = keras.layers.Conv2D(2, 3, name="conv")(Strict()(inputs))
    network = Network(keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(x)))
    monkeypatch.setattr(ascent, "quickest_dtype", lambda probe: "bfloat16")
    assert np.isfinite(maximize_filters(network, "conv", [1], "fast", steps=3).activations).all()


def test_units_that_stay_off_say_why():
    network = by_hand([[0, 1, 1], [0, 0, 0], [0, 0, 0]], [-1, 0, -0.7])
    made = maximize_filters(network, "conv", [0, 1], steps=8)
    said = dict(zip(made.units.tolist(), made.remarks, strict=True))
    assert said[1] == ""
    assert "Unit 0 was never active from this start in 8 steps, nor on any of the 4 sample" in said[0]
    one_step = maximize_filters(network, "conv", [2], recipe="classic", steps=1)
    assert "but it is on the sample photograph" in one_step.remarks[0]


def test_bfloat16_makes_nearly_the_same_and_leaves_the_network_as_it_was(network, halves, monkeypatch):
    plain = replace(find_recipe("fourier"), transforms=Transforms(), steps=10)
    exact = maximize_filters(network, "conv2", [0, 3], plain)
    policies = [layer.dtype_policy.name for layer in halves.model.layers]
    monkeypatch.setattr(ascent, "quickest_dtype", lambda probe: "bfloat16")
    traces = network.probe.traces
    rough = maximize_filters(network, "conv2", [0, 3], plain)
    assert network.probe.traces > traces
    assert (rough.history != exact.history).any()
    np.testing.assert_allclose(np.sort(rough.activations), np.sort(exact.activations), rtol=0.1)
    assert [layer.dtype_policy.name for layer in halves.model.layers] == policies


@pytest.mark.parametrize(
    "preprocess",
    [None, lambda x: x / 127.5 - 1, lambda x: x[..., ::-1] - np.float32([103.9, 116.8, 123.7])],
)
def test_rgb_becomes_the_networks_input_and_back(halves, preprocess):
    network = Network(halves.model, preprocess=preprocess)
    colours = find_colours(network)
    image = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), np.uint8)
    inputs = image / np.float32(255) @ colours.matrix + colours.offset
    np.testing.assert_allclose(inputs, network.prepare(image)[0], atol=1e-3 * abs(inputs).max())
    np.testing.assert_array_equal(as_seen(network, inputs[None])[0], image)


def test_networks_that_see_grey():
    inputs = keras.Input((16, 16, 1))
    x = keras.layers.Conv2D(2, 3, activation="relu", name="conv")(inputs)
    network = Network(keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(x)))
    made = maximize_filters(network, "conv", recipe="fast")
    assert made.images.shape == (2, 16, 16, 3) and (np.ptp(made.images, axis=-1) == 0).all()


def test_a_picture_rests_once_it_gains_no_more_at_the_resolution_that_it_ends_with():
    recipe = replace(find_recipe("fourier"), settled=0.05, stages=((0.5, 0.5), (1.0, 0.5)))
    # One rises, one has settled, one is off and may still wake.
    steps = [np.array([n, 5.0, 0.0]) for n in range(1, 41)]
    for done, resting in [(20, 0), (30, 0), (35, 0), (36, 1), (40, 1)]:
        assert recipe.at_rest(steps[:done], 40).tolist() == [False, bool(resting), False], done
    assert not find_recipe("fourier").at_rest(steps, 40).any(), "recipes with a name take all their steps"


def test_a_picture_that_rests_is_left_as_it_is_and_the_others_go_on(network):
    recipe = replace(find_recipe("fourier"), settled=0.3, stages=((1.0, 1.0),), fading=False)
    together = maximize_filters(network, "relu", range(8), recipe, steps=30)
    taken = np.isfinite(together.history).sum(axis=1)
    assert taken.min() >= 16 and len(set(taken.tolist())) > 2, "they rest after different steps"
    for row in (taken.argmin(), taken.argmax()):
        alone = maximize_filters(network, "relu", together.units[row], recipe, steps=30)
        assert np.isfinite(alone.history).sum() == taken[row]
        np.testing.assert_allclose(alone.history[0], together.history[row], rtol=1e-3, atol=1e-4)
        assert np.abs(alone.images[0].astype(int) - together.images[row]).max() <= 1


def test_pictures_that_are_compared_rest_together_and_wake_together():
    network = by_hand([[1, 1], [-1, 0], [-1, 0]], [-0.9, 0])  # the first is off around grey
    recipe = replace(find_recipe("fourier"), settled=1e9, stages=((1.0, 1.0),))
    for objective, parametrization in [
        (unit("conv", [0, 1]) + 0 * diversity("conv"), recipe.parametrization),
        (unit("conv", [0, 1]), Shared()),
    ]:
        made = maximize(network, objective, replace(recipe, parametrization=parametrization), steps=40)
        assert made.history[0, 0] == 0 and (made.values > 0).all()
        taken = np.isfinite(made.history).sum(axis=1)
        assert taken[0] == taken[1] > 16, "the one that had settled first goes on with the other"


def test_stages_cover_all_steps_and_the_last_is_at_full_size():
    recipe = replace(find_recipe("fourier"), stages=((0.5, 0.7), (1.0, 0.3)))
    views = [recipe.view(step, 11, (200, 120)) for step in range(11)]
    assert views == [(100, 60)] * 8 + [(200, 120)] * 3
    assert recipe.view(0, 1, (30, 20)) == (30, 20), "never below what a network can see"
    rates = [recipe.rate(step, 20) for step in range(20)]
    assert rates[:10] == [1.0] * 10 and sorted(rates, reverse=True) == rates and rates[-1] > 0


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda: replace(find_recipe("fourier"), steps=0), "steps is a whole number of at least 1; 0"),
        (lambda: Recipe("own", Laplacian()), "steps is a whole number"),
        (lambda: Recipe("own", 8, Laplacian), "parametrization is such as Fourier.*Laplacian"),
        (lambda: Recipe("own", 8, transforms=Adam()), "transforms is such as Transforms"),
        (lambda: Recipe("own", 8, stages=(0.5, 0.5)), "stages are pairs"),
        (lambda: Recipe("own", 8, stages=((0, 1),)), "stages are pairs"),
        (lambda: Transforms(outside="wraps"), "did you mean 'wrap'"),
        (lambda: Transforms(scale=1.2), "scale is \\(least, most\\)"),
        (lambda: Transforms(scale=(0, 1)), "scale is \\(least, most\\)"),
        (lambda: Transforms(scale=(1.2, 0.9)), "scale is \\(least, most\\)"),
        (lambda: Transforms(blur=-1), "blur is a number of at least 0"),
        (lambda: Laplacian(levels=0), "levels is a whole number"),
        (lambda: Shared((0,)), "shared is a whole number of at least 1; 0"),
    ],
)
def test_parts_that_fit_no_recipe_are_refused_where_they_are_made(wrong, words):
    with pytest.raises(cnnvis.CnnvisError, match=words):
        wrong()


def test_lists_do_in_a_recipe_as_well(network):
    own = Recipe("own", 2, Shared([4]), Transforms(scale=[0.9, 1.2]), stages=[[0.5, 0.5], [1.0, 0.5]])
    assert np.isfinite(maximize_filters(network, "relu", [1], own).activations).all()


def test_a_plain_recipe_without_steps_is_refused(network):
    with pytest.raises(cnnvis.CnnvisError, match="steps is a whole number"):
        maximize_filters(network, "relu", [1], replace(find_recipe("classic"), steps=0))
