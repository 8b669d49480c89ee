"""From a key press or a choice to the pixels on screen, in real JupyterLab and Chromium.

    python benchmarks/lab_latency.py [--networks FOLDER]

Each figure is taken on the browser's own clock, from the gesture to the first animation frame in which the stage
shows the new unit or layer. The filter slider is measured idle and while a cell runs for seconds.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tools")]

from browser import chromium  # noqa: E402
from lab.lab import Lab, serve  # noqa: E402

NEXT_UNIT = """() => [...document.querySelectorAll('.widget-slider')]
  .find((row) => row.textContent.includes('Filter')).querySelector('.noUi-handle')
  .dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowRight', bubbles: true, cancelable: true}))"""
UNIT = "() => document.querySelector('.cnnvis-stage').dataset.unit"
CHOOSE = """(i) => {{
  const rows = [...document.querySelectorAll('.widget-dropdown')];
  const row = rows.find((one) => one.querySelector('label').textContent === '{label}');
  const select = row.querySelector('select');
  select.selectedIndex = (select.selectedIndex + {step}) % select.options.length;
  select.dispatchEvent(new Event('change', {{bubbles: true}}));
}}"""
LAYER = "() => document.querySelector('.cnnvis-stage').dataset.layer"
FRAME = "() => document.querySelector('.cnnvis-stage').dataset.frame"


def show(what: str, figures: list[float]) -> None:
    ordered = sorted(figures)
    high = ordered[int(len(ordered) * 0.95) - 1]
    print(
        f"  {what:44} median {statistics.median(ordered):6.1f} ms   95 % {high:6.1f} ms   ({len(ordered)} times)"
    )


def measure(lab: Lab, name: str, source: str) -> None:
    notebook = lab.open(
        [f"import cnnvis_widgets as cnnvis\nexplorer = cnnvis.Explorer({source})\nexplorer"],
        width=1300,
        height=1000,
    )
    notebook.run_all()
    notebook.page.wait_for_function("Number(document.querySelector('.cnnvis-stage')?.dataset.frame) >= 2")
    notebook.execute("explorer.update(layer=explorer.network.default_layer.path, unit=0)")
    notebook.execute(
        "from cnnvis_widgets.compute import runs; runs.record_all(explorer.network, explorer.image, 0)"
    )
    notebook.page.wait_for_timeout(2000)
    print(name)
    show("filter slider, idle", notebook.latencies(NEXT_UNIT, UNIT, times=60))
    notebook.start("import time; time.sleep(3)")
    notebook.page.wait_for_timeout(200)
    show(
        "filter slider, while a cell runs for 3 s", notebook.latencies(NEXT_UNIT, UNIT, times=40, timeout=2.5)
    )
    notebook.finish()
    notebook.page.wait_for_timeout(1000)
    show("layer dropdown", notebook.latencies(CHOOSE.format(label="Layer", step=1), LAYER, times=40))
    show("class dropdown", notebook.latencies(CHOOSE.format(label="Class", step=1), FRAME, times=10))
    show("method dropdown", notebook.latencies(CHOOSE.format(label="Method", step=1), FRAME, times=20))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--networks", type=Path, help="folder with mobilenet_v2.weights.h5")
    folder = parser.parse_args().networks
    sources = {"bundled": ""}
    weights = (
        f", weights={str(folder.resolve() / 'mobilenet_v2.weights.h5')!r}" if folder else ", weights='random'"
    )
    sources["mobilenet_v2"] = f"cnnvis.load_network('mobilenet_v2'{weights})"
    with tempfile.TemporaryDirectory() as root, serve(Path(root)) as server, chromium() as browser:
        lab = Lab(server, browser)
        for name, source in sources.items():
            measure(lab, name, source)
        lab.close()


if __name__ == "__main__":
    main()
