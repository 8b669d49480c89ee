"""The worker under flood, cancel, failure and long work, with real threads."""

import subprocess
import sys
import threading
import time

import pytest

from cnnvis_widgets.errors import Cancelled
from cnnvis_widgets.jobs.worker import Worker


@pytest.fixture
def worker():
    return Worker()


def gate(worker):
    """Keep the worker busy until the returned event is set."""
    opened, inside = threading.Event(), threading.Event()

    def block(ticket):
        inside.set()
        opened.wait(10)

    worker.submit("gate", block)
    assert inside.wait(10)
    return opened


def test_a_flood_of_requests_runs_only_the_last(worker):
    opened, ran = gate(worker), []
    tickets = [worker.submit("view", lambda ticket, n=n: ran.append(n)) for n in range(40)]
    opened.set()
    assert all(ticket.wait(10) for ticket in tickets)
    assert ran == [39]
    assert all(ticket.stopped for ticket in tickets[:-1])


def test_other_lanes_are_left_alone(worker):
    opened, ran = gate(worker), []
    first = worker.submit("a", lambda ticket: ran.append("a"))
    second = worker.submit("b", lambda ticket: ran.append("b"))
    opened.set()
    assert first.wait(10) and second.wait(10)
    assert ran == ["a", "b"]


def test_everything_runs_on_one_thread(worker):
    names = []
    for lane in range(5):
        worker.submit(lane, lambda ticket: names.append(threading.current_thread().name)).wait(10)
    assert len(set(names)) == 1 and names[0] != threading.current_thread().name


def test_long_work_stops_within_one_step(worker):
    steps, closed = [], threading.Event()

    def long(ticket):
        try:
            while True:
                steps.append(len(steps))
                time.sleep(0.005)
                yield
        finally:
            closed.set()

    ticket = worker.submit("filter", long)
    while len(steps) < 3:
        time.sleep(0.001)
    worker.cancel("filter")
    seen = len(steps)
    assert ticket.wait(10) and closed.is_set()
    assert len(steps) <= seen + 1


def test_a_short_request_is_answered_between_steps_of_long_work(worker):
    order = []

    def long(ticket):
        for step in range(50):
            order.append(step)
            time.sleep(0.002)
            yield

    slow = worker.submit("filter", long)
    while len(order) < 3:
        time.sleep(0.001)
    quick = worker.submit("view", lambda ticket: order.append("view"))
    assert quick.wait(10) and slow.wait(10)
    assert "view" in order[:-10]
    assert [entry for entry in order if entry != "view"] == list(range(50))


def test_a_request_ends_a_doze(worker):
    dozing = threading.Event()

    def work(ticket):
        while not ticket.stopped:
            dozing.set()
            worker.doze(600)
            yield

    worker.submit("dozing", work)
    assert dozing.wait(10)
    assert worker.call(lambda: 42) == 42
    worker.cancel("dozing")


def test_a_request_that_fails_tells_and_the_next_one_works(worker):
    errors, ran = [], []

    def fail(ticket):
        raise ValueError("out of paint")

    worker.submit("view", fail, errors.append).wait(10)
    worker.submit("view", lambda ticket: ran.append(1)).wait(10)
    assert [str(error) for error in errors] == ["out of paint"] and ran == [1]


def test_an_error_handler_that_fails_does_not_end_the_worker(worker):
    ran = []

    def fail(ticket):
        raise ValueError

    def handler(error):
        raise RuntimeError

    worker.submit("view", fail, handler).wait(10)
    worker.submit("view", lambda ticket: ran.append(1)).wait(10)
    assert ran == [1]


def test_a_superseded_computation_stops_at_its_next_check(worker):
    entered, errors, reached = threading.Event(), [], []

    def slow(ticket):
        entered.set()
        while True:
            ticket.check()
            time.sleep(0.001)

    first = worker.submit("view", slow, errors.append)
    assert entered.wait(10)
    second = worker.submit("view", lambda ticket: reached.append(1))
    assert first.wait(10) and second.wait(10)
    assert reached == [1] and errors == []


def test_call_returns_the_answer_or_raises(worker):
    assert worker.call(lambda: 42) == 42
    with pytest.raises(KeyError):
        worker.call(lambda: {}["missing"])
    assert worker.call(lambda: worker.call(lambda: 1)) == 1  # from the worker's own thread: no deadlock


def test_cancelled_is_no_error(worker):
    errors = []

    def stop(ticket):
        raise Cancelled

    assert worker.submit("view", stop, errors.append).wait(10)
    assert errors == []


def test_a_running_request_replaced_while_another_one_runs_is_done(worker):
    started = threading.Event()

    def long(ticket):
        while True:
            started.set()
            yield

    first = worker.submit("filter", long)
    assert started.wait(10)
    opened = gate(worker)
    second = worker.submit("filter", lambda ticket: iter([1]))
    opened.set()
    assert first.wait(10) and second.wait(10)


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_no_request_takes_the_worker_with_it(worker, error):
    def leave(ticket):
        raise error

    assert worker.submit("view", leave).wait(10)
    assert worker.call(lambda: 7) == 7
    with pytest.raises(error):
        worker.call(lambda: leave(None))


def test_a_cancelled_call_says_so(worker):
    def stop():
        raise Cancelled

    with pytest.raises(Cancelled):
        worker.call(stop)


def test_the_worker_knows_its_own_thread(worker):
    assert worker.call(worker.is_current) and not worker.is_current()


def test_a_process_ends_between_two_steps_of_its_worker():
    script = """
import threading, time
from cnnvis_widgets.jobs.worker import worker
begun = threading.Event()
def steps():
    begun.set()
    time.sleep(0.5)
    print("the step is over")
    yield
    print("another one")
    yield
worker().submit("long", lambda ticket: steps())
begun.wait()
worker().submit("later", lambda ticket: print("later"))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "the step is over\n", "")


def test_a_closed_worker_drops_what_it_is_given(worker):
    opened = gate(worker)
    waiting = worker.submit("view", lambda ticket: None)
    threading.Timer(0.1, opened.set).start()
    worker.close(10)
    assert waiting.wait(0) and waiting.stopped and not worker._thread.is_alive()
    assert worker.submit("view", lambda ticket: None).wait(0)
    with pytest.raises(Cancelled):
        worker.call(lambda: 1)
