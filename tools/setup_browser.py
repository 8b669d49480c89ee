"""Find a Chromium for the browser tests, or install one: ``python tools/setup_browser.py``.

In this order: ``$CHROMIUM``; one on the PATH; one that Playwright has installed; then, as root on Debian
or Ubuntu, the package manager's; then Playwright's own. Where none can be had, the browser tests are
skipped and say so; where ``CI`` is set, this fails instead.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "microsoft-edge")
MAC_CHROME = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"
NO_BROWSER = (
    "No Chromium was found and none could be installed: install Chromium or Google Chrome, "
    "or set CHROMIUM to the program's path."
)


def runs(program: str) -> bool:
    """Whether the program starts: Ubuntu has a ``chromium-browser`` that only says it is elsewhere."""
    if os.name == "nt":  # there, --version opens a window
        return Path(program).exists()
    try:
        answer = subprocess.run([program, "--version"], capture_output=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return answer.returncode == 0


def candidates() -> Iterator[str | None]:
    yield os.environ.get("CHROMIUM")
    yield from map(shutil.which, NAMES)
    yield MAC_CHROME
    yield playwrights_own()


def playwrights_own() -> str | None:
    """Where Playwright puts its Chromium, asked in another process: its event loop stays out of ours."""
    code = (
        "from playwright.sync_api import sync_playwright\n"
        "with sync_playwright() as p: print(p.chromium.executable_path)"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    return answer.stdout.strip() or None


def find_browser() -> str | None:
    """Path of a Chromium that runs, or None."""
    return next((program for program in candidates() if program and runs(program)), None)


def install_browser() -> None:
    """Debian's package where that is allowed, else Playwright's download; a new search tells the outcome."""
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    if root and shutil.which("apt-get"):
        subprocess.run(["apt-get", "update", "-q"], check=False)
        quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(["apt-get", "install", "-y", "-q", "chromium"], env=quiet, check=False)
        if find_browser():
            return
    playwright = [sys.executable, "-m", "playwright"]
    subprocess.run([*playwright, "install", "chromium"], check=False)
    if root:  # the libraries it needs
        subprocess.run([*playwright, "install-deps", "chromium"], check=False)


def main() -> int:
    browser = find_browser()
    if browser is None:
        install_browser()
        browser = find_browser()
    if browser is None:
        print(NO_BROWSER, file=sys.stderr)
        return 1 if os.environ.get("CI") else 0
    print(f"Browser tests will use {browser}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
