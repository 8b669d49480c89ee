"""Heatmaps beside those of released peers, where these are right: the largest difference as a share of the maximum.

    python benchmarks/peers.py --networks FOLDER [--photo FILE]

Needs what is no dependency of the tests: pip install saliency eli5. MobileNetV2 is built without its softmax, as
neither peer takes it off. PAIR's Integrated Gradients are a plain sum over evenly spaced steps, so it gets many.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

import cnnvis_widgets as cnnvis
from cnnvis_widgets.compute.case import Case

TARGET, LAYER, MANY = 281, "Conv_1", 1000


def answering(network):
    """The function that PAIR's methods call: gradients of the target's logit at the input or at the layer."""
    import tensorflow as tf
    from saliency.core import base

    model = network.model
    both = tf.keras.Model(model.inputs, [model.get_layer(LAYER).output, model.outputs[0]])

    def call(inputs, call_model_args=None, expected_keys=None):
        x = tf.constant(inputs, tf.float32)
        with tf.GradientTape() as tape:
            tape.watch(x)
            values, scores = both(x, training=False)
            score = scores[:, TARGET]
        if expected_keys == [base.INPUT_OUTPUT_GRADIENTS]:
            return {expected_keys[0]: tape.gradient(score, x).numpy()}
        slopes = tape.gradient(score, values).numpy()
        return {base.CONVOLUTION_LAYER_VALUES: values.numpy(), base.CONVOLUTION_OUTPUT_GRADIENTS: slopes}

    return call


def apart(ours: np.ndarray, theirs: np.ndarray) -> str:
    return f"{np.abs(ours - theirs).max() / np.abs(theirs).max():.1e}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", type=Path, required=True)
    parser.add_argument("--photo")
    given = parser.parse_args()
    import keras
    import saliency.core as pair

    weights = given.networks / "mobilenet_v2.weights.h5"
    model = keras.applications.MobileNetV2(weights=str(weights), classifier_activation=None)
    network = cnnvis.load_network(model, preprocess=lambda x: x / 127.5 - 1)
    image = cnnvis.load_image(given.photo) if given.photo else cnnvis.sample_images()["cat"]
    case = Case(network, image, network.layer(LAYER), network.target(TARGET))
    x, call = case.inputs[0], answering(network)

    def ours(method: str, **options) -> np.ndarray:
        return cnnvis.explain(network, image, method, LAYER, TARGET, **options).raw

    print("PAIR Grad-CAM", apart(ours("grad-cam"), pair.GradCam().GetMask(x, call, None, False, False)))
    theirs = pair.GradientSaliency().GetMask(x, call)
    print("PAIR gradient", apart(ours("gradient"), np.abs(theirs).max(axis=-1)))
    theirs = pair.IntegratedGradients().GetMask(x, call, None, case.baseline[0], MANY, 20).sum(axis=-1)
    print(f"PAIR Integrated Gradients of {MANY} steps: sum {theirs.sum():.3f}")
    for options in ({}, {"steps": 50}, {"steps": 200}):
        heat = cnnvis.explain(network, image, "integrated-gradients", LAYER, TARGET, **options)
        told = {name: round(value, 4) for name, value in heat.details.items()}
        alike = np.corrcoef(heat.raw.ravel(), theirs.ravel())[0, 1]
        print(
            f"  ours {told}: {apart(heat.raw, theirs)} apart, correlation {alike:.4f}, sum {heat.raw.sum():.3f}"
        )

    from eli5.keras.gradcam import gradcam, gradcam_backend

    pooled, values, *_ = gradcam_backend(model, case.inputs, [TARGET], model.get_layer(LAYER))
    heat = cnnvis.explain(network, image, "grad-cam", LAYER, TARGET)
    print("eli5 Grad-CAM", apart(heat.values, gradcam(pooled, values)))


if __name__ == "__main__":
    main()
