"""PAIR's saliency and eli5 where they are right: the same maps. (What tf-keras-vis says stands beside each method.)"""

import numpy as np
import pytest
import tensorflow as tf
from models import SIZE, functional, picture

from cnnvis_widgets.compute.case import Case
from cnnvis_widgets.compute.explain import explain
from cnnvis_widgets.networks.network import Network

TARGET, LAYER = 2, "relu"


@pytest.fixture(scope="module")
def model():
    return functional(None).model


@pytest.fixture(scope="module")
def network(model):
    return Network(model, input_size=(SIZE, SIZE))


def assert_close(ours, theirs, tolerance):
    assert np.abs(theirs).max() > 0, "the peer must have something to compare"
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance * np.abs(theirs).max())


def gradients_for_saliency(model):
    """What a user of that package writes: the score's gradient at the input, or values and gradient at a layer."""
    from saliency.core import base

    halves = tf.keras.Model(model.input, [model.get_layer(LAYER).output, model.output])

    def call(inputs, call_model_args=None, expected_keys=None):
        x = tf.constant(inputs, tf.float32)
        with tf.GradientTape() as tape:
            tape.watch(x)
            values, scores = halves(x, training=False)
            score = scores[:, TARGET]
        if expected_keys == [base.INPUT_OUTPUT_GRADIENTS]:
            return {base.INPUT_OUTPUT_GRADIENTS: tape.gradient(score, x).numpy()}
        slopes = tape.gradient(score, values).numpy()
        return {base.CONVOLUTION_LAYER_VALUES: values.numpy(), base.CONVOLUTION_OUTPUT_GRADIENTS: slopes}

    return call


def test_grad_cam_equals_pair_saliency(model, network):
    saliency = pytest.importorskip("saliency.core")
    x = picture(14).astype(np.float32)
    theirs = saliency.GradCam().GetMask(
        x, gradients_for_saliency(model), should_resize=False, three_dims=False
    )
    assert_close(explain(network, picture(14), "grad-cam", LAYER, TARGET).raw, theirs, 1e-5)


def test_integrated_gradients_approach_those_of_pair_saliency(model, network):
    """Theirs is a plain sum over evenly spaced steps, ends included: right but for a share of one in so many."""
    saliency = pytest.importorskip("saliency.core")
    case = Case(network, picture(14), network.default_layer, network.target(TARGET))
    given = (case.inputs[0], gradients_for_saliency(model), None, case.baseline[0])
    heat = explain(network, picture(14), "integrated-gradients", target=TARGET, steps=300)
    gaps = []
    for steps in (50, 500):
        theirs = saliency.IntegratedGradients().GetMask(*given, x_steps=steps, batch_size=100).sum(axis=-1)
        gaps.append(np.abs(heat.raw - theirs).max() / np.abs(theirs).max())
    assert gaps[1] < 0.01 and gaps[1] < gaps[0] / 3


def test_grad_cam_equals_eli5(model, network):
    """Theirs is divided by its maximum and an epsilon."""
    eli5 = pytest.importorskip("eli5")
    x = picture(14)[None].astype(np.float32)
    theirs = eli5.explain_prediction(model, x, layer=model.get_layer(LAYER), targets=[TARGET]).targets[0]
    assert_close(explain(network, picture(14), "grad-cam", LAYER, TARGET).values, theirs.heatmap, 1e-3)
