"""What every test can count on: no network, quiet TensorFlow, folders of real networks and photographs."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import chromium
from playwright.sync_api import Browser

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ["CNNVIS_CACHE"] = "off"  # what an earlier run kept must not answer for the code of today

REPOSITORY = Path(__file__).resolve().parents[1]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests in JupyterLab last: what is quick to fail fails first. Where several run at a time, first, and in one
    process: they take longest, and two JupyterLabs with their kernels and pages would starve each other.

    A real browser on a busy machine now and then loses a message or a frame: such a test has a second try, and
    the summary names it (RERUN). One that fails twice fails.
    """

    def in_lab(item: pytest.Item) -> bool:
        return REPOSITORY / "tests" / "lab" in item.path.parents

    items.sort(key=in_lab, reverse="PYTEST_XDIST_WORKER" in os.environ)
    for item in items:
        item.add_marker(pytest.mark.xdist_group("lab" if in_lab(item) else str(item.path)))
        if "browser" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.flaky(reruns=1))


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing may need more than this machine; a test that tries fails at once, as on a laptop offline."""
    connect = socket.socket.connect

    def connect_here(self: socket.socket, address: object) -> None:
        host = address[0] if isinstance(address, tuple) else "localhost"  # a Unix socket has a path
        if host not in {"127.0.0.1", "::1", "localhost"}:
            raise ConnectionRefusedError(f"Tests have no network, and something wanted {host}.")
        connect(self, address)  # type: ignore[arg-type]

    monkeypatch.setattr(socket.socket, "connect", connect_here)


def folder_of(variable: str, default: str, what: str) -> Path:
    folder = Path(os.environ.get(variable, REPOSITORY.parent / default))
    if not folder.is_dir():
        pytest.skip(f"No folder of {what} here: set {variable} to one to run this test.")
    return folder


@pytest.fixture(scope="session")
def networks_folder() -> Path:
    """Trained networks too large for the repository: ``mobilenet_v2.weights.h5``, ``googlenet.keras``, ..."""
    return folder_of("CNNVIS_NETWORKS", "shared/networks", "trained networks")


@pytest.fixture(scope="session")
def photos_folder() -> Path:
    """Photographs named by ImageNet class, ``281_tabby.jpg``; ten everyday classes in ``ten_classes``."""
    return folder_of("CNNVIS_PHOTOS", "shared/photos", "photographs")


@pytest.fixture(scope="session")
def repository() -> Path:
    """The checkout that is being tested."""
    return REPOSITORY


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The one Chromium of all browser tests."""
    with chromium() as browser:
        yield browser


@pytest.fixture
def little_memory() -> Iterator[None]:
    """This process may take 2 GB more than it has now, as under ``ulimit -v``; with less, other threads die."""
    resource = pytest.importorskip("resource")  # Windows has none
    limits = resource.getrlimit(resource.RLIMIT_AS)
    sizes = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    taken = int(sizes["VmSize"].split()[0]) * 1024
    resource.setrlimit(resource.RLIMIT_AS, (taken + 2 * 2**30, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, limits)
