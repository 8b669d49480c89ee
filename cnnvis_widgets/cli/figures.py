"""The commands that write a figure: features, filters, patches, explain, concepts."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cnnvis_widgets as cnnvis
from cnnvis_widgets.cli.common import (
    MAX_DPI,
    PICTURE,
    Counter,
    check_output,
    command,
    image_of,
    network_of,
    network_options,
    positive,
    save,
    size,
    some,
    target,
    unit_list,
)


def add(commands: argparse._SubParsersAction) -> None:
    features = figure(commands, "features", _features, "draw the feature maps of a layer", PICTURE)
    features.add_argument("--units", type=unit_list, metavar="0-35,40", help="which maps; default all")
    features.add_argument("--columns", type=positive)
    features.add_argument("--colormap", help="any name that matplotlib has")
    features.add_argument("--scale", choices=("layer", "map"), help="one scale for all maps, or one each")

    filters = figure(
        commands,
        "filters",
        _filters,
        "draw pictures that excite the filters of a layer",
        "not used: the start is noise",
    )
    filters.add_argument("--units", type=unit_list, metavar="0-35,40", help="which filters; default all")
    filters.add_argument("--columns", type=positive)
    filters.add_argument("--recipe", help="how the pictures are made")
    filters.add_argument("--seed", type=int, help="of the noise")
    filters.add_argument("--size", type=size, metavar="HxW", help="of the pictures; default the network's")
    filters.add_argument(
        "--patches", type=positive, metavar="N", help="of the sample photographs beside each picture"
    )

    patches = figure(
        commands,
        "patches",
        _patches,
        "draw the patches of photographs that excite the filters of a layer",
        "a folder or a file; default samples",
    )
    patches.add_argument("--units", type=unit_list, metavar="0-35,40", help="which filters; default all")
    patches.add_argument("--count", type=positive, help="patches a filter")

    explain = figure(commands, "explain", _explain, "draw where the evidence for a class lies", PICTURE)
    explain.add_argument(
        "--target",
        "--class",
        type=target,
        metavar="TARGET",
        help="a class by name or index, 'A - B' for A rather than B, 'A + B', '!A' for what speaks against A, "
        "'probability of A', or 'unit 5 of LAYER'; default the top class",
    )
    explain.add_argument("--method", help="as 'cnnvis methods' prints it")
    explain.add_argument("--augment", action="store_true", help="the mean over six versions of the image")
    explain.add_argument("--seed", type=int, help="of methods that draw at random")
    explain.add_argument("--colormap", help="any name that matplotlib has")
    explain.add_argument("--opacity", type=float, help="share of the heatmap's colour, 0 to 1")

    concepts = figure(
        commands, "concepts", _concepts, "draw the parts that a layer's maps are made of", PICTURE
    )
    concepts.add_argument("--parts", type=positive, help="how many; default 5")
    concepts.add_argument("--seed", type=int, help="of the start")
    concepts.add_argument("--opacity", type=float, help="share of the parts' colours, 0 to 1")


def figure(
    commands: argparse._SubParsersAction,
    name: str,
    run: Callable[[argparse.Namespace], Any],
    what: str,
    image: str,
) -> argparse.ArgumentParser:
    """A command with the options that all figures have."""
    one = command(commands, name, run, what)
    one.add_argument("image", nargs="?", metavar="IMAGE", help=image)
    network_options(one)
    one.add_argument("--layer", help="path of a layer, as 'cnnvis layers' prints it")
    one.add_argument("--output", type=Path, default=Path(f"{name}.png"), metavar="FILE", help="%(default)s")
    one.add_argument("--dpi", type=positive, help=f"dots per inch; 600 for print, at most {MAX_DPI}")
    return one


def _features(given: argparse.Namespace) -> None:
    check_output(given)
    maps = cnnvis.feature_maps(network_of(given), image_of(given), **some(given, "layer"))
    save(cnnvis.plot_feature_maps(maps, **some(given, "units", "columns", "colormap", "scale")), given)


def _filters(given: argparse.Namespace) -> int:
    check_output(given)
    if "image" in given:  # the same line with another command's name is welcome, a misspelt name is not
        image_of(given)
        print(f"cnnvis: filters starts from noise; {given.image} is not used", file=sys.stderr)
    count = Counter("step")
    pictures = cnnvis.maximize_filters(
        network := network_of(given),
        progress=count,
        **some(given, "layer", "units", "recipe", "seed", "size"),
    )
    beside: dict[str, Any] = {}
    if "patches" in given:
        units = sorted(pictures.units.tolist())
        beside = {"patches": cnnvis.top_patches(network, pictures.layer, units=units, count=given.patches)}
    save(cnnvis.plot_filters(pictures, **some(given, "columns"), **beside), given)
    return count.stopped(f"{given.output} shows what there was")  # maximize_filters hands back what it has


def _patches(given: argparse.Namespace) -> None:
    check_output(given)
    found = cnnvis.top_patches(
        network_of(given),
        images=getattr(given, "image", None),
        progress=Counter("photograph"),
        **some(given, "layer", "units", "count"),
    )
    save(cnnvis.plot_patches(found), given)


def _explain(given: argparse.Namespace) -> None:
    check_output(given)
    options = some(given, "layer", "method", "target", "augment", "seed")
    heatmap = cnnvis.explain(network_of(given), image_of(given), progress=Counter("run"), **options)
    if heatmap.message:
        print("cnnvis:", heatmap.message, file=sys.stderr)
    save(cnnvis.plot_heatmap(heatmap, **some(given, "opacity", "colormap")), given)


def _concepts(given: argparse.Namespace) -> None:
    check_output(given)
    found = cnnvis.concepts(network_of(given), image_of(given), **some(given, "layer", "parts", "seed"))
    if found.message:
        print("cnnvis:", found.message, file=sys.stderr)
    save(cnnvis.plot_concepts(found, **some(given, "opacity")), given)
