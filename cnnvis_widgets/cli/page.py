"""``cnnvis page``: one HTML file that moves without a kernel."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import cnnvis_widgets as cnnvis
from cnnvis_widgets.cli.common import PICTURE, check_folder, command, network_of, network_options


def add(commands: argparse._SubParsersAction) -> None:
    one = command(commands, "page", _page, "write one HTML file that moves without a kernel")
    one.add_argument("image", nargs="?", metavar="IMAGE", help=PICTURE)
    one.add_argument("--image", help="the same")
    network_options(one)
    one.add_argument("--layers", metavar="PATH,PATH", help="which to take along; default as many as fit")
    one.add_argument("--budget", type=float, metavar="MB", help="megabytes the file may have")
    one.add_argument("--output", type=Path, default=Path("page.html"), metavar="FILE", help="%(default)s")


def _page(given: argparse.Namespace) -> None:
    check_folder(given.output)
    options: dict[str, Any] = {"budget_mb": given.budget} if "budget" in given else {}
    if "layers" in given:
        options["layers"] = [path.strip() for path in given.layers.split(",")]
    explorer = cnnvis.Explorer(network_of(given), *([given.image] if "image" in given else []))
    print(explorer.to_html(given.output, **options))
