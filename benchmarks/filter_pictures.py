"""Filter pictures by recipe: seconds a unit, activation reached, what of it small moves leave, and live frames.

    python benchmarks/filter_pictures.py [--networks FOLDER] [--photos FOLDER] [--units 16] [--sheets FOLDER]

Activations are multiples of the unit's highest mean activation over photographs (the samples, and those of the folder);
kept is the share that remains when the finished picture is shifted, rescaled or blurred. Compiling is said apart.
VGG16 has random weights where no real ones are at hand: they cost the same time.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

import cnnvis_widgets as cnnvis
from cnnvis_widgets.compute.maximize import ascend, find_recipe, maximize_filters
from cnnvis_widgets.compute.maximize.transforms import blurred, warped
from cnnvis_widgets.images import load_image, sample_images

RECIPES = ("classic", "fast", "fourier", "maco")
MOVES = {
    "shifted": lambda x: warped(x, np.array([[1, 0, 0.04], [0, 1, -0.04]], np.float32)),
    "rescaled": lambda x: warped(x, np.array([[0.9, 0, 0], [0, 0.9, 0]], np.float32)),
    "blurred": lambda x: blurred(x, 1.0),
}


def googlenet(folder: Path):
    mean = np.float32([104, 117, 123])
    return cnnvis.load_network(folder / "googlenet.keras", preprocess=lambda x: x[..., ::-1] - mean)


NETWORKS = {
    "bundled": (lambda folder: cnnvis.load_network(), ("block2_conv2_relu", "block4_add")),
    "googlenet": (googlenet, ("inception_4c_output", "inception_5a_output")),
    "mobilenet_v2": (
        lambda folder: cnnvis.load_network("mobilenet_v2", weights=folder / "mobilenet_v2.weights.h5"),
        ("block_6_expand_relu", "block_13_expand_relu"),
    ),
    "vgg16": (lambda folder: cnnvis.load_network("vgg16", weights="random"), ("block5_conv1",)),
}


def mean_activations(network, layer: str, inputs: np.ndarray) -> np.ndarray:
    """(n, units), a few inputs at a time."""
    parts = [network.probe.forward(x[None], (layer,))[1][layer] for x in inputs]
    return np.concatenate(parts).mean(axis=(1, 2))


def measure(network, layer: str, units: np.ndarray, recipe: str, best: np.ndarray):
    started = time.perf_counter()
    # Enough steps for every resolution, and once for pictures in any number.
    maximize_filters(network, layer, units[:2], recipe, steps=6)
    compiled = time.perf_counter() - started
    started = time.perf_counter()
    made = maximize_filters(network, layer, units, recipe)
    seconds = (time.perf_counter() - started) / len(units)
    kept = ""
    if recipe != "classic":  # its pictures are stretched to be seen: not what the network saw
        pictures = made.images / np.float32(255)
        own = np.arange(len(units)), made.units
        reached = mean_activations(network, layer, prepared(network, pictures))[own]
        shares = [
            np.median(
                mean_activations(network, layer, prepared(network, np.asarray(move(pictures))))[own]
                / np.maximum(reached, 1e-6)
            )
            for move in MOVES.values()
        ]
        kept = ", ".join(f"{name} {share:.2f}" for name, share in zip(MOVES, shares, strict=True))
    ratio = made.activations / np.maximum(best[made.units], 1e-6)
    print(
        f"  {recipe:8} {seconds:6.2f} s a unit (first time {compiled:4.1f} s more)  x photographs: "
        f"median {np.median(ratio):5.1f}, least {ratio.min():5.1f}; off: {(made.activations == 0).sum()}  kept: {kept}",
        flush=True,
    )
    return made


def prepared(network, pictures: np.ndarray) -> np.ndarray:
    return np.concatenate(
        [network.prepare(np.round(p * 255).clip(0, 255).astype(np.uint8)) for p in pictures]
    )


def live(network, layer: str) -> None:
    """From a click on another unit of a layer that was looked at before, to the first picture and those after."""
    recipe, info = find_recipe("fast"), network.layer(layer)
    for _frame in ascend(network, info, np.array([0]), recipe):
        pass
    first, pace = [], []
    for unit in (1, 2, 3):
        started = time.perf_counter()
        for frame in ascend(network, info, np.array([unit]), recipe):
            recipe.picture(network, frame.inputs)
            if frame.step == 1:
                first.append(time.perf_counter() - started)
        pace.append(recipe.steps / (time.perf_counter() - started))
    print(
        f"  live: first picture after {1e3 * np.median(first):.0f} ms, then {np.median(pace):.1f} a second",
        flush=True,
    )


def sheet(rows: list[np.ndarray], path: Path) -> None:
    from PIL import Image

    Image.fromarray(np.concatenate([np.concatenate(list(row), axis=1) for row in rows])).save(path)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--networks", type=Path, default=Path(os.environ.get("CNNVIS_NETWORKS", ".")))
    parser.add_argument("--photos", type=Path, help="folder of further photographs")
    parser.add_argument("--units", type=int, default=16, help="random live units of each layer")
    parser.add_argument(
        "--sheets", type=Path, help="where contact sheets go: a row of pictures for each recipe"
    )
    parser.add_argument("--only", default=",".join(NETWORKS))
    parser.add_argument("--recipes", default=",".join(RECIPES))
    arguments = parser.parse_args()
    photographs = list(sample_images().values())
    if arguments.photos:
        photographs += [load_image(path) for path in sorted(arguments.photos.glob("*.jpg"))]
    for name in arguments.only.split(","):
        load, layers = NETWORKS[name]
        network = load(arguments.networks)
        inputs = np.concatenate([network.prepare(photograph) for photograph in photographs])
        for layer in layers:
            best = mean_activations(network, layer, inputs).max(axis=0)
            alive = np.flatnonzero(best > 0)
            count = min(arguments.units, len(alive))
            units = np.sort(np.random.default_rng(0).choice(alive, count, replace=False))
            print(f"\n{name} {layer}: {count} units", flush=True)
            live(network, layer)
            rows = []
            for recipe in arguments.recipes.split(","):
                made = measure(network, layer, units, recipe, best)
                rows.append(made.images[np.argsort(made.units)])
            if arguments.sheets:
                sheet(rows, arguments.sheets / f"{name}_{layer}.png")


if __name__ == "__main__":
    main()
