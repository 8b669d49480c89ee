"""Slow and plain: what the package computes cleverly, computed again the obvious way, to compare with.

These cut models apart with `keras.Model(inputs, [layer.output, ...])` and use an eager `GradientTape`, neither
of which the package does.
"""

import itertools

import numpy as np
import tensorflow as tf


def assert_close(ours: np.ndarray, theirs: np.ndarray, tolerance: float = 1e-4) -> None:
    """That two heatmaps are equal within a share of the oracle's largest value, and that there is something in it."""
    assert np.abs(theirs).max() > 0, "the oracle must have something to compare"
    np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance * np.abs(theirs).max())


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


def grad_cam_plus_plus(after_layer, activations: np.ndarray, target: int) -> np.ndarray:
    """Grad-CAM++ of exp(S) by automatic differentiation, one activation at a time: (1, h, w, c) -> (h, w)."""
    _, h, w, c = activations.shape
    heat = np.zeros((h, w))
    for k in range(c):
        weight = 0.0
        for i in range(h):
            for j in range(w):
                first, second, third = _derivatives_of_exp(after_layer, activations, (0, i, j, k), target)
                below = 2 * second + third * activations[0, :, :, k].sum()
                weight += (second / below if below > 0 else 0.0) * max(first, 0.0)
        heat += weight * activations[0, :, :, k]
    return np.maximum(heat, 0)


def _derivatives_of_exp(after_layer, activations, place, target):
    change = tf.Variable(0.0, dtype=tf.float32)
    one = np.zeros_like(activations)
    one[place] = 1
    with tf.GradientTape() as tape3:
        with tf.GradientTape() as tape2:
            with tf.GradientTape() as tape1:
                value = tf.exp(after_layer(activations + change * one)[0, target])
            first = tape1.gradient(value, change)
        second = tape2.gradient(first, change)
    return float(first), float(second), float(tape3.gradient(second, change))


def input_gradient(up_to_layer, after_layer, inputs: np.ndarray, target: int) -> np.ndarray:
    """(H, W, C): the gradient of a logit with respect to the network's input."""
    x = tf.constant(inputs)
    with tf.GradientTape() as tape:
        tape.watch(x)
        score = after_layer(up_to_layer(x))[0, target]
    return tape.gradient(score, x).numpy()[0]


def score_cam(probabilities, inputs: np.ndarray, baseline: np.ndarray, activations: np.ndarray, target: int):
    """One channel at a time: (1, H, W, C), the same, (h, w, c) -> (h, w)."""
    heat = np.zeros(activations.shape[:2])
    for k in range(activations.shape[-1]):
        mask = tf.image.resize(activations[..., k : k + 1], inputs.shape[1:3]).numpy()[None]
        if mask.max() > mask.min():
            mask = (mask - mask.min()) / (mask.max() - mask.min())
            seen = inputs * mask + baseline * (1 - mask)
            weight = probabilities(seen)[0, target] - probabilities(baseline)[0, target]
            heat += float(weight) * activations[..., k]
    return np.maximum(heat, 0)


def occlusion(score, inputs: np.ndarray, baseline: np.ndarray, window: int, stride: int) -> np.ndarray:
    """(1, H, W, C) -> (H, W), for windows that fit without a rest."""
    _, height, width, _ = inputs.shape
    drops = [[[] for _ in range(width)] for _ in range(height)]
    for top in range(0, height - window + 1, stride):
        for left in range(0, width - window + 1, stride):
            hidden = inputs.copy()
            rows, columns = slice(top, top + window), slice(left, left + window)
            hidden[:, rows, columns] = baseline[:, rows, columns]
            drop = score(inputs) - score(hidden)
            for i in range(top, top + window):
                for j in range(left, left + window):
                    drops[i][j].append(drop)
    return np.array([[np.mean(each) for each in row] for row in drops])


def shapley(worth, players: int) -> np.ndarray:
    """Shapley values of a game, by the definition: the mean gain over all orders in which players may join."""
    gains, orders = np.zeros(players), list(itertools.permutations(range(players)))
    for order in orders:
        present = np.zeros(players, bool)
        before = worth(present)
        for player in order:
            present[player] = True
            after = worth(present)
            gains[player] += (after - before) / len(orders)
            before = after
    return gains
