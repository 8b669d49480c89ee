"""``cnnvis check``: what a network takes and gives, and its answers to photographs."""

from __future__ import annotations

import argparse
import warnings

import cnnvis_widgets as cnnvis
from cnnvis_widgets.cli.common import command, network_of
from cnnvis_widgets.errors import CnnvisWarning


def add(commands: argparse._SubParsersAction) -> None:
    one = command(commands, "check", _check, "say what a network takes and gives, and try it on photographs")
    one.add_argument("network", metavar="NETWORK", help="a name of keras.applications, a file, or 'bundled'")
    one.add_argument("--weights", metavar="FILE", help="a local weights file for a network given by name")


def _check(given: argparse.Namespace) -> None:
    network = network_of(given)
    print(network.preflight)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CnnvisWarning)  # it is printed
        doubt = network.check()
    for name, image in cnnvis.sample_images().items():
        top = ", ".join(f"{one.name} {one.probability:.0%}" for one in network.predict(image, top=3))
        print(f"{name:<10}{top}")
    print(f"Doubtful: {doubt}" if doubt else "Its answers to photographs look sound.")
