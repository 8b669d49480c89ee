"""The command line passes on what was given and nothing else, and tells errors in one line."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import types
import urllib.parse
import warnings
from pathlib import Path

import nbformat
import numpy as np
import pytest

import cnnvis_widgets as cnnvis
from cnnvis_widgets import cli, images
from cnnvis_widgets.errors import MethodError, UnknownLayerError
from cnnvis_widgets.results import (
    Concepts,
    FeatureMaps,
    FilterPictures,
    Heatmap,
    LayerInfo,
    Target,
    TopPatches,
)

LAYER = LayerInfo("block1_conv1", "convolution", (4, 4, 8), 8)
PHOTOGRAPH = np.zeros((16, 16, 3), np.uint8)
MAPS = FeatureMaps(np.ones((4, 4, 8), np.float32), LAYER, "n", PHOTOGRAPH)
PICTURES = FilterPictures(
    np.zeros((8, 16, 16, 3), np.uint8), np.arange(8), np.ones(8), np.ones((8, 20)), LAYER, "n", "classic", 0
)
PATCHES = TopPatches(
    np.zeros((2, 3, 8, 8, 3), np.uint8),
    np.ones((2, 3)),
    np.zeros((2, 3, 2), int),
    (("a", "b", "c"),) * 2,
    np.zeros((2, 3, 4), int),
    np.arange(2),
    LAYER,
    "n",
    3,
)
HEATMAP = Heatmap(
    MAPS.values[..., 0], MAPS.values[..., 0], LAYER, Target(3, "cat"), "grad-cam", 1.0, "n", PHOTOGRAPH
)

CONCEPTS = Concepts(
    np.ones((2, 4, 4), np.float32), np.full((2, 8), 0.125, np.float32), 0.9, LAYER, "n", PHOTOGRAPH
)


class FakeNetwork:
    layers = (LAYER, LayerInfo("top_pool", "pooling", (2, 2, 8), 8))
    default_layer = LAYER


@pytest.fixture
def calls(monkeypatch, tmp_path):
    """Every function of the package that the command line calls, replaced by one that writes down its arguments."""
    monkeypatch.chdir(tmp_path)
    recorded: dict[str, tuple] = {}
    results = {
        "load_network": FakeNetwork(),
        "load_image": PHOTOGRAPH,
        "sample_images": {"cat": PHOTOGRAPH, "rocket": PHOTOGRAPH},
        "feature_maps": MAPS,
        "maximize_filters": PICTURES,
        "explain": HEATMAP,
        "concepts": CONCEPTS,
        "top_patches": PATCHES,
    }

    def fake(name):
        def function(*arguments, **options):
            recorded[name] = arguments, options
            if name == "explain":  # an object of each run's own
                assert callable(options.pop("progress"))
            return results[name]

        return function

    for name in results:
        monkeypatch.setitem(vars(cnnvis), name, fake(name))
    return recorded


def run(line: str) -> int:
    return cli.main(line.split())


def test_what_is_not_given_is_not_passed_on(calls, capsys):
    assert run("features") == run("explain") == run("filters") == 0
    assert calls["load_network"] == ((), {})
    for name in ("feature_maps", "explain"):
        (network, image), options = calls[name]
        assert isinstance(network, FakeNetwork)
        assert image is PHOTOGRAPH
        assert options == {}
    assert set(calls["maximize_filters"][1]) == {"progress"}
    assert capsys.readouterr().out.split() == ["features.png", "explain.png", "filters.png"]
    for name in ("features.png", "explain.png", "filters.png"):
        assert Path(name).read_bytes().startswith(b"\x89PNG")


def test_what_is_given_is_passed_on(calls):
    line = "explain my.jpg --network vgg16 --weights w.h5 --layer block1_conv1 --method layer-cam --class 281"
    assert run(f"{line} --output a.jpg --dpi 50 --opacity 0.7 --colormap magma") == 0
    assert calls["load_network"] == (("vgg16",), {"weights": "w.h5"})
    assert calls["load_image"] == (("my.jpg",), {})
    assert calls["explain"][1] == {"layer": "block1_conv1", "method": "layer-cam", "target": 281}
    assert Path("a.jpg").read_bytes().startswith(b"\xff\xd8")


def test_filters_take_units_recipe_and_seed_and_need_no_image(calls):
    assert run("filters --units 0-2,7 --recipe classic --seed 4 --layer block1_conv1") == 0
    options = calls["maximize_filters"][1]
    options.pop("progress")
    assert options == {"units": [0, 1, 2, 7], "recipe": "classic", "seed": 4, "layer": "block1_conv1"}
    assert "load_image" not in calls


def test_patches_search_a_folder(calls):
    assert run("patches photos --units 1-2 --count 4 --layer block1_conv1 --dpi 40") == 0
    options = calls["top_patches"][1]
    assert options.pop("progress")
    assert options == {"images": "photos", "units": [1, 2], "count": 4, "layer": "block1_conv1"}
    assert run("patches") == 0 and calls["top_patches"][1]["images"] is None
    assert Path("patches.png").read_bytes().startswith(b"\x89PNG")


def test_a_warning_is_one_line_too(calls, capsys, monkeypatch):
    def left_out(*_given, **_options):
        warnings.warn("b.jpg is\nleft out.", cnnvis.CnnvisWarning, stacklevel=2)
        return PATCHES

    monkeypatch.setitem(vars(cnnvis), "top_patches", left_out)
    warnings.simplefilter("default")  # as at a terminal; pytest puts its own back
    assert run("patches photos") == 0
    assert capsys.readouterr().err == "cnnvis: b.jpg is left out.\n"


def test_filters_read_an_image_that_is_named_and_say_that_it_is_not_used(calls, capsys):
    assert run("filters my.jpg") == 0
    assert calls["load_image"] == (("my.jpg",), {})
    assert capsys.readouterr().err == "cnnvis: filters starts from noise; my.jpg is not used\n"


def test_filters_refuse_an_image_that_does_not_exist(calls, capsys, monkeypatch):
    monkeypatch.setitem(vars(cnnvis), "load_image", images.load_image)
    assert run("filters nofile.jpg") == 1
    assert capsys.readouterr().err.startswith("cnnvis: There is no picture at nofile.jpg")
    assert "maximize_filters" not in calls


@pytest.mark.parametrize(
    ("command", "plot", "options"),
    [
        ("features --units 1,3 --columns 2 --colormap gray --scale map", "plot_feature_maps",
         {"units": [1, 3], "columns": 2, "colormap": "gray", "scale": "map"}),
        ("explain --opacity 0.5 --colormap jet", "plot_heatmap", {"opacity": 0.5, "colormap": "jet"}),
        ("filters --columns 3", "plot_filters", {"columns": 3}),
        ("filters", "plot_filters", {}),
    ],
)  # fmt: skip
def test_figures_get_their_options(calls, monkeypatch, command, plot, options):
    seen = {}
    real = getattr(cnnvis, plot)
    monkeypatch.setitem(
        vars(cnnvis), plot, lambda result, **given: seen.update(given) or real(result, **given)
    )
    assert run(command) == 0
    assert seen == options


def test_the_dpi_reaches_the_file(calls):
    from PIL import Image

    sizes = []
    for dpi in (50, 100):
        assert run(f"features --dpi {dpi}") == 0
        sizes.append(Image.open("features.png").width)
    assert sizes[1] == 2 * sizes[0]


def test_a_class_may_be_a_name_or_an_index(calls):
    assert cli.main(["explain", "--class", "tabby cat"]) == 0
    assert calls["explain"][1] == {"target": "tabby cat"}
    assert cli.main(["explain", "--target", "tabby cat - dog", "--augment", "--seed", "3"]) == 0
    assert calls["explain"][1] == {"target": "tabby cat - dog", "augment": True, "seed": 3}
    run("explain --class 7")
    assert calls["explain"][1] == {"target": 7}


def test_an_image_may_be_a_sample_by_name_or_a_file(calls):
    run("features rocket")
    assert "load_image" not in calls
    Path("rocket").write_bytes(b"a file of the same name wins")
    run("features rocket")
    assert calls["load_image"] == (("rocket",), {})


@pytest.mark.parametrize(
    ("text", "size"), [("128", (128, 128)), ("96x160", (96, 160)), ("96X160", (96, 160))]
)
def test_a_size_is_height_and_width(calls, text, size):
    assert run(f"filters --size {text}") == 0
    assert calls["maximize_filters"][1]["size"] == size
    with pytest.raises(SystemExit):
        run("filters --size 96x")


def test_filters_may_stand_beside_patches_of_the_same_units(calls, monkeypatch):
    seen = {}
    real = cnnvis.plot_filters
    monkeypatch.setitem(
        vars(cnnvis), "plot_filters", lambda result, **given: seen.update(given) or real(result)
    )
    assert run("filters --units 0-2 --patches 5") == 0
    assert seen == {"patches": PATCHES}
    arguments, options = calls["top_patches"]
    assert arguments[1] is PICTURES.layer
    assert options == {"units": sorted(PICTURES.units.tolist()), "count": 5}


@pytest.mark.parametrize(
    ("text", "units"), [("0", [0]), ("0-3", [0, 1, 2, 3]), ("0-1, 40", [0, 1, 40]), ("5,2", [5, 2])]
)
def test_units_are_ranges_and_numbers(text, units):
    assert cli.common.unit_list(text) == units


@pytest.mark.parametrize(
    "line",
    ["", "feature", "features --units 3-", "features --units x", "features --units 5-2",
     "features --units 0-99999999999", "features --dpi 0",
     "features --scale log", "explain --opacity much", "filters --seed one", "lab a b"],
)  # fmt: skip
def test_a_wrong_line_ends_in_2(line, capsys):
    with pytest.raises(SystemExit) as stop:
        run(line)
    assert stop.value.code == 2
    assert "usage: cnnvis" in capsys.readouterr().err


def test_an_error_is_one_line_and_ends_in_1(calls, capsys, monkeypatch):
    def refuse(*arguments, **options):
        raise UnknownLayerError("There is no layer 'x';\n  the closest is 'block1_conv1'.")

    monkeypatch.setitem(vars(cnnvis), "feature_maps", refuse)
    assert run("features --layer x") == 1
    captured = capsys.readouterr()
    assert captured.err == "cnnvis: There is no layer 'x'; the closest is 'block1_conv1'.\n"
    assert captured.out == ""


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("features --output picture.xyz", "picture.xyz does not say what to write"),
        ("features --output picture", "does not say what to write"),
        ("features --output nowhere/a.png", "There is no folder"),
        ("explain --colormap cividus", "'cividis'"),
        ("features --dpi 20000", "--dpi takes at most 1200"),
        ("features --output .", "does not say what to write"),
    ],
)
def test_what_would_fail_at_the_end_fails_before_the_work(calls, capsys, line, sentence):
    assert run(line) == 1
    assert sentence in capsys.readouterr().err
    assert calls == {}


def test_a_file_that_cannot_be_written_is_one_line(calls, capsys):
    Path("folder.png").mkdir()
    assert run("features --output folder.png") == 1
    error = capsys.readouterr().err
    assert error == "cnnvis: folder.png cannot be written: it is a folder.\n"
    assert calls == {}


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (OSError(28, "No space left on device"), "cannot be written: No space left on device."),
        (OSError("encoder error -2 when writing image file"), "cannot be written: encoder error -2"),
        (
            ValueError("Image size of 1x9999999 pixels is too large.\nIt must be less"),
            "is too large. It must",
        ),
        (MemoryError(), "ask for a lower --dpi"),
    ],
)
def test_whatever_goes_wrong_in_writing_is_one_line(calls, capsys, monkeypatch, error, sentence):
    def refuse(*arguments, **options):
        raise error

    monkeypatch.setattr("matplotlib.figure.Figure.savefig", refuse)
    assert run("features") == 1
    said = capsys.readouterr().err
    assert said.startswith("cnnvis: features.png ")
    assert sentence in said
    assert said.count("\n") == 1


def test_ctrl_c_ends_in_130_without_a_traceback(calls, capsys, monkeypatch):
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setitem(vars(cnnvis), "explain", interrupted)
    assert run("explain") == 130
    assert capsys.readouterr().err == "cnnvis: stopped\n"


def test_ctrl_c_during_filters_keeps_what_is_there_and_ends_in_130(calls, capsys, monkeypatch):
    def interrupted(*arguments, progress, **options):
        progress(7, 20)
        return PICTURES

    monkeypatch.setitem(vars(cnnvis), "maximize_filters", interrupted)
    assert run("filters") == 130
    assert "stopped at step 7" in capsys.readouterr().err
    assert Path("filters.png").exists()


def test_progress_goes_to_stderr_a_line_for_each_tenth(calls, capsys, monkeypatch):
    def slow(*arguments, progress, **options):
        for step in range(1, 51):
            progress(step, 50)
        return PICTURES

    monkeypatch.setitem(vars(cnnvis), "maximize_filters", slow)
    assert run("filters") == 0
    captured = capsys.readouterr()
    assert captured.out == "filters.png\n"
    lines = captured.err.splitlines()
    assert len(lines) == 10
    assert lines[-1] == "cnnvis: step 50 of 50"


def test_long_work_says_how_long_it_will_take_and_quick_work_nothing(calls, capsys, monkeypatch):
    now = iter(range(100))
    monkeypatch.setattr(cli.common, "time", types.SimpleNamespace(monotonic=lambda: next(now)))

    def slow(*arguments, progress, **options):
        for done in (1, 11, 12):  # a second each
            progress(done, 12)
        return HEATMAP

    monkeypatch.setitem(vars(cnnvis), "explain", slow)
    assert run("explain --method score-cam") == 0
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["cnnvis: run 11 of 12", "cnnvis: run 12 of 12"]
    now = iter(range(0, 1000, 60))
    assert run("explain --method score-cam") == 0
    assert capsys.readouterr().err.splitlines()[0] == "cnnvis: run 11 of 12, about 11 s left"
    monkeypatch.setitem(vars(cnnvis), "explain", lambda *_, progress, **__: progress(1, 1) or HEATMAP)
    assert run("explain") == 0
    assert capsys.readouterr().err == ""


def test_concepts_are_drawn_and_told_where_there_are_none(calls, capsys, monkeypatch):
    assert run("concepts my.jpg --layer conv --parts 3 --seed 1 --opacity 0.5") == 0
    assert calls["concepts"][1] == {"layer": "conv", "parts": 3, "seed": 1}
    assert Path("concepts.png").exists()
    dead = dataclasses.replace(CONCEPTS, maps=np.zeros((2, 4, 4), np.float32))
    monkeypatch.setitem(vars(cnnvis), "concepts", lambda *_, **__: dead)
    assert run("concepts") == 0
    assert "nothing above 0 at" in capsys.readouterr().err


def test_no_evidence_is_said_and_the_picture_still_written(calls, capsys, monkeypatch):
    blank = dataclasses.replace(HEATMAP, values=np.zeros((4, 4)), raw=np.zeros((4, 4)))
    monkeypatch.setitem(vars(cnnvis), "explain", lambda *arguments, **options: blank)
    assert run("explain") == 0
    assert "no positive evidence for 'cat'" in capsys.readouterr().err
    assert Path("explain.png").exists()


def test_layers_prints_every_path_and_the_default(calls, capsys):
    assert run("layers --network vgg16") == 0
    out = capsys.readouterr().out
    for part in ("block1_conv1", "convolution", "4 x 4 x 8", "top_pool", "Without --layer: block1_conv1"):
        assert part in out


def test_methods_prints_the_table_that_explain_reads(capsys):
    assert run("methods") == 0
    out = capsys.readouterr().out
    for method in cnnvis.methods():
        assert method.name in out
        assert method.formula in out


def test_an_unknown_method_ends_in_1(calls, capsys, monkeypatch):
    def refuse(*arguments, **options):
        raise MethodError("There is no method 'x'.")

    monkeypatch.setitem(vars(cnnvis), "explain", refuse)
    assert run("explain --method x") == 1
    assert capsys.readouterr().err == "cnnvis: There is no method 'x'.\n"


class Started(Exception):
    """Instead of JupyterLab."""


@pytest.fixture
def lab(monkeypatch, tmp_path):
    """What would be started, as a list."""

    def start(line):
        raise Started(line)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cli.lab, "_run", start)

    def command(text: str = "lab") -> list[str]:
        with pytest.raises(Started) as started:
            run(text)
        return started.value.args[0]

    return command


def opened(line: list[str]) -> Path:
    """The notebook that the printed address leads to."""
    options = dict(word.split("=", 1) for word in line if "=" in word)
    name = urllib.parse.unquote(options["--LabApp.default_url"].removeprefix("/lab/tree/"))
    return Path(options["--ServerApp.root_dir"]) / name


def test_lab_opens_the_first_notebook_of_a_checkout(lab, repository):
    line = lab()
    assert line[:3] == [sys.executable, "-m", "jupyterlab"]
    assert opened(line) == repository / "notebooks" / "en" / "01_look_inside.ipynb"


def test_lab_opens_the_notebook_that_is_named(lab, capsys, tmp_path):
    Path("my own.ipynb").write_text("{}")
    with pytest.raises(Started) as started:
        cli.main(["lab", "my own.ipynb"])
    assert opened(started.value.args[0]) == tmp_path / "my own.ipynb"
    assert run("lab nowhere.ipynb") == 1
    assert capsys.readouterr().err.startswith("cnnvis: There is no notebook nowhere.ipynb")


def test_without_a_checkout_lab_makes_a_notebook_once(lab, monkeypatch, tmp_path):
    monkeypatch.setattr(
        cnnvis, "__file__", str(tmp_path / "site-packages" / "cnnvis_widgets" / "__init__.py")
    )
    assert opened(lab()) == tmp_path / "look_inside.ipynb"
    notebook = nbformat.read("look_inside.ipynb", as_version=4)
    nbformat.validate(notebook)
    assert "cnnvis.Explorer()" in notebook.cells[0].source
    assert len(notebook.cells) == 3
    Path("look_inside.ipynb").write_text("my notes")
    lab()
    assert Path("look_inside.ipynb").read_text() == "my notes"


def test_lab_without_a_screen_prints_the_address_instead(lab, monkeypatch):
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setenv("DISPLAY", ":0")
    assert "--no-browser" not in lab()
    assert "--no-browser" in lab("lab --no-browser")
    monkeypatch.delenv("DISPLAY")
    if sys.platform == "linux":
        assert "--no-browser" in lab()
    assert cli.lab._has_screen({}, "darwin")
    assert cli.lab._has_screen({}, "win32")
    assert not cli.lab._has_screen({}, "linux")


def test_without_jupyterlab_one_sentence_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "jupyterlab", None)
    monkeypatch.setattr(cli.lab.importlib.util, "find_spec", lambda name: None)
    assert run("lab") == 1
    assert capsys.readouterr().err == (
        'cnnvis: JupyterLab is not installed; run: pip install "cnnvis-widgets[lab]"\n'
    )


def command_line(*arguments: str, stdout: int = subprocess.PIPE, **options) -> subprocess.CompletedProcess:
    """The command in a process of its own, as a person runs it: without the tests' own setting of log levels."""
    line = [sys.executable, "-m", "cnnvis_widgets.cli", *arguments]
    environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    pipes = {"stdout": stdout, "stderr": subprocess.PIPE}
    return subprocess.run(line, text=True, timeout=240, env=environment, **pipes, **options)


def test_version_and_help_do_not_import_anything_heavy():
    code = """
import sys
from cnnvis_widgets import cli
try:
    cli.main(["--version"])
except SystemExit as stop:
    assert stop.code == 0
assert not {"matplotlib", "tensorflow", "keras", "cv2"} & set(sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == f"cnnvis-widgets {cnnvis.__version__}\n"


def test_a_reader_that_has_seen_enough_is_no_error():
    read, write = os.pipe()
    os.close(read)
    done = command_line("methods", stdout=write)
    os.close(write)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Only Linux has a disk that is always full.")
def test_a_full_disk_under_the_standard_output_is_one_line():
    with open("/dev/full", "w") as full:
        done = command_line("methods", stdout=full.fileno())
    assert (done.returncode, done.stderr) == (1, "cnnvis: No space left on device\n")


def test_the_real_thing_explains_the_cat_and_says_nothing_else(tmp_path):
    done = command_line("explain", "--output", "cat.jpg", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "cat.jpg\n", "")
    assert (tmp_path / "cat.jpg").stat().st_size > 20_000


def test_a_page_is_written_with_the_layers_and_the_budget_asked_for(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run("page rocket --layers block4_add,block1_pool --budget 2") == 0
    assert capsys.readouterr().out == "page.html\n"
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert len(text.encode()) < 2e6
    assert '"path":"block1_pool"' in text and '"path":"block2_pool"' not in text
    assert "<title>Inside bundled, on rocket</title>" in text
    assert run("page --output nowhere/page.html") == 1
    assert "There is no folder" in capsys.readouterr().err


def test_the_real_thing_names_the_closest_layer_in_one_line(tmp_path):
    done = command_line("features", "--layer", "block1_conv9", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("cnnvis: ")
    assert "block1_conv" in done.stderr.partition("block1_conv9")[2]
    assert done.stderr.count("\n") == 1


def evaluated():
    """Two methods by two metrics over six photographs, of which four have no value for the second metric."""
    from cnnvis_widgets.compute.faithfulness import find_metric
    from cnnvis_widgets.compute.faithfulness.evaluation import summary

    few = [0.9, 0.8, *[np.nan] * 4]
    values = np.array([[[0.1, 0.2, 0.3] * 2, few], [[0.5, 0.6, 0.7] * 2, [np.nan] * 6]])
    metrics = [find_metric("deletion"), find_metric("pointing-2x2")]
    return summary(
        values, np.ones((2, 6)), ["grad-cam", "random"], metrics, [f"{i}.jpg" for i in range(6)], "n"
    )


def test_evaluate_writes_what_was_measured_and_prints_it(calls, capsys, monkeypatch):
    given = {}

    def measure(network, images, *, progress, **options):
        given.update(options, images=images)
        for step in range(1, 21):
            progress(step, 20)
        return evaluated()

    monkeypatch.setitem(vars(cnnvis), "evaluate", measure)
    Path("photos").mkdir()
    for name in ("b.jpg", "a.PNG", "notes.txt"):
        Path("photos", name).touch()
    line = "evaluate photos --network vgg16 --methods grad-cam,rise --metrics deletion --seed 3 --output e."
    for suffix in ("md", "json", "csv"):
        assert run(line + suffix) == 0
    assert given.pop("images") == {"a.PNG": Path("photos/a.PNG"), "b.jpg": Path("photos/b.jpg")}
    assert given == {"methods": ["grad-cam", "rise"], "metrics": ["deletion"], "seed": 3}
    captured = capsys.readouterr()
    assert captured.out.count(evaluated().table()) == 3 and captured.out.endswith("e.csv\n")
    assert captured.err.splitlines()[-1] == "cnnvis: step 20 of 20"
    assert evaluated().table("markdown") in Path("e.md").read_text(encoding="utf-8")
    rows = json.loads(Path("e.json").read_text())["rows"]
    assert [row["mean"] for row in rows] == [
        pytest.approx(0.2),
        pytest.approx(0.85),
        pytest.approx(0.6),
        None,
    ]
    assert rows[0]["beats"] == ["random"] and rows[1]["n"] == 2
    ahead = [rows[0][name] for name in ("ahead", "ahead_low", "ahead_high")]
    assert ahead == pytest.approx([0.4] * 3)  # on every photograph by as much
    assert rows[1]["ahead"] is None  # the control has nothing to be compared with
    lines = Path("e.csv").read_text().splitlines()
    assert lines[0].startswith("method,metric,mean,low,high,n,beats") and len(lines) == 5


def test_evaluate_stopped_by_ctrl_c_writes_what_there_is_and_ends_in_130(calls, capsys, monkeypatch):
    def stopped(network, images, *, progress):
        progress(7, 20)
        return evaluated()

    monkeypatch.setitem(vars(cnnvis), "evaluate", stopped)
    assert run("evaluate") == 130
    assert "stopped at step 7; evaluation.md holds what there was" in capsys.readouterr().err
    assert Path("evaluation.md").exists()


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("evaluate --output a.png", "a.png does not say what to write; end it in .md, .json or .csv"),
        ("evaluate nowhere", "There is no folder nowhere"),
        ("evaluate .", "There are no photographs in ."),
        ("evaluate --output nowhere/a.md", "There is no folder"),
    ],
)
def test_evaluate_says_what_is_wrong_before_the_work(calls, capsys, line, sentence):
    assert run(line) == 1
    assert sentence in capsys.readouterr().err and calls == {}


def test_metrics_prints_the_table_that_evaluate_reads(capsys):
    assert run("metrics") == 0
    out = capsys.readouterr().out
    for metric in cnnvis.metrics():
        assert metric.name in out and metric.formula in out
