"""The page without a kernel: how large, how soon one can press something, how long a layer, filter or class takes.

    python benchmarks/page.py [--network NAME] [--weights FILE] [--budget MB] [--rounds 10] [--keep FOLDER]

--network: a name or a file; --weights: a file, or "random". Opened from file:// in Chromium with the network refused.
"Interactive" is the browser's own clock from the start of the navigation until the view stands and its controls answer;
the others are from the gesture to the frame after it.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tools")]

from browser import chromium  # noqa: E402

import cnnvis_widgets as cnnvis  # noqa: E402

# Choose the next value of a control, and wait until the view says so and has been painted.
CHANGE = """async ([control, attribute]) => {
  const root = document.querySelector('.cnnvis-stage');
  const input = document.querySelector(`[data-control="${control}"]`);
  const before = root.dataset[attribute];
  // The first option is the top class, which is listed once more: a choice that changes nothing is never painted.
  const unchanged = ({ value }) => control === 'target' && (value === '0' || value - 1 == before);
  const same = (option) => option.disabled || unchanged(option);
  const started = performance.now();
  if (input.matches('select')) {
    const places = [...input.options].map((_, i) => (input.selectedIndex + 1 + i) % input.options.length);
    const next = places.find((place) => !same(input.options[place]));
    if (next === undefined) return null; // at a layer that is kept small there is one class
    input.selectedIndex = next;
    input.dispatchEvent(new Event('change'));
  } else {
    input.value = (Number(input.value) + 1) % (Number(input.max) + 1);
    input.dispatchEvent(new Event('input'));
  }
  for (let i = 0; i < 60 && root.dataset[attribute] === before; i++) await new Promise(requestAnimationFrame);
  return performance.now() - started;
}"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", default="bundled")
    parser.add_argument("--weights")
    parser.add_argument("--keep", type=Path, help="folder for the page")
    parser.add_argument("--budget", type=float, default=5)
    parser.add_argument("--rounds", type=int, default=10)
    given = parser.parse_args()

    weights = {"weights": given.weights} if given.weights else {}
    explorer = cnnvis.Explorer(cnnvis.load_network(given.network, **weights))
    _ = explorer.state
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        started = time.perf_counter()
        name = explorer.network.name
        file = explorer.to_html((given.keep or Path(folder)) / f"{name}.html", budget_mb=given.budget)
        print(f"{name}: {file.stat().st_size / 1e6:.2f} MB, written in {time.perf_counter() - started:.1f} s")
        ready: list[float] = []
        for number in range(given.rounds):
            context = browser.new_context(viewport={"width": 1280, "height": 900}, offline=True)
            page = context.new_page()
            page.goto(file.as_uri())
            page.wait_for_selector("main[data-prepared]")
            ready.append(float(page.get_attribute("main", "data-ready")))
            if number < given.rounds - 1:
                context.close()
        show("interactive", ready)
        print(page.locator(".cnnvis-page-about p").first.inner_text())
        for control, attribute in (("layer", "layer"), ("unit", "unit"), ("target", "target")):
            figures = [page.evaluate(CHANGE, [control, attribute]) for _ in range(given.rounds)]
            show(control, [figure for figure in figures if figure is not None])
        context.close()
    explorer.close()


def show(what: str, figures: list[float]) -> None:
    if not figures:
        return
    print(f"{what:12} median {statistics.median(figures):5.0f} ms   worst {max(figures):5.0f} ms")


if __name__ == "__main__":
    main()
