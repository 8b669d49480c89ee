"""What no file of the package may do: make markup of text, run text, or unpickle what came from outside."""

from __future__ import annotations

import ast
import re

MARKUP = re.compile(r"\.(inner|outer)HTML|insertAdjacentHTML|document\.write|createContextualFragment|srcdoc")
RUNS_TEXT = re.compile(r"\beval\(|new Function\(|setTimeout\(\s*[\"'`]|javascript:")


def test_no_script_makes_markup_of_text_or_runs_it(repository):
    scripts = sorted((repository / "cnnvis_widgets").rglob("*.js"))
    assert len(scripts) > 20
    for script in scripts:
        content = script.read_text(encoding="utf-8")
        assert not MARKUP.search(content) and not RUNS_TEXT.search(content), script


def test_nothing_from_a_file_is_unpickled_or_run(repository):
    """A filter picture's parcel is pickled within a session, as all that Dask sends is; it never lies in a file."""
    unpickling = set()
    for file in sorted((repository / "cnnvis_widgets").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("np.load"):
                assert any(word.arg == "allow_pickle" for word in node.keywords), file
            if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
                assert isinstance(node.value, ast.Constant) and node.value.value is False, file
            if isinstance(node, ast.Call) and ast.unparse(node.func) in (
                "eval",
                "exec",
                "compile",
                "os.system",
            ):
                raise AssertionError(f"{file}: {ast.unparse(node)}")
            if isinstance(node, ast.Import) and {one.name for one in node.names} & {
                "pickle",
                "marshal",
                "shelve",
            }:
                unpickling.add(file.name)
    assert unpickling == {"pictures.py"}
