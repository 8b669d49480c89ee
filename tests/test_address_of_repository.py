"""Where the repository lives is said in one place, and every badge and link follows it."""

from __future__ import annotations

import re
import shutil

import pytest
from set_address import PLACES, current, name_in, set_address

# What a badge or link says of a repository: github.com/NAME, Binder's gh/NAME, Colab's github/NAME.
NAMED = re.compile(r"(?:github\.com|mybinder\.org/v2/gh|/github)/([\w.-]+/[\w-]+)")


def files(root):
    return [file for pattern in PLACES for file in root.glob(pattern)]


def test_every_link_to_the_repository_names_the_same_one(repository):
    named = {
        (name, file.name)
        for file in files(repository)
        for name in NAMED.findall(file.read_text(encoding="utf-8"))
        if name.endswith("/cnnvis-widgets")
    }
    assert {name for name, _ in named} == {current()}
    assert {"README.md", "pyproject.toml", "CITATION.cff", "index.md", "CONTRIBUTING.md"} <= {
        file for _, file in named
    }


def test_one_command_sets_it_everywhere(repository, tmp_path):
    for file in files(repository):
        copy = tmp_path / file.relative_to(repository)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, copy)
    changed = set_address("https://github.com/some-body/look.inside", tmp_path)
    assert len(changed) >= 5
    assert current(tmp_path) == "some-body/look.inside"
    assert not [file for file in files(tmp_path) if current() in file.read_text(encoding="utf-8")]
    assert "mybinder.org/v2/gh/some-body/look.inside/" in (tmp_path / "README.md").read_text(encoding="utf-8")


def test_what_is_no_address_is_said_in_words():
    with pytest.raises(SystemExit, match="no address such as"):
        name_in("somewhere")


def test_badges_start_notebooks_that_exist(repository):
    for file in (repository / "README.md", repository / "docs" / "index.md"):
        starts = re.findall(r"(notebooks(?:/|%2F)[\w%/]+\.ipynb)", file.read_text(encoding="utf-8"))
        assert starts, file
        assert [path for path in starts if not (repository / path.replace("%2F", "/")).exists()] == []
