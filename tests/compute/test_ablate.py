"""Silenced units against models that were built without them."""

import keras
import numpy as np
import pytest
from models import BUILDS, CLASSES, SIZE, functional, picture

import cnnvis_widgets as cnnvis
from cnnvis_widgets.errors import CnnvisError
from cnnvis_widgets.networks.network import Network

UNITS = (1, 4)


def network_of(halves):
    return Network(halves.model, input_size=(SIZE, SIZE))


@pytest.mark.parametrize("build", BUILDS)
def test_ablation_equals_the_second_half_run_on_maps_with_zeros(build):
    halves, image = BUILDS[build](), picture()
    network = network_of(halves)
    maps = np.array(halves.up_to(image[None].astype(np.float32)))
    whole = np.array(halves.after(maps))[0]
    maps[..., list(UNITS)] = 0
    result = cnnvis.ablate(network, image, halves.path, UNITS)
    np.testing.assert_allclose(result.logits_after, np.array(halves.after(maps))[0], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(result.logits_before, whole, rtol=1e-4, atol=1e-5)
    assert np.abs(result.logits_after - result.logits_before).max() > 1e-3
    assert (result.layer.path, result.units, result.network) == (halves.path, UNITS, network.name)


@pytest.mark.parametrize("build", BUILDS)
def test_ablation_equals_a_model_whose_filters_are_zero(build):
    image = picture(1)
    path = "backbone/conv1" if build == "nested" else "conv1"
    result = cnnvis.ablate(network_of(BUILDS[build]()), image, path, UNITS)
    halves = BUILDS[build]()
    _model, conv = next(
        (model, layer)
        for model in [halves.model, *getattr(halves.model, "layers", ())]
        if isinstance(model, keras.Model)
        for layer in model.layers
        if layer.name == "conv1"
    )
    kernel, bias = conv.get_weights()
    kernel[..., list(UNITS)], bias[list(UNITS)] = 0, 0
    conv.set_weights([kernel, bias])
    np.testing.assert_allclose(result.logits_after, network_of(halves).logits(image), rtol=1e-4, atol=1e-5)


def test_predictions_are_those_of_the_top_classes_and_of_the_new_top():
    halves = functional()
    network = network_of(halves)
    maps, dense = halves.up_to(picture()[None].astype(np.float32)), halves.model.layers[-1]
    weights = np.zeros((8, CLASSES), np.float32)
    weights[2, 3] = 5.0  # class 3 lives on unit 2
    dense.set_weights([weights, np.arange(CLASSES) * 0.01])
    assert np.array(maps)[..., 2].mean() > 0.1
    result = cnnvis.ablate(network, picture(), "relu", 2, top=1)
    assert [p.index for p in result.before] == [p.index for p in result.after] == [3, 4]
    assert result.after[1].logit == pytest.approx(0.04) and result.after[0].logit == pytest.approx(0.03)
    shares = np.exp(result.logits_after) / np.exp(result.logits_after).sum()
    assert result.after[0].probability == pytest.approx(shares[3], rel=1e-5)
    assert [p.probability for p in result.before] == [
        pytest.approx(p.probability, rel=1e-5) for p in network.predict(picture()) if p.index in (3, 4)
    ]


def test_other_units_of_a_layer_need_no_tracing_and_nothing_stays_changed():
    network, image = network_of(functional()), picture()
    before = network.logits(image).copy()
    cnnvis.ablate(network, image, "conv1", [0])
    traces = network.probe.traces
    cnnvis.ablate(network, image, "conv1", [1, 2])
    assert network.probe.traces == traces
    np.testing.assert_array_equal(cnnvis.ablate(network, image, "conv1", []).logits_after, before)
    network.forget()
    np.testing.assert_array_equal(network.logits(image), before)


@pytest.mark.parametrize("units", [[6], [-1], ["a"], 2.5, None])
def test_units_that_are_not_there_are_refused(units):
    with pytest.raises(CnnvisError):
        cnnvis.ablate(network_of(functional()), picture(), "conv1", units)
