"""The command line: the same functions, defaults and errors as in code, one command for each.

What is not given on the line is not passed on, so no default is written twice. Everything heavy is imported when
a command needs it: ``cnnvis --help`` answers at once.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import dataclasses
import importlib.util
import io
import json
import os
import subprocess
import sys
import time
import urllib.parse
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cnnvis_widgets as cnnvis
from cnnvis_widgets.errors import CnnvisError, CnnvisWarning

if TYPE_CHECKING:
    import numpy as np

    from cnnvis_widgets.networks.network import Network
    from cnnvis_widgets.results import Evaluation

_STARTER = (
    "import cnnvis_widgets as cnnvis\n\nexplorer = cnnvis.Explorer()\nexplorer",
    "cnnvis.plot_feature_maps(cnnvis.feature_maps(cnnvis.load_network(), cnnvis.sample_images()['cat']))",
    "cnnvis.plot_heatmap(cnnvis.explain(cnnvis.load_network(), cnnvis.sample_images()['cat']))",
)
_LONG = 3  # seconds left from which on they are said
_MAX_DPI = 1200  # what printers ask for line drawings; the widest figure then has 14,400 pixels across


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit code: 0, 1 for an error told in one line, 130 for Ctrl-C.

    A wrong line ends in argparse's own message and SystemExit(2).
    """
    given = _parser().parse_args(arguments)
    try:
        code = given.command(given)
        sys.stdout.flush()
        return code or 0
    except CnnvisError as error:
        print("cnnvis:", " ".join(str(error).split()), file=sys.stderr)
        return 1
    except BrokenPipeError:  # the reader (head, less) has seen enough
        _drop_output()
        return 0
    except OSError as error:  # a full disk under the standard output, say
        _drop_output()
        where = f"{error.filename}: " if error.filename else ""
        print(f"cnnvis: {where}{_said(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("cnnvis: stopped", file=sys.stderr)
        return 130


def _drop_output() -> None:
    """What is still waiting for standard output cannot get there: Python would try again at its end."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="cnnvis",
        description="Look inside convolutional networks.",
        epilog="Without --network the bundled network is used, without IMAGE a photograph of a cat.",
    )
    parser.add_argument("--version", action="version", version=f"cnnvis-widgets {cnnvis.__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    lab = commands.add_parser("lab", help="open JupyterLab on the first notebook")
    lab.add_argument("notebook", nargs="?", type=Path, metavar="NOTEBOOK")
    lab.add_argument("--no-browser", action="store_true", help="print the address instead of opening it")
    lab.set_defaults(command=_lab)

    def figure_command(name: str, command: Any, what: str, image: str) -> argparse.ArgumentParser:
        # SUPPRESS: what is not given is not there, and the functions' own defaults apply.
        one = commands.add_parser(name, help=what, argument_default=argparse.SUPPRESS)
        one.add_argument("image", nargs="?", metavar="IMAGE", help=image)
        _network_options(one)
        one.add_argument("--layer", help="path of a layer, as 'cnnvis layers' prints it")
        one.add_argument(
            "--output", type=Path, default=Path(f"{name}.png"), metavar="FILE", help="%(default)s"
        )
        one.add_argument("--dpi", type=_positive, help=f"dots per inch; 600 for print, at most {_MAX_DPI}")
        one.set_defaults(command=command)
        return one

    picture = "a file, an address, or the name of a sample photograph"
    features = figure_command("features", _features, "draw the feature maps of a layer", picture)
    features.add_argument("--units", type=_units, metavar="0-35,40", help="which maps; default all")
    features.add_argument("--columns", type=_positive)
    features.add_argument("--colormap", help="any name that matplotlib has")
    features.add_argument("--scale", choices=("layer", "map"), help="one scale for all maps, or one each")

    filters = figure_command(
        "filters",
        _filters,
        "draw pictures that excite the filters of a layer",
        "not used: the start is noise",
    )
    filters.add_argument("--units", type=_units, metavar="0-35,40", help="which filters; default all")
    filters.add_argument("--columns", type=_positive)
    filters.add_argument("--recipe", help="how the pictures are made")
    filters.add_argument("--seed", type=int, help="of the noise")

    patches = figure_command(
        "patches",
        _patches,
        "draw the patches of photographs that excite the filters of a layer",
        "a folder or a file; default samples",
    )
    patches.add_argument("--units", type=_units, metavar="0-35,40", help="which filters; default all")
    patches.add_argument("--count", type=_positive, help="patches a filter")

    explain = figure_command("explain", _explain, "draw where the evidence for a class lies", picture)
    explain.add_argument(
        "--target",
        "--class",
        type=_class,
        metavar="TARGET",
        help="a class by name or index, 'A - B' for A rather than B, 'A + B', '!A' for what speaks against A, "
        "'probability of A', or 'unit 5 of LAYER'; default the top class",
    )
    explain.add_argument("--method", help="as 'cnnvis methods' prints it")
    explain.add_argument("--augment", action="store_true", help="the mean over six versions of the image")
    explain.add_argument("--seed", type=int, help="of methods that draw at random")
    explain.add_argument("--colormap", help="any name that matplotlib has")
    explain.add_argument("--opacity", type=float, help="share of the heatmap's colour, 0 to 1")

    evaluate = commands.add_parser(
        "evaluate", help="measure how far methods can be trusted", argument_default=argparse.SUPPRESS
    )
    evaluate.add_argument("images", nargs="?", metavar="FOLDER", help="of photographs; default the samples")
    _network_options(evaluate)
    evaluate.add_argument("--layer", help="path of a layer, as 'cnnvis layers' prints it")
    evaluate.add_argument("--methods", type=_names, metavar="A,B", help="as 'cnnvis methods' prints them")
    evaluate.add_argument("--metrics", type=_names, metavar="A,B", help="as 'cnnvis metrics' prints them")
    evaluate.add_argument("--seed", type=int, help="of all that is drawn")
    evaluate.add_argument(
        "--output",
        type=Path,
        default=Path("evaluation.md"),
        metavar="FILE",
        help=".md, .json or .csv; %(default)s",
    )
    evaluate.set_defaults(command=_evaluate)
    concepts = figure_command(
        "concepts", _concepts, "draw the parts that a layer's maps are made of", picture
    )
    concepts.add_argument("--parts", type=_positive, help="how many; default 5")
    concepts.add_argument("--seed", type=int, help="of the start")
    concepts.add_argument("--opacity", type=float, help="share of the parts' colours, 0 to 1")
    atlas = commands.add_parser(
        "atlas",
        help="make the filter pictures of a whole network, on one machine or many; run again to go on",
        argument_default=argparse.SUPPRESS,
    )
    atlas.add_argument(
        "network", nargs="?", metavar="NETWORK", help="as --network elsewhere; default bundled"
    )
    atlas.add_argument("--weights", metavar="FILE", help="a local weights file for a network given by name")
    atlas.add_argument(
        "--layers", type=_names, metavar="A,B", help="paths of layers; default all convolutions"
    )
    atlas.add_argument(
        "--store", required=True, metavar="PATH_OR_URL", help="a folder, s3://bucket/name, ..."
    )
    atlas.add_argument(
        "--scheduler", metavar="ADDRESS", help="of Dask, such as tcp://host:8786; default: started here"
    )
    atlas.add_argument(
        "--workers", type=_positive, metavar="N", help="processes, where there is no --scheduler"
    )
    atlas.add_argument(
        "--units", type=_units, metavar="0-35,40", help="which filters of each layer; default all"
    )
    atlas.add_argument("--recipe", help="how the pictures are made")
    atlas.add_argument("--steps", type=_positive, help="of the recipe, in place of its own number")
    atlas.add_argument("--seed", type=int, help="of the noise")
    atlas.add_argument(
        "--patches", type=int, metavar="N", help="photograph patches of each filter; default 9, 0: none"
    )
    atlas.add_argument(
        "--images", metavar="FOLDER", help="of photographs for the patches; default the samples"
    )
    atlas.set_defaults(command=_atlas)
    page = commands.add_parser(
        "page",
        help="write one HTML file that moves without a kernel",
        argument_default=argparse.SUPPRESS,
    )
    page.add_argument("image", nargs="?", metavar="IMAGE", help=picture)
    page.add_argument("--image", help="the same")
    _network_options(page)
    page.add_argument("--layers", metavar="PATH,PATH", help="which to take along; default as many as fit")
    page.add_argument("--budget", type=float, metavar="MB", help="megabytes the file may have")
    page.add_argument("--output", type=Path, default=Path("page.html"), metavar="FILE", help="%(default)s")
    page.set_defaults(command=_page)

    layers = commands.add_parser(
        "layers", help="list the layers of a network", argument_default=argparse.SUPPRESS
    )
    _network_options(layers)
    layers.set_defaults(command=_layers)
    commands.add_parser("methods", help="list the attribution methods").set_defaults(command=_methods)
    commands.add_parser("metrics", help="list what 'evaluate' measures").set_defaults(command=_metrics)
    check = commands.add_parser(
        "check",
        help="say what a network takes and gives, and try it on photographs",
        argument_default=argparse.SUPPRESS,
    )
    check.add_argument(
        "network", metavar="NETWORK", help="a name of keras.applications, a file, or 'bundled'"
    )
    check.add_argument("--weights", metavar="FILE", help="a local weights file for a network given by name")
    check.set_defaults(command=_check)
    cache = commands.add_parser(
        "cache", help="say where finished pictures are kept, and how many bytes they take"
    )
    cache.add_argument("--clear", action="store_true", help="remove them")
    cache.set_defaults(command=_cache)
    return parser


def _network_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--network", metavar="NAME", help="a name of keras.applications, or a .keras or .h5 file"
    )
    parser.add_argument("--weights", metavar="FILE", help="a local weights file for a network given by name")


def _features(given: argparse.Namespace) -> None:
    _check_output(given)
    maps = cnnvis.feature_maps(_network(given), _image(given), **_some(given, "layer"))
    _save(cnnvis.plot_feature_maps(maps, **_some(given, "units", "columns", "colormap", "scale")), given)


def _filters(given: argparse.Namespace) -> int:
    _check_output(given)
    if "image" in given:  # the same line with another command's name is welcome, a misspelt name is not
        _image(given)
        print(f"cnnvis: filters starts from noise; {given.image} is not used", file=sys.stderr)
    done, count = [0, 0], _counted("step")

    def progress(step: int, steps: int) -> None:
        done[:] = step, steps
        count(step, steps)

    pictures = cnnvis.maximize_filters(
        _network(given), progress=progress, **_some(given, "layer", "units", "recipe", "seed")
    )
    _save(cnnvis.plot_filters(pictures, **_some(given, "columns")), given)
    if done[0] < done[1]:  # Ctrl-C: maximize_filters hands back what it has
        print(f"cnnvis: stopped at step {done[0]}; {given.output} shows what there was", file=sys.stderr)
        return 130
    return 0


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
        "patches",
        "images",
    )
    from cnnvis_widgets.jobs.atlas.fill import ProgressLine

    told, line = [0, 0], ProgressLine()

    def progress(there: int, total: int, left: float | None) -> None:
        told[:] = there, total
        line(there, total, left)

    cnnvis.atlas(_network(given), progress=progress, **_some(given, *asked))
    if told[0] < told[1]:  # Ctrl-C: the store keeps what it has
        print(f"\ncnnvis: stopped at {told[0]} of {told[1]} units; the same line goes on", file=sys.stderr)
        return 130
    print(given.store)
    return 0


def _patches(given: argparse.Namespace) -> None:
    _check_output(given)
    found = cnnvis.top_patches(
        _network(given),
        images=getattr(given, "image", None),
        progress=_counted("photograph"),
        **_some(given, "layer", "units", "count"),
    )
    _save(cnnvis.plot_patches(found), given)


def _explain(given: argparse.Namespace) -> None:
    _check_output(given)
    options = _some(given, "layer", "method", "target", "augment", "seed")
    heatmap = cnnvis.explain(_network(given), _image(given), progress=_counted("run"), **options)
    if heatmap.message:
        print("cnnvis:", heatmap.message, file=sys.stderr)
    _save(cnnvis.plot_heatmap(heatmap, **_some(given, "opacity", "colormap")), given)


def _evaluate(given: argparse.Namespace) -> int:
    if given.output.suffix.lower() not in _EVALUATION_FILES:
        raise CnnvisError(f"{given.output} does not say what to write; end it in .md, .json or .csv.")
    _check_folder(given.output)
    images = _photographs(Path(given.images)) if "images" in given else cnnvis.sample_images()
    done, count = [0, 0], _counted("step")

    def progress(step: int, steps: int) -> None:
        done[:] = step, steps
        count(step, steps)

    options = _some(given, "layer", "methods", "metrics", "seed")
    evaluation = cnnvis.evaluate(_network(given), images, progress=progress, **options)
    try:
        given.output.write_text(_EVALUATION_FILES[given.output.suffix.lower()](evaluation), encoding="utf-8")
    except OSError as error:
        raise CnnvisError(f"{given.output} cannot be written: {_said(error)}.") from error
    print(evaluation.table())
    print(given.output)
    if done[0] < done[1]:  # Ctrl-C: evaluate hands back what it has
        print(f"cnnvis: stopped at step {done[0]}; {given.output} holds what there was", file=sys.stderr)
        return 130
    return 0


def _photographs(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise CnnvisError(f"There is no folder {folder}; name one with photographs in it.")
    files = [file for file in sorted(folder.iterdir()) if file.suffix.lower() in _PHOTOGRAPHS]
    if not files:
        raise CnnvisError(f"There are no photographs in {folder}; {', '.join(_PHOTOGRAPHS)} files are read.")
    return {file.name: file for file in files}


def _as_markdown(evaluation: Evaluation) -> str:
    """The table, and what its signs mean."""
    controls = ", ".join(evaluation.controls)
    return (
        f"# {evaluation.network}, {len(evaluation.images)} photographs\n\n{evaluation.table('markdown')}\n\n"
        "Mean and 95 % interval (bootstrap over photographs); arrows: which way is better; "
        f"\\*: better than {controls} by more than the interval of the paired difference.\n"
    )


def _as_json(evaluation: Evaluation) -> str:
    about = {name: getattr(evaluation, name) for name in ("network", "seed", "images", "controls")}
    return json.dumps(about | {"rows": _evaluation_rows(evaluation)}, indent=1)


def _as_csv(evaluation: Evaluation) -> str:
    rows = _evaluation_rows(evaluation)
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(row | {"beats": " ".join(row["beats"])} for row in rows)
    return text.getvalue()


def _evaluation_rows(evaluation: Evaluation) -> list[dict[str, Any]]:
    """Numbers that there are not (no photograph fits a mosaic) are None, which JSON knows and NaN is not."""
    rows = []
    for row in evaluation.rows:
        plain = dataclasses.asdict(row) | {"seconds_per_image": evaluation.seconds_per_image(row.method)}
        rows.append({name: None if value != value else value for name, value in plain.items()})
    return rows


_EVALUATION_FILES = {".md": _as_markdown, ".json": _as_json, ".csv": _as_csv}
_PHOTOGRAPHS = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".tif", ".tiff", ".bmp", ".avif")


def _concepts(given: argparse.Namespace) -> None:
    _check_output(given)
    found = cnnvis.concepts(_network(given), _image(given), **_some(given, "layer", "parts", "seed"))
    if found.message:
        print("cnnvis:", found.message, file=sys.stderr)
    _save(cnnvis.plot_concepts(found, **_some(given, "opacity")), given)


def _page(given: argparse.Namespace) -> None:
    _check_folder(given.output)
    options: dict[str, Any] = {"budget_mb": given.budget} if "budget" in given else {}
    if "layers" in given:
        options["layers"] = [path.strip() for path in given.layers.split(",")]
    explorer = cnnvis.Explorer(_network(given), *([given.image] if "image" in given else []))
    print(explorer.to_html(given.output, **options))


def _layers(given: argparse.Namespace) -> None:
    network = _network(given)
    rows = [(info.path, info.kind, " x ".join(map(str, info.shape))) for info in network.layers]
    _print_table(("layer", "kind", "shape"), rows)
    print(f"\nWithout --layer: {network.default_layer.path}")


def _methods(given: argparse.Namespace) -> None:
    rows = [(row.name, row.family, row.formula, row.paper, row.costs) for row in cnnvis.methods()]
    _print_table(("method", "family", "formula", "paper", "costs"), rows)


def _metrics(given: argparse.Namespace) -> None:
    rows = [(row.name, row.better, row.formula, row.paper, row.costs) for row in cnnvis.metrics()]
    _print_table(("metric", "better", "formula", "paper", "costs"), rows)


def _check(given: argparse.Namespace) -> None:
    network = _network(given)
    print(network.preflight)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CnnvisWarning)  # it is printed
        doubt = network.check()
    for name, image in cnnvis.sample_images().items():
        top = ", ".join(f"{one.name} {one.probability:.0%}" for one in network.predict(image, top=3))
        print(f"{name:<10}{top}")
    print(f"Doubtful: {doubt}" if doubt else "Its answers to photographs look sound.")


def _cache(given: argparse.Namespace) -> None:
    from cnnvis_widgets.jobs.cache import Cache

    kept = Cache()
    if kept.folder is None:
        print("Nothing is kept: CNNVIS_CACHE is off.")
    elif given.clear:
        print(f"{kept.folder}: {kept.clear() / 1e6:.1f} MB removed")
    else:
        print(f"{kept.folder}: {kept.size() / 1e6:.1f} MB of at most {kept.limit / 1e6:.0f} MB")


def _lab(given: argparse.Namespace) -> int:
    """Start JupyterLab on a notebook: the one named, the checkout's first one, or a short one made here."""
    if importlib.util.find_spec("jupyterlab") is None:
        raise CnnvisError('JupyterLab is not installed; run: pip install "cnnvis-widgets[lab]"')
    folder, name = _first_notebook() if given.notebook is None else (given.notebook.parent, given.notebook.name)
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


def _network(given: argparse.Namespace) -> Network:
    source = [given.network] if "network" in given else []
    return cnnvis.load_network(*source, **_some(given, "weights"))


def _image(given: argparse.Namespace) -> np.ndarray:
    if "image" not in given:
        return cnnvis.sample_images()["cat"]
    if not Path(given.image).exists():
        samples = cnnvis.sample_images()
        if given.image in samples:
            return samples[given.image]
    return cnnvis.load_image(given.image)


def _some(given: argparse.Namespace, *names: str) -> dict[str, Any]:
    return {name: getattr(given, name) for name in names if name in given}


def _check_output(given: argparse.Namespace) -> None:
    """Before minutes of work: can the picture be written, and are its colours known?"""
    from matplotlib.backend_bases import FigureCanvasBase

    from cnnvis_widgets.render import colormaps

    known = FigureCanvasBase.get_supported_filetypes()
    if given.output.suffix[1:].lower() not in known:
        raise CnnvisError(
            f"{given.output} does not say what to write; end it in .{', .'.join(sorted(known))}."
        )
    _check_folder(given.output)
    if "dpi" in given and given.dpi > _MAX_DPI:
        raise CnnvisError(f"{given.dpi} dots per inch are too many; --dpi takes at most {_MAX_DPI}.")
    if "colormap" in given:
        colormaps.table(given.colormap)


def _check_folder(output: Path) -> None:
    if not output.absolute().parent.is_dir():
        raise CnnvisError(f"There is no folder {output.absolute().parent} to write {output.name} to.")
    if output.is_dir():
        raise CnnvisError(f"{output} cannot be written: it is a folder.")


def _save(figure: Any, given: argparse.Namespace) -> None:
    try:
        figure.savefig(given.output, **_some(given, "dpi"))
    except MemoryError as error:
        raise CnnvisError(
            f"{given.output} needs more memory than there is; ask for a lower --dpi."
        ) from error
    except (OSError, ValueError) as error:  # ValueError: more pixels than the format or matplotlib can take
        raise CnnvisError(f"{given.output} cannot be written: {_said(error)}.") from error
    print(given.output)


def _said(error: Exception) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(text.split()).rstrip(".")


def _counted(what: str) -> Callable[[int, int], None]:
    """One line that counts up on a terminal, a line for each tenth in a log; with the time left where that is long.

    What is done at once says nothing.
    """
    began, before = time.monotonic(), 0

    def progress(step: int, steps: int) -> None:
        nonlocal before
        if steps == 1:
            return
        passed = time.monotonic() - began
        left = round(passed / step * (steps - step))
        words = f"cnnvis: {what} {step} of {steps}" + (f", about {left} s left" if left >= _LONG else "")
        if sys.stderr.isatty():
            end = "\n" if step == steps else ""
            print(f"\r{words}\x1b[K", end=end, file=sys.stderr, flush=True)
        elif step * 10 // steps > before * 10 // steps:
            print(words, file=sys.stderr, flush=True)
        before = step

    return progress


def _print_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(str(row[i])) for row in (heads, *rows)) for i in range(len(heads))]
    for row in (heads, *rows):
        print("  ".join(str(cell).ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def _class(text: str) -> int | str:
    return int(text) if text.isdecimal() else text


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _units(text: str) -> list[int]:
    """ "0-35,40" -> [0, 1, ..., 35, 40]."""
    units: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise argparse.ArgumentTypeError(f"{text!r} is not a list of units such as 0-35,40")
        units += range(int(first), int(last or first) + 1)
    if not units:
        raise argparse.ArgumentTypeError(f"{text!r} names no unit")
    return units


if __name__ == "__main__":
    sys.exit(main())
