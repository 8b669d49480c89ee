"""``cnnvis lab``: JupyterLab on the first notebook."""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import urllib.parse
from collections.abc import Mapping
from pathlib import Path

import cnnvis_widgets as cnnvis
from cnnvis_widgets.errors import CnnvisError

_STARTER = (
    "import cnnvis_widgets as cnnvis\n\nexplorer = cnnvis.Explorer()\nexplorer",
    "cnnvis.plot_feature_maps(cnnvis.feature_maps(cnnvis.load_network(), cnnvis.sample_images()['cat']))",
    "cnnvis.plot_heatmap(cnnvis.explain(cnnvis.load_network(), cnnvis.sample_images()['cat']))",
)


def add(commands: argparse._SubParsersAction) -> None:
    one = commands.add_parser("lab", help="open JupyterLab on the first notebook")
    one.add_argument("notebook", nargs="?", type=Path, metavar="NOTEBOOK")
    one.add_argument("--no-browser", action="store_true", help="print the address instead of opening it")
    one.set_defaults(command=_lab)


def _lab(given: argparse.Namespace) -> int:
    """Start JupyterLab on a notebook: the one named, the checkout's first one, or a short one made here."""
    if importlib.util.find_spec("jupyterlab") is None:
        raise CnnvisError('JupyterLab is not installed; run: pip install "cnnvis-widgets[lab]"')
    folder, name = (
        _first_notebook() if given.notebook is None else (given.notebook.parent, given.notebook.name)
    )
    if not (folder / name).is_file():
        raise CnnvisError(f"There is no notebook {folder / name}; name one that exists, or none at all.")
    # Folder and address rather than the file itself: then the address that is printed leads to the notebook too.
    line = [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={folder.resolve()}"]
    line.append(f"--LabApp.default_url=/lab/tree/{urllib.parse.quote(name)}")
    if given.no_browser or not _has_screen(os.environ):
        line.append("--no-browser")
    if hasattr(os, "geteuid") and os.geteuid() == 0:  # in a container; JupyterLab would refuse to start
        line.append("--allow-root")
    return _run(line)


def _first_notebook() -> tuple[Path, str]:
    """A folder and a notebook in it: of a checkout the folder of both languages, and the first one in English."""
    checkout, first = Path(cnnvis.__file__).resolve().parents[1] / "notebooks", "en/01_look_inside.ipynb"
    if (checkout / first).is_file():
        return checkout, first
    starter = Path("look_inside.ipynb")
    if not starter.exists():
        try:
            starter.write_text(json.dumps(_starter_notebook(), indent=1), encoding="utf-8")
        except OSError as error:
            raise CnnvisError(
                f"No notebook can be made in {Path.cwd()} ({error.strerror}); go to a folder of your own."
            ) from error
        print(f"cnnvis: made {starter}", file=sys.stderr)
    return starter.parent, starter.name


def _starter_notebook() -> dict:
    cells = [
        {"cell_type": "code", "id": f"look-{i}", "source": source, "metadata": {}, "outputs": []}
        for i, source in enumerate(_STARTER)
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return {
        "cells": [cell | {"execution_count": None} for cell in cells],
        "metadata": {"kernelspec": kernel},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def _has_screen(environment: Mapping[str, str], platform: str = sys.platform) -> bool:
    if platform in ("win32", "darwin"):
        return True
    return bool(environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY"))


def _run(line: list[str]) -> int:
    """Become the other program, so that Ctrl-C and signals are its own; Windows has no such thing."""
    if sys.platform != "win32":
        sys.stdout.flush()
        sys.stderr.flush()
        os.execv(line[0], line)
    return _wait_for(subprocess.Popen(line))


def _wait_for(child: subprocess.Popen) -> int:
    while True:
        try:
            return child.wait()
        except KeyboardInterrupt:  # JupyterLab got it too, and asks whether to stop
            continue
