"""Fixtures of the browser tests: one JupyterLab and one Chromium for all, a tab and a kernel a notebook."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab.lab import Lab, Server, serve
from playwright.sync_api import Browser


@pytest.fixture(scope="session")
def lab_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serve(tmp_path_factory.mktemp("lab")) as server:
        yield server


@pytest.fixture
def lab(lab_server: Server, browser: Browser) -> Iterator[Lab]:
    """``lab.open(cells)`` opens a notebook for this test alone."""
    lab = Lab(lab_server, browser)
    yield lab
    lab.close()


@pytest.fixture(scope="module")
def module_lab(lab_server: Server, browser: Browser) -> Iterator[Lab]:
    """The same for a notebook that all tests of a file share: page and kernel start only once."""
    lab = Lab(lab_server, browser)
    yield lab
    lab.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo) -> Iterator[None]:
    """``CNNVIS_SCREENSHOTS`` names a folder for pictures of what was on the screen when a test failed."""
    report = yield
    folder = os.environ.get("CNNVIS_SCREENSHOTS")
    if folder and call.when == "call" and report.failed:
        Path(folder).mkdir(parents=True, exist_ok=True)
        labs = [item.funcargs[name] for name in ("lab", "module_lab") if name in item.funcargs]
        for number, notebook in enumerate(notebook for lab in labs for notebook in lab.opened):
            notebook.page.screenshot(path=Path(folder, f"{item.name}-{number}.png"))
    return report
