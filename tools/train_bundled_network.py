"""Train the bundled network on CIFAR-10 and write its weights (and the figures for its model card).

    python tools/train_bundled_network.py --data FOLDER [--photos FOLDER] [--output weights.npz]

FOLDER holds ``train/CLASS/*.jpg`` and ``test/CLASS/*.jpg``; without ``--data`` Keras downloads CIFAR-10.
``--photos`` is a folder ``CLASS/*.jpg`` of real photographs, only ever used to measure.

The idea: CIFAR-10 pictures are 32 pixels wide and soft when enlarged, photographs shrunk to 64 pixels
are sharp, and their subjects stand nearer or farther. So augmentation spans near and far (one random
affine warp a picture) and blurred and sharp (a random unsharp mask). Low resolution first, full
resolution for the last epochs, bfloat16: an hour or so on two CPU cores.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path

import cv2
import keras
import numpy as np
import tensorflow as tf

from cnnvis_widgets.networks import bundled

# Cycles of (highest learning rate, strength of augmentation, ((canvas in pixels, epochs), ...)); an epoch at 64 costs
# four at 32. Each goes on, more gently, from what the one before wrote; the last ones bring the last percents.
CYCLES = (
    (0.2, 1.0, ((32, 18), (48, 4), (64, 3))),
    (0.1, 0.5, ((32, 8), (48, 3), (64, 2))),
    (0.1, 0.4, ((32, 4), (48, 5), (64, 5))),
)
BATCH = 256
WEIGHT_DECAY = 4e-3  # decoupled; with momentum 0.9 that is like an L2 of 4e-4
LABEL_SMOOTHING = 0.1


def read_folder(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """(n, 32, 32, 3) uint8 RGB and (n,) class indices of FOLDER/CLASS/*.jpg."""
    images, labels = [], []
    for index, name in enumerate(bundled.CLASS_NAMES):
        for file in sorted((folder / name).glob("*.jpg")):
            images.append(cv2.imread(str(file))[..., ::-1])
            labels.append(index)
    return np.stack(images), np.array(labels, np.int32)


def read_cifar10(folder: Path | None):
    if folder is not None:
        return read_folder(folder / "train"), read_folder(folder / "test")
    (train_x, train_y), (test_x, test_y) = keras.datasets.cifar10.load_data()
    return (train_x, train_y[:, 0].astype(np.int32)), (test_x, test_y[:, 0].astype(np.int32))


def read_photos(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Photographs shrunk whole to the network's input size."""
    images, labels = [], []
    for index, name in enumerate(bundled.CLASS_NAMES):
        for file in sorted((folder / name).glob("*.jpg")):
            image = cv2.imread(str(file))[..., ::-1]
            images.append(cv2.resize(image, bundled.INPUT_SIZE[::-1], interpolation=cv2.INTER_AREA))
            labels.append(index)
    return np.stack(images), np.array(labels, np.int32)


def uniform(shape, low, high):
    return tf.random.uniform(shape, low, high)


def warp(images, canvas: int, strength: float):
    """Each picture zoomed, stretched, shifted, turned a little and perhaps mirrored, onto canvas x canvas."""
    n = tf.shape(images)[0]
    source = tf.cast(tf.shape(images)[1], tf.float32)
    zoom = tf.exp(
        strength * uniform((n,), math.log(0.6), math.log(1.35))
    )  # the subject's size against the frame
    stretch = tf.exp(strength * uniform((n,), math.log(0.8), math.log(1.25)) / 2)
    mirror = tf.where(uniform((n,), 0.0, 1.0) < 0.5, -1.0, 1.0)
    angle = strength * uniform((n,), -0.2, 0.2)
    # Output pixel -> source pixel, both measured from their centres.
    scale = source / canvas / zoom
    a0, a1 = scale * stretch * tf.cos(angle) * mirror, -scale * stretch * tf.sin(angle)
    b0, b1 = scale / stretch * tf.sin(angle) * mirror, scale / stretch * tf.cos(angle)
    reach = source * 0.12 + tf.abs(source - source / zoom) / 4
    shift_x, shift_y = uniform((n,), -1.0, 1.0) * reach, uniform((n,), -1.0, 1.0) * reach
    middle = (canvas - 1) / 2
    a2 = (source - 1) / 2 + shift_x - (a0 + a1) * middle
    b2 = (source - 1) / 2 + shift_y - (b0 + b1) * middle
    zero = tf.zeros_like(a0)
    transforms = tf.stack([a0, a1, a2, b0, b1, b2, zero, zero], axis=1)
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=transforms,
        output_shape=(canvas, canvas),
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="REFLECT",
    )


def binomial_blur(images):
    row = tf.constant([1.0, 4.0, 6.0, 4.0, 1.0]) / 16
    kernel = tf.tile(tf.tensordot(row, row, 0)[:, :, None, None], (1, 1, 3, 1))
    padded = tf.pad(images, ((0, 0), (2, 2), (2, 2), (0, 0)), "REFLECT")
    return tf.nn.depthwise_conv2d(padded, kernel, (1, 1, 1, 1), "VALID")


def augment(images, canvas: int, strength: float = 1.0):
    """uint8 (n, 32, 32, 3) -> float32 (n, canvas, canvas, 3) in [0, 255]; sharpness varies at any strength."""
    x = warp(tf.cast(images, tf.float32), canvas, strength)
    n = tf.shape(x)[0]
    each = (n, 1, 1, 1)
    # From blurred (-1) to much sharper than an enlargement (+2.5); most stay near what they were.
    amount = tf.where(uniform(each, 0.0, 1.0) < 0.5, uniform(each, -1.0, 0.3), uniform(each, 0.0, 2.5))
    x += amount * (x - binomial_blur(x))
    gray = tf.reduce_mean(x, axis=-1, keepdims=True)
    x = gray + (x - gray) * (1 + strength * uniform(each, -0.6, 0.4))
    mean = tf.reduce_mean(x, axis=(1, 2, 3), keepdims=True)
    x = (x - mean) * (1 + strength * uniform(each, -0.3, 0.35))
    x += mean + strength * uniform(each, -30.0, 30.0)
    x *= 1 + strength * uniform((n, 1, 1, 3), -0.07, 0.07)
    x += tf.random.normal(tf.shape(x)) * strength * uniform(each, 0.0, 6.0)
    # Cutout: a grey square of a quarter to nearly half the side, on up to half of the pictures.
    side = (
        uniform((n, 1, 1, 1), 0.25, 0.45)
        * canvas
        * tf.cast(uniform(each, 0.0, 1.0) < 0.5 * strength, tf.float32)
    )
    at_y, at_x = uniform(each, 0.0, 1.0) * canvas, uniform(each, 0.0, 1.0) * canvas
    ys = tf.range(canvas, dtype=tf.float32)[None, :, None, None]
    xs = tf.range(canvas, dtype=tf.float32)[None, None, :, None]
    hidden = (tf.abs(ys - at_y) < side / 2) & (tf.abs(xs - at_x) < side / 2)
    return tf.where(hidden, 127.5, tf.clip_by_value(x, 0.0, 255.0))


def learning_rate(progress: float) -> float:
    """A share of the highest rate: rises over the first fifth, then falls in a straight line to nothing.

    ``progress`` in [0, 1] is that of all the cycle's work.
    """
    return max(min(progress / 0.2, (1 - progress) / 0.8), 0.0)


def train(images, labels, report, output: Path, cycle: tuple, seed: int, start: Path | None):
    """One cycle; ``start`` holds the weights to begin with, None for random ones."""
    peak_rate, strength, schedule = cycle
    keras.utils.set_random_seed(seed)
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    network = bundled.build((None, None))
    if start is not None:
        bundled.load_weights(network, start)
    logits = keras.Model(network.input, network.get_layer("predictions").output)
    optimizer = keras.optimizers.SGD(peak_rate, momentum=0.9, nesterov=True, weight_decay=WEIGHT_DECAY)
    optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
    optimizer.build(logits.trainable_variables)

    def make_step(canvas: int):
        @tf.function
        def step(batch, targets):
            inputs = bundled.preprocess(augment(batch, canvas, strength))
            goals = tf.one_hot(targets, len(bundled.CLASS_NAMES)) * (1 - LABEL_SMOOTHING)
            goals += LABEL_SMOOTHING / len(bundled.CLASS_NAMES)
            with tf.GradientTape() as tape:
                losses = tf.nn.softmax_cross_entropy_with_logits(goals, logits(inputs, training=True))
                loss = tf.reduce_mean(losses)
            gradients = tape.gradient(loss, logits.trainable_variables)
            optimizer.apply_gradients(zip(gradients, logits.trainable_variables, strict=True))
            return loss

        return step

    total_work = sum(canvas**2 * epochs for canvas, epochs in schedule)
    done_work = 0.0
    random = np.random.default_rng(seed)
    batches = len(images) // BATCH
    for canvas, epochs in schedule:
        step = make_step(canvas)
        for _epoch in range(epochs):
            started, losses = time.time(), []
            order = random.permutation(len(images))
            for index in range(batches):
                optimizer.learning_rate.assign(peak_rate * learning_rate(done_work / total_work))
                chosen = np.sort(order[index * BATCH : (index + 1) * BATCH])
                losses.append(step(images[chosen], labels[chosen]))
                done_work += canvas**2 / batches
            took = time.time() - started
            bundled.save_weights(network, output)
            loss = float(np.mean(losses))
            print(f"{canvas}px loss {loss:.3f} {took:.0f} s, {done_work / total_work:.0%} done", flush=True)
            report(network)


def accuracy(model: keras.Model, images, labels) -> tuple[float, dict[str, float]]:
    """Share of right answers over all pictures, and for each class."""
    right = np.empty(len(images), bool)
    for start in range(0, len(images), 500):
        chunk = slice(start, start + 500)
        outputs = model(bundled.preprocess(images[chunk].astype(np.float32)), training=False)
        right[chunk] = np.argmax(np.asarray(outputs, np.float32), axis=-1) == labels[chunk]
    names = bundled.CLASS_NAMES
    by_class = {
        names[i]: round(float(right[labels == i].mean()), 3) for i in range(10) if (labels == i).any()
    }
    return float(right.mean()), by_class


def enlarge(images: np.ndarray) -> np.ndarray:
    size = bundled.INPUT_SIZE[::-1]
    return np.stack([cv2.resize(image, size, interpolation=cv2.INTER_LINEAR) for image in images])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="folder with train/CLASS/*.jpg and test/CLASS/*.jpg")
    parser.add_argument("--photos", type=Path, help="folder with CLASS/*.jpg, measured and never trained on")
    parser.add_argument("--output", type=Path, default=bundled.WEIGHTS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first-cycle", type=int, default=0, help="1: go on from the weights at --output")
    parser.add_argument("--evaluate", action="store_true", help="only measure the weights at --output")
    arguments = parser.parse_args()

    (train_images, train_labels), (test_images, test_labels) = read_cifar10(arguments.data)
    test_images = enlarge(test_images)
    photos = read_photos(arguments.photos) if arguments.photos else None

    def report(network, everything: bool = False):
        share = slice(None) if everything else slice(None, None, 10)
        figures = {"test": accuracy(network, test_images[share], test_labels[share])}
        if photos is not None:
            figures["photos"] = accuracy(network, *photos)
        print(json.dumps(figures), flush=True)

    if not arguments.evaluate:
        for number, cycle in enumerate(CYCLES[arguments.first_cycle :], arguments.first_cycle):
            start = arguments.output if number else None
            train(train_images, train_labels, report, arguments.output, cycle, arguments.seed + number, start)
    keras.mixed_precision.set_global_policy("float32")
    report(bundled.load_weights(bundled.build(), arguments.output), everything=True)


if __name__ == "__main__":
    main()
