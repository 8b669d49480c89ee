"""How good filter pictures are, recipe by recipe: activation, robustness, diversity, over random live units.

    python benchmarks/filter_quality.py --networks FOLDER --photos FOLDER --output FOLDER [--units 64]

GoogLeNet and MobileNetV2, two layers each, the same units for every recipe. Reached: the unit's mean activation on the
picture, in float32, as a multiple of its highest over the photographs. Kept: the share of it that remains when the
picture is shifted by a twenty-fifth of its sides, enlarged by a tenth, or blurred by one pixel. Diversity: between the
pictures of two units of a layer, 1 less the cosine of what that layer makes of them (its units' means). What is done is
kept in the output folder: run it again, with more units or after it was stopped, and only what is missing is computed.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from filter_pictures import MOVES, NETWORKS, mean_activations
from PIL import Image

import cnnvis_widgets as cnnvis
from cnnvis_widgets.compute.maximize import ascend, find_recipe

RECIPES = ("fourier", "maco", "fast", "pixels", "classic")
CHOSEN = ("googlenet", "mobilenet_v2")
BATCH, ROUND = 8, 8  # units in a batch; units of a network done before the other has its turn
GREY = 2.0  # a picture whose grey levels deviate less than this shows nothing


class Kept:
    """One JSON file for each (network, layer, recipe, unit), and its picture beside it."""

    def __init__(self, folder: Path):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def name(self, *what) -> Path:
        return self.folder / ("-".join(map(str, what)) + ".json")

    def put(self, what: tuple, row: dict, picture: np.ndarray) -> None:
        path = self.name(*what)
        Image.fromarray(picture).save(path.with_suffix(".jpg"), quality=90)
        half = path.with_suffix(".half")
        half.write_text(json.dumps(row))
        half.replace(path)

    def get(self, *what) -> dict | None:
        path = self.name(*what)
        return json.loads(path.read_text()) if path.exists() else None


def chosen_units(best: np.ndarray, count: int) -> np.ndarray:
    """Random live ones; more of them begin with the same."""
    alive = np.flatnonzero(best > 0)
    return np.random.default_rng(0).permutation(alive)[:count]


def measure(network, layer: str, units: np.ndarray, recipe: str, best: np.ndarray):
    """A (row, picture) for each of a batch of units."""
    how = find_recipe(recipe)
    started = time.perf_counter()
    for frame in ascend(network, network.layer(layer), units, how):  # noqa: B007 - the last one
        pass
    seconds = (time.perf_counter() - started) / len(units)
    own = np.arange(len(units)), units
    whole = mean_activations(network, layer, frame.inputs)
    moved = {
        name: mean_activations(network, layer, np.asarray(move(frame.inputs)))[own]
        for name, move in MOVES.items()
    }
    pictures = how.picture(network, frame.inputs)
    for i, unit in enumerate(units):
        reached = float(whole[i, unit])
        row = {
            "seconds": seconds,
            "reached": reached,
            "times": reached / float(best[unit]),
            "kept": {name: float(values[i]) / max(reached, 1e-9) for name, values in moved.items()},
            "grey": bool(pictures[i].std() < GREY or reached <= 0),
            "means": np.round(whole[i], 5).tolist(),
        }
        yield row, pictures[i]


def fill(kept: Kept, networks: Path, photographs: list, count: int) -> None:
    opened = {}
    for name in CHOSEN:
        load, layers = NETWORKS[name]
        network = load(networks)
        inputs = np.concatenate([network.prepare(photograph) for photograph in photographs])
        best = {layer: mean_activations(network, layer, inputs).max(axis=0) for layer in layers}
        opened[name] = network, best
    for until in range(ROUND, count + ROUND, ROUND):
        for name, (network, best) in opened.items():
            each = -(-min(until, count) // len(best))
            for (layer, peaks), recipe in itertools.product(best.items(), RECIPES):
                units = chosen_units(peaks, each)
                missing = [u for u in units if kept.get(name, layer, recipe, u) is None]
                for start in range(0, len(missing), BATCH):
                    batch = np.array(missing[start : start + BATCH])
                    for unit, (row, picture) in zip(
                        batch, measure(network, layer, batch, recipe, peaks), strict=True
                    ):
                        kept.put((name, layer, recipe, unit), row, picture)
                print(f"{name} {layer} {recipe}: {len(units)} units", flush=True)


def apart(rows: list[np.ndarray]) -> float:
    """The mean over all pairs of 1 less their cosine."""
    x = np.stack(rows)
    x = x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-9)
    return float(1 - (x @ x.T)[np.triu_indices(len(x), 1)].mean())


def table(kept: Kept) -> str:
    """The table of the docs, from what is there: only units that every recipe has."""
    found: dict[tuple, dict] = {}
    for path in sorted(kept.folder.glob("*.json")):
        name, layer, recipe, unit = path.stem.split("-")
        found[name, layer, int(unit), recipe] = json.loads(path.read_text())
    lines = [
        "| network | recipe | units | reached, x photographs: median (least) | kept: shifted | enlarged | blurred "
        "| diversity | grey | s a unit |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name in CHOSEN:
        places = sorted({key[:3] for key in found if key[0] == name})
        places = [place for place in places if all((*place, recipe) in found for recipe in RECIPES)]
        for recipe in RECIPES if places else ():
            rows = [found[(*place, recipe)] for place in places]
            times = [row["times"] for row in rows]
            shares = [f"{np.median([row['kept'][move] for row in rows]):.2f}" for move in MOVES]
            by_layer: dict[str, list] = {}
            for place, row in zip(places, rows, strict=True):
                by_layer.setdefault(place[1], []).append(np.array(row["means"]))
            diversity = np.mean([apart(means) for means in by_layer.values() if len(means) > 1])
            lines.append(
                f"| {name} | {recipe} | {len(rows)} | {np.median(times):.1f} ({min(times):.1f}) | {' | '.join(shares)} "
                f"| {diversity:.2f} | {sum(row['grey'] for row in rows)} "
                f"| {np.median([row['seconds'] for row in rows]):.1f} |"
            )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--networks", type=Path, required=True)
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--units", type=int, default=64, help="of each network; 0 only prints the table")
    given = parser.parse_args()
    photographs = list(cnnvis.sample_images().values())
    if given.photos:
        photographs += [cnnvis.load_image(path) for path in sorted(given.photos.glob("*.jpg"))]
    kept = Kept(given.output)
    if given.units:
        fill(kept, given.networks, photographs, given.units)
    print(table(kept))


if __name__ == "__main__":
    main()
