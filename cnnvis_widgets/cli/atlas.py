"""``cnnvis atlas``: the filter pictures of a whole network, on one machine or many."""

from __future__ import annotations

import argparse
import sys

import cnnvis_widgets as cnnvis
from cnnvis_widgets.cli.common import command, name_list, network_of, positive, size, some, unit_list


def add(commands: argparse._SubParsersAction) -> None:
    what = "make the filter pictures of a whole network, on one machine or many; run again to go on"
    one = command(commands, "atlas", _atlas, what)
    one.add_argument("network", nargs="?", metavar="NETWORK", help="as --network elsewhere; default bundled")
    one.add_argument("--weights", metavar="FILE", help="a local weights file for a network given by name")
    one.add_argument(
        "--layers", type=name_list, metavar="A,B", help="paths of layers; default all convolutions"
    )
    one.add_argument("--store", required=True, metavar="PATH_OR_URL", help="a folder, s3://bucket/name, ...")
    one.add_argument(
        "--scheduler", metavar="ADDRESS", help="of Dask, such as tcp://host:8786; default: started here"
    )
    one.add_argument("--workers", type=positive, metavar="N", help="processes, where there is no --scheduler")
    one.add_argument(
        "--units", type=unit_list, metavar="0-35,40", help="which filters of each layer; default all"
    )
    one.add_argument("--recipe", help="how the pictures are made")
    one.add_argument("--steps", type=positive, help="of the recipe, in place of its own number")
    one.add_argument("--seed", type=int, help="of the noise")
    one.add_argument("--size", type=size, metavar="HxW", help="of the pictures; default the network's")
    one.add_argument(
        "--patches", type=int, metavar="N", help="photograph patches of each filter; default 9, 0: none"
    )
    one.add_argument("--images", metavar="FOLDER", help="of photographs for the patches; default the samples")


def _atlas(given: argparse.Namespace) -> int:
    asked = (
        "layers",
        "store",
        "scheduler",
        "workers",
        "units",
        "recipe",
        "steps",
        "seed",
        "size",
        "patches",
        "images",
    )
    from cnnvis_widgets.jobs.atlas.fill import ProgressLine

    told, line = [0, 0], ProgressLine()

    def progress(there: int, total: int, left: float | None) -> None:
        told[:] = there, total
        line(there, total, left)

    cnnvis.atlas(network_of(given), progress=progress, **some(given, *asked))
    if told[0] < told[1]:  # Ctrl-C: the store keeps what it has
        print(f"\ncnnvis: stopped at {told[0]} of {told[1]} units; the same line goes on", file=sys.stderr)
        return 130
    print(given.store)
    return 0
