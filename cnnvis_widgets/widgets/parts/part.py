"""What every part of an Explorer is: something that answers the stage's requests and adds to what a new view sends.

A part never touches TensorFlow in a callback: it submits work, which runs on the worker thread.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from cnnvis_widgets.jobs.worker import Ticket, worker
from cnnvis_widgets.widgets.shown import Shown
from cnnvis_widgets.widgets.state import State

if TYPE_CHECKING:
    from cnnvis_widgets.widgets.explorer import Explorer


class Part:
    """Made once for each Explorer, before anything is shown; overrides what it needs.

    A part's callbacks are registered in ``__init__``: ``explorer.stage.on("kernel", self._wanted)`` for the stage's
    messages, ``observe`` or ``on_click`` for controls. ``explorer.shown`` is the last good view, or None.
    """

    lane = ""  # the name of its work at the worker, where it has any: a later request takes the place of an earlier

    def __init__(self, explorer: Explorer):
        self.explorer = explorer
        self.stage = explorer.stage

    def prepare(self, shown: Shown, before: Shown | None) -> None:
        """Whatever ``changes`` will need that takes time or may fail. On the worker thread; the view may be dropped."""

    def changes(self, shown: Shown, before: Shown | None) -> dict[str, Any]:
        """The stage's traits that this part adds to the message of a new view. On the worker thread, so be quick."""
        return {}

    def paints(self, wanted: State, shown: Shown) -> bool:
        """Whether the browser shows a wanted state by itself, so that nothing is stale while the kernel follows."""
        return False

    def after(self, shown: Shown, before: Shown | None) -> None:
        """A new view has been sent. On the worker thread."""

    def idle(self, shown: Shown) -> None:
        """Nobody has asked for anything for a second or so: make ready what is likely to be. On the worker thread."""

    def submit(self, work: Callable[[Ticket], Any]) -> Ticket:
        """Have work run on the worker thread in this part's lane; what it raises is said in the widget."""
        return worker().submit(self._key, work, self.explorer.say_error)

    def stop(self) -> None:
        """Cancel this part's work."""
        if self.lane:
            worker().cancel(self._key)

    @property
    def _key(self) -> tuple[int, str]:
        return (id(self.explorer), self.lane)
