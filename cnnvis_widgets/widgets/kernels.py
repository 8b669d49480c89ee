"""Where a kernel has to be kept from doing widgets harm."""

from __future__ import annotations

import ipywidgets as widgets


def keep_apart_from_cells(widget: widgets.Widget) -> None:
    """Have a widget's messages handled where the browser sent them, which is beside the cells.

    ipykernel 7.4 sends them to whichever thread last used the same connection instead: once a cell has, to the one
    that runs the cells. There they wait, and one that comes in the middle of an async cell is never reported as done,
    a report for which ipywidgets waits before it sends anything more: the control is dead.
    """
    if hasattr(widget.comm, "_reply_subshell_for"):
        widget.comm._reply_subshell_for = None  # ipykernel itself asks whether there is one
