"""Objectives on given maps against the formulas written out, and what their operators weigh."""

import keras
import numpy as np
import pytest
from models import functional

from cnnvis_widgets import maximize
from cnnvis_widgets.compute.maximize import (
    alignment,
    caricature,
    deep_dream,
    direction,
    diversity,
    logit,
    neuron,
    seen_by,
    unit,
)
from cnnvis_widgets.compute.maximize.objectives import several
from cnnvis_widgets.errors import MethodError, UnknownLayerError
from cnnvis_widgets.networks.network import Network

MAPS = np.random.default_rng(0).normal(size=(3, 4, 6, 5)).astype(np.float32)
OTHER = np.random.default_rng(1).normal(size=(3, 2, 2, 7)).astype(np.float32)


def value(objective, pictures=3):
    objective = several(objective, pictures)
    outputs = {"a": MAPS[:pictures], "b": OTHER[:pictures], "": OTHER[:pictures, 0, 0]}
    assert set(objective.plan.layers) <= set(outputs)
    return np.asarray(objective.plan.value(outputs, objective.numbers)) * np.ones(pictures)


def cosine(one, other):
    return float((one * other).sum() / np.sqrt((one**2).sum() * (other**2).sum()))


def test_units_neurons_and_classes():
    np.testing.assert_allclose(
        value(unit("a", [4, 0, 2])), [MAPS[n, :, :, u].mean() for n, u in enumerate([4, 0, 2])], rtol=1e-5
    )
    np.testing.assert_allclose(value(unit("a", 3)), MAPS[..., 3].mean(axis=(1, 2)), rtol=1e-5)
    np.testing.assert_allclose(value(neuron("a", 1, at=(0.5, 0.9))), MAPS[:, 2, 5, 1])
    np.testing.assert_allclose(
        value(neuron("a", [1, 2, 3], at=(0, 1))), [MAPS[n, 0, 5, n + 1] for n in range(3)]
    )
    np.testing.assert_allclose(value(logit([6, 0, 1])), [OTHER[n, 0, 0, c] for n, c in enumerate([6, 0, 1])])


@pytest.mark.parametrize("power", [0, 1, 3])
def test_directions_and_caricatures_are_dot_times_cosine(power):
    vector = np.float32([1, -2, 0, 3, 1])
    for n, found in enumerate(value(direction("a", vector, power))):
        places = MAPS[n].reshape(-1, 5)
        expected = np.mean([place @ vector * max(0.1, cosine(place, vector)) ** power for place in places])
        assert found == pytest.approx(expected, rel=1e-4)
    wanted = np.random.default_rng(2).normal(size=(4, 6, 5)).astype(np.float32)
    for n, found in enumerate(value(caricature("a", wanted, power))):
        assert found == pytest.approx(
            (MAPS[n] * wanted).sum() * max(0.1, cosine(MAPS[n], wanted)) ** power, rel=1e-3
        )


def test_energy_diversity_and_alignment():
    np.testing.assert_allclose(value(deep_dream("a")), (MAPS**2).mean(axis=(1, 2, 3)), rtol=1e-5)
    grams = [np.einsum("yxc,yxd->cd", maps, maps) for maps in MAPS]
    for n in range(3):
        others = [m for m in range(3) if m != n]
        alike = np.mean([cosine(grams[n], grams[m]) for m in others])
        assert value(diversity("a"))[n] == pytest.approx(-alike, rel=1e-4)
        apart = np.mean([((MAPS[n] - MAPS[m]) ** 2).mean() for m in others])
        assert value(alignment("a"))[n] == pytest.approx(-apart, rel=1e-4)
    assert value(diversity("a"), 1) == [0]


def test_operators_weigh_each_part_by_itself():
    one, two, three = unit("a", [4, 0, 2]), deep_dream("b"), unit("a", 1)
    a, b, c = value(one), value(two), value(three)
    np.testing.assert_allclose(value(one + 0.5 * two), a + 0.5 * b, rtol=1e-5)
    np.testing.assert_allclose(value(two * 3 - one), 3 * b - a, rtol=1e-5)
    np.testing.assert_allclose(value(-(one * two) + three / 4), -(a * b) + c / 4, rtol=1e-5)
    np.testing.assert_allclose(value(2 * (one - 0.25 * (two + three))), 2 * (a - 0.25 * (b + c)), rtol=1e-5)
    assert (2 * one + two).plan == (7 * one + two).plan, "weights are no part of what is compiled"
    assert (one + two).plan != (two + one).plan


def by_hand(name, size, kernel, scale):
    """A 1x1 convolution of the whole picture's RGB in [0, ``scale``]."""
    inputs = keras.Input((*size, 3), name=f"{name}_in")
    conv = keras.layers.Conv2D(2, 1, name="conv")
    model = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(conv(inputs)), name=name)
    conv.set_weights([np.float32(kernel).reshape(1, 1, 3, 2), np.zeros(2, np.float32)])
    return Network(model, preprocess=lambda x: x / np.float32(255) * scale)


def test_two_networks_see_the_same_picture_each_at_its_own_size_and_scale():
    """One wants red and green, the other, which sees doubled values in a picture of another size, green alone."""
    recipe = "pixels"
    one = by_hand("one", (48, 48), [[1, 0], [1, 0], [0, 1]], 1)
    other = by_hand("other", (20, 30), [[0, 0], [1, 0], [0, 1]], 2)
    difference = unit("conv", [0, 1]) - 3 * seen_by(other, unit("conv", [0, 1]))
    made = maximize(one, difference, recipe)
    red, green, blue = np.moveaxis(made.images.mean(axis=(1, 2)) / 255, -1, 0)
    np.testing.assert_allclose(
        made.values, [red[0] + green[0] - 6 * green[0], blue[1] - 6 * blue[1]], atol=0.02
    )
    assert red[0] > 0.9 and green[0] < 0.1 and blue[1] < 0.1
    np.testing.assert_allclose(maximize(one, seen_by(other, unit("conv", 0)), recipe).values, 2, atol=0.2)
    traces = one.probe.traces, other.probe.traces
    maximize(one, unit("conv", [1, 0]) - 0.1 * seen_by(other, unit("conv", [0, 0])), recipe)
    assert (one.probe.traces, other.probe.traces) == traces, "other units and weights never trace again"


def test_what_does_not_fit_is_refused_in_words():
    with pytest.raises(MethodError, match="for 2 and for 3 pictures"):
        unit("a", [1, 2]) + unit("a", [1, 2, 3])
    with pytest.raises(MethodError, match="whole numbers"):
        unit("a", 0.5)
    with pytest.raises(TypeError):
        unit("a", 1) + 3
    network = Network(functional().model)
    for objective, error, words in [
        (unit("relu", 8), MethodError, "units 0 to 7; 8 was"),
        (deep_dream("relu") * neuron("relu", -1), MethodError, "units 0 to 7; -1 was"),
        (2 * unit("relu", 1) + logit(5), MethodError, "classes 0 to 4; 5 was"),
        (direction("relu", np.ones(3)), MethodError, "units 0 to 7; the direction has 3"),
        (unit("rellu", 1), UnknownLayerError, "did you mean 'relu'"),
        ("relu", MethodError, "takes an objective"),
    ]:
        with pytest.raises(error, match=words):
            maximize(network, objective)
    with pytest.raises(MethodError, match="classes 0 to 4; 5 was"):
        seen_by(network, logit(5))
    with pytest.raises(MethodError, match="single units only"):
        maximize(network, unit("relu", 1), "classic")


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda: neuron("relu", 1, at=(7, 9)), "shares of the map's height and width.*\\(7, 9\\) was given"),
        (lambda: neuron("relu", 1, at=0.5), "shares of the map"),
        (lambda: unit("relu", 1) * None, "finite number.*None was given"),
        (lambda: float("nan") * unit("relu", 1), "finite number"),
        (lambda: unit("relu", [1, 2]) * [1, 2, 3], "one for each of its pictures \\(2\\)"),
        (lambda: unit("relu", 1) * [1, 2], "one for each of its pictures \\(1\\)"),
        (lambda: direction("relu", np.full(8, np.nan)), "finite numbers"),
        (lambda: direction("relu", np.ones(8), [1, 2]), "power is a number"),
        (lambda: caricature("relu", np.ones((3, 8))), "an array of 2 axes was given"),
    ],
)
def test_numbers_that_mean_nothing_are_refused_where_they_are_given(wrong, words):
    with pytest.raises(MethodError, match=words):
        wrong()
