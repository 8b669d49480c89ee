"""A headless Firefox, where there is one: a few commands of WebDriver BiDi, which it speaks over one WebSocket.

Playwright knows only a Firefox of its own making.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import websocket

START = 60  # seconds that anything may take on a busy machine
PAGE_DOWN = "\ue00f"


class Tab:
    """One tab. ``errors``: what its pages logged as errors; ``asked``: the addresses that they wanted."""

    def __init__(self, address: str):
        self._socket = websocket.create_connection(address, timeout=START, suppress_origin=True)
        self._numbers = itertools.count()
        self.errors: list[str] = []
        self.asked: list[str] = []
        self._send("session.new", capabilities={})
        self._send("session.subscribe", events=["log.entryAdded", "network.beforeRequestSent"])
        self._context = self._send("browsingContext.getTree")["contexts"][0]["context"]

    def _send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """A command's answer; what happens meanwhile is noted."""
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._socket.recv())
            if message.get("id") == number:
                assert message["type"] == "success", message
                return message["result"]
            if message.get("method") == "log.entryAdded" and message["params"]["level"] == "error":
                self.errors.append(message["params"]["text"])
            if message.get("method") == "network.beforeRequestSent":
                self.asked.append(message["params"]["request"]["url"])

    def open(self, url: str) -> None:
        self._send("browsingContext.navigate", context=self._context, url=url, wait="complete")

    def evaluate(self, function: str, *arguments: Any) -> Any:
        """What a JavaScript function returns, as JSON."""
        text = f"JSON.stringify(({function})(...{json.dumps(arguments)}))"
        target = {"context": self._context}
        answer = self._send("script.evaluate", expression=text, target=target, awaitPromise=True)
        assert answer["type"] == "success", answer
        return json.loads(answer["result"].get("value", "null"))

    def wait(self, condition: str) -> None:
        """Until a JavaScript expression is true."""
        deadline = time.monotonic() + START
        while not self.evaluate(f"() => !!({condition})"):
            assert time.monotonic() < deadline, f"never: {condition}"
            time.sleep(0.05)

    def press(self, key: str) -> None:
        strokes = [{"type": kind, "value": key} for kind in ("keyDown", "keyUp")]
        source = {"type": "key", "id": "keyboard", "actions": strokes}
        self._send("input.performActions", context=self._context, actions=[source])


@contextmanager
def firefox() -> Iterator[Tab]:
    """A Firefox of the PATH, with a profile of its own; the test is skipped where there is none."""
    program = shutil.which("firefox") or shutil.which("firefox-esr")
    if program is None:
        pytest.skip("No Firefox was found: with one on the PATH this test opens the page in it, too.")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        command = [program, "--headless", "--no-remote", "--profile", folder, "--remote-debugging-port", "0"]
        # In a container Firefox may not set up its own sandbox, and only our own pages are opened.
        environment = os.environ | {"HOME": folder, "MOZ_DISABLE_CONTENT_SANDBOX": "1"}
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
        try:
            found = (re.search(r"BiDi listening on (ws://\S+)", line) for line in process.stderr or ())
            address = next((match[1] for match in found if match), None)
            assert address, "Firefox ended before it listened"
            yield Tab(f"{address}/session")
        finally:
            process.terminate()
            process.wait(20)
