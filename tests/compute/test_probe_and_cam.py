"""Heatmaps and feature maps against plain re-implementations, on every way to build a Keras model."""

import keras
import numpy as np
import oracles
import pytest
from models import BUILDS, CLASSES, SIZE, functional, picture

from cnnvis_widgets.compute import cam
from cnnvis_widgets.compute.explain import explain, share_of_maximum
from cnnvis_widgets.compute.explain_layers import explain_layers
from cnnvis_widgets.compute.feature_maps import feature_maps
from cnnvis_widgets.compute.methods import methods
from cnnvis_widgets.errors import CnnvisError, MethodError, NetworkLoadError, UnknownLayerError
from cnnvis_widgets.networks.network import Network


def network_of(halves, **options):
    return Network(halves.model, input_size=(SIZE, SIZE), **options)


@pytest.mark.parametrize("activation", ["softmax", None])
@pytest.mark.parametrize("build", BUILDS)
def test_grad_cam_equals_a_plain_reimplementation(build, activation):
    halves = BUILDS[build](activation)
    network, image = network_of(halves), picture()
    for target in (0, 3):
        heat = explain(network, image, layer=halves.path, target=target)
        inputs = image[None].astype(np.float32)
        activations, gradients, score = oracles.activations_and_gradients(
            halves.up_to, halves.after, inputs, target
        )
        expected = oracles.grad_cam(activations, gradients)
        assert expected.max() > 0, "the oracle must have something to compare"
        np.testing.assert_allclose(heat.raw, expected, rtol=1e-5, atol=1e-5 * expected.max())
        np.testing.assert_allclose(heat.values, expected / expected.max(), rtol=1e-5, atol=1e-5)
        assert heat.score == pytest.approx(score, rel=1e-5)
        assert (heat.target.index, heat.layer.path, heat.method) == (target, halves.path, "grad-cam")


@pytest.mark.parametrize("build", BUILDS)
def test_feature_maps_are_what_the_layer_puts_out(build):
    halves = BUILDS[build]()
    network, image = network_of(halves), picture(1)
    maps = feature_maps(network, image, halves.path)
    expected = halves.up_to(image[None].astype(np.float32)).numpy()[0]
    np.testing.assert_allclose(maps.values, expected, rtol=1e-5, atol=1e-5)
    assert maps.layer.shape == expected.shape and maps.layer.units == expected.shape[-1]


@pytest.mark.parametrize("build", BUILDS)
def test_probabilities_are_the_models_own(build):
    halves = BUILDS[build]()
    network, image = network_of(halves), picture(2)
    expected = np.asarray(halves.model(image[None].astype(np.float32), training=False))[0]
    predictions = network.predict(image, top=CLASSES)
    assert [p.index for p in predictions] == list(np.argsort(-expected))
    np.testing.assert_allclose([p.probability for p in predictions], np.sort(expected)[::-1], rtol=1e-4)
    assert network.probe.head == "softmax"


def test_all_layers_come_from_one_pass_and_equal_the_single_ones():
    image = picture(3)
    network = network_of(functional())
    many = explain_layers(network, image, target=1)
    assert [heat.layer.path for heat in many] == ["conv1", "pool", "conv2", "relu"]
    alone = network_of(functional())
    alone.memory.limit = 0
    for heat in many:
        np.testing.assert_allclose(
            heat.raw, explain(alone, image, layer=heat.layer, target=1).raw, rtol=1e-5, atol=1e-7
        )


def test_another_layer_or_method_does_not_run_the_network_again(monkeypatch):
    network, image = network_of(functional()), picture(4)
    explain(network, image, layer="conv1", target=1)
    explain(network, image, layer="pool", target=1)  # a second layer: this run records all

    def fail(*arguments):
        raise AssertionError("the network ran again")

    monkeypatch.setattr(network.probe, "forward", fail)
    monkeypatch.setattr(network.probe, "backward", fail)
    explain(network, image, layer="relu", target=1)
    explain(network, image, method="layer-cam", layer="conv2", target=1)
    feature_maps(network, image, "conv1")


def test_another_class_or_image_does_not_trace_again():
    network = network_of(functional())
    explain(network, picture(0), target=0)
    traces = network.probe.traces
    for target in range(CLASSES):
        explain(network, picture(target), target=target)
    assert network.probe.traces == traces


@pytest.mark.parametrize(
    ("build", "path", "runs"),
    [
        ("functional", "conv1", ["backward"]),  # nearly the whole network lies behind
        ("functional", "relu", []),  # the scores are linear in its mean: no run at all
        ("sequential", "relu", ["backward_from"]),
    ],
)
def test_another_class_runs_only_what_lies_behind_the_layer(monkeypatch, build, path, runs):
    network, image = network_of(BUILDS[build]()), picture(4)
    explain(network, image, layer=path, target=1)
    expected = network_of(BUILDS[build]())
    ran = []
    for name in ("forward", "backward", "backward_from"):
        real = getattr(network.probe, name)
        monkeypatch.setattr(
            network.probe, name, lambda *given, name=name, real=real: ran.append(name) or real(*given)
        )
    heat = explain(network, image, "layer-cam", path, 2)
    assert ran == runs
    np.testing.assert_allclose(
        heat.raw, explain(expected, image, "layer-cam", path, 2).raw, rtol=1e-4, atol=1e-7
    )


def test_layers_that_are_not_listed_can_be_named():
    halves = functional()
    network, image = network_of(halves), picture(4)
    assert "bn" not in [layer.path for layer in network.layers]
    body = halves.model.get_layer("bn")
    maps = feature_maps(network, image, "bn")
    assert maps.layer.kind == "normalization"
    expected = keras.Model(halves.model.input, body.output)(image[None].astype(np.float32))[0]
    np.testing.assert_allclose(maps.values, expected, rtol=1e-4, atol=1e-4)


def test_what_was_dropped_from_memory_is_computed_again():
    network, image = network_of(functional()), picture(5)
    whole = {layer.path: feature_maps(network, image, layer).values for layer in network.layers}
    network.memory.clear()
    network.memory.limit = whole["conv1"].nbytes + 100  # room for one large layer or a few small ones
    for _ in range(2):
        for path, values in whole.items():
            np.testing.assert_array_equal(feature_maps(network, image, path).values, values)
            assert network.memory.used <= network.memory.limit


def test_one_sigmoid_unit_is_explained_by_its_logit():
    halves = functional("sigmoid")
    dense = keras.layers.Dense(1, activation="sigmoid")
    model = keras.Model(halves.model.input, dense(halves.model.layers[-2].output))
    network, image = Network(model, class_names=["a dog"]), picture(6)
    (prediction,) = network.predict(image)
    assert network.probe.head == "sigmoid"
    assert prediction.probability == pytest.approx(
        float(model(image[None].astype(np.float32))[0, 0]), rel=1e-4
    )
    assert prediction.probability == pytest.approx(1 / (1 + np.exp(-prediction.logit)), rel=1e-5)
    assert explain(network, image).target.name == "a dog"


def test_no_positive_evidence_gives_zeros_and_words_never_nan():
    halves = functional(None)
    dense = halves.model.get_layer("out")
    dense.set_weights(
        [np.full((8, CLASSES), -1.0), np.zeros(CLASSES)]
    )  # every unit speaks against every class
    heat = explain(network_of(halves), picture(7), layer="relu", target=2)
    assert not heat.values.any() and not heat.raw.any()
    assert "no positive evidence" in heat.message
    assert heat.overlay().dtype == np.uint8


def test_a_weak_map_is_not_dimmed():
    halves = functional(None)
    dense = halves.model.get_layer("out")
    dense.set_weights([np.full((8, CLASSES), 1e-9), np.zeros(CLASSES)])
    heat = explain(network_of(halves), picture(8), layer="relu", target=0)
    assert heat.values.max() == 1.0 and heat.message == ""


def test_a_hand_computed_map():
    """One 1x1 convolution with known numbers: A = [R, G], score = mean(R) * 3 - mean(G) * 1."""
    inputs = keras.Input((2, 2, 3))
    conv = keras.layers.Conv2D(2, 1, use_bias=False, name="conv")
    x = keras.layers.GlobalAveragePooling2D()(conv(inputs))
    dense = keras.layers.Dense(1, use_bias=False)
    model = keras.Model(inputs, dense(x))
    conv.set_weights([np.array([[[[1, 0], [0, 1], [0, 0]]]], np.float32)])
    dense.set_weights([np.array([[3], [-1]], np.float32)])
    image = np.zeros((2, 2, 3), np.uint8)
    image[..., 0], image[..., 1] = [[10, 0], [20, 40]], [[0, 60], [60, 20]]
    heat = explain(Network(model), image)
    # weights: 3/4 and -1/4; 10*.75, 0-15 -> 0, 15-15 = 0, 30-5
    np.testing.assert_allclose(heat.raw, [[7.5, 0], [0, 25]], rtol=1e-6)
    np.testing.assert_allclose(heat.values, [[0.3, 0], [0, 1]], rtol=1e-6)
    assert heat.score == pytest.approx(3 * 17.5 - 35)


def test_hires_cam_equals_grad_cam_before_pooling_and_a_linear_layer():
    network, image = network_of(functional()), picture(9)
    first = explain(network, image, "grad-cam", layer="relu", target=1)
    second = explain(network, image, "hires-cam", layer="relu", target=1)
    np.testing.assert_allclose(first.raw, second.raw, rtol=1e-4, atol=1e-6)


def test_layer_cam_by_hand():
    activations = np.array([[[1.0, 2.0], [3.0, 4.0]]], np.float32)
    gradients = np.array([[[1.0, -5.0], [2.0, 0.5]]], np.float32)
    np.testing.assert_allclose(cam.layer_cam(activations, gradients), [[1.0, 8.0]])
    np.testing.assert_allclose(cam.hires_cam(activations, gradients), [[0.0, 8.0]])
    np.testing.assert_allclose(cam.grad_cam(activations, gradients), [[0.0, 0.0]])


def test_a_shared_layer_shows_each_of_its_calls():
    keras.utils.set_random_seed(1)
    inputs = keras.Input((SIZE, SIZE, 3))
    shared = keras.layers.Conv2D(3, 3, padding="same", name="shared")
    x = keras.layers.GlobalAveragePooling2D()(shared(shared(inputs)))
    network, image = Network(keras.Model(inputs, x)), picture(10)
    assert [layer.path for layer in network.layers] == ["shared", "shared#2"]
    once = shared(image[None].astype(np.float32))
    np.testing.assert_allclose(feature_maps(network, image, "shared").values, once[0], rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(
        feature_maps(network, image, "shared#2").values, shared(once)[0], rtol=1e-4, atol=1e-2
    )


@pytest.mark.parametrize("name", ["卷积", "my conv", "<b>conv", "_conv", "conv.1"])
def test_names_that_a_graph_does_not_allow(name):
    keras.utils.set_random_seed(2)
    inputs = keras.Input((SIZE, SIZE, 3))
    conv = keras.layers.Conv2D(2, 3, name=name)
    model = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(conv(inputs)), name="my " + name)
    network, image = Network(model), picture(15)
    expected = conv(image[None].astype(np.float32))[0]
    np.testing.assert_allclose(feature_maps(network, image, name).values, expected, rtol=1e-4, atol=1e-3)
    assert conv.name == name and model.name == "my " + name


def test_the_model_is_left_as_it_was():
    halves = functional()
    before = {layer.name: dict(vars(layer)) for layer in halves.model.layers}
    weights = [w.copy() for w in halves.model.get_weights()]
    explain(network_of(halves), picture(11))
    assert all("call" not in vars(layer) for layer in halves.model.layers)
    assert {layer.name: set(vars(layer)) for layer in halves.model.layers} == {
        n: set(v) for n, v in before.items()
    }
    assert all((a == b).all() for a, b in zip(weights, halves.model.get_weights(), strict=True))


def test_layers_are_restored_when_the_model_fails_while_it_is_traced():
    class Broken(keras.layers.Layer):
        def call(self, x):
            if getattr(self, "armed", False):
                raise RuntimeError("bang")
            return x

    inputs = keras.Input((SIZE, SIZE, 3))
    conv, broken = keras.layers.Conv2D(2, 3, name="conv"), Broken()
    model = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(broken(conv(inputs))))
    broken.armed = True
    with pytest.raises(NetworkLoadError, match="bang"):
        Network(model).layers  # noqa: B018
    assert "call" not in vars(conv) and "call" not in vars(broken)


def test_mixed_precision_is_explained_in_float32():
    halves = functional(None)
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        half = functional(None)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    image = picture(12)
    heat = explain(network_of(half), image, layer="relu", target=0)
    exact = explain(network_of(halves), image, layer="relu", target=0)
    assert heat.raw.dtype == np.float32
    np.testing.assert_allclose(heat.values, exact.values, atol=0.1)


def test_gradients_too_small_for_float16_are_not_lost():
    networks = []
    for policy in ("float32", "mixed_float16"):
        keras.mixed_precision.set_global_policy(policy)
        try:
            halves = functional(None)
        finally:
            keras.mixed_precision.set_global_policy("float32")
        dense = halves.model.get_layer("out")
        dense.set_weights(
            [dense.kernel.numpy() * 1e-5, np.zeros(CLASSES)]
        )  # / 144 pixels: below float16's least
        networks.append(network_of(halves))
    exact, half = (explain(network, picture(12), layer="relu", target=0) for network in networks)
    assert exact.values.any()
    np.testing.assert_allclose(half.values, exact.values, atol=0.05)
    np.testing.assert_allclose(half.raw, exact.raw, rtol=0.1, atol=0.05 * exact.raw.max())


def test_values_that_are_no_numbers_are_told():
    halves = functional(None)
    halves.model.get_layer("out").kernel.assign(np.full((8, CLASSES), np.nan))
    heat = explain(network_of(halves), picture(7), layer="relu", target=2)
    assert np.isnan(heat.values).any()
    assert "values that are no numbers for 'class 2' at relu" in heat.message
    part = np.array([[np.nan, 2.0], [1.0, 0.0]], np.float32)
    np.testing.assert_array_equal(share_of_maximum(part), [[np.nan, 1.0], [0.5, 0.0]])


def test_a_photograph_is_hashed_once_a_call_and_only_as_the_network_sees_it(monkeypatch):
    network, image = network_of(functional()), picture(3, 300, 400)
    explain(network, image)
    seen, real = [], network.seen
    monkeypatch.setattr(network, "seen", lambda image: seen.append(image) or real(image))
    explain(network, image)
    assert len(seen) == 1
    assert network.seen(image)[1].shape == (SIZE, SIZE, 3)


def test_only_networks_are_taken():
    model = functional().model
    for verb in (explain, explain_layers, feature_maps):
        with pytest.raises(
            CnnvisError, match=rf"^{verb.__name__} takes a Network; load_network\('vgg16'\) makes one\.$"
        ):
            verb("vgg16", picture())
        with pytest.raises(CnnvisError, match=r"not a Functional; load_network\(model\) makes one"):
            verb(model, picture())


def test_errors_name_what_was_asked_what_there_is_and_what_to_do():
    network, image = network_of(functional()), picture(13)
    with pytest.raises(UnknownLayerError, match=r"no layer 'conv3'; did you mean .*'conv1'"):
        explain(network, image, layer="conv3")
    with pytest.raises(UnknownLayerError, match=r"'out' .* puts out no feature maps"):
        feature_maps(network, image, "out")
    with pytest.raises(MethodError, match=r"no method 'gradcom'; did you mean 'grad-cam'"):
        explain(network, image, method="gradcom")
    with pytest.raises(MethodError, match=r"no method None; there are 'grad-cam'"):
        explain(network, image, method=None)
    with pytest.raises(CnnvisError, match=r"5 classes, 0 to 4; 5 was asked"):
        explain(network, image, target=5)
    with pytest.raises(CnnvisError, match="no class 'class 9'"):
        explain(network, image, target="class 9")
    with pytest.raises(NetworkLoadError, match="5 classes but 2 class names"):
        network_of(functional(), class_names=["a", "b"]).predict(image)


def test_every_method_says_what_it_is():
    for method in methods():
        assert method.name and method.family and method.formula and method.paper and method.costs
        assert method.function.__doc__ and method.paper.split()[0] in method.function.__doc__


def test_grad_cam_equals_tf_keras_vis():
    gradcam = pytest.importorskip("tf_keras_vis.gradcam")
    from tf_keras_vis.utils.scores import CategoricalScore

    halves, image = functional(None), picture(14)
    heat = explain(network_of(halves), image, layer="relu", target=2)
    theirs = np.asarray(
        gradcam.Gradcam(halves.model)(
            CategoricalScore(2),
            image[None].astype(np.float32),
            penultimate_layer="relu",
            seek_penultimate_conv_layer=False,
            expand_cam=False,
            normalize_cam=False,
        )
    )
    assert theirs.max() > 0
    np.testing.assert_allclose(heat.raw, theirs[0], rtol=1e-5, atol=1e-5 * theirs.max())
