"""How long a layer's filter pictures take beside the recipe that everybody knows, tf-keras-vis and Xplique.

    python benchmarks/original_speed.py [--units 36] [--baseline-units 2] [--only original,steps]

VGG16 with random weights (they cost the same time as real ones), block5_conv1, 224 x 224. The baseline is the classic
recipe as it was written for Keras 1 and 2: a function a unit in TensorFlow's graph mode (`tf_keras`), 20 steps of
gradient / RMS from grey noise. Both networks have the same weights. Ours takes as few steps as bring *every* unit at
least to the mean activation that the baseline reaches, measured in float32 at full size; finding that number is not
timed, making the pictures is. "pixels", the recipe to compare with, climbs as the baseline does, on every pixel and
unmoved, but in larger steps, in batches, in the quickest number format, within the colours of a picture, and at 112 x
112 but for the last step: the finished picture repeats what climbed to fill 224 x 224, and there it is measured. The
other recipes make robust pictures of large shapes, which excite a network of random weights less. One run side by side;
compiling is said apart. Needs tf_keras, tf-keras-vis and xplique.
"""

from __future__ import annotations

import argparse
import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

LAYER, SIZE = "block5_conv1", 224
TOGETHER = 8  # units in a batch, of each tool


def original(weights: list[np.ndarray], units: list[int], steps: int = 20):
    """(seconds a unit, the mean activation that each reaches), in graph mode."""
    import tensorflow as tf
    import tf_keras

    with tf.Graph().as_default(), tf.compat.v1.Session().as_default():
        backend = tf_keras.backend
        model = tf_keras.applications.VGG16(weights=None, include_top=False, input_shape=(SIZE, SIZE, 3))
        model.set_weights(weights)
        output = model.get_layer(LAYER).output
        seconds, reached = [], []
        for unit in units:
            started = time.perf_counter()
            loss = backend.mean(output[..., unit])
            gradient = backend.gradients(loss, model.input)[0]
            gradient /= backend.sqrt(backend.mean(backend.square(gradient))) + 1e-7
            iterate = backend.function([model.input], [loss, gradient])
            inputs = _noise()
            for _ in range(steps):
                _loss, step = iterate([inputs])
                inputs = inputs + step
            seconds.append(time.perf_counter() - started)
            reached.append(float(iterate([inputs])[0]))
    return float(np.median(seconds)), np.array(reached)


def _noise() -> np.ndarray:
    return (np.random.default_rng(0).random((1, SIZE, SIZE, 3), np.float32) - 0.5) * 20 + 128


def ours(network, units: np.ndarray, wanted: np.ndarray, recipe: str, batch: int):
    """(steps needed, seconds a unit, seconds to compile, the activations reached)."""
    from cnnvis_widgets.compute.maximize import ascend, climb, find_recipe, unit

    info = network.layer(LAYER)
    how = find_recipe(recipe)
    batches = [units[start : start + batch] for start in range(0, len(units), batch)]
    started = time.perf_counter()
    next(ascend(network, info, batches[0], how))
    compiling = time.perf_counter() - started

    def make(steps: int):
        return [_last(ascend(network, info, batch, how, steps=steps)).inputs for batch in batches]

    for steps in (how.steps, 8, 10, 12, 16):
        started = time.perf_counter()
        pictures = make(steps)
        seconds = time.perf_counter() - started
        reached = np.concatenate(
            [
                climb.reached(network, unit(LAYER, batch), made)
                for batch, made in zip(batches, pictures, strict=True)
            ]
        )
        if (reached >= wanted).all():
            break
    return steps, seconds / len(units), compiling, reached


def times(reached: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """How many times as much as the original's, of the units that it wakes: beside nothing everything is enough."""
    woken = wanted > 0
    return reached[woken] / wanted[woken]


def _last(frames):
    for frame in frames:  # noqa: B007
        pass
    return frame


def tf_keras_vis_step(weights: list[np.ndarray], units: np.ndarray, steps: int) -> float:
    """Seconds a unit and step, all units in one batch."""
    import keras
    from tf_keras_vis.activation_maximization import ActivationMaximization
    from tf_keras_vis.utils.model_modifiers import ExtractIntermediateLayer
    from tf_keras_vis.utils.scores import CategoricalScore

    maximization = ActivationMaximization(_convolutions(weights), ExtractIntermediateLayer(LAYER), clone=True)
    optimizer = keras.optimizers.RMSprop(1.0, 0.999)  # its default
    times = _noted(optimizer)
    noise = np.random.default_rng(0).uniform(0, 255, (len(units), SIZE, SIZE, 3)).astype(np.float32)
    score = CategoricalScore(units.tolist())
    maximization(score, seed_input=noise, steps=steps + 2, optimizer=optimizer)
    return _pace(times) / len(units)


def xplique_step(weights: list[np.ndarray], units: np.ndarray, steps: int) -> float:
    """Seconds a unit and step, all units in one batch, with its own transformations, on pictures of the same size."""
    import keras
    from xplique.features_visualizations import Objective, optimize

    optimizer = keras.optimizers.Adam(0.05)  # its default
    times = _noted(optimizer)
    objective = Objective.channel(_convolutions(weights), LAYER, units.tolist())
    optimize(objective, optimizer, nb_steps=steps + 2, custom_shape=(SIZE, SIZE))
    return _pace(times) / len(units)


def _convolutions(weights: list[np.ndarray]):
    import keras

    model = keras.applications.VGG16(weights=None, include_top=False, input_shape=(SIZE, SIZE, 3))
    model.set_weights(weights)
    return model


def _noted(optimizer) -> list[float]:
    """The moments at which an optimizer is given gradients, once a step."""
    times: list[float] = []
    apply = optimizer.apply_gradients

    def noted(pairs):
        times.append(time.perf_counter())
        return apply(pairs)

    optimizer.apply_gradients = noted
    return times


def _pace(times: list[float]) -> float:
    """The median step; the first one compiles."""
    return float(np.median(np.diff(times)[1:]))


def our_step(network, units: np.ndarray, steps: int) -> float:
    """Seconds a unit and step, at full size all the way, as theirs are."""
    from dataclasses import replace

    from cnnvis_widgets.compute.maximize import ascend, find_recipe

    recipe = replace(find_recipe("fourier"), stages=((1.0, 1.0),))
    frames = ascend(network, network.layer(LAYER), units, recipe, steps=steps + 2)
    return _pace([time.perf_counter() for _frame in frames]) / len(units)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--units", type=int, default=36)
    parser.add_argument("--baseline-units", type=int, default=0, help="0: all of them")
    parser.add_argument("--recipe", default="pixels")
    parser.add_argument("--batch", type=int, default=12)
    parser.add_argument(
        "--steps", type=int, default=5, help="of the comparison with tf-keras-vis and Xplique"
    )
    parser.add_argument("--only", default="original,steps")
    given = parser.parse_args()

    import keras

    import cnnvis_widgets as cnnvis

    keras.utils.set_random_seed(0)
    network = cnnvis.load_network("vgg16", weights="random")
    own = network.model.get_weights()
    weights = own[: 2 * 13]  # the convolutions: kernel and bias of each
    units = np.arange(given.units)
    if "original" in given.only:
        chosen = units[: given.baseline_units or len(units)]
        seconds, wanted = original(weights, chosen.tolist())
        print(
            f"original: {seconds:.2f} s a unit, activations {wanted.min():.4g} to {wanted.max():.4g}",
            flush=True,
        )
        steps, mine, compiling, reached = ours(network, chosen, wanted, given.recipe, given.batch)
        more = times(reached, wanted)
        print(
            f"{given.recipe}: {steps} steps, {mine:.3f} s a unit (compiling {compiling:.1f} s), every unit reaches "
            f"{more.min():.2f} to {more.max():.1f} times the original's activation ({len(chosen) - len(more)} dead "
            f"there): 1/{seconds / mine:.1f} of its time",
            flush=True,
        )
    if "steps" in given.only:
        from cnnvis_widgets.networks.ascent import quickest_dtype

        print(f"a step at {SIZE} x {SIZE}; ours in {quickest_dtype(network.probe)}", flush=True)
        for count in (1, TOGETHER):
            ours_takes = our_step(network, units[:count], given.steps)
            print(f"{count} at a time: ours {ours_takes:.3f} s a unit", flush=True)
            for name, step in (("tf-keras-vis", tf_keras_vis_step), ("Xplique", xplique_step)):
                theirs = step(weights, units[:count], given.steps)
                print(f"  {name} {theirs:.3f} s, {theirs / ours_takes:.1f} times as long", flush=True)


if __name__ == "__main__":
    main()
