"""Every notebook runs from its first cell to its last, offline, in a kernel of its own, and shows what it promises."""

from __future__ import annotations

import ast
import base64
import io
import json
import os
import re
import sys
import tempfile
from pathlib import Path

import nbconvert
import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient
from PIL import Image

import cnnvis_widgets as cnnvis

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "notebooks" / "en"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
EVERY = sorted((ROOT / "notebooks").glob("*/*.ipynb"))


@pytest.fixture
def kernel(tmp_path, monkeypatch) -> str:
    """A kernel of the Python that runs these tests, whatever others are installed on this machine."""
    folder = tmp_path / "kernels" / "python3"
    folder.mkdir(parents=True)
    line = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = {"argv": line, "display_name": "these tests", "language": "python"}
    (folder / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    # A checkout that is not installed is found too.
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    return "python3"


def executed(path: Path, kernel: str, folder: Path) -> nbformat.NotebookNode:
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(
        notebook, timeout=240, kernel_name=kernel, resources={"metadata": {"path": str(folder)}}
    ).execute()
    return notebook


def shown(notebook: nbformat.NotebookNode, kind: str) -> list:
    """What came out of any cell as this MIME type."""
    return [
        output.data[kind]
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if kind in output.get("data", {})
    ]


@pytest.mark.parametrize("path", EVERY, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_notebooks_are_saved_with_small_pictures_and_without_machine_paths(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert 10 <= len(notebook.cells) <= 25
    text = path.read_text(encoding="utf-8")
    assert len(text.encode()) < 1_500_000
    assert str(Path.home()) + os.sep not in text
    assert tempfile.gettempdir() + os.sep not in text
    assert notebook.metadata.kernelspec.name == "python3"
    assert "widgets" not in notebook.metadata
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert not any(output.output_type == "error" for output in outputs)
    assert not any("application/vnd.jupyter.widget-view+json" in output.get("data", {}) for output in outputs)
    assert any({"image/png", "image/jpeg"} & set(output.get("data", {})) for output in outputs)


def test_each_notebook_is_there_in_every_language():
    names = [path.name for path in NOTEBOOKS]
    assert names == [
        "01_look_inside.ipynb",
        "02_feature_maps.ipynb",
        "03_what_filters_want.ipynb",
        "04_can_i_trust_it.ipynb",
        "05_your_own_model.ipynb",
        "06_lecture.ipynb",
    ]
    assert [path.name for path in sorted((ROOT / "notebooks" / "zh").glob("*.ipynb"))] == names


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_compute_the_same_in_both_languages(path):
    """So those in Chinese need not be executed: texts and the language differ, and nothing else."""
    english = nbformat.read(path, as_version=4)
    chinese = nbformat.read(ROOT / "notebooks" / "zh" / path.name, as_version=4)
    assert [cell.cell_type for cell in english.cells] == [cell.cell_type for cell in chinese.cells]
    for one, other in zip(english.cells, chinese.cells, strict=True):
        if one.cell_type == "code":
            assert without_words(one.source) == without_words(other.source)
        else:
            assert re.search("[\u4e00-\u9fff]", other.source)
            assert not re.search("[\u4e00-\u9fff]", one.source)


def without_words(source: str) -> str:
    """Code without the texts and comments that people read, and without the language that it asks for.

    A text is what holds a Chinese word, or a space; what is left are names, such as "cat" and "block3_add".
    """
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            node.keywords = [each for each in node.keywords if each.arg != "language"]
            if isinstance(node.func, ast.Name) and node.func.id == "print":
                node.args = [each for each in node.args if not isinstance(each, ast.Constant)]
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and not NAME.fullmatch(node.value):
            node.value = ""
        if isinstance(node, ast.JoinedStr):  # where texts stand between values differs with the grammar
            node.values = [value for value in node.values if isinstance(value, ast.FormattedValue)]
    return ast.dump(tree)


NAME = re.compile(r"[a-z0-9_.%/-]+")


def test_a_changed_step_in_the_code_would_be_found():
    assert without_words('show(f"{n} maps", layer="a1")  # here') == without_words(
        'show(f"共 {n} 张", layer="a1", language="zh")'
    )
    assert without_words('show(layer="a1")') != without_words('show(layer="a2")')
    assert without_words("steps = 20") != without_words("steps = 30")


def test_the_lecture_leads_to_the_same_places_in_both_languages():
    def places(language: str) -> list:
        steps = cnnvis.read_steps(ROOT / "notebooks" / language / "lecture.md")
        links = re.compile(r"\(cnnvis:([^)]*)\)")
        return [
            (step.show, step.hide, step.maximize, links.findall(step.text), links.findall(step.answer))
            for step in steps
        ]

    assert places("en") == places("zh")


def test_look_inside_runs_offline_and_shows_its_pictures(kernel, tmp_path, monkeypatch):
    # Whatever would go out to the network finds no way.
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    notebook = executed(FOLDER / "01_look_inside.ipynb", kernel, tmp_path)

    pictures = [Image.open(io.BytesIO(base64.b64decode(png))) for png in shown(notebook, "image/png")]
    assert (
        len(pictures) == 5
    )  # the Explorer as it stands where no widget runs, feature maps, filters, two heatmaps
    for picture in pictures:
        assert picture.width > 600
        assert np.asarray(picture.convert("RGB")).std() > 20, "a picture, not a blank sheet"

    words = said(notebook)
    assert "heatmap:" in words
    answers = [line.split("%  ")[1] for line in words.splitlines() if "%  " in line]
    assert answers[0] == "cat", "the network must call the cat a cat"
    assert len(answers) == 3
    assert "Error" not in words
    assert "Warning" not in words


def said(notebook: nbformat.NotebookNode) -> str:
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return "".join(output.text for output in outputs if output.output_type == "stream")


def test_feature_maps_measures_what_it_tells_and_the_lecture_is_written(kernel, tmp_path):
    """One kernel for both notebooks: starting TensorFlow is what takes time."""
    (tmp_path / "lecture.md").write_text(
        (FOLDER / "lecture.md").read_text(encoding="utf-8"), encoding="utf-8"
    )
    both = [
        nbformat.read(FOLDER / f"{name}.ipynb", as_version=4) for name in ("02_feature_maps", "06_lecture")
    ]
    for cell in both[1].cells:
        both[0].cells.append(nbformat.from_dict({**cell, "id": f"lecture-{cell.id}"}))
    path = tmp_path / "both.ipynb"
    nbformat.write(both[0], path)
    notebook = executed(path, kernel, tmp_path)
    assert (
        len(shown(notebook, "image/png")) == 6
    )  # three of them Explorers as they stand where no widget runs
    lines = said(notebook).splitlines()
    assert sum("minutes, ask:" in line for line in lines) == 9
    zeros = [float(line.split("%")[0].split()[-1]) for line in lines if "zeros" in line]
    assert len(zeros) == 9
    assert zeros[-1] > zeros[0] + 10, "sparsity grows with depth"
    told = [float(line.split()[1]) for line in lines if re.fullmatch(r"block\S+ +-?\d\.\d\d", line)]
    assert len(told) == 4
    assert told[0] > told[-1] + 0.2, "early maps tell more of the photograph"
    assert (tmp_path / "lecture.html").stat().st_size < 2e6
    assert "9 How far to trust it" in lines
    assert "40 minutes" in lines
    assert any("block1_conv9" in line for line in lines), "a misspelt layer is told"


def quicker(path: Path, changes: dict[str, str]) -> nbformat.NotebookNode:
    """A notebook with less to compute: fewer filters, steps and epochs, and otherwise as it is."""
    notebook = nbformat.read(path, as_version=4)
    for before, after in changes.items():
        touched = [cell for cell in notebook.cells if cell.cell_type == "code" and before in cell.source]
        assert touched, before
        for cell in touched:
            cell.source = cell.source.replace(before, after)
    return notebook


def test_what_filters_want_and_your_own_model_show_what_they_claim(kernel, tmp_path):
    """Both in one kernel, with fewer filters and epochs; what they say is what comes out of the full run, too."""
    both = quicker(
        FOLDER / "03_what_filters_want.ipynb",
        {
            "units=range(8)": "units=range(3), steps=12",
            "units=units, recipe": "steps=8, units=units, recipe",
            "range(4)": "range(3)",
            "units[:4]": "units[:3]",
        },
    )
    second = quicker(FOLDER / "05_your_own_model.ipynb", {"epochs = 12": "epochs = 3"})
    for cell in second.cells:
        both.cells.append(nbformat.from_dict({**cell, "id": f"own-{cell.id}"}))
    path = tmp_path / "both.ipynb"
    nbformat.write(both, path)
    notebook = executed(path, kernel, tmp_path)
    words = said(notebook)
    lines = words.splitlines()

    times = [float(line.split()[1]) for line in lines if line.endswith("times the best photograph")]
    assert len(times) == 4 and times[-1] > 1.5, (
        "made pictures lie beyond photographs, after a few steps already"
    )
    assert "filter 54: 0.00  Unit 54 was never active" in words, "the plain way leaves it silent, and says so"
    woken = next(line for line in lines if line.startswith("fast") and "filter 54" in line)
    assert float(woken.split()[3]) > 0.1, "another start wakes it"

    assert "assumed, nothing says otherwise" in words
    assert "my_model is certain about every photograph" in words
    assert "nothing looks wrong" in lines
    mistakes = [line for line in lines if line.startswith("- ")]
    assert len(mistakes) == 6 and "did you mean 'cat'" in mistakes[-1]
    right = [float(line.split()[-2][:-1]) for line in lines if "filters moved by" in line]
    assert len(right) == 3 and right[-1] > right[0] + 15, "it learns"
    assert len(shown(notebook, "image/png")) >= 9


def test_can_i_trust_it_shows_what_it_claims(kernel, tmp_path):
    notebook = executed(FOLDER / "04_can_i_trust_it.ipynb", kernel, tmp_path)
    assert len(shown(notebook, "image/png")) == 7
    alike = {
        line.split()[0]: float(line.split()[1])
        for line in said(notebook).splitlines()
        if "its correlation with" in line
    }
    assert alike["score"] < 0.6 < 0.95 < alike["difference"], (
        "the probability's map is of dog rather than cat"
    )
    score = [
        float(line.split()[-1])
        for line in said(notebook).splitlines()
        if "score:" in line or "constant" in line
    ]
    assert len(score) == 2 and abs(score[0] - score[1]) < 0.01, "the votes are the score"
    difference = next(line for line in said(notebook).splitlines() if "largest difference" in line)
    assert float(difference.split()[-1]) < 1e-4, "and the votes by place are Grad-CAM"
    assert all(len(json.dumps(cell.get("outputs", []))) < 1_000_000 for cell in notebook.cells)
    words = said(notebook)
    areas = {line.split()[0]: float(line.split()[2]) for line in words.splitlines() if " hidden " in line}
    assert areas["grad-cam"] < min(areas["random"], areas["edges"], areas["centre"])
    likeness = [
        [float(part.split(":")[1]) for part in line.split("random: ")[1].split(", ")]
        for line in words.splitlines()
        if "rank correlation" in line
    ]
    assert max(likeness[0][1:]) < 0.5 < min(likeness[1][:3]), (
        "Grad-CAM changes, guided backpropagation hardly"
    )
    shares = {
        line.split()[0]: int(line.split()[1][:-1]) for line in words.splitlines() if "lies on the cat" in line
    }
    assert shares["grad-cam"] > 60 and shares["eigen-cam"] < 30
    assert "Error" not in words and "Warning" not in words


def test_an_executed_notebook_is_small_and_its_page_shows_the_explorer_as_a_picture(kernel, tmp_path):
    cell = "import cnnvis_widgets as cnnvis\nexplorer = cnnvis.Explorer(layer='block1_conv1')\nexplorer"
    path = tmp_path / "one.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell)]), path)
    notebook = executed(path, kernel, tmp_path)
    (png,) = shown(notebook, "image/png")
    assert len(json.dumps(notebook)) < 900_000, "arrays are not saved"
    page, _resources = nbconvert.HTMLExporter().from_notebook_node(notebook)
    assert "".join(png.split()) in "".join(page.split())
    assert "model not found" not in page


def test_the_first_code_cell_is_the_explorer():
    notebook = nbformat.read(FOLDER / "01_look_inside.ipynb", as_version=4)
    first = next(cell for cell in notebook.cells if cell.cell_type == "code")
    assert first.source.split() == [
        *("import", "cnnvis_widgets", "as", "cnnvis"),
        *("explorer", "=", "cnnvis.Explorer()"),
        "explorer",
    ]
