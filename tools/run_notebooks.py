"""Run the notebooks, each in a kernel of its own: seconds, memory of the kernel and all that it starts, size.

python tools/run_notebooks.py                     all of them, English and Chinese; what comes out is thrown away
python tools/run_notebooks.py --save 03 05        those whose path contains 03 or 05; saved with what came out
python tools/run_notebooks.py --limit 1.5         exit code 1 where a kernel takes more than so many GB

Saved outputs hold no widgets, only what GitHub and nbconvert show: where a program runs a notebook, an Explorer is a
picture. Large pictures are saved as JPEG, or a notebook with photographs would be several MB.
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import nbformat
import psutil
from nbclient import NotebookClient
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "notebooks"
TEN_MINUTES = 600
LARGE = 150_000  # bytes of a PNG
LIVE = "application/vnd.jupyter.widget-view+json"


class Memory:
    """The largest sum of resident memory (bytes) of all processes that this one has started, looked at 20 times a second."""

    def __enter__(self) -> Memory:
        self.peak = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_error) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        me = psutil.Process()
        while not self._done.wait(0.05):
            self.peak = max(self.peak, sum(map(_resident, me.children(recursive=True))))


def _resident(process: psutil.Process) -> int:
    try:
        return process.memory_info().rss
    except psutil.Error:  # it has ended meanwhile
        return 0


def run(path: Path, folder: Path) -> nbformat.NotebookNode:
    """A notebook with its outputs, run within ``folder``. Raises nbclient's error where a cell fails."""
    notebook = nbformat.read(path, as_version=4)
    kept = json.loads(json.dumps(notebook.metadata))
    NotebookClient(
        notebook,
        timeout=TEN_MINUTES,
        kernel_name="python3",
        record_timing=False,
        store_widget_state=False,
        resources={"metadata": {"path": str(folder)}},
    ).execute(stderr=subprocess.DEVNULL)  # TensorFlow's greetings; a cell's own come by another way
    notebook.metadata = nbformat.from_dict(kept)  # no version of this machine's Python
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            output.get("data", {}).pop(LIVE, None)
            _make_small(output.get("data", {}))
    return notebook


def _make_small(shown: dict) -> None:
    png = shown.get("image/png", "")
    if len(png) * 3 / 4 > LARGE:
        jpeg = io.BytesIO()
        Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB").save(
            jpeg, "jpeg", quality=88, subsampling=0
        )
        del shown["image/png"]
        shown["image/jpeg"] = base64.b64encode(jpeg.getvalue()).decode()


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", help="parts of paths; none runs all notebooks")
    parser.add_argument("--save", action="store_true", help="write the outputs into the notebooks")
    parser.add_argument("--limit", type=float, default=float("inf"), metavar="GB", help="most memory allowed")
    given = parser.parse_args()
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    paths = [
        path
        for path in sorted(FOLDER.glob("*/*.ipynb"))
        if not given.names or any(name in path.relative_to(FOLDER).as_posix() for name in given.names)
    ]
    print(f"{'notebook':30} {'seconds':>8} {'memory GB':>10} {'size kB':>8}", flush=True)
    most = 0.0
    for path in paths:
        with tempfile.TemporaryDirectory() as folder, Memory() as memory:
            for beside in path.parent.glob("*.md"):
                shutil.copy(beside, folder)
            start = time.perf_counter()
            notebook = run(path, Path(folder))
            seconds = time.perf_counter() - start
        if given.save:
            nbformat.write(notebook, path)
        size = len(nbformat.writes(notebook).encode())
        name = path.relative_to(FOLDER).as_posix()
        print(f"{name:30} {seconds:8.1f} {memory.peak / 1e9:10.2f} {size / 1e3:8.0f}", flush=True)
        most = max(most, memory.peak / 1e9)
    return int(not paths or most > given.limit)


if __name__ == "__main__":
    sys.exit(main())
