"""What commands share: options, how they are read, progress, and writing the result."""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cnnvis_widgets as cnnvis
from cnnvis_widgets.errors import CnnvisError

if TYPE_CHECKING:
    import numpy as np

    from cnnvis_widgets.networks.network import Network


_LONG = 3  # seconds left from which on they are said


PICTURE = "a file, an address, or the name of a sample photograph"  # what IMAGE may be
MOST_UNITS = 1_000_000  # of one layer
MAX_DPI = 1200  # what printers ask for line drawings; the widest figure then has 14,400 pixels across


def command(
    commands: argparse._SubParsersAction, name: str, run: Callable[[argparse.Namespace], Any], what: str
) -> argparse.ArgumentParser:
    """A command of its own. What is not given on its line is not in the namespace: functions' own defaults apply."""
    one = commands.add_parser(name, help=what, argument_default=argparse.SUPPRESS)
    one.set_defaults(command=run)
    return one


def network_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--network", metavar="NAME", help="a name of keras.applications, or a .keras or .h5 file"
    )
    parser.add_argument("--weights", metavar="FILE", help="a local weights file for a network given by name")


def network_of(given: argparse.Namespace) -> Network:
    source = [given.network] if "network" in given else []
    return cnnvis.load_network(*source, **some(given, "weights"))


def image_of(given: argparse.Namespace) -> np.ndarray:
    if "image" not in given:
        return cnnvis.sample_images()["cat"]
    if not Path(given.image).exists():
        samples = cnnvis.sample_images()
        if given.image in samples:
            return samples[given.image]
    return cnnvis.load_image(given.image)


def in_markdown(words: str) -> str:
    """Words from outside as Markdown that shows them as they are: in a heading, in a table's cell, on one line."""
    return re.sub(r"([\\`*_\[\]<>|&~$])", r"\\\1", " ".join(words.split()))


def some(given: argparse.Namespace, *names: str) -> dict[str, Any]:
    return {name: getattr(given, name) for name in names if name in given}


def check_output(given: argparse.Namespace) -> None:
    """Before minutes of work: can the picture be written, and are its colours known?"""
    from matplotlib.backend_bases import FigureCanvasBase

    from cnnvis_widgets.render import colormaps

    known = FigureCanvasBase.get_supported_filetypes()
    if given.output.suffix[1:].lower() not in known:
        raise CnnvisError(
            f"{given.output} does not say what to write; end it in .{', .'.join(sorted(known))}."
        )
    check_folder(given.output)
    if "dpi" in given and given.dpi > MAX_DPI:
        raise CnnvisError(f"{given.dpi} dots per inch are too many; --dpi takes at most {MAX_DPI}.")
    if "colormap" in given:
        colormaps.table(given.colormap)


def check_folder(output: Path) -> None:
    if not output.absolute().parent.is_dir():
        raise CnnvisError(f"There is no folder {output.absolute().parent} to write {output.name} to.")
    if output.is_dir():
        raise CnnvisError(f"{output} cannot be written: it is a folder.")


def save(figure: Any, given: argparse.Namespace) -> None:
    try:
        figure.savefig(given.output, **some(given, "dpi"))
    except MemoryError as error:
        raise CnnvisError(
            f"{given.output} needs more memory than there is; ask for a lower --dpi."
        ) from error
    except (OSError, ValueError) as error:  # ValueError: more pixels than the format or matplotlib can take
        raise CnnvisError(f"{given.output} cannot be written: {said(error)}.") from error
    print(given.output)


def said(error: Exception) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(text.split()).rstrip(".")


class Counter:
    """A ``progress``: one line that counts up on a terminal, a line for each tenth in a log; with the time left where
    that is long. What is done at once says nothing.
    """

    def __init__(self, what: str):
        self._what, self._began = what, time.monotonic()
        self.done = self.steps = 0

    def __call__(self, step: int, steps: int) -> None:
        before, self.done, self.steps = self.done, step, steps
        if steps == 1:
            return
        passed = time.monotonic() - self._began
        left = round(passed / step * (steps - step))
        words = f"cnnvis: {self._what} {step} of {steps}" + (
            f", about {left} s left" if left >= _LONG else ""
        )
        if sys.stderr.isatty():
            end = "\n" if step == steps else ""
            print(f"\r{words}\x1b[K", end=end, file=sys.stderr, flush=True)
        elif step * 10 // steps > before * 10 // steps:
            print(words, file=sys.stderr, flush=True)

    def stopped(self, what_there_is: str) -> int:
        """The exit code: 130 where Ctrl-C came before the last step, which is then said."""
        if self.done == self.steps:
            return 0
        print(f"cnnvis: stopped at step {self.done}; {what_there_is}", file=sys.stderr)
        return 130


def print_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(str(row[i])) for row in (heads, *rows)) for i in range(len(heads))]
    for row in (heads, *rows):
        print("  ".join(str(cell).ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def target(text: str) -> int | str:
    return int(text) if text.isdecimal() else text


def name_list(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def size(text: str) -> tuple[int, int]:
    """ "96x160" -> (96, 160), height first; "128" -> (128, 128)."""
    height, times, width = text.lower().partition("x")
    if not height.isdecimal() or (times and not width.isdecimal()):
        raise argparse.ArgumentTypeError(f"{text!r} is no height and width such as 96x160")
    return int(height), int(width or height)


def unit_list(text: str) -> list[int]:
    """ "0-35,40" -> [0, 1, ..., 35, 40]."""
    units: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise argparse.ArgumentTypeError(f"{text!r} is not a list of units such as 0-35,40")
        if int(last or first) - int(first) > MOST_UNITS:
            raise argparse.ArgumentTypeError(f"{text!r} names more units than any layer has")
        units += range(int(first), int(last or first) + 1)
    if not units:
        raise argparse.ArgumentTypeError(f"{text!r} names no unit")
    return units
