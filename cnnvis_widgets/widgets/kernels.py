"""Where a kernel has to be kept from doing widgets harm."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import ipywidgets as widgets
from IPython import get_ipython


def keep_alive(made: Iterable[widgets.Widget]) -> None:
    """Have widgets answer whatever this kernel runs and whichever ipykernel it is."""
    read_every_request()
    for widget in made:
        _keep_apart_from_cells(widget)


def read_every_request() -> None:
    """Have this kernel send replies through the stream that reads its requests, as all but ipykernel 7.0 to 7.3 do.

    Those send them past it, from the same socket. A request that comes in that moment wakes nobody: it lies unread,
    with all that follow it, until another client comes. So cells never end and controls are dead, most easily where
    the browser answers what a cell has set just when that cell ends.
    """
    kernel: Any = getattr(get_ipython(), "kernel", None)
    channel = getattr(kernel, "shell_channel_thread", None)  # ipykernel 6 has none
    if channel is not None and hasattr(channel.manager, "_shell_socket"):
        channel.manager._shell_socket = kernel.shell_stream


def _keep_apart_from_cells(widget: widgets.Widget) -> None:
    """Have a widget's messages handled where the browser sent them, which is beside the cells.

    ipykernel 7.4 sends them to whichever thread last used the same connection instead: once a cell has, to the one
    that runs the cells. There they wait, and one that comes in the middle of an async cell is never reported as done,
    a report for which ipywidgets waits before it sends anything more: the control is dead.
    """
    if hasattr(widget.comm, "_reply_subshell_for"):
        widget.comm._reply_subshell_for = None  # ipykernel itself asks whether there is one
