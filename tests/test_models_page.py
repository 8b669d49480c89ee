"""docs/models.md names tests that exist and sentences that the program says."""

from __future__ import annotations

import ast
import re
from pathlib import Path

TESTS = re.compile(r"`([\w/]+\.py)` ([^`;|]+)")


def table_rows(repository: Path) -> list[dict[str, str]]:
    """The rows of all tables, by the heads of their columns."""
    rows, heads = [], []
    for line in (repository / "docs" / "models.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if not line.startswith("|"):
            heads = []
        elif not heads:
            heads = cells
        elif not line.startswith("|---"):
            rows.append(dict(zip(heads, cells, strict=True)))
    return rows


def test_each_row_names_a_test_that_exists(repository):
    rows = [row for row in table_rows(repository) if "test" in row]
    assert len(rows) > 60
    for row in rows:
        named = TESTS.findall(row["test"])
        assert named, row
        for file, names in named:
            source = (repository / "tests" / file).read_text(encoding="utf-8")
            for name in names.strip().split(", "):
                assert f"def {name.strip()}(" in source, (file, name)


def said_in(repository: Path) -> str:
    """Every text of the package, what is filled in left out."""
    texts = []
    for file in (repository / "cnnvis_widgets").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                texts.append("\0".join(part.value for part in node.values if isinstance(part, ast.Constant)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.append(node.value)
    return "\n".join(texts)


def test_each_sentence_is_one_that_the_program_says(repository):
    said = said_in(repository)
    sentences = [row["sentence"] for row in table_rows(repository) if "sentence" in row]
    assert len(sentences) > 30
    for sentence in sentences:
        # What is filled in stands in capitals; what is between must be said in just these words.
        parts = re.split(r"[][(){}]|[;:] |\b[A-Z]{3,}s?\b|\d+", sentence)
        parts = [part.strip(" .,=") for part in parts if len(part.split()) > 2]
        assert parts, sentence
        assert [part for part in parts if part not in said] == []
