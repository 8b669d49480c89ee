"""A page for the stage alone; an Explorer on the bundled network."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

import cnnvis_widgets as cnnvis
from cnnvis_widgets.networks.network import Network


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page 900 px wide in which no script may fail."""
    page = browser.new_page(viewport={"width": 916, "height": 800})
    mistakes: list[str] = []
    page.on("pageerror", lambda error: mistakes.append(str(error)))
    yield page
    page.close()
    assert mistakes == []


@pytest.fixture(scope="module")
def network() -> Network:
    return cnnvis.load_network()


@pytest.fixture
def explorer(network: Network) -> Iterator[cnnvis.Explorer]:
    explorer = cnnvis.Explorer(network)
    yield explorer
    explorer.close()
