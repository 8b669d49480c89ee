"""The package as a user gets it: a wheel with every file in it, quick to import, free of this checkout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

DATA = {".css", ".js", ".json", ".md", ".npz", ".txt", ".typed"}
HEAVY = ("cv2", "keras", "matplotlib", "skimage", "tensorflow")
IMPORT_BUDGET = 0.1  # seconds of processor time, beyond NumPy's own 0.1 to 0.3


def run(*command: str | Path, folder: Path, **environment: str) -> str:
    """Output of a command; where it fails, so does the test, with everything it said."""
    answer = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=folder, env=os.environ | environment
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return answer.stdout


@pytest.fixture(scope="module")
def wheel(repository, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = ("build", "--wheel", "--no-isolation", "--outdir")
    run(sys.executable, "-m", *build, folder, repository, folder=folder)
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def clean_python(wheel, tmp_path_factory) -> Path:
    """An environment that holds the wheel, and finds what it depends on in the environment of the tests."""
    folder = tmp_path_factory.mktemp("clean")
    run(sys.executable, "-m", "venv", "--without-pip", folder / "env", folder=folder)
    python = folder / "env" / ("Scripts" if os.name == "nt" else "bin") / "python"
    packages = Path(
        run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", folder=folder).strip()
    )
    # A folder named in a .pth file is searched, but its own .pth files (the editable checkout) are not read.
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    pip = (sys.executable, "-m", "pip", "--python", python)
    run(*pip, "install", "--no-deps", "--no-index", wheel, folder=folder)
    return python


def package_files(repository: Path) -> set[str]:
    files = (repository / "cnnvis_widgets").rglob("*")
    return {
        file.relative_to(repository).as_posix()
        for file in files
        if file.is_file() and "__pycache__" not in file.parts
    }


def test_the_wheel_holds_every_file_of_the_package_and_nothing_else(wheel, repository):
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if ".dist-info/" not in name}
        licences = [name for name in archive.namelist() if name.endswith("LICENSE")]
    assert inside == package_files(repository)
    assert {Path(name).suffix for name in inside} <= {".py", *DATA}
    assert licences


def test_every_public_name_comes_from_the_wheel(clean_python, repository, tmp_path):
    code = """
import json, sys
import cnnvis_widgets
for name in cnnvis_widgets.__all__:
    getattr(cnnvis_widgets, name)
homes = [module.__file__ for name, module in sys.modules.items() if name.split(".")[0] == "cnnvis_widgets"]
print(json.dumps([home for home in homes if home]))
"""
    homes = json.loads(run(clean_python, "-c", code, folder=tmp_path).splitlines()[-1])
    environment = clean_python.parents[1]
    assert len(homes) > 10
    assert [home for home in homes if environment not in Path(home).parents] == []


def test_the_command_is_installed_with_the_wheel(clean_python, tmp_path):
    assert "usage: cnnvis" in run(clean_python.with_name("cnnvis"), "--help", folder=tmp_path)


def test_importing_is_quick_and_starts_nothing_heavy(clean_python, tmp_path):
    code = f"""
import sys, time
import numpy
start = time.process_time()
import cnnvis_widgets
print(time.process_time() - start, *sorted({set(HEAVY)} & set(sys.modules)))
"""
    answers = [run(clean_python, "-c", code, folder=tmp_path).split() for _ in range(3)]
    assert [heavy for _, *heavy in answers] == [[], [], []]
    assert min(float(seconds) for seconds, *_ in answers) < IMPORT_BUDGET


def test_every_script_and_style_sheet_is_used(repository):
    """By its own name, or as one of ``folder/*.js`` in the module ``folder.py``."""
    package = repository / "cnnvis_widgets"
    sources = {file: file.read_text(encoding="utf-8") for file in package.rglob("*.py")}

    def used(file: Path) -> bool:
        joined = sources.get(file.parent.with_suffix(".py"), "")
        return f'"*{file.suffix}"' in joined or any(file.name in source for source in sources.values())

    files = [*package.rglob("*.js"), *package.rglob("*.css")]
    assert files
    assert [file.relative_to(package).as_posix() for file in files if not used(file)] == []


def test_the_version_has_its_place_in_the_changelog_and_the_citation(repository, wheel):
    version = wheel.name.split("-")[1]
    assert f"## {version}" in (repository / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"version: {version}" in (repository / "CITATION.cff").read_text(encoding="utf-8")
