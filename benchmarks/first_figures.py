"""The figures that the first release promises, as ratios within one run wherever that is possible.

    python benchmarks/first_figures.py [--networks FOLDER] [--only import,bundled,vgg16,...]

Each network runs in a process of its own, so that peak memory is its own. Baselines are written the obvious way:
one compiled function of the same Keras model (a `tf.function`), called on the same input; rounds of ours and of the
baseline alternate, and medians are compared. Random weights where no real ones are at hand: they cost the same time.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
ROUNDS = 15


def timed(function) -> float:
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def interleaved(*functions, rounds: int = ROUNDS) -> list[float]:
    """Median seconds of each, after one warm-up each, taking turns so that a busy machine is busy for all."""
    import numpy as np

    for function in functions:
        function()
    return list(np.median([[timed(function) for function in functions] for _ in range(rounds)], axis=0))


def peak_memory_gb() -> float:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def measure_import() -> dict:
    code = "import time; t = time.perf_counter(); import cnnvis_widgets; print(time.perf_counter() - t)"
    runs = [float(subprocess.check_output([sys.executable, "-c", code])) for _ in range(9)]
    return {"import cnnvis_widgets, s": sorted(runs)[4]}


def measure_explorer() -> dict:
    import cnnvis_widgets as cnnvis
    from cnnvis_widgets.networks.quiet import start_tensorflow

    start_tensorflow()
    import tensorflow  # noqa: F401

    started = time.perf_counter()
    explorer = cnnvis.Explorer()
    state = explorer.state  # waits for the first view
    return {
        "Explorer() ready after TensorFlow is imported, s": time.perf_counter() - started,
        "first layer": state["layer"],
        "peak memory, GB": peak_memory_gb(),
    }


def measure_network(name: str, folder: Path | None) -> dict:
    import numpy as np
    import tensorflow as tf

    import cnnvis_widgets as cnnvis
    from cnnvis_widgets.compute import runs

    weights = folder / f"{name}.weights.h5" if folder else None
    if name == "bundled":
        network = cnnvis.load_network()
    else:
        network = cnnvis.load_network(name, weights=weights if weights and weights.exists() else "random")
    cat = cnnvis.sample_images()["cat"]
    images = [np.roll(cat, shift, axis=1) for shift in range(ROUNDS * 8)]
    model, inputs = network.model, tf.constant(network.prepare(cat))
    paths = [layer.path for layer in network.layers]

    forward = tf.function(lambda x: model(x, training=False))

    @tf.function
    def forward_and_backward(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            score = tf.reduce_max(model(x, training=False))
        return tape.gradient(score, x)

    every = tuple(paths)
    fresh = iter(images)
    classes = iter(range(10**6))
    deep, method_layer = network.default_layer, network.layers[len(paths) // 2]

    def another_class_of(layer):
        network.memory.clear()  # a network of ten classes would soon answer from memory
        cnnvis.explain(network, cat, layer=layer, target=next(classes) % len(network.class_names))

    # In the order of a session: one layer first, which compiles it alone; all layers from the second one asked for.
    one_pass, both, another_image, another_class, all_maps, all_heat = interleaved(
        lambda: forward(inputs).numpy(),
        lambda: forward_and_backward(inputs).numpy(),
        lambda: cnnvis.explain(network, next(fresh), layer=deep, target=0),
        lambda: another_class_of(deep),
        lambda: network.probe.forward(inputs.numpy(), every),
        lambda: cnnvis.explain_layers(network, next(fresh), target=0),
    )
    _, recording = interleaved(
        lambda: forward_and_backward(inputs).numpy(), lambda: another_class_of(method_layer)
    )
    runs.record_all(network, cat, 0)
    another_layer, another_method = interleaved(
        lambda: cnnvis.explain(network, cat, layer=method_layer, target=0),
        lambda: cnnvis.explain(network, cat, method="layer-cam", layer=method_layer, target=0),
    )
    return {
        "layers": len(paths),
        "one forward pass, s": one_pass,
        "all feature maps / forward": all_maps / one_pass,
        "Grad-CAM at all layers / forward": all_heat / one_pass,
        "another image / forward and backward": another_image / both,
        "another class / forward and backward": another_class / both,
        "another class at a second layer (records all layers) / the same": recording / both,
        "another layer from memory, ms": another_layer * 1e3,
        "another method from memory, ms": another_method * 1e3,
        "memory kept, MB": network.memory.used / 2**20,
        "peak memory of all this, GB": peak_memory_gb(),
    }


def measure_peak(name: str, folder: Path | None) -> dict:
    """What a person's session costs: an Explorer, some layers, a class, a filter picture."""
    import cnnvis_widgets as cnnvis

    weights = folder / f"{name}.weights.h5" if folder else None
    source = (
        "bundled"
        if name == "bundled"
        else cnnvis.load_network(name, weights=weights if weights and weights.exists() else "random")
    )
    explorer = cnnvis.Explorer(source)
    for layer in explorer.network.layers[::4]:
        explorer.update(layer=layer.path)
    explorer.update(target=1, image="coffee")
    explorer.update(layer=explorer.network.default_layer.path, unit=0)
    explorer.controls.maximize.click()
    while not explorer.stage.patches_said:  # they follow the finished picture
        time.sleep(0.05)
    return {"peak memory of a session, GB": peak_memory_gb()}


PARTS: dict[str, Callable[[Path | None], dict]] = {
    "import": lambda folder: measure_import(),
    "explorer": lambda folder: measure_explorer(),
}
for _name in ("bundled", "mobilenet_v2", "vgg16", "resnet50"):
    PARTS[_name] = functools.partial(measure_network, _name)
    PARTS[f"peak {_name}"] = functools.partial(measure_peak, _name)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--networks", type=Path, help="folder with NAME.weights.h5")
    parser.add_argument("--only", default=",".join(PARTS), help="some of: " + ", ".join(PARTS))
    parser.add_argument("--here", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.here:
        print(json.dumps(PARTS[arguments.here](arguments.networks)))
        return
    for part in arguments.only.split(","):
        command = [sys.executable, __file__, "--here", part]
        if arguments.networks:
            command += ["--networks", str(arguments.networks)]
        figures = json.loads(subprocess.check_output(command).splitlines()[-1])
        print(f"\n{part}")
        for name, value in figures.items():
            print(f"  {name:64} {value:.4g}" if isinstance(value, float) else f"  {name:64} {value}")


if __name__ == "__main__":
    main()
