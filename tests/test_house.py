"""docs/architecture.md is true: each folder knows only those above it, and every file has its place on the page."""

import ast
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import cnnvis_widgets

PACKAGE = Path(cnnvis_widgets.__file__).parent
PAGE = PACKAGE.parent / "docs" / "architecture.md"
# Opened when it is asked for, as the page says.
DOORS = {("results.py", "render"), ("widgets", "page")}


@pytest.fixture(scope="module")
def page() -> str:
    if not PAGE.exists():
        pytest.skip("The documentation comes with the repository only.")
    return PAGE.read_text(encoding="utf-8")


def order(page: str) -> list[str]:
    """The names of the list, from top to bottom: "errors.py", "results.py", "locale", ..."""
    lines = re.findall(r"^ {6}([\w./]+(?: [\w.]+\.py)*)  ", page, re.MULTILINE)
    return [name.rstrip("/") for line in lines for name in line.split()]


def known_by(file: Path) -> Iterator[str]:
    """What else of the package a module imports: "results.py", "networks"."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("cnnvis_widgets."):
            name = node.module.split(".")[1]
            yield name if (PACKAGE / name).is_dir() else f"{name}.py"


def test_each_folder_knows_only_those_above_it(page):
    rooms = order(page)
    assert rooms[:3] == ["errors.py", "results.py", "locale"] and rooms[-1] == "cli"
    down = set()
    for file in PACKAGE.rglob("*.py"):
        room = file.relative_to(PACKAGE).parts[0]
        if room != "__init__.py":
            down |= {(room, other) for other in known_by(file) if rooms.index(other) > rooms.index(room)}
    assert down == DOORS


def test_every_file_has_its_place_on_the_page_and_no_other_is_named(page):
    house = page.split("Beside it:")[0]
    named = set(re.findall(r"[\w/]+\.py|[\w/]+/", house)) - {f"{PACKAGE.name}/"}
    files = [file for file in PACKAGE.rglob("*.py") if file.name != "__init__.py"]
    near = {file.name for file in files if len(file.relative_to(PACKAGE).parts) < 3}
    near -= {file.name for file in (PACKAGE / "cli").iterdir()}  # which are told together
    assert sorted(near - named) == []
    there = {file.name for file in files} | {
        f"{folder.name}/" for folder in PACKAGE.rglob("*") if folder.is_dir()
    }
    assert sorted(named - there) == []


@pytest.mark.parametrize("folder", ["benchmarks", "tools"])
def test_what_programs_beside_the_package_import_from_it_is_there(folder):
    files = sorted((PACKAGE.parent / folder).rglob("*.py"))
    if not files:
        pytest.skip("They come with the repository only.")
    for file in files:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == PACKAGE.name:
                module = importlib.import_module(node.module)
                for name in (alias.name for alias in node.names):
                    is_module = (
                        importlib.util.find_spec(f"{node.module}.{name}") if is_folder(module) else None
                    )
                    assert hasattr(module, name) or is_module, f"{file.name}: {node.module}.{name}"


def is_folder(module) -> bool:
    return hasattr(module, "__path__")
