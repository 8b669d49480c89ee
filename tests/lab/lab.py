"""A real JupyterLab in a real Chromium, as a test sees it.

``serve`` starts a JupyterLab that shares nothing with the one a developer may have open; ``Notebook`` is
one notebook in a browser tab of its own. What a test asserts is behaviour (DOM, pixels, values in the
kernel) and never a screenshot against a stored one.
"""

from __future__ import annotations

import base64
import contextlib
import inspect
import json
import os
import secrets
import socket
import subprocess
import sys
import textwrap
import time
import urllib.request
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import nbformat
import numpy as np
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, Route

from cnnvis_widgets.widgets.kernels import read_every_request

THEMES = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}
# What an Explorer does for its kernel; here the very first cell, and one without an Explorer, must end too. The source
# and not an import, which loads ipywidgets: a page that opens where that is loaded already ends a subshell that still
# has a message to read, and ipykernel then writes "Task was destroyed but it is pending!" into some cell.
READ_EVERY_REQUEST = f"{inspect.getsource(read_every_request)}\nread_every_request()\n"
START = 60  # seconds that a server, a page or a kernel may take to start on a busy machine


@dataclass(frozen=True)
class Server:
    """A running JupyterLab."""

    url: str
    token: str
    root: Path  # what its file browser shows

    def request(self, method: str, path: str) -> object:
        """Ask the server's REST interface; returns the decoded JSON, None where the answer is empty."""
        headers = {"Authorization": f"token {self.token}"}
        request = urllib.request.Request(f"{self.url}/{path}", method=method, headers=headers)
        with urllib.request.urlopen(request, timeout=START) as answer:
            body = answer.read()
        return json.loads(body) if body else None

    def add_kernel(self, name: str, packages: Path) -> None:
        """Offer notebooks the same interpreter, a folder's packages (``pip install --target``) before its own."""
        write_kernel(self.root, name, [str(packages), *filter(None, [os.environ.get("PYTHONPATH")])])

    def shut_down_kernel(self, file: str) -> None:
        """End the kernel of a notebook: one with TensorFlow holds half a gigabyte."""
        for session in self.request("GET", "api/sessions"):
            if session["path"] == file:
                self.request("DELETE", f"api/sessions/{session['id']}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def write_kernel(root: Path, name: str, path: list[str]) -> None:
    """A kernel spec: the interpreter that runs the tests, with folders before its own packages."""
    kernel = root / ".data" / "kernels" / name
    kernel.mkdir(parents=True)
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    env = {"PYTHONPATH": os.pathsep.join(path)} if path else {}
    spec = {"argv": argv, "display_name": name, "language": "python", "env": env}
    (kernel / "kernel.json").write_text(json.dumps(spec))


def prepare_folders(root: Path) -> dict[str, str]:
    """Configuration of this server alone; returns the environment that points at it."""
    write_kernel(root, "python3", [])

    settings = root / ".settings" / "@jupyterlab" / "apputils-extension" / "notification.jupyterlab-settings"
    settings.parent.mkdir(parents=True)
    settings.write_text(
        json.dumps({"fetchNews": "false", "checkForUpdates": False})
    )  # no pop-up over a widget

    startup = root / ".ipython" / "profile_default" / "startup" / "requests.py"
    startup.parent.mkdir(parents=True)
    startup.write_text(READ_EVERY_REQUEST)

    return {
        "IPYTHONDIR": str(root / ".ipython"),
        "JUPYTER_CONFIG_DIR": str(root / ".config"),
        "JUPYTER_DATA_DIR": str(root / ".data"),
        "JUPYTER_RUNTIME_DIR": str(root / ".runtime"),
        "JUPYTER_PREFER_ENV_PATH": "0",  # the kernel spec above wins over any other "python3"
        "JUPYTERLAB_SETTINGS_DIR": str(root / ".settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(root / ".workspaces"),
    }


@contextlib.contextmanager
def serve(root: Path) -> Iterator[Server]:
    """Start a JupyterLab on a free port; its kernels are the interpreter that runs the tests."""
    port, token = free_port(), secrets.token_hex(16)
    command = [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"),
        *("--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0"),
        f"--ServerApp.root_dir={root}",
        f"--IdentityProvider.token={token}",
        "--LabApp.expose_app_in_browser=True",  # window.jupyterapp
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    ]
    server = Server(f"http://127.0.0.1:{port}", token, root)
    log = root / "jupyterlab.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=output, env=os.environ | prepare_folders(root), cwd=root
        )
        try:
            deadline = time.monotonic() + START
            while True:
                with contextlib.suppress(OSError):
                    server.request("GET", "api/status")
                    break
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"JupyterLab did not start:\n{log.read_text()[-3000:]}")
                time.sleep(0.2)
            yield server
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


LIMIT = 120  # seconds that anything in a page may take


class Notebook:
    """One notebook, open in a browser tab of its own.

    ``outside`` and ``errors`` collect requests to other machines (all refused) and what the browser's console
    calls an error; both must be empty when the notebook is closed. A test that provokes one clears the list.
    """

    def __init__(
        self, server: Server, browser: Browser, file: str, width: int, height: int, script: str = ""
    ) -> None:
        self.server = server
        self.file = file
        self.outside: list[str] = []
        self.errors: list[str] = []
        self.context = browser.new_context(viewport={"width": width, "height": height})
        if script:
            self.context.add_init_script(script)
        self._open_page()

    def _open_page(self) -> None:
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(START * 1000)
        self.page.route("**/*", self._guard)
        self.page.on("pageerror", lambda error: self.errors.append(f"{error}\n{error.stack}"))
        self.page.on("console", self._hear)
        workspace = secrets.token_hex(4)  # tabs must not restore one another's layout
        self.page.goto(
            f"{self.server.url}/lab/workspaces/{workspace}/tree/{self.file}?token={self.server.token}"
        )
        self._wait_until_ready()

    def _guard(self, route: Route) -> None:
        url = urlsplit(route.request.url)
        if url.scheme in {"blob", "data"} or url.hostname == "127.0.0.1":
            route.continue_()
        else:
            self.outside.append(route.request.url)
            route.abort()

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.errors.append(f"{message.text} ({message.location.get('url', '')})")

    def _await(self, what: str, function: str, argument: object = None) -> Any:
        """The value of an asynchronous JavaScript function; what never comes fails the test, in words."""
        ended, value = self.page.evaluate(
            f"""([argument, limit]) => Promise.race([
              Promise.resolve(({function})(argument)).then((value) => [true, value]),
              new Promise((done) => setTimeout(() => done([false, null]), limit))])""",
            [argument, LIMIT * 1000],
        )
        assert ended, f"{what} did not end; {self._state()}"
        return value

    def _wait_until_ready(self) -> None:
        """Lab, notebook and kernel: cells that are run before the session is ready would never finish."""
        self.page.wait_for_function("window.jupyterapp !== undefined")
        self.page.locator(".jp-Notebook").wait_for()
        self._await(
            "the start of the kernel",
            """async () => {
              const { sessionContext } = window.jupyterapp.shell.currentWidget;
              await sessionContext.ready;
              await sessionContext.session.kernel.info;
            }""",
        )

    def locator(self, selector: str, **options: Any) -> Locator:
        return self.page.locator(selector, **options)

    def command(self, name: str, **arguments: object) -> None:
        """Run one of JupyterLab's commands and wait for it."""
        self._await(
            name, "([name, args]) => window.jupyterapp.commands.execute(name, args)", [name, arguments]
        )

    def run_all(self) -> None:
        """Run all cells; an exception in one fails the test with its traceback.

        Where the browser never hears that the kernel has run a cell, as with ipykernel 7.3 by itself, a person would
        reload the page, and so does this, and says so.
        """
        for _ in range(3):
            if self._ran_all():
                break
            warnings.warn(f"A cell ran and its end was lost; reloading. {self._state()}", stacklevel=2)
            self.reload()
        else:
            raise AssertionError(f"The cells were run three times and never ended; {self._state()}")
        self.locator('.jp-Notebook-ExecutionIndicator[data-status="idle"]').wait_for()
        tracebacks = self.page.evaluate(
            """() => [...window.jupyterapp.shell.currentWidget.content.model.cells]
              .filter((cell) => cell.type === "code")
              .flatMap((cell) => cell.outputs.toJSON())
              .filter((output) => output.output_type === "error")
              .map((output) => output.traceback.join("\\n"))"""
        )
        assert not tracebacks, tracebacks[0]

    def _ran_all(self) -> bool:
        """Run all cells; False where the kernel has answered what came after a cell, and never that cell.

        The status that the browser shows proves nothing: the control channel's messages set it to idle in mid-cell.
        """
        return self._await(
            "the run of all cells",
            """() => {
              const { content, sessionContext } = window.jupyterapp.shell.currentWidget;
              let ended = false;
              const all = window.jupyterapp.commands.execute("notebook:run-all-cells");
              const run = all.then(() => (ended = true));
              const running = () => [...content.model.cells].findIndex((cell) => cell.executionState === "running");
              const sleep = (seconds) => new Promise((done) => setTimeout(done, 1000 * seconds));
              const lost = async () => {
                while (!ended) {
                  await sleep(5);
                  const cell = running();
                  const { kernel } = sessionContext.session;
                  await kernel.requestExecute({ code: "", store_history: false, silent: true }).done;
                  await sleep(3);
                  if (cell >= 0 && cell === running()) return false;
                }
                return true;
              };
              return Promise.race([run, lost()]);
            }""",
        )

    def _state(self) -> str:
        """What browser and server say of kernel and cells, for a run that does not end."""
        seen = self.page.evaluate(
            """() => {
              const { content, sessionContext } = window.jupyterapp.shell.currentWidget;
              const { status, connectionStatus } = sessionContext.session?.kernel ?? {};
              const cells = [...content.model.cells].map((cell) => [cell.executionCount, cell.executionState]);
              return { status, connectionStatus, cells };
            }"""
        )
        return f"browser: {seen}; server: {self.server.request('GET', 'api/kernels')}"

    def execute(self, code: str) -> str:
        """Run statements in the kernel, as a cell would but without one; returns what they print."""
        self.start(code)
        return self.finish()

    def start(self, code: str) -> None:
        """Begin to run statements, and let the test go on meanwhile; ``finish`` waits for them."""
        self.page.evaluate(
            """(code) => {
              const { kernel } = window.jupyterapp.shell.currentWidget.sessionContext.session;
              const future = kernel.requestExecute({ code, store_history: false });
              const said = { text: "", error: "" };
              future.onIOPub = ({ header, content }) => {
                if (header.msg_type === "stream" && content.name === "stdout") said.text += content.text;
                if (header.msg_type === "error") said.error = content.traceback.join("\\n");
              };
              window.cnnvisTestSaid = said;
              window.cnnvisTestRun = future.done.then(() => said);
            }""",
            textwrap.dedent(code),
        )

    def finish(self) -> str:
        """Wait for what ``start`` began; returns what it printed.

        As in `run_all` the browser may never hear of the end; what the kernel answers later then tells of it.
        """
        said = self._await(
            "the run in the kernel",
            """async () => {
              const { kernel } = window.jupyterapp.shell.currentWidget.sessionContext.session;
              const sleep = (seconds) => new Promise((done) => setTimeout(done, 1000 * seconds));
              const answered = () => kernel.requestExecute({ code: "", store_history: false, silent: true }).done;
              const later = async () => {
                await sleep(10);
                // As a person would reload the page, whose connection answers nothing any more.
                if (await Promise.race([answered().then(() => false), sleep(40).then(() => true)])) {
                  await kernel.reconnect();
                  await answered();
                }
                await sleep(3);
                return { ...cnnvisTestSaid, lost: true };
              };
              return Promise.race([window.cnnvisTestRun, later()]);
            }""",
        )
        if said.get("lost"):
            warnings.warn(f"The end of a run in the kernel was lost. {self._state()}", stacklevel=2)
        assert not said["error"], said["error"]
        return said["text"]

    def kernel_eval(self, expression: str) -> object:
        """Value of an expression in the kernel; it must be something that JSON can hold."""
        return json.loads(self.execute(f"import json as _json; print(_json.dumps({expression}))"))

    def theme(self, name: str) -> None:
        """Switch to ``"light"`` or ``"dark"``."""
        self.command("apputils:change-theme", theme=THEMES[name])
        # body counts as hidden
        self.locator(f'body[data-jp-theme-name="{THEMES[name]}"]').wait_for(state="attached")
        self.next_frame()

    def next_frame(self) -> None:
        """Wait until everything asked for so far is on the screen."""
        self._await(
            "the next frame",
            "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))",
        )

    def reload(self) -> None:
        """Save, then reload the page: the kernel lives on and widgets come back from it."""
        self.command("docmanager:save")
        self.page.reload()
        self._wait_until_ready()

    def reopen(self) -> None:
        """Save, close the page, and open the notebook in a new one: the kernel lives on."""
        self.command("docmanager:save")
        self.page.close()
        self._open_page()

    def pixels(self, canvas: str | Locator) -> np.ndarray:
        """What a canvas shows: (h, w, 4) uint8, straight RGBA."""
        locator = self.locator(canvas) if isinstance(canvas, str) else canvas
        width, height, encoded = locator.evaluate(
            """(canvas) => {
              const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
              let text = "";
              for (let i = 0; i < data.length; i += 8192) {
                text += String.fromCharCode(...data.subarray(i, i + 8192));
              }
              return [canvas.width, canvas.height, btoa(text)];
            }"""
        )
        return np.frombuffer(base64.b64decode(encoded), np.uint8).reshape(height, width, 4)

    def latencies(self, act: str, look: str, times: int = 20, timeout: float = 10) -> list[float]:
        """Milliseconds from a gesture to the frame that shows its effect, on the browser's own clock.

        ``act`` and ``look`` are JavaScript functions: ``act`` makes the gesture, ``look`` returns a string
        or a number (an attribute, a pixel) that is different once the effect is painted. It is looked at once
        a frame, after the views have had their turn, so a figure is never flattered.
        """
        return self.page.evaluate(
            """async ([act, look, times, timeout]) => {
              act = eval(act);
              look = eval(look);
              const frame = () => new Promise(requestAnimationFrame);
              const figures = [];
              for (let i = 0; i < times; i++) {
                await frame();
                const before = look();
                const start = performance.now();
                act(i);
                do {
                  await frame();
                  if (performance.now() - start > timeout) throw new Error(`no effect, still ${before}`);
                } while (look() === before);
                figures.push(performance.now() - start);
              }
              return figures;
            }""",
            [f"({act})", f"({look})", times, timeout * 1000],
        )

    def close(self) -> None:
        self.context.close()
        self.server.shut_down_kernel(self.file)


class Lab:
    """What tests get: opens notebooks, and closes them all."""

    def __init__(self, server: Server, browser: Browser) -> None:
        self.server = server
        self.browser = browser
        self.opened: list[Notebook] = []

    def open(
        self,
        notebook: list[str] | Path,
        width: int = 1200,
        height: int = 900,
        kernel: str = "python3",
        script: str = "",
    ) -> Notebook:
        """Open a notebook: the code of its cells, or a file (a copy of it is opened). Nothing runs yet.

        kernel: one of `Server.add_kernel`; script: JavaScript that the page runs before its own.
        """
        if isinstance(notebook, Path):
            content = nbformat.read(notebook, as_version=4)
        else:
            cells = [nbformat.v4.new_code_cell(textwrap.dedent(code).strip()) for code in notebook]
            content = nbformat.v4.new_notebook(cells=cells)
        content.metadata["kernelspec"] = {"name": kernel, "display_name": kernel, "language": "python"}
        file = f"{secrets.token_hex(4)}.ipynb"
        nbformat.write(content, self.server.root / file)
        self.opened.append(Notebook(self.server, self.browser, file, width, height, script))
        return self.opened[-1]

    def close(self) -> None:
        """Close all notebooks; none may have asked another machine for anything or have logged an error."""
        for notebook in self.opened:
            notebook.close()
        outside = [url for notebook in self.opened for url in notebook.outside]
        errors = [error for notebook in self.opened for error in notebook.errors if not _of_lab_itself(error)]
        assert not outside, f"asked other machines: {outside}"
        assert not errors, f"errors on the console: {errors}"


def _of_lab_itself(error: str) -> bool:
    """JupyterLab 4.6 sometimes takes its splash screen away twice while a page reloads."""
    return "removeChild" in error and "jlab_core" in error
