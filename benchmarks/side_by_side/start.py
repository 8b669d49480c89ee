"""(f) What a new user waits for: import, the first picture from nothing, the memory that takes, and a page's size.

Each figure is a process of its own. A first picture: from the start of Python, by MobileNetV2 with random weights, a
Grad-CAM over the photograph in a PNG; for the original recipe and the peers, as their users write it.
"""

from __future__ import annotations

import subprocess
import sys
import textwrap
import time

from side_by_side import peers
from side_by_side.bench import Bench
from side_by_side.rows import OURS

IMPORTS = {
    OURS: "cnnvis_widgets",
    "tf-keras-vis": "tf_keras_vis.gradcam",
    "tf-explain": "tf_explain",
    "xplique": "xplique.attributions",
    "eli5": "eli5",
}

DRAWN = """
import io, numpy as np, keras
from matplotlib.figure import Figure
from skimage import data
import cv2
picture = cv2.resize(data.cat(), (224, 224))
inputs = picture[None].astype("float32") / 127.5 - 1
model = keras.applications.MobileNetV2(weights=None, classifier_activation=None)
index = int(np.argmax(model.predict(inputs, verbose=0)))
{explain}
axes = Figure().subplots()
axes.imshow(picture)
axes.imshow(cv2.resize(heat, (224, 224)), cmap="jet", alpha=0.5)
axes.figure.savefig(io.BytesIO(), format="png")
"""

FIRST_PICTURE = {
    OURS: """
        import io
        import cnnvis_widgets as cnnvis
        network = cnnvis.load_network("mobilenet_v2", weights="random")
        heat = cnnvis.explain(network, cnnvis.sample_images()["cat"])
        cnnvis.plot_heatmap(heat).savefig(io.BytesIO(), format="png")
    """,
    "tf-keras-vis": """
        from tf_keras_vis.gradcam import Gradcam
        from tf_keras_vis.utils.scores import CategoricalScore
        heat = np.asarray(Gradcam(model)(CategoricalScore(index), inputs, penultimate_layer="out_relu"))[0]
    """,
    "tf-explain": """
        from tf_explain.core.grad_cam import GradCAM
        values, slopes = GradCAM.get_gradients_and_filters(model, inputs, "out_relu", index, False)
        heat = np.maximum(GradCAM.generate_ponderated_output(values, slopes)[0].numpy(), 0)
    """,
    "xplique": """
        from xplique.attributions import GradCAM
        target = np.eye(1000, dtype="float32")[[index]]
        heat = np.asarray(GradCAM(model, conv_layer="out_relu")(inputs, target))[0, ..., 0]
    """,
}

EXPLORER = """
    import cnnvis_widgets as cnnvis
    explorer = cnnvis.Explorer()
    explorer.state
"""

PAGE = """
    import pathlib, tempfile
    import cnnvis_widgets as cnnvis
    explorer = cnnvis.Explorer()
    explorer.state
    with tempfile.TemporaryDirectory() as folder:
        size = explorer.to_html(pathlib.Path(folder) / "page.html").stat().st_size
    print(size / 1e6)
"""

# Not `ru_maxrss`, which on Linux begins with what the process that started this one held.
PEAK = """
import pathlib
lines = pathlib.Path("/proc/self/status").read_text().splitlines()
print(next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024)
"""


def measure(bench: Bench) -> None:
    tools = [tool for tool in IMPORTS if tool == OURS or peers.version(tool)]
    rounds = 1 if bench.quick else 3
    bench.attempt("", "import", lambda: _imports(bench, tools, rounds))
    if bench.quick:
        return  # what follows takes many seconds even for small networks
    bench.attempt("mobilenet_v2", "first picture", lambda: _first_pictures(bench, tools, 2))
    bench.attempt("bundled", "Explorer", lambda: _explorer(bench))


def _imports(bench: Bench, tools: list[str], rounds: int) -> None:
    figures: dict[str, list[float]] = {tool: [] for tool in tools}
    for _ in range(rounds):
        for tool in tools:
            code = f"import time; t = time.perf_counter(); import {IMPORTS[tool]}; print(time.perf_counter() - t)"
            figures[tool].append(float(_python(code)[0].splitlines()[-1]))
    for tool in tools:
        bench.note("", "import", tool, figures[tool], "s", goal="1x")


def _first_pictures(bench: Bench, tools: list[str], rounds: int) -> None:
    figures: dict[str, list[tuple[float, float]]] = {tool: [] for tool in tools if tool in FIRST_PICTURE}
    for _ in range(rounds):
        for tool, found in figures.items():
            own = textwrap.dedent(FIRST_PICTURE[tool])
            lines, seconds = _python((own if tool == OURS else DRAWN.format(explain=own)) + PEAK)
            found.append((seconds, float(lines.splitlines()[-1])))
    for tool, found in figures.items():
        bench.note(
            "mobilenet_v2", "first picture, from nothing", tool, [one[0] for one in found], "s", goal="1x"
        )
    for tool, found in figures.items():
        bench.note("mobilenet_v2", "peak memory of that", tool, [one[1] for one in found], "MB", goal="1x")


def _explorer(bench: Bench) -> None:
    runs = [_python(textwrap.dedent(EXPLORER) + PEAK) for _ in range(3)]
    bench.note(
        "bundled", "Explorer with its first view, from nothing", OURS, [seconds for _, seconds in runs], "s"
    )
    bench.note(
        "bundled", "peak memory of that", OURS, [float(said.splitlines()[-1]) for said, _ in runs], "MB"
    )
    said, _seconds = _python(textwrap.dedent(PAGE))
    bench.note("bundled", "page without a kernel", OURS, [float(said.splitlines()[-1])], "MB")


def _python(code: str) -> tuple[str, float]:
    """What a fresh Python prints, and the seconds that it took."""
    started = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(
            done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "ended without a word"
        )
    return done.stdout, time.perf_counter() - started
