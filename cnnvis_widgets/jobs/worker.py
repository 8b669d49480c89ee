"""One thread for all computation behind widgets: the latest request of a lane wins, any can be cancelled.

Widget callbacks arrive on threads that nobody can predict, and must return at once. So they only submit. A
request is a function; one that returns an iterator is long work, which advances step by step whenever no new
request waits. So a layer switch is answered between two steps of a filter picture.
"""

from __future__ import annotations

import contextlib
import functools
import threading
from collections import OrderedDict
from collections.abc import Callable, Generator, Hashable, Iterator
from typing import Any

from cnnvis_widgets.errors import Cancelled


class Ticket:
    """One request on its way: can be asked to stop, and waited for."""

    def __init__(self, lane: Hashable, work: Callable[[Ticket], Iterator | None], on_error: Callable):
        self.lane = lane
        self.work = work
        self.on_error = on_error
        self._stop = threading.Event()
        self._done = threading.Event()

    @property
    def stopped(self) -> bool:
        """Whether somebody asked this request to stop, or a newer one took its place."""
        return self._stop.is_set()

    def check(self) -> None:
        """Called between parts of a computation: raises `Cancelled` where it should stop."""
        if self.stopped:
            raise Cancelled

    def stop(self) -> None:
        self._stop.set()

    def wait(self, timeout: float | None = None) -> bool:
        """Until this request has finished, failed or been dropped."""
        return self._done.wait(timeout)


class Worker:
    """Runs requests on one daemon thread, which starts with the first of them."""

    def __init__(self, name: str = "cnnvis-worker"):
        self._name = name
        self._changed = threading.Condition()
        self._waiting: OrderedDict[Hashable, Ticket] = OrderedDict()
        self._running: OrderedDict[Hashable, tuple[Ticket, Iterator]] = OrderedDict()
        self._current: Ticket | None = None
        self._thread: threading.Thread | None = None

    def submit(
        self,
        lane: Hashable,
        work: Callable[[Ticket], Iterator | None],
        on_error: Callable[[Exception], object] = lambda error: None,
    ) -> Ticket:
        """Have ``work(ticket)`` run soon; whatever waits or runs in the same lane gives way.

        An exception other than `Cancelled` goes to ``on_error``, on the worker thread, and the worker lives on;
        one of a request that has given way already goes nowhere.
        """
        ticket = Ticket(lane, work, on_error)
        with self._changed:
            self._give_way(lane)
            self._waiting[lane] = ticket
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._loop, name=self._name, daemon=True)
                self._thread.start()
            self._changed.notify_all()
        return ticket

    def cancel(self, lane: Hashable) -> None:
        """Stop what runs in a lane within its next step, and drop what waits there."""
        with self._changed:
            self._give_way(lane)
            self._changed.notify_all()

    def call(self, function: Callable[[], Any]) -> Any:
        """Run a function on the worker thread and wait: for code that needs the answer, or its exception."""
        if threading.current_thread() is self._thread:
            return function()
        outcome: list = []
        ticket = self.submit(object(), lambda ticket: outcome.append(function()), outcome.append)
        ticket.wait()
        if outcome and isinstance(outcome[0], BaseException):
            raise outcome[0]
        return outcome[0]

    def _give_way(self, lane: Hashable) -> None:
        dropped = self._waiting.pop(lane, None)
        if dropped is not None:
            dropped.stop()
            dropped._done.set()
        if lane in self._running:
            self._running[lane][0].stop()
        if self._current is not None and self._current.lane == lane:
            self._current.stop()

    def _loop(self) -> None:
        while True:
            with self._changed:
                self._current = None
                while not self._waiting and not self._running:
                    self._changed.wait()
                if self._waiting:
                    lane, ticket = self._waiting.popitem(last=False)
                    steps = None
                else:
                    lane, (ticket, steps) = self._running.popitem(last=False)
                self._current = ticket
            self._advance(lane, ticket, steps)

    def _advance(self, lane: Hashable, ticket: Ticket, steps: Iterator | None) -> None:
        """Start a request or take one step of it; what has more to do goes to the end of the queue."""
        try:
            if steps is None:
                steps = ticket.work(ticket)
            elif not ticket.stopped:
                next(steps)
            if isinstance(steps, Iterator) and not ticket.stopped:
                with self._changed:
                    self._running[lane] = (ticket, steps)
                return
            if isinstance(steps, Generator):
                steps.close()  # runs its own `finally`
        except (StopIteration, Cancelled):
            pass
        except Exception as error:
            if not ticket.stopped:
                self._report(ticket, error)
        ticket._done.set()

    @staticmethod
    def _report(ticket: Ticket, error: Exception) -> None:
        # Nothing may end the worker; there is nobody left to tell, and printing here is lost or misplaced.
        with contextlib.suppress(Exception):
            ticket.on_error(error)


@functools.cache
def worker() -> Worker:
    """The one worker of this process."""
    return Worker()
