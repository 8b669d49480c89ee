"""Make the contact sheets of the docs: filter pictures of the bundled network, a sheet for each recipe, and patches.

python tools/make_contact_sheets.py [--units 16]

Random live units of two layers, the same for all recipes; each picture carries its unit and the activation reached.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import cnnvis_widgets as cnnvis

PICTURES = Path(__file__).resolve().parents[1] / "docs" / "images"
LAYERS = ("block2_conv2_relu", "block4_add")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--units", type=int, default=16)
    given = parser.parse_args()
    network = cnnvis.load_network()
    for layer in LAYERS:
        found = cnnvis.top_patches(network, layer, count=4)
        alive = np.flatnonzero(found.active)
        units = np.sort(np.random.default_rng(0).choice(alive, given.units, replace=False))
        for recipe in cnnvis.recipes():
            made = cnnvis.maximize_filters(network, layer, units, recipe.name)
            save(cnnvis.plot_filters(made, columns=8), f"filters-{layer}-{recipe.name}")
        save(
            cnnvis.plot_patches(cnnvis.top_patches(network, layer, units=units[:6], count=4)),
            f"patches-{layer}",
        )


def save(figure, name: str) -> None:
    path = PICTURES / f"{name}.jpg"
    figure.savefig(path, dpi=100, pil_kwargs={"quality": 80})
    print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
