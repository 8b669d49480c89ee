"""Class activation maps beyond Grad-CAM, against plain re-implementations and the faults known of released ones."""

import keras
import numpy as np
import oracles
import pytest
import tensorflow as tf
from models import BUILDS, CLASSES, SIZE, functional, nested, picture, sequential
from oracles import assert_close

from cnnvis_widgets.compute import cam
from cnnvis_widgets.compute import case as cases
from cnnvis_widgets.compute.case import Case
from cnnvis_widgets.compute.explain import explain, explain_steps
from cnnvis_widgets.compute.explain_layers import explain_layers, fuse_heatmaps
from cnnvis_widgets.compute.methods import methods
from cnnvis_widgets.errors import MethodError
from cnnvis_widgets.networks.network import Network


def network_of(halves, **options):
    return Network(halves.model, input_size=(SIZE, SIZE), **options)


def calm(x):
    """A preprocessing after which the small networks' probabilities are neither 0 nor 1."""
    return x / 32


def test_cam_and_its_descendants_agree_before_pooling_and_a_linear_layer():
    network, image = network_of(functional()), picture(9)
    dense = network.model.get_layer("out").kernel.numpy()
    up_to = keras.Model(network.model.input, network.model.get_layer("relu").output)
    activations = up_to(image[None].astype(np.float32)).numpy()[0]
    found = 0
    for target in range(CLASSES):
        expected = np.maximum(activations @ dense[:, target], 0) / (12 * 12)
        found += expected.any()
        for name in ("cam", "grad-cam", "hires-cam"):
            raw = explain(network, image, name, target=target).raw
            np.testing.assert_allclose(raw, expected, rtol=1e-4, atol=1e-5)
    assert found > 1


def test_cam_refuses_a_layer_that_it_is_not_defined_for():
    halves = sequential()
    with pytest.raises(
        MethodError, match="CAM can only explain a layer that nothing but global average pooling"
    ):
        explain(network_of(halves), picture(), "cam", halves.path)


def test_grad_cam_plus_plus_is_that_of_exp_s_by_automatic_differentiation():
    halves = functional(None)
    activations = np.random.default_rng(0).uniform(0, 2, (1, 3, 3, 8)).astype(np.float32)
    with tf.GradientTape() as tape:
        values = tf.constant(activations)
        tape.watch(values)
        score = halves.after(values)[0, 2]
    gradients = tape.gradient(score, values).numpy()
    ours = cam.grad_cam_plus_plus(activations[0], gradients[0]) * np.exp(float(score))
    assert_close(ours, oracles.grad_cam_plus_plus(halves.after, activations, 2), 1e-3)


def test_grad_cam_plus_plus_of_a_score_whose_exponential_overflows():
    halves = functional(None)
    dense = halves.model.get_layer("out")
    usual = explain(network_of(halves), picture(3), "grad-cam++", target=0)
    dense.set_weights([dense.kernel.numpy(), np.full(CLASSES, 500.0)])
    heat = explain(network_of(halves), picture(3), "grad-cam++", target=0)
    assert heat.score > 400
    assert_close(heat.raw, usual.raw)


def test_grad_cam_plus_plus_where_its_formula_would_divide_by_zero():
    activations, gradients = np.full((1, 2, 1), -1.0), np.full((1, 2, 1), 1.0)  # 2 + 1 * (-1 - 1) = 0
    np.testing.assert_array_equal(cam.grad_cam_plus_plus(activations, gradients), [[0, 0]])


def test_xgrad_cam_by_hand():
    activations = np.array(
        [[[1.0, 1.0], [3.0, -1.0]]], np.float32
    )  # the second channel cancels out: no weight
    gradients = np.array([[[2.0, 5.0], [4.0, 1.0]]], np.float32)
    weight = (2 * 1 + 4 * 3) / (1 + 3)
    np.testing.assert_allclose(cam.xgrad_cam(activations, gradients), [[weight, 3 * weight]])


def test_xgrad_cam_of_a_channel_that_is_below_zero_on_the_whole():
    activations = np.array([[[-1.0], [-3.0]]], np.float32)
    gradients = np.array([[[2.0], [-4.0]]], np.float32)
    weight = (2 * -1 + -4 * -3) / (-1 - 3)  # -2.5: added to the sum, an epsilon would have to have its sign
    np.testing.assert_allclose(cam.xgrad_cam(activations, gradients), [[-weight, -3 * weight]])


@pytest.mark.parametrize("shape", [(3, 4, 20), (7, 6, 5), (1, 1, 3), (4, 4, 1)])
def test_eigen_cam_is_the_first_singular_vector_and_never_blank_by_its_sign(shape):
    for seed in range(5):
        values = np.random.default_rng(seed).uniform(0, 1, shape).astype(np.float32)
        _, _, right = np.linalg.svd(values.reshape(-1, shape[-1]), full_matrices=False)
        expected = np.abs(values.reshape(-1, shape[-1]) @ right[0]).reshape(
            shape[:2]
        )  # of values >= 0 it has one sign
        assert_close(cam.eigen_cam(values, None), expected)


@pytest.mark.parametrize("shape", [(20, 20, 60), (6, 6, 100)])
@pytest.mark.parametrize("patience", [64, 3], ids=["found", "given up"])
def test_eigen_cam_of_noise_whose_singular_values_lie_close_together(shape, patience, monkeypatch):
    monkeypatch.setattr(cam, "_PATIENCE", patience)
    values = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    matrix = values.reshape(-1, shape[-1])
    projection = matrix @ np.linalg.svd(matrix.astype(np.float64), full_matrices=False)[2][0]
    sign = np.sign(projection @ matrix.sum(axis=1))
    assert_close(cam.eigen_cam(values, None), np.maximum(sign * projection, 0).reshape(shape[:2]))


def test_eigen_grad_cam_is_signed_as_the_sum_over_channels():
    u = np.array([3.0, 1.0, -4.0], np.float32)  # the strongest position speaks against the class
    X = (u[:, None] * np.array([2.0, 1.0], np.float32)).reshape(1, 3, 2)
    np.testing.assert_allclose(
        cam.eigen_grad_cam(X, np.ones_like(X)), np.maximum(u, 0)[None] * 5**0.5, rtol=1e-5
    )
    np.testing.assert_allclose(
        cam.eigen_grad_cam(-X, np.ones_like(X)), np.maximum(-u, 0)[None] * 5**0.5, rtol=1e-5
    )


def test_eigen_maps_of_equal_singular_values_are_still_found():
    values = np.array([[[1.0, 0.0], [0.0, 1.0]]], np.float32)  # no first one: any direction will do
    assert np.isfinite(cam.eigen_cam(values, None)).all()
    values[0, 1, 1] = 0.999  # hardly one: more than the iteration's patience
    np.testing.assert_allclose(cam.eigen_cam(values, None), [[1, 0]], atol=1e-3)


def test_smooth_grad_cam_plus_plus_averages_powers_over_noisy_copies():
    halves, image = functional(None), picture(2)
    heat = explain(
        network_of(halves), image, "smooth-grad-cam++", halves.path, 1, seed=5, samples=4, noise=0.1
    )
    inputs = image[None].astype(np.float32)
    noise = np.random.default_rng(5).standard_normal((4, *inputs.shape[1:]), np.float32)
    powers = np.zeros((4, *halves.up_to(inputs).shape[1:]))
    for each in inputs + np.float32(0.1 * np.ptp(inputs)) * noise:
        _, gradients, _ = oracles.activations_and_gradients(halves.up_to, halves.after, each[None], 1)
        for power in (1, 2, 3):
            powers[power] += gradients[0] ** power / 4
    values = halves.up_to(inputs).numpy()[0]
    alpha = powers[2] / (2 * powers[2] + powers[3] * values.sum(axis=(0, 1)) + 1e-30)
    expected = np.maximum(values @ (alpha * np.maximum(powers[1], 0)).sum(axis=(0, 1)), 0)
    assert_close(heat.raw, expected, 1e-3)
    quiet = explain(network_of(halves), image, "smooth-grad-cam++", halves.path, 1, samples=3, noise=0)
    assert_close(quiet.raw, explain(network_of(halves), image, "grad-cam++", halves.path, 1).raw)


@pytest.mark.parametrize("build", BUILDS)
def test_score_cam_equals_a_plain_reimplementation(build, monkeypatch):
    halves, image = BUILDS[build](), picture(4)
    network = network_of(halves, preprocess=None if build == "nested" else calm)  # nested rescales for itself
    monkeypatch.setattr(cases, "_MOST", 3)  # in several batches
    case = Case(network, image, network.layer(halves.path), network.target(0))
    activations = halves.up_to(case.inputs).numpy()[0]
    found = 0
    for target in range(CLASSES):
        heat = explain(network, image, "score-cam", halves.path, target)
        expected = oracles.score_cam(
            lambda x: np.asarray(halves.model(x)), case.inputs, case.baseline, activations, target
        )
        np.testing.assert_allclose(heat.raw, expected, rtol=1e-2, atol=1e-2 * max(1e-4, expected.max()))
        found += expected.max() > 1e-3
    assert found
    whole = explain(network, image, "faster-score-cam", halves.path, CLASSES - 1, channels=1000)
    np.testing.assert_allclose(whole.raw, heat.raw, rtol=1e-3, atol=1e-6)


def test_score_cam_tells_classes_apart():
    network, image = network_of(functional(), preprocess=calm), picture(4)
    compared = 0
    for target in range(CLASSES):
        speaks_for, speaks_against = (
            explain(network, image, "score-cam", target={target: sign}) for sign in (1, -1)
        )
        compared += speaks_for.raw.any() or speaks_against.raw.any()
        assert (speaks_for.values * speaks_against.values).max() < 1e-3  # weights >= 0 would show both alike
    assert compared


def test_score_cam_of_one_sigmoid_unit_is_no_plain_sum_of_channels():
    halves = functional(None)
    out = keras.layers.Dense(1, activation="sigmoid")(halves.model.layers[-2].output)
    network, image = Network(keras.Model(halves.model.input, out), preprocess=calm), picture(6)
    one, other = (explain(network, image, "score-cam", "relu", target) for target in (0, {0: -1}))
    heat = one if one.raw.any() else other
    total = halves.up_to(calm(image[None].astype(np.float32))).numpy()[0].sum(axis=-1)
    assert np.corrcoef(heat.values.ravel(), total.ravel())[0, 1] < 0.9


def test_faster_score_cam_takes_the_channels_that_vary_most():
    halves, image = functional(), picture(4)
    network = network_of(halves, preprocess=calm)
    case = Case(network, image, network.layer(halves.path), network.target(0))
    activations = halves.up_to(case.inputs).numpy()[0]
    few = np.argsort([-activations[..., k].var() for k in range(8)])[:3]
    only = np.zeros_like(activations)
    only[..., few] = activations[..., few]
    found = 0
    for target in range(CLASSES):
        expected = oracles.score_cam(
            lambda x: np.asarray(halves.model(x)), case.inputs, case.baseline, only, target
        )
        heat = explain(network, image, "faster-score-cam", halves.path, target, channels=3)
        np.testing.assert_allclose(heat.raw, expected, rtol=1e-2, atol=1e-2 * max(1e-4, expected.max()))
        found += expected.max() > 1e-3
    assert found


@pytest.mark.parametrize("build", BUILDS)
def test_ablation_cam_equals_a_plain_reimplementation(build, monkeypatch):
    halves, image = BUILDS[build](), picture(5)
    monkeypatch.setattr(cases, "_MOST", 3)
    heat = explain(network_of(halves), image, "ablation-cam", halves.path, 2)
    activations = halves.up_to(image[None].astype(np.float32)).numpy()
    expected = np.zeros(activations.shape[1:3])
    for k in range(activations.shape[-1]):
        without = activations.copy()
        without[..., k] = 0
        weight = float(halves.after(activations)[0, 2] - halves.after(without)[0, 2])
        expected += weight * activations[0, ..., k]
    assert_close(heat.raw, np.maximum(expected, 0), 1e-3)


def test_ablation_cam_of_a_negative_score_is_not_turned_round():
    halves, image = functional(None), picture(5)
    usual = explain(network_of(halves), image, "ablation-cam", target=2)
    dense = halves.model.get_layer("out")
    dense.set_weights([dense.kernel.numpy(), np.full(CLASSES, -1000.0)])
    low = explain(network_of(halves), image, "ablation-cam", target=2)
    assert low.score < 0
    assert_close(low.raw, usual.raw, 1e-2)


def test_ablation_cam_where_paths_go_past_the_layer():
    keras.utils.set_random_seed(4)
    inputs = keras.Input((SIZE, SIZE, 3))
    first = keras.layers.Conv2D(4, 3, padding="same", activation="relu", name="first")(inputs)
    second = keras.layers.Conv2D(4, 3, padding="same", activation="relu", name="second")(first)
    joined = keras.layers.Concatenate()([first, second])
    scores = keras.layers.Dense(3, kernel_initializer="ones")(keras.layers.GlobalMaxPooling2D()(joined))
    model, image = keras.Model(inputs, scores), picture(8)
    heat = explain(Network(model), image, "ablation-cam", "second", 1)
    values, before = keras.Model(inputs, [second, first])(image[None].astype(np.float32))
    expected = np.zeros((SIZE, SIZE))
    for k in range(4):
        without = values.numpy()
        without[..., k] = 0
        after = [
            model.layers[-1](model.layers[-2](tf.concat([before, x], -1)))[0, 1] for x in (values, without)
        ]
        expected += float(after[0] - after[1]) * values.numpy()[0, ..., k]
    assert_close(heat.raw, np.maximum(expected, 0), 1e-3)


def test_layers_are_fused_as_the_authors_of_layer_cam_do():
    early, late = np.array([[1.0, 0], [0, 2.0]]), np.array([[4.0]])
    bright = np.tanh([[1.0, 0], [0, 2.0]])
    np.testing.assert_allclose(cam.fused([early, late], 1), np.maximum(bright, 1), rtol=1e-6)
    np.testing.assert_allclose(cam.fused([early, 0 * late], 1), bright, rtol=1e-6)
    network = network_of(functional())
    heats = explain_layers(network, picture(), "layer-cam", ["conv1", "relu"])
    whole = fuse_heatmaps(heats)
    assert whole.values.shape == heats[0].values.shape and whole.values.max() == 1
    assert whole.layer.path == "conv1 + relu" and whole.method == "layer-cam"
    with pytest.raises(MethodError, match="Only unsigned heatmaps of one network, method and target"):
        fuse_heatmaps([heats[0], explain(network, picture(), "grad-cam")])
    with pytest.raises(MethodError, match="at least one layer"):
        fuse_heatmaps([])


FEW = {"rise": {"masks": 20}, "lime": {"samples": 40}, "kernel-shap": {"samples": 40}}


@pytest.mark.parametrize("method", methods(), ids=lambda method: method.name)
def test_every_method_keeps_to_its_row(method):
    network, image = network_of(nested()), picture(3)
    layer = None if method.name == "cam" else "backbone/conv2"
    heats = (
        explain(network, image, method.name, layer, target, **FEW.get(method.name, {}))
        for target in range(CLASSES)
    )
    heat = next(heat for heat in heats if heat.raw.any())
    assert heat.method == method.name and heat.signed == method.signed
    assert heat.values.shape == heat.raw.shape == ((SIZE, SIZE) if method.explains != "layer" else (12, 12))
    assert heat.values.dtype == np.float32 and np.abs(heat.values).max() == 1
    assert heat.values.min() >= 0 or method.signed
    assert heat.layer.path == ("input" if method.explains == "input" else network.layer(layer).path)
    again = explain(network, image, method.name, layer, heat.target, **FEW.get(method.name, {}))
    np.testing.assert_array_equal(heat.raw, again.raw)
    assert set(method.depends_on) <= {"class", "weights"}


@pytest.mark.parametrize("method", methods(), ids=lambda method: method.name)
def test_a_network_that_says_nothing_gets_zeros_and_words(method):
    halves = functional()
    halves.model.set_weights([0 * weight for weight in halves.model.get_weights()])
    heat = explain(network_of(halves), picture(3), method.name, target=2, **FEW.get(method.name, {}))
    assert not heat.values.any() and not heat.raw.any()
    kind = "evidence" if method.signed else "positive evidence"
    assert heat.message == f"no {kind} for 'class 2' at {heat.layer.path}"


@pytest.mark.parametrize("method", methods(), ids=lambda method: method.name)
def test_values_that_are_no_numbers_are_told_by_every_method(method):
    halves = functional(None)
    halves.model.get_layer("out").kernel.assign(np.full((8, CLASSES), np.nan))
    heat = explain(network_of(halves), picture(7), method.name, target=2, **FEW.get(method.name, {}))
    if method.name == "eigen-cam":  # looks at nothing after the layer
        assert heat.message == ""
    else:
        assert "values that are no numbers for 'class 2'" in heat.message


@pytest.mark.parametrize("method", methods(), ids=lambda method: method.name)
def test_a_method_that_follows_the_class_gives_two_classes_two_maps(method):
    network, image = network_of(functional(), preprocess=calm), picture(3)
    first, *others = (
        explain(network, image, method.name, "relu", target, **FEW.get(method.name, {})).values
        for target in range(CLASSES)
    )
    differ = not all(np.allclose(first, other, atol=1e-3) for other in others)
    assert differ or "class" not in method.depends_on
    if method.name == "eigen-cam":
        assert not differ


def test_pictures_run_together_only_as_many_as_memory_is_meant_for():
    inputs = keras.Input((512, 512, 3))
    x = keras.layers.Conv2D(64, 3, padding="same")(inputs)  # 64 MB a picture
    x = keras.layers.MaxPooling2D(4)(x)  # 4 MB
    large = Network(keras.Model(inputs, keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(x))))
    assert cases.batch_size(large) == 2, "128 MB for the largest layer"
    assert cases.batch_size(large, backward=True) == 3, "512 MB for all of them and their gradients"
    assert cases.batch_size(network_of(functional())) == 32


def test_work_comes_in_steps_that_can_be_shown_and_left(monkeypatch):
    monkeypatch.setattr(cases, "_MOST", 3)
    network, image = network_of(functional()), picture(3)
    steps = list(explain_steps(network, image, "score-cam", "relu", 1))
    assert [(done, total) for done, total, _ in steps] == [(3, 8), (6, 8), (8, 8)]
    assert all(heat.values.shape == (12, 12) for _, _, heat in steps)
    told = []
    whole = explain(network, image, "score-cam", "relu", 1, progress=lambda *step: told.append(step))
    np.testing.assert_array_equal(steps[-1][2].raw, whole.raw)
    assert told == [(3, 8), (6, 8), (8, 8)]
    ran = []
    monkeypatch.setattr(
        Case, "chances", lambda self, inputs: ran.append(len(inputs)) or np.zeros(len(inputs))
    )
    started = explain_steps(network, image, "score-cam", "relu", 1)
    next(started)
    started.close()
    assert ran == [1, 3]  # the baseline and one batch
    assert [step[:2] for step in explain_steps(network, image, "grad-cam")] == [(1, 1)]


def test_another_seed_is_another_draw():
    network, image = network_of(functional()), picture(3)
    first, second, third = (explain(network, image, "smoothgrad", seed=seed, samples=3) for seed in (1, 2, 1))
    assert not np.allclose(first.raw, second.raw)
    np.testing.assert_array_equal(first.raw, third.raw)


def test_options_that_a_method_does_not_have_are_named():
    network, image = network_of(functional()), picture(3)
    with pytest.raises(MethodError, match=r"rise has no option 'mask'; did you mean 'masks'"):
        explain(network, image, "rise", mask=3)
    with pytest.raises(MethodError, match=r"grad-cam has no option 'steps'; it has none\."):
        explain(network, image, "grad-cam", steps=3)
    with pytest.raises(MethodError, match="steps is a whole number of at least 1; 0 was given"):
        explain(network, image, "integrated-gradients", steps=0)
    with pytest.raises(MethodError, match="gradient explains the input's pixels and no layer; use explain"):
        explain_layers(network, image, "gradient")
    assert len(explain_layers(network, image, "ablation-cam", ["conv2", "relu"])) == 2


@pytest.mark.parametrize("name", ["GradCAM++", "grad-cam plus plus", "Grad_CAM++"])
def test_names_as_people_write_them(name):
    assert explain(network_of(functional()), picture(), name).method == "grad-cam++"


def test_layer_cam_equals_tf_keras_vis():
    layercam = pytest.importorskip("tf_keras_vis.layercam")
    from tf_keras_vis.utils.scores import CategoricalScore

    halves, image = functional(None), picture(14)
    theirs = layercam.Layercam(halves.model)(
        CategoricalScore(2),
        image[None].astype(np.float32),
        penultimate_layer="conv2",
        seek_penultimate_conv_layer=False,
        expand_cam=False,
        normalize_cam=False,
    )
    assert_close(explain(network_of(halves), image, "layer-cam", "conv2", 2).raw, np.asarray(theirs)[0])
