"""The peers on TensorFlow, each as the few functions that its own users would write, all with the same signature.

``GRAD_CAM[tool](model)`` returns a function (inputs, layer, index) -> (h, w), and keeps between calls what that tool
lets its user keep. `FAULTS` says by name where a released version is known to answer something else.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable

import numpy as np

ORIGINAL = "original recipe"  # functions of Keras's backend in TensorFlow 1's graph mode

DISTRIBUTIONS = {
    ORIGINAL: "tf-keras",
    "tf-keras-vis": "tf-keras-vis",
    "tf-explain": "tf-explain",
    "xplique": "xplique",
    "saliency": "saliency",
    "eli5": "eli5",
    "captum": "captum",
}

FAULTS = {
    ("eli5", "grad-cam"): "known: an epsilon in the division by the maximum",
    ("tf-explain", "integrated-gradients"): "known fault: lacks the factor x - x'",
    ("tf-explain", "smoothgrad"): "known fault: the gradient of the cross-entropy, not of the score",
    ("tf-explain", "occlusion"): "known: 1 - score behind each patch, at another scale",
    ("saliency", "integrated-gradients"): "known: a plain sum over evenly spaced steps",
    ("tf-keras-vis", "score-cam"): "known: weights without the score of an empty picture",
}


def fault(tool: str, method: str) -> str:
    return FAULTS.get((tool, method), "")


def version(tool: str) -> str | None:
    """None where it is not installed."""
    try:
        return importlib.metadata.version(DISTRIBUTIONS[tool])
    except importlib.metadata.PackageNotFoundError:
        return None


def installed(table: dict[str, Callable]) -> dict[str, Callable]:
    return {tool: function for tool, function in table.items() if version(tool)}


def one_hot(model, index: int) -> np.ndarray:
    return np.eye(model.output_shape[-1], dtype=np.float32)[[index]]


class GraphMode:
    """A copy of a model of `keras.applications` in a TensorFlow 1 graph, where functions are made by name."""

    def __init__(self, model):
        import tensorflow as tf
        import tf_keras

        build = {
            "vgg16": tf_keras.applications.VGG16,
            "mobilenetv2_1.00_224": tf_keras.applications.MobileNetV2,
        }
        if model.name not in build:
            raise NotImplementedError(f"tf_keras has no {model.name}")
        weights = model.get_weights()  # Keras 3 reads them outside of any graph
        self.graph = tf.Graph()
        with self.graph.as_default():
            self.session = tf.compat.v1.Session()
            with self.session.as_default():
                self.model = build[model.name](weights=None, classifier_activation=None)
                self.model.set_weights(weights)
        self.backend = tf_keras.backend
        self.functions: dict = {}

    def call(self, key, make, inputs: np.ndarray) -> list:
        """What the function that ``make`` builds of the model puts out; built once for each key."""
        with self.graph.as_default(), self.session.as_default():
            if key not in self.functions:
                self.functions[key] = self.backend.function(
                    [self.model.input], make(self.model, self.backend)
                )
            return self.functions[key]([inputs])


def original_grad_cam(model):
    mode = GraphMode(model)

    def explain(inputs, layer, index):
        def make(copy, backend):
            values = copy.get_layer(layer).output
            slopes = backend.gradients(copy.output[0, index], values)[0]
            return [backend.mean(slopes, axis=(0, 1, 2)), values[0]]

        weights, values = mode.call((layer, index), make, inputs)
        return np.maximum(values @ weights, 0)

    return explain


def tf_keras_vis_grad_cam(model):
    from tf_keras_vis.gradcam import Gradcam
    from tf_keras_vis.utils.scores import CategoricalScore

    gradcam = Gradcam(model)
    raw = {"seek_penultimate_conv_layer": False, "expand_cam": False, "normalize_cam": False}

    def explain(inputs, layer, index):
        return np.asarray(gradcam(CategoricalScore(index), inputs, penultimate_layer=layer, **raw))[0]

    return explain


def tf_explain_grad_cam(model):
    from tf_explain.core.grad_cam import GradCAM

    def explain(inputs, layer, index):
        values, slopes = GradCAM.get_gradients_and_filters(model, inputs, layer, index, False)
        return np.maximum(GradCAM.generate_ponderated_output(values, slopes)[0].numpy(), 0)

    return explain


def xplique_grad_cam(model):
    from xplique.attributions import GradCAM

    explainers: dict = {}

    def explain(inputs, layer, index):
        if layer not in explainers:
            explainers[layer] = GradCAM(model, conv_layer=layer)
        return np.asarray(explainers[layer](inputs, one_hot(model, index)))[0, ..., 0]

    return explain


def saliency_grad_cam(model):
    import saliency.core as pair

    call = _gradient_function(model)

    def explain(inputs, layer, index):
        about = {"layer": layer, "index": index}
        return pair.GradCam().GetMask(inputs[0], call, about, should_resize=False, three_dims=False)

    return explain


def _gradient_function(model):
    """The function that a user of PAIR's saliency writes: gradients of the score at the input or at a layer."""
    import tensorflow as tf
    from saliency.core import base

    halves: dict = {}

    def call(inputs, call_model_args=None, expected_keys=None):
        x, index = tf.constant(inputs, tf.float32), call_model_args["index"]
        if expected_keys == [base.INPUT_OUTPUT_GRADIENTS]:
            with tf.GradientTape() as tape:
                tape.watch(x)
                score = model(x, training=False)[:, index]
            return {expected_keys[0]: tape.gradient(score, x).numpy()}
        layer = call_model_args["layer"]
        if layer not in halves:
            halves[layer] = tf.keras.Model(model.inputs, [model.get_layer(layer).output, model.outputs[0]])
        with tf.GradientTape() as tape:
            values, scores = halves[layer](x, training=False)
            score = scores[:, index]
        slopes = tape.gradient(score, values).numpy()
        return {base.CONVOLUTION_LAYER_VALUES: values.numpy(), base.CONVOLUTION_OUTPUT_GRADIENTS: slopes}

    return call


def eli5_grad_cam(model):
    import eli5

    def explain(inputs, layer, index):
        return eli5.explain_prediction(model, inputs, layer=layer, targets=[index]).targets[0].heatmap

    return explain


GRAD_CAM = {
    ORIGINAL: original_grad_cam,
    "tf-keras-vis": tf_keras_vis_grad_cam,
    "tf-explain": tf_explain_grad_cam,
    "xplique": xplique_grad_cam,
    "saliency": saliency_grad_cam,
    "eli5": eli5_grad_cam,
}


def original_activations(model):
    mode = GraphMode(model)
    return lambda inputs, layer: mode.call(
        layer, lambda copy, _backend: [copy.get_layer(layer).output], inputs
    )[0][0]


def tf_explain_activations(model):
    """What `ExtractActivations.explain` does before it draws: a model for each layer, and its predict."""
    from tf_explain.core.activations import ExtractActivations

    def read(inputs, layer):
        part = ExtractActivations.generate_activations_graph(model, [layer])
        return part.predict(inputs, batch_size=1, verbose=0)[0]

    return read


def xplique_activations(model):
    """Its own way to read a layer: a model cut there."""
    import keras
    from xplique.commons import find_layer

    parts: dict = {}

    def read(inputs, layer):
        if layer not in parts:
            parts[layer] = keras.Model(model.inputs, find_layer(model, layer).output)
        return np.asarray(parts[layer](inputs, training=False))[0]

    return read


ACTIVATIONS = {
    ORIGINAL: original_activations,
    "tf-explain": tf_explain_activations,
    "xplique": xplique_activations,
}


def tf_explain_integrated_gradients(model, steps):
    from tf_explain.core.integrated_gradients import IntegratedGradients

    def explain(inputs, index):
        way = IntegratedGradients.generate_interpolations(inputs, steps)
        return IntegratedGradients.get_integrated_gradients(way, model, index, steps).numpy()[0].sum(axis=-1)

    return explain


def xplique_integrated_gradients(model, steps):
    from xplique.attributions import IntegratedGradients

    explainer = IntegratedGradients(model, steps=steps, reducer=None)
    return lambda inputs, index: np.asarray(explainer(inputs, one_hot(model, index)))[0].sum(axis=-1)


def saliency_integrated_gradients(model, steps):
    import saliency.core as pair

    call = _gradient_function(model)

    def explain(inputs, index):
        x, empty = inputs[0], np.zeros_like(inputs[0])
        method = pair.IntegratedGradients()
        return method.GetMask(x, call, {"index": index}, empty, steps, batch_size=10).sum(axis=-1)

    return explain


INTEGRATED_GRADIENTS = {
    "tf-explain": tf_explain_integrated_gradients,
    "xplique": xplique_integrated_gradients,
    "saliency": saliency_integrated_gradients,
}
NOISE = 0.15  # of the picture's range


def tf_keras_vis_smooth_grad(model, samples):
    from tf_keras_vis.saliency import Saliency
    from tf_keras_vis.utils.scores import CategoricalScore

    saliency = Saliency(model)
    options = {"smooth_samples": samples, "smooth_noise": NOISE, "gradient_modifier": None}

    def explain(inputs, index):
        slopes = saliency(CategoricalScore(index), inputs, keepdims=True, normalize_map=False, **options)
        return np.abs(np.asarray(slopes)[0]).max(axis=-1)

    return explain


def tf_explain_smooth_grad(model, samples):
    from tf_explain.core.smoothgrad import SmoothGrad

    def explain(inputs, index):
        spread = NOISE * float(inputs.max() - inputs.min())
        noisy = SmoothGrad.generate_noisy_images(inputs, samples, spread)
        return np.abs(SmoothGrad.get_averaged_gradients(noisy, model, index, samples).numpy()[0]).max(axis=-1)

    return explain


def xplique_smooth_grad(model, samples):
    from xplique.attributions import SmoothGrad

    def explain(inputs, index):
        spread = NOISE * float(inputs.max() - inputs.min())
        explainer = explainers.setdefault(
            round(spread, 3), SmoothGrad(model, nb_samples=samples, noise=spread, reducer=None)
        )
        return np.abs(np.asarray(explainer(inputs, one_hot(model, index)))[0]).max(axis=-1)

    explainers: dict = {}
    return explain


def saliency_smooth_grad(model, samples):
    import saliency.core as pair

    call = _gradient_function(model)

    def explain(inputs, index):
        options = {"stdev_spread": NOISE, "nsamples": samples, "magnitude": False}
        slopes = pair.GradientSaliency().GetSmoothedMask(inputs[0], call, {"index": index}, **options)
        return np.abs(slopes).max(axis=-1)

    return explain


SMOOTH_GRAD = {
    "tf-keras-vis": tf_keras_vis_smooth_grad,
    "tf-explain": tf_explain_smooth_grad,
    "xplique": xplique_smooth_grad,
    "saliency": saliency_smooth_grad,
}


def tf_explain_occlusion(model, window):
    from tf_explain.core.occlusion_sensitivity import OcclusionSensitivity

    occlusion = OcclusionSensitivity(batch_size=32)
    return lambda inputs, index: occlusion.get_sensitivity_map(model, inputs[0], index, window)


def xplique_occlusion(model, window):
    from xplique.attributions import Occlusion

    explainer = Occlusion(model, patch_size=window, patch_stride=window, occlusion_value=0.0)
    return lambda inputs, index: np.asarray(explainer(inputs, one_hot(model, index)))[0, ..., 0]


OCCLUSION = {"tf-explain": tf_explain_occlusion, "xplique": xplique_occlusion}


def xplique_rise(model, masks):
    import tensorflow as tf
    from xplique.attributions import Rise

    def probability(run, inputs, targets):  # ours explains it too, as the paper does
        return tf.reduce_sum(tf.nn.softmax(run(inputs)) * targets, axis=-1)

    explainer = Rise(model, operator=probability, nb_samples=masks, grid_size=7, preservation_probability=0.5)
    return lambda inputs, index: np.asarray(explainer(inputs, one_hot(model, index)))[0, ..., 0]


RISE = {"xplique": xplique_rise}


def tf_keras_vis_score_cam(model, layer):
    from tf_keras_vis.scorecam import Scorecam
    from tf_keras_vis.utils.scores import CategoricalScore

    scorecam = Scorecam(model)
    raw = {"seek_penultimate_conv_layer": False, "expand_cam": False, "normalize_cam": False}

    def explain(inputs, index):
        return np.asarray(scorecam(CategoricalScore(index), inputs, penultimate_layer=layer, **raw))[0]

    return explain


SCORE_CAM = {"tf-keras-vis": tf_keras_vis_score_cam}
