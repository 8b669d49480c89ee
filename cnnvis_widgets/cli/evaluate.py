"""``cnnvis evaluate``: methods measured against controls, into a Markdown, JSON or CSV file."""

from __future__ import annotations

import argparse
import csv
import dataclasses
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cnnvis_widgets as cnnvis
from cnnvis_widgets.cli.common import (
    Counter,
    check_folder,
    command,
    in_markdown,
    name_list,
    network_of,
    network_options,
    said,
    some,
)
from cnnvis_widgets.errors import CnnvisError

if TYPE_CHECKING:
    from cnnvis_widgets.results import Evaluation


def add(commands: argparse._SubParsersAction) -> None:
    one = command(commands, "evaluate", _evaluate, "measure how far methods can be trusted")
    one.add_argument("images", nargs="?", metavar="FOLDER", help="of photographs; default the samples")
    network_options(one)
    one.add_argument("--layer", help="path of a layer, as 'cnnvis layers' prints it")
    one.add_argument("--methods", type=name_list, metavar="A,B", help="as 'cnnvis methods' prints them")
    one.add_argument("--metrics", type=name_list, metavar="A,B", help="as 'cnnvis metrics' prints them")
    one.add_argument("--seed", type=int, help="of all that is drawn")
    one.add_argument(
        "--output",
        type=Path,
        default=Path("evaluation.md"),
        metavar="FILE",
        help=".md, .json or .csv; %(default)s",
    )


def _evaluate(given: argparse.Namespace) -> int:
    if given.output.suffix.lower() not in _EVALUATION_FILES:
        raise CnnvisError(f"{given.output} does not say what to write; end it in .md, .json or .csv.")
    check_folder(given.output)
    images = _photographs(Path(given.images)) if "images" in given else cnnvis.sample_images()
    count = Counter("step")
    options = some(given, "layer", "methods", "metrics", "seed")
    evaluation = cnnvis.evaluate(network_of(given), images, progress=count, **options)
    try:
        given.output.write_text(_EVALUATION_FILES[given.output.suffix.lower()](evaluation), encoding="utf-8")
    except OSError as error:
        raise CnnvisError(f"{given.output} cannot be written: {said(error)}.") from error
    print(evaluation.table())
    print(given.output)
    return count.stopped(f"{given.output} holds what there was")  # evaluate hands back what it has


def _photographs(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise CnnvisError(f"There is no folder {folder}; name one with photographs in it.")
    files = [file for file in sorted(folder.iterdir()) if file.suffix.lower() in _PHOTOGRAPHS]
    if not files:
        raise CnnvisError(f"There are no photographs in {folder}; {', '.join(_PHOTOGRAPHS)} files are read.")
    return {file.name: file for file in files}


def _as_markdown(evaluation: Evaluation) -> str:
    """The table, and what its signs mean."""
    from cnnvis_widgets.compute.faithfulness.evaluation import FEWEST

    name, controls = in_markdown(evaluation.network), ", ".join(evaluation.controls)
    return (
        f"# {name}, {len(evaluation.images)} photographs\n\n{evaluation.table('markdown')}\n\n"
        "Mean and 95 % interval (bootstrap over photographs); arrows: which way is better; "
        f"\\*: better than {controls} by more than the interval of the paired difference "
        f"(fewer than {FEWEST} photographs cannot show that).\n"
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
        plain |= dict(zip(("ahead", "ahead_low", "ahead_high"), row.ahead, strict=True))
        rows.append({name: None if value != value else value for name, value in plain.items()})
    return rows


_EVALUATION_FILES = {".md": _as_markdown, ".json": _as_json, ".csv": _as_csv}


_PHOTOGRAPHS = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".tif", ".tiff", ".bmp", ".avif")
