"""The commands that print a table: layers, methods, metrics."""

from __future__ import annotations

import argparse

import cnnvis_widgets as cnnvis
from cnnvis_widgets.cli.common import command, network_of, network_options, print_table


def add(commands: argparse._SubParsersAction) -> None:
    network_options(command(commands, "layers", _layers, "list the layers of a network"))
    command(commands, "methods", _methods, "list the attribution methods")
    command(commands, "metrics", _metrics, "list what 'evaluate' measures")


def _layers(given: argparse.Namespace) -> None:
    network = network_of(given)
    rows = [(info.path, info.kind, " x ".join(map(str, info.shape))) for info in network.layers]
    print_table(("layer", "kind", "shape"), rows)
    print(f"\nWithout --layer: {network.default_layer.path}")


def _methods(given: argparse.Namespace) -> None:
    rows = [(row.name, row.family, row.formula, row.paper, row.costs) for row in cnnvis.methods()]
    print_table(("method", "family", "formula", "paper", "costs"), rows)


def _metrics(given: argparse.Namespace) -> None:
    rows = [(row.name, row.better, row.formula, row.paper, row.costs) for row in cnnvis.metrics()]
    print_table(("metric", "better", "formula", "paper", "costs"), rows)
