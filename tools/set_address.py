"""Say where the repository lives: ``python tools/set_address.py https://github.com/somebody/cnnvis-widgets``.

The address stands in ``pyproject.toml``, under Repository. This writes it there and, in every other file of the
repository, puts it in the place of the old one: badges, links, citation.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PLACES = (
    *("pyproject.toml", "README.md", "CONTRIBUTING.md", "CITATION.cff"),
    *("docs/*.md", "docs/*/*.md", "notebooks/*/*.ipynb"),
)
_ADDRESS = re.compile(r"https://github\.com/([\w.-]+/[\w.-]+?)(?:\.git)?/?")


def name_in(address: str) -> str:
    """``somebody/cnnvis-widgets``, by which Binder and Colab know a repository. Exits in words for anything else."""
    found = _ADDRESS.fullmatch(address)
    if not found:
        sys.exit(f"{address!r} is no address such as https://github.com/somebody/cnnvis-widgets.")
    return found[1]


def current(root: Path = ROOT) -> str:
    """The name that stands in ``pyproject.toml``."""
    text = (root / "pyproject.toml").read_text(encoding="utf-8")
    return name_in(re.search(r'^Repository = "(.+)"$', text, re.MULTILINE)[1])


def set_address(address: str, root: Path = ROOT) -> list[Path]:
    """Returns the files that changed."""
    old, new = current(root), name_in(address)
    changed = []
    for file in (file for pattern in PLACES for file in sorted(root.glob(pattern))):
        text = file.read_text(encoding="utf-8")
        if old in text and old != new:
            file.write_text(text.replace(old, new), encoding="utf-8", newline="\n")
            changed.append(file)
    return changed


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    for path in set_address(sys.argv[1]):
        print(path.relative_to(ROOT))
