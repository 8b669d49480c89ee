"""Does an Explorer leak? Thousands of random gestures in real JupyterLab, with memory measured at both ends.

    python benchmarks/soak.py [--gestures 2000] [--warm-up 700] [--seed 0]

A gesture is a mouse, key or control event on the page, chosen by the seed, and most do not wait for the one before.
Both measurements are of the same view, at rest, after garbage collection; what a network remembers for quick answers
(at most 256 MB) fills up in the first gestures. Exit status 1: something grew by 5 % or more, an error reached the
console, or the Explorer does not answer at the end.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tools"), str(ROOT / "benchmarks")]

from browser import ARGS  # noqa: E402
from interactions import CAMERA, PAGE  # noqa: E402
from lab.lab import Lab, Notebook, serve  # noqa: E402
from playwright.sync_api import sync_playwright  # noqa: E402
from setup_browser import find_browser  # noqa: E402

CELL = """
import cnnvis_widgets as cnnvis
explorer = cnnvis.Explorer()
explorer
"""
LIMIT = 1.05  # times what it was

# What a gesture is made of, beside `window.bench` of interactions.py; `r` is in [0, 1).
HELP = r"""
(() => {
  const { stage, choose, slide, hover, button } = bench;
  const one = (list, r) => list[Math.floor(r * list.length)];
  const options = (label, most = Infinity) => [...document.querySelectorAll(".widget-dropdown")]
    .find((row) => row.querySelector("label")?.textContent === label).querySelectorAll("option").length;
  const pick = (label, r) => choose(label, 1 + Math.floor(r * (options(label) - 1)));
  const press = (selector, r) => one([...stage().querySelectorAll(selector)], r)?.click();
  const told = { bubbles: true, cancelable: true, composed: true };
  const key = (element, name) => element?.dispatchEvent(new KeyboardEvent("keydown", { key: name, ...told }));
  const inside = (selector) => stage().querySelector(selector);
  const enter = (place, text) => {
    const field = document.querySelectorAll(".cnnvis-bar input")[place];
    field.value = text;
    field.dispatchEvent(new Event("input", { bubbles: true }));
    key(field, "Enter");
  };
  async function upload(r, broken) {
    const canvas = new OffscreenCanvas(40 + Math.floor(r * 300), 60);
    const context = canvas.getContext("2d");
    context.fillStyle = `hsl(${360 * r} 80% 50%)`;
    context.fillRect(0, 0, canvas.width, 30);
    const picture = broken ? new Blob(["no picture"]) : await canvas.convertToBlob();
    const files = new DataTransfer();
    files.items.add(new File([picture], `soak ${Math.floor(1000 * r)}.png`, { type: "image/png" }));
    const input = inside("input[type=file]");
    input.files = files.files;
    input.dispatchEvent(new Event("change"));
  }
  const layers = ["block1_conv1", "block2_conv2", "block3_conv1", "block4_add"];
  const keys = [..."[]1234567890gscdre+-", "ArrowRight", "ArrowDown", "Home", "Escape"];
  bench.gestures = {
    layer: [8, (r) => pick("Layer", r)],
    filter: [10, () => slide("Filter")],
    hover: [8, (r) => hover(one(["canvas.cnnvis-maps", "canvas.cnnvis-detail", "canvas.cnnvis-photo"], r), r)],
    "tile clicked": [5, (r) => {
      const canvas = inside("canvas.cnnvis-maps"), { left, top, width } = canvas.getBoundingClientRect();
      canvas.dispatchEvent(new MouseEvent("click", { ...told, clientX: left + r * width, clientY: top + 40 }));
    }],
    class: [5, (r) => pick("Class", r)],
    "class of the list": [4, (r) => press(".cnnvis-class", r)],
    method: [3, (r) => choose("Method", one(["grad-cam", "layer-cam", "hires-cam", "grad-cam++", "gradient"], r))],
    "slow method": [1, () => choose("Method", "occlusion")],
    image: [5, (r) => pick("Image", r)],
    colours: [3, (r) => pick("Colours", r)],
    opacity: [3, () => slide("Opacity")],
    sort: [3, (r) => press("[data-trait=sort] button:not([disabled])", r)],
    scale: [3, (r) => press("[data-trait=scale] button:not([disabled])", r)],
    "network strip": [4, (r) => press(".cnnvis-strip [data-path]", r)],
    key: [12, (r) => key(one([...stage().querySelectorAll("[tabindex='0']")], r), one(keys, (r * 97) % 1))],
    help: [1, () => { key(stage(), "?"); key(stage(), "Escape"); }],
    pin: [3, () => key(stage(), "p")],
    "another method": [1, (r) => {
      const select = inside("[data-choice=other-method]");
      select.selectedIndex = Math.floor(r * select.options.length);
      select.dispatchEvent(new Event("change"));
    }],
    difference: [1, () => key(stage(), "d")],
    steps: [2, () => key(stage(), "k")],
    parts: [1, () => inside("[data-choice=concepts]")?.click()],
    trust: [0.3, () => key(stage(), "t")],
    picture: [2, () => button("want?")],
    cancel: [2, () => button("Cancel")],
    follow: [0.5, () => document.querySelector(".cnnvis-explorer input[type=checkbox]").click()],
    recipe: [1, (r) => choose("Recipe", 1 + Math.floor(r * (options("Recipe") - 1)))],
    upload: [2, (r) => upload(r, false)],
    "broken upload": [1, (r) => upload(r, true)],
    address: [2, (r) => enter(0, `bundled/${one(layers, r)}/${Math.floor(r * 40)}`)],
    "wrong address": [1, () => enter(0, "bundled/no_such_layer/3")],
    "picture from nowhere": [1, () => enter(1, "http://127.0.0.1:9/cat.png")],
    code: [1, () => document.querySelectorAll(".cnnvis-bar button")[1].click()],
    camera: [0.3, () => stage().querySelectorAll(".cnnvis-panel-photo button")[1]?.click()],
    pause: [4, (r) => new Promise((done) => setTimeout(done, 600 * r))],
  };
  bench.rest = () => {
    key(stage(), "Escape");
    for (const open of stage().querySelectorAll("button[aria-expanded=true]")) open.click();
    inside(".cnnvis-recording")?.click();
    const follow = document.querySelector(".cnnvis-explorer input[type=checkbox]");
    if (follow.checked) follow.click();
  };
})();
"""

HOME = """
home = dict(network="bundled", image="cat", layer="block4_add", unit=0, target=None, method="grad-cam", pinned=None,
            sort="index", scale="map", heat_scale="own", difference=False, opacity=0.4)
"""
REST = """
import gc, time
from cnnvis_widgets.networks.memory import give_back
time.sleep(1)
explorer.controls.cancel.click()
explorer.update(**home)
time.sleep(4)
gc.collect()
give_back()
"""
RSS = "int(next(line for line in open('/proc/self/status') if line.startswith('VmRSS')).split()[1]) / 1000"


class Soak:
    """An Explorer called ``explorer`` in a notebook that has run, under a flood of gestures."""

    def __init__(self, notebook: Notebook):
        self.notebook, self.page = notebook, notebook.page
        self.page.wait_for_function("() => Number(bench.stage()?.dataset.frame) >= 2")
        self.page.evaluate(HELP)
        self.notebook.execute(HOME)
        self.weights = self.page.evaluate(
            "() => Object.entries(bench.gestures).map(([name, [weight]]) => [name, weight])"
        )
        self.session = self.page.context.new_cdp_session(self.page)
        self.session.send("Performance.enable")
        self.made: Counter[str] = Counter()

    def gestures(self, chance: random.Random, count: int) -> None:
        """So many of them; every fifth waits until the kernel has nothing more to say."""
        names, weights = zip(*self.weights, strict=True)
        for name in chance.choices(names, weights, k=count):
            self.page.evaluate("([name, r]) => bench.gestures[name][1](r)", [name, chance.random()])
            self.made[name] += 1
            if chance.random() < 0.2:
                self.page.evaluate(
                    "() => Promise.race([bench.quiet(), new Promise((done) => setTimeout(done, 3000))])"
                )

    def rest(self) -> None:
        """Close what can be closed."""
        self.page.evaluate("() => bench.rest()")

    def held(self) -> dict[str, float]:
        """Memory at rest, on the same view each time."""
        self.rest()
        self.notebook.execute(REST)
        self.page.evaluate("() => bench.quiet()")
        remembered = self.notebook.kernel_eval("explorer.network.memory.used / 1e6")
        print(f"  the network remembers {remembered:.0f} MB", flush=True)
        return {"kernel, MB": float(self.notebook.kernel_eval(RSS))} | self.page_holds()

    def page_holds(self) -> dict[str, float]:
        """The part of the page, after garbage collection."""
        for _ in range(2):  # what the first one's finalizers let go
            self.session.send("HeapProfiler.collectGarbage")
        heap = self.session.send("Runtime.getHeapUsage")
        page = {one["name"]: one["value"] for one in self.session.send("Performance.getMetrics")["metrics"]}
        return {
            "page, MB": (heap["usedSize"] + heap.get("backingStorageSize", 0)) / 1e6,
            "DOM nodes": page["Nodes"],
            "listeners": page["JSEventListeners"],
        }

    def answers(self) -> None:
        """The next request works, whatever came before; raises where it does not."""
        for layer in ("block2_conv1", "block3_conv2"):
            self.page.evaluate("(layer) => bench.choose('Layer', layer)", layer)
            self.page.wait_for_function("(layer) => bench.stage().dataset.layer === layer", arg=layer)


def grown(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    """By how much, as a share: what is over the limit."""
    return {name: after[name] / before[name] - 1 for name in before if after[name] > before[name] * LIMIT}


def words(held: dict[str, float]) -> str:
    return "; ".join(f"{name} {value:,.0f}" for name, value in held.items())


@contextlib.contextmanager
def opened() -> Iterator[Notebook]:
    """A notebook with an Explorer, in a JupyterLab and a Chromium (with a made-up camera) of their own."""
    with (
        tempfile.TemporaryDirectory() as root,
        serve(Path(root)) as server,
        sync_playwright() as playwright,
    ):
        chromium = playwright.chromium.launch(executable_path=find_browser(), args=[*ARGS, *CAMERA])
        lab = Lab(server, chromium)
        yield lab.open([CELL], width=1300, height=1000, script=PAGE)
        lab.close()  # raises where a page logged an error
        chromium.close()


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--gestures", type=int, default=2000)
    parser.add_argument("--warm-up", type=int, default=700, help="gestures before the first measurement")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    chance, started = random.Random(given.seed), time.monotonic()
    with opened() as notebook:
        notebook.run_all()
        soak = Soak(notebook)
        soak.gestures(chance, given.warm_up)
        before = soak.held()
        print(f"after {given.warm_up} gestures: {words(before)}", flush=True)
        done = 0
        while done < given.gestures:
            part = min(250, given.gestures - done)
            soak.gestures(chance, part)
            done += part
            after = soak.held()
            print(f"{done:5} more, {time.monotonic() - started:.0f} s: {words(after)}", flush=True)
        soak.answers()
    print(f"gestures: {dict(soak.made.most_common())}")
    worse = grown(before, after)
    print("; ".join(f"{name} grew by {share:.1%}" for name, share in worse.items()) or "nothing grew by 5 %")
    return int(bool(worse))


if __name__ == "__main__":
    sys.exit(main())
