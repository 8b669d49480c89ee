"""Peak memory of Score-CAM at a layer of 2048 channels, over what the network itself takes.

    python benchmarks/method_memory.py [--network resnet50] [--layer conv5_block3_out] [--method score-cam] [--steps N]

The network has random weights, which take as much. Its own memory is the peak after loading it and predicting once;
masks and batches of later steps are as large as those of the first, so a few --steps say as much as all.
"""

from __future__ import annotations

import argparse
import itertools
import os
import resource

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import cnnvis_widgets as cnnvis

MB = 1024  # ru_maxrss counts kilobytes


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MB


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", default="resnet50")
    parser.add_argument("--layer", default="conv5_block3_out")
    parser.add_argument("--method", default="score-cam")
    parser.add_argument("--steps", type=int)
    given = parser.parse_args()
    network, image = cnnvis.load_network(given.network, weights="random"), cnnvis.sample_images()["cat"]
    network.predict(image)
    own = peak()
    print(f"{given.network}, loaded and asked once: {own:.0f} MB")
    steps = cnnvis.explain_steps(network, image, given.method, given.layer)
    for done, total, _heatmap in itertools.islice(steps, given.steps):
        last = f"{done} of {total} runs"
    print(f"{given.method} at {given.layer}, {last}: {peak():.0f} MB, {peak() - own:.0f} MB over that")


if __name__ == "__main__":
    main()
