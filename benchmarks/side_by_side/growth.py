"""(g) Growth: time and memory against image size, channels, layers, images and units.

Time beside the machine's limit, where one can be counted, so that what grows faster than the work is seen; beside it
that of tf-explain, which keeps nothing between calls, where it does the same. Memory: how far the process's peak rose
above what it held before the first call.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import numpy as np

import cnnvis_widgets as cnnvis
from side_by_side import peers
from side_by_side.bench import Bench
from side_by_side.limits import Work, behind, forward
from side_by_side.rows import OURS
from side_by_side.subjects import preprocess

ROUNDS = 3


def measure(bench: Bench) -> None:
    parts: dict[str, Callable[[Bench], None]] = {
        "image size": _image_sizes,
        "channels": _channels,
        "layers": _layers,
        "images": _images,
        "units": _units,
    }
    for name, part in parts.items():
        bench.attempt("", name, lambda part=part: part(bench))


def _image_sizes(bench: Bench) -> None:
    import keras

    for side in (32, 48) if bench.quick else (96, 224, 448, 896):
        if bench.quick:
            model = _chain(8, 2, side)
        else:
            model = keras.applications.MobileNetV2(
                input_shape=(side, side, 3), weights=None, classifier_activation=None, alpha=1.0
            )
        layer = "c2" if bench.quick else "out_relu"
        limit = forward(model) + forward(model, layers=behind(model, layer))
        _grad_cam(bench, f"another image, {side} x {side} pixels", model, layer, limit)


def _channels(bench: Bench) -> None:
    for count in (8, 16) if bench.quick else (64, 256, 1024, 2048):
        model = _chain(count, 2, 32 if bench.quick else 56)
        layers = behind(model, "c2")
        _grad_cam(
            bench,
            f"another image, {count} channels",
            model,
            "c2",
            forward(model) + forward(model, layers=layers),
        )


def _layers(bench: Bench) -> None:
    import keras

    makers = {
        "VGG16": keras.applications.VGG16,
        "MobileNetV2": keras.applications.MobileNetV2,
        "DenseNet121": keras.applications.DenseNet121,
    }
    if bench.quick:
        makers = {"a chain": lambda **_: _chain(8, 4, 32)}
    for name, make in makers.items():
        model = make(
            weights=None, classifier_activation=None, input_shape=(32 if bench.quick else 224,) * 2 + (3,)
        )
        started = time.perf_counter()
        network = cnnvis.load_network(model, preprocess=preprocess)
        count = len(model.layers)
        about = f"{count} layers ({name})"
        bench.note(name, f"a look at {about}", OURS, [time.perf_counter() - started], "s")
        pictures = _pictures(network.input_size, ROUNDS + 2)
        _ours(
            *(bench, name, f"all heatmaps of {about}"),
            lambda i, network=network, pictures=pictures: cnnvis.explain_layers(
                network, pictures[i], target=1
            ),
            forward(model) * 2,
        )
        del model, network


def _images(bench: Bench) -> None:
    model = _chain(8, 2, 32) if bench.quick else _mobilenet()
    layer = "c2" if bench.quick else "out_relu"
    network = cnnvis.load_network(model, preprocess=preprocess)
    for count in (1, 4) if bench.quick else (1, 4, 16, 64):
        pictures = _pictures(network.input_size, count * (ROUNDS + 2))
        _ours(
            *(bench, model.name, f"a list of {count} image{'s' * (count > 1)}"),
            lambda i, pictures=pictures, count=count: cnnvis.explain(
                network, pictures[i * count : (i + 1) * count], layer=layer, target=1
            ),
            forward(model, count) + forward(model, count, behind(model, layer)),
        )
        network.forget()


def _units(bench: Bench) -> None:
    network = cnnvis.load_network()
    layer = network.layers[len(network.layers) // 2].path
    steps = 2 if bench.quick else 16
    for count in (1, 2) if bench.quick else (1, 4, 16):
        _ours(
            *(bench, "bundled", f"pictures of {count} unit{'s' * (count > 1)}, {steps} steps"),
            lambda i, count=count: cnnvis.maximize_filters(network, layer, range(count), steps=steps, seed=i),
            None,
        )


def _grad_cam(bench: Bench, task: str, model, layer: str, work: Work) -> None:
    network = cnnvis.load_network(model, preprocess=preprocess)
    pictures = _pictures(network.input_size, ROUNDS + 2)
    name = model.name if model.name == "chain" else "mobilenet_v2"
    _ours(
        *(bench, name, task),
        lambda i: cnnvis.explain(network, pictures[i], layer=layer, target=1),
        work,
    )
    for tool, make in peers.installed({"tf-explain": peers.tf_explain_grad_cam}).items():
        explain = make(model)
        inputs = [preprocess(picture[None].astype(np.float32)) for picture in pictures]
        _one(
            bench,
            name,
            task,
            tool,
            lambda i, explain=explain, inputs=inputs: explain(inputs[i], layer, 1),
            work,
        )


def _ours(bench: Bench, network: str, task: str, run: Callable[[int], object], work: Work | None) -> None:
    _one(bench, network, task, OURS, run, work)


def _one(
    bench: Bench, network: str, task: str, tool: str, run: Callable[[int], object], work: Work | None
) -> None:
    rise = peak_rise(lambda: run(0))
    limit = work.seconds(bench.rates) if work else None
    spent = []
    for number in range(1, ROUNDS + 1):
        started = time.perf_counter()
        run(number)
        spent.append(time.perf_counter() - started)
    bench.note(network, task, tool, spent, "s", limit=limit)
    bench.note(network, f"{task}: memory", tool, [rise], "MB")


def peak_rise(run: Callable[[], object]) -> float:
    """Megabytes by which the process's memory rose meanwhile at the most, looked at every two milliseconds.

    What earlier rows have left in TensorFlow's pools is used again and does not count.
    """
    import psutil

    process, done, highest = psutil.Process(), threading.Event(), [0]

    def watch() -> None:
        while not done.wait(0.002):
            highest[0] = max(highest[0], process.memory_info().rss)

    before = process.memory_info().rss
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        run()
    finally:
        done.set()
        watcher.join()
    return max(0, highest[0] - before) / 1e6


def _pictures(size: tuple[int, int], count: int) -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [random.integers(0, 256, (*size, 3), np.uint8) for _ in range(count)]


def _mobilenet():
    import keras

    return keras.applications.MobileNetV2(weights=None, classifier_activation=None)


def _chain(channels: int, depth: int, side: int):
    """Convolutions of 1 x 1, pooled and scored: what grows is the number of channels alone."""
    import keras

    x = inputs = keras.Input((side, side, 3))
    for number in range(1, depth + 1):
        x = keras.layers.Conv2D(channels, 1, activation="relu", name=f"c{number}")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, keras.layers.Dense(10)(x), name="chain")
