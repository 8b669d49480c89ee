"""Slow and plain: what the package computes cleverly, computed again the obvious way, to compare with.

These cut models apart with `keras.Model(inputs, [layer.output, ...])` and use an eager `GradientTape`, neither
of which the package does.
"""

import keras
import numpy as np
import tensorflow as tf


def without_softmax(model: keras.Model) -> keras.Model:
    """A clone of a functional or Sequential model whose last Dense layer is linear, with the same weights."""

    def linear(layer):
        config = layer.get_config()
        if layer is model.layers[-1]:
            config["activation"] = "linear"
        return layer.__class__.from_config(config)

    clone = keras.models.clone_model(model, clone_function=linear)
    clone.set_weights(model.get_weights())
    return clone


def activations_and_gradients(up_to_layer, after_layer, inputs: np.ndarray, target: int):
    """(activations, gradients, score) of a network given as its two halves, both callables on tensors."""
    with tf.GradientTape() as tape:
        activations = up_to_layer(tf.constant(inputs))
        tape.watch(activations)
        score = after_layer(activations)[0, target]
    return activations.numpy(), tape.gradient(score, activations).numpy(), float(score)


def grad_cam(activations: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    """Written with loops: (1, h, w, c) twice -> (h, w)."""
    _, h, w, c = activations.shape
    heat = np.zeros((h, w))
    for k in range(c):
        weight = 0.0
        for i in range(h):
            for j in range(w):
                weight += float(gradients[0, i, j, k]) / (h * w)
        heat += weight * activations[0, :, :, k].astype(np.float64)
    return np.maximum(heat, 0)


def classic_maximization(mean_activation, noise: np.ndarray, steps: int) -> tuple[np.ndarray, list[float]]:
    """The 20-step recipe for one unit in the network's input space: (the last input, activation before each step)."""
    x, history = tf.constant(noise, tf.float32), []
    for _ in range(steps):
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = mean_activation(x)
        gradient = tape.gradient(loss, x)
        gradient /= tf.sqrt(tf.reduce_mean(tf.square(gradient))) + 1e-7
        x = x + gradient
        history.append(float(loss))
    return x.numpy(), history
