"""Every notebook runs from its first cell to its last, offline, in a kernel of its own, and shows what it promises."""

from __future__ import annotations

import base64
import io
import json
import os
import sys
from pathlib import Path

import nbconvert
import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient
from PIL import Image

FOLDER = Path(__file__).resolve().parents[1] / "notebooks" / "en"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


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
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(FOLDER.parents[1]), os.environ.get("PYTHONPATH", "")]))
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


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_are_saved_without_outputs_and_machine_paths(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
    assert str(Path.home()) + os.sep not in path.read_text(encoding="utf-8")
    assert notebook.metadata.kernelspec.name == "python3"


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
    assert len(shown(notebook, "image/png")) == 5  # two of them Explorers as they stand where no widget runs
    lines = said(notebook).splitlines()
    zeros = [float(line.split("%")[0].split()[-1]) for line in lines if "zeros" in line]
    assert len(zeros) == 9
    assert zeros[-1] > zeros[0] + 10, "sparsity grows with depth"
    pairs = [line.split() for line in lines if len(line.split()) == 2]
    told = [float(share) for name, share in pairs if name.startswith("block")]
    assert len(told) == 4
    assert told[0] > told[-1] + 0.2, "early maps tell more of the photograph"
    assert (tmp_path / "lecture.html").stat().st_size < 2e6
    assert "9 How far to trust it" in lines


def test_can_i_trust_it_shows_what_it_claims(kernel, tmp_path):
    notebook = executed(FOLDER / "04_can_i_trust_it.ipynb", kernel, tmp_path)
    assert len(shown(notebook, "image/png")) == 6
    assert all(len(json.dumps(cell.get("outputs", []))) < 1_000_000 for cell in notebook.cells)
    said = "".join(
        output.text
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if output.output_type == "stream"
    )
    areas = {line.split()[0]: float(line.split()[2]) for line in said.splitlines() if " hidden " in line}
    assert areas["grad-cam"] < min(areas["random"], areas["edges"], areas["centre"])
    likeness = [
        [float(part.split(":")[1]) for part in line.split("random: ")[1].split(", ")]
        for line in said.splitlines()
        if "rank correlation" in line
    ]
    assert max(likeness[0][1:]) < 0.5 < min(likeness[1][:3]), (
        "Grad-CAM changes, guided backpropagation hardly"
    )
    shares = {
        line.split()[0]: int(line.split()[1][:-1]) for line in said.splitlines() if "lies on the cat" in line
    }
    assert shares["grad-cam"] > 60 and shares["eigen-cam"] < 30
    assert "Error" not in said and "Warning" not in said


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
