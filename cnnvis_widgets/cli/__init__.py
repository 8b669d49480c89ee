"""The command line: the same functions, defaults and errors as in code, one command for each.

What is not given on the line is not passed on, so no default is written twice. Everything heavy is imported when
a command needs it: ``cnnvis --help`` answers at once. Each module adds its commands; `COMMANDS` lists them in the order
in which the help shows them.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import cnnvis_widgets as cnnvis
from cnnvis_widgets.cli import atlas, cache, check, evaluate, figures, lab, lists, page
from cnnvis_widgets.cli.common import said
from cnnvis_widgets.errors import CnnvisError, CnnvisWarning

COMMANDS = (lab, figures, evaluate, atlas, page, lists, check, cache)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit code: 0, 1 for an error told in one line, 130 for Ctrl-C.

    A wrong line ends in argparse's own message and SystemExit(2).
    """
    given = _parser().parse_args(arguments)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = functools.partial(_show_warning, warnings.showwarning)
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
        print(f"cnnvis: {where}{said(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("cnnvis: stopped", file=sys.stderr)
        return 130


def _show_warning(others: Callable, message: Warning | str, category: type[Warning], *where: Any) -> None:
    """Our own in one line, as errors are: where in the code it was thought of is nothing to a person."""
    if issubclass(category, CnnvisWarning):
        print("cnnvis:", " ".join(str(message).split()), file=sys.stderr)
    else:
        others(message, category, *where)


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

    for module in COMMANDS:
        module.add(commands)
    return parser
