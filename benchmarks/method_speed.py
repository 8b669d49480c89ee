"""How fast heatmaps are: class activation maps from remembered arrays, and others against their passes alone.

    python benchmarks/method_speed.py [--networks FOLDER] [--only cams,passes] [--rounds 3]

CAM methods: milliseconds of `explain` at a further layer or for a further class, once activations and gradients are
remembered; ResNet50 has random weights, which cost the same time. Integrated Gradients and Score-CAM: as a multiple of
the same number of passes through one compiled function of the Keras model, in the same batches, taking turns.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

import cnnvis_widgets as cnnvis
from cnnvis_widgets.compute.case import batch_size

CAM_LAYERS = ("conv2_block3_out", "conv3_block4_out", "conv4_block6_out", "conv5_block3_out")


def milliseconds(function, rounds: int) -> float:
    function()
    spent = []
    for _ in range(rounds):
        began = time.perf_counter()
        function()
        spent.append(time.perf_counter() - began)
    return 1000 * float(np.median(spent))


def cams(rounds: int) -> None:
    network, image = cnnvis.load_network("resnet50", weights="random"), cnnvis.sample_images()["cat"]
    print("ms of one explain() at a layer of ResNet50, arrays remembered")
    print(
        "method".ljust(16), *(f"{'x'.join(map(str, network.layer(path).shape)):>12}" for path in CAM_LAYERS)
    )
    for method in (row for row in cnnvis.methods() if row.needs == "maps"):
        cells = []
        for path in CAM_LAYERS:
            if method.name == "cam" and path != CAM_LAYERS[-1]:
                cells.append(f"{'-':>12}")
                continue

            def once(name=method.name, layer=path):
                return cnnvis.explain(network, image, name, layer, target=7)

            cells.append(f"{milliseconds(once, 5 * rounds):12.2f}")
        print(method.name.ljust(16), *cells, flush=True)


def passes(folder: Path, rounds: int) -> None:
    import tensorflow as tf

    network = cnnvis.load_network("mobilenet_v2", weights=folder / "mobilenet_v2.weights.h5")
    image, layer = cnnvis.sample_images()["cat"], "block_16_project_BN"
    inputs = np.concatenate([network.prepare(image)] * 32)
    target = network.predict(image, top=1)[0].index
    shape = tf.TensorSpec((None, *inputs.shape[1:]), tf.float32)

    @tf.function(input_signature=[shape])
    def forward(x):
        return network.model(x, training=False)

    @tf.function(input_signature=[shape])
    def backward(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            score = tf.reduce_sum(network.model(x, training=False)[:, target])
        return tape.gradient(score, x)

    def run(function, count: int, batch: int):
        for start in range(0, count, batch):
            function(tf.constant(inputs[: min(batch, count - start)])).numpy()

    units = network.layer(layer).units
    there, back = batch_size(network), batch_size(network, backward=True)
    pairs = {
        "integrated-gradients, 50 steps": (
            lambda: cnnvis.explain(network, image, "integrated-gradients", target=target, steps=50),
            lambda: run(backward, 50, back),
        ),
        f"score-cam, {units} channels": (
            lambda: cnnvis.explain(network, image, "score-cam", layer, target),
            lambda: run(forward, units, there),
        ),
    }
    for name, (ours, plain) in pairs.items():
        ours(), plain()
        spent = []
        for _ in range(rounds):
            marks = [(time.perf_counter(), time.process_time())]
            for function in (ours, plain):
                function()
                marks.append((time.perf_counter(), time.process_time()))
            spent.append(np.diff(marks, axis=0))
        (mine, mine_cpu), (theirs, theirs_cpu) = np.median(spent, axis=0)
        print(
            f"{name}: {mine:.2f} s, the passes alone {theirs:.2f} s, {mine / theirs:.2f} x "
            f"(processor time {mine_cpu / theirs_cpu:.2f} x)",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", type=Path, default=os.environ.get("CNNVIS_NETWORKS"))
    parser.add_argument("--only", default="cams,passes")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    if "cams" in given.only:
        cams(given.rounds)
    if "passes" in given.only and given.networks:
        passes(Path(given.networks), given.rounds)


if __name__ == "__main__":
    main()
