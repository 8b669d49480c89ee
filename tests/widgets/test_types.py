"""The JSDoc types of the browser's side hold: TypeScript's compiler reads each view as the browser gets it, joined."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest


def check(repository: Path, folder: Path, **modules: str) -> str:
    """What ``tsc`` says of some modules: nothing where all is well."""
    program = shutil.which("tsc")
    if program is None:
        pytest.skip("No tsc here: `npm install -g typescript` brings it, or run `make types`.")
    for name, text in modules.items():
        (folder / f"{name}.js").write_text(text, encoding="utf-8")
    settings = {"extends": str(repository / "tsconfig.json"), "include": ["*.js"]}
    (folder / "tsconfig.json").write_text(json.dumps(settings))
    return subprocess.run([program, "-p", folder], capture_output=True, text=True, check=False).stdout


def test_every_value_has_the_type_that_its_comment_promises(repository, tmp_path):
    widgets = repository / "cnnvis_widgets" / "widgets"
    stage = "".join(file.read_text(encoding="utf-8") for file in sorted((widgets / "stage").glob("*.js")))
    assert check(repository, tmp_path, stage=stage, bar=(widgets / "bar" / "bar.js").read_text("utf-8")) == ""


def test_a_wrong_type_is_found(repository, tmp_path):
    said = check(
        repository, tmp_path, wrong='// @ts-check\n/** @type {number} */\nexport const unit = "7";\n'
    )
    assert "TS2322" in said
