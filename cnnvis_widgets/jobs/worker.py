"""One thread for all computation behind widgets: the latest request of a lane wins, any can be cancelled.

Widget callbacks arrive on threads that nobody can predict, and must return at once. So they only submit. A
request is a function; one that returns an iterator is long work, which advances step by step whenever no new
request waits. So a layer switch is answered between two steps of a filter picture.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Generator, Hashable, Iterator
from typing import Any

from cnnvis_widgets.errors import Cancelled

_EXIT_SECONDS = 10.0  # a process that ends waits so long for the step under way, no longer


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
        """Until this request has finished, failed or been dropped. Not for the worker's own thread."""
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
        self._closed = False

    def submit(
        self,
        lane: Hashable,
        work: Callable[[Ticket], Iterator | None],
        on_error: Callable[[Exception], object] = lambda error: None,
    ) -> Ticket:
        """Have ``work(ticket)`` run soon; whatever waits or runs in the same lane gives way.

        An exception other than `Cancelled` goes to ``on_error``, on the worker thread, and the worker lives on;
        one of a request that has given way already goes nowhere. A worker that is closed drops what it is given.
        """
        ticket = Ticket(lane, work, on_error)
        with self._changed:
            if self._closed:
                ticket.stop()
                ticket._done.set()
                return ticket
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
        """Run a function on the worker thread and wait: for code that needs the answer, or its exception.

        Raises `Cancelled` where the process is at its end.
        """
        if self.is_current():
            return function()
        answers: list[Any] = []
        errors: list[BaseException] = []

        def work(_ticket: Ticket) -> None:
            try:
                answers.append(function())
            except BaseException as error:
                errors.append(error)

        self.submit(object(), work).wait()
        if errors:
            raise errors[0]
        if not answers:
            raise Cancelled("The process is about to end.")
        return answers[0]

    def close(self, seconds: float = _EXIT_SECONDS) -> None:
        """Drop all requests and end the thread, waiting for the step under way, but at most so long.

        Python kills threads that are still at work when it ends; one within TensorFlow takes the process down with
        "terminate called without an active exception".
        """
        with self._changed:
            self._closed = True
            for lane in [*self._waiting, *self._running]:
                self._give_way(lane)
            if self._current is not None:
                self._current.stop()
            self._changed.notify_all()
        if self._thread is not None and not self.is_current():
            self._thread.join(seconds)

    def doze(self, seconds: float) -> None:
        """Let so much time pass, less where a request comes in. For the worker's own thread."""
        with self._changed:
            if not self._waiting:
                self._changed.wait(seconds)

    def is_current(self) -> bool:
        """Whether this code runs on the worker thread, which must never wait for a request."""
        return threading.current_thread() is self._thread

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
            try:
                if not self._turn():
                    return
            except BaseException as error:  # thrown into this thread from outside, between two requests
                if (ticket := self._current) is not None:
                    self._report(ticket, error)
                    ticket._done.set()
                    del ticket

    def _turn(self) -> bool:
        """One request, or one step of it, as soon as there is one; False where the worker is closed."""
        with self._changed:
            self._current = None
            while not (self._waiting or self._running or self._closed):
                self._changed.wait()
            if self._closed:
                for ticket, _steps in self._running.values():
                    ticket._done.set()
                return False
            if self._waiting:
                lane, ticket = self._waiting.popitem(last=False)
                steps = None
            else:
                lane, (ticket, steps) = self._running.popitem(last=False)
            self._current = ticket
        self._advance(lane, ticket, steps)
        return True

    def _advance(self, lane: Hashable, ticket: Ticket, steps: Iterator | None) -> None:
        """Start a request or take one step of it; what has more to do goes to the end of the queue."""
        if steps is None and (old := self._running.pop(lane, None)) is not None:
            self._end(*old)  # it gave way to this one
        try:
            if steps is None:
                steps = ticket.work(ticket)
            elif not ticket.stopped:
                next(steps)
            if isinstance(steps, Iterator) and not ticket.stopped:
                with self._changed:
                    self._running[lane] = (ticket, steps)
                return
        except (StopIteration, Cancelled):
            pass
        except BaseException as error:  # SystemExit too: a request may not take the worker with it
            if not ticket.stopped:
                self._report(ticket, error)
        self._end(ticket, steps)

    def _end(self, ticket: Ticket, steps: Iterator | None) -> None:
        try:
            if isinstance(steps, Generator):
                steps.close()  # runs its own `finally`
        except BaseException as error:
            self._report(ticket, error)
        finally:
            ticket._done.set()

    @staticmethod
    def _report(ticket: Ticket, error: BaseException) -> None:
        # Nothing may end the worker; there is nobody left to tell, and printing here is lost or misplaced.
        with contextlib.suppress(Exception):
            ticket.on_error(error)


def rest(seconds: float) -> Iterator[None]:
    """Steps of long work that only let time pass: until somebody has settled, while others' requests are answered."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        worker().doze(0.01)
        yield


@functools.cache
def worker() -> Worker:
    """The one worker of this process."""
    one = Worker()
    atexit.register(one.close)
    return one
