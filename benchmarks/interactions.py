"""Every interaction of the Explorer in real JupyterLab and Chromium: how long it takes, and what travels for it.

    python benchmarks/interactions.py [--networks FOLDER] [--output TABLE.md]

What the browser answers alone is measured as its work for one frame: the gesture's own handlers and then, from the
start of the animation frame to the end of its layout and painting, everything on the page's main thread; not the wait
for the screen's next frame, which is up to 16 ms more on any page. What the kernel answers is the time from the gesture
to the end of the frame that shows the answer. Messages and bytes are the kernel connection's, both ways, counted in the
page until all is quiet.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tools")]

from browser import ARGS  # noqa: E402
from lab.lab import Lab, Notebook, serve  # noqa: E402
from playwright.sync_api import Browser, sync_playwright  # noqa: E402
from playwright.sync_api import Error as PlaywrightError  # noqa: E402
from setup_browser import find_browser  # noqa: E402

from cnnvis_widgets.widgets.bar import Bar  # noqa: E402
from cnnvis_widgets.widgets.stage import Stage  # noqa: E402

CAMERA = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
BUSY = {
    "while a cell sleeps": "import time\nfor _ in range(120): time.sleep(0.1)",
    "while a cell computes": (
        "import time\nend = time.time() + 12\nwhile time.time() < end: sum(i * i for i in range(10000))"
    ),
}
IMAGES = ("astronaut", "coffee", "rocket", "cat")
METHODS = ("grad-cam++", "layer-cam", "hires-cam", "xgrad-cam", "grad-cam")

PAGE = r"""
(() => {
  const counts = { out: 0, outBytes: 0, in: 0, inBytes: 0 };
  const size = (data) => data.byteLength ?? data.size ?? data.length;
  const Real = window.WebSocket;
  window.WebSocket = class extends Real {
    constructor(...all) {
      super(...all);
      this.kernels = String(all[0]).includes("/channels");
      if (this.kernels) this.addEventListener("message", ({ data }) => { counts.in++; counts.inBytes += size(data); });
    }
    send(data) {
      if (this.kernels) { counts.out++; counts.outBytes += size(data); }
      super.send(data);
    }
  };
  // From the start of an animation frame to the first task after its painting.
  const frame = () => new Promise((done) => requestAnimationFrame(() => {
    const start = performance.now();
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => done(performance.now() - start);
    port2.postMessage(0);
  }));
  const stage = () => document.querySelector(".cnnvis-stage");
  const row = (kind, label) => [...document.querySelectorAll(`.widget-${kind}`)]
    .find((one) => one.querySelector("label")?.textContent === label);
  window.bench = {
    counts, stage,
    async quiet() {
      for (let last = -1, same = 0; same < 5; same = counts.in === last ? same + 1 : 0, last = counts.in) {
        await new Promise((done) => setTimeout(done, 100));
      }
    },
    slide: (label) => row("slider", label).querySelector(".noUi-handle")
      .dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight", bubbles: true, cancelable: true })),
    choose(label, wanted) {
      const select = row("dropdown", label).querySelector("select");
      const labels = [...select.options].map((option) => option.label.split(/\s/)[0]);
      const next = (select.selectedIndex + wanted) % labels.length;
      select.selectedIndex = typeof wanted === "string" ? labels.indexOf(wanted) : next;
      select.dispatchEvent(new Event("change", { bubbles: true }));
    },
    hover(selector, i) {
      const canvas = stage().querySelector(selector), box = canvas.getBoundingClientRect();
      const clientX = box.left + ((0.5 + i * 0.618) % 1) * Math.min(box.width, 250);
      const clientY = box.top + ((0.3 + i * 0.755) % 1) * Math.min(box.height, 250);
      canvas.dispatchEvent(new PointerEvent("pointermove", { bubbles: true, clientX, clientY }));
    },
    button: (text) => [...document.querySelectorAll(".cnnvis-explorer button")]
      .find((one) => one.offsetParent && one.textContent.includes(text)).click(),
    press: (selector, i) => { const all = stage().querySelectorAll(selector); all[i % all.length].click(); },
    text: (selector) => stage().querySelector(selector)?.textContent ?? "",
    // Until `done`: the times at which `look` had something new to show.
    async watch(look, done, seconds) {
      const start = performance.now(), times = [];
      for (let last = look(); !done(times.length) && performance.now() - start < 1000 * seconds; await frame()) {
        const now = look();
        if (now !== last && now) times.push(performance.now() - start);
        last = now;
      }
      return times;
    },
    // Milliseconds of work on the main thread, and from the gesture to the end of the frame that shows its effect.
    async time(act, look, i, limit) {
      await frame();
      const before = look(i), start = performance.now();
      const first = frame(); // begins before whatever the gesture schedules
      act(i);
      let work = performance.now() - start + (await first);
      while (look(i) === before) {
        if (performance.now() - start > limit) throw new Error(`no effect, still ${before}`);
        work += await frame();
      }
      return { work, till: performance.now() - start };
    },
  };
})();
"""


@dataclass(frozen=True)
class Row:
    """One line of the table for one network."""

    milliseconds: list[float]
    traffic: dict[str, float]  # per gesture


@dataclass(frozen=True)
class Interaction:
    """act, look: JavaScript functions; what ``look`` returns changes once the gesture's effect is painted."""

    name: str
    goal: str
    act: str
    look: str = "() => bench.stage().dataset.painted"
    times: int = 30
    kernel: bool = False


UNIT = Interaction(
    "filter slider", "16 ms", "() => bench.slide('Filter')", "() => bench.stage().dataset.unit", times=50
)
TILE = Interaction(
    "hover a tile: value, and its field on the photograph",
    "16 ms",
    "(i) => bench.hover('canvas.cnnvis-maps', i)",
    "() => bench.text('.cnnvis-panel-maps .cnnvis-readout')",
    times=40,
)
COLOURS = Interaction("colormap", "16 ms", "() => bench.choose('Colours', 1)")
CLASS = Interaction(
    "class, at a layer before pooling and Dense",
    "16 ms",
    "() => bench.choose('Class', 1)",
    "() => bench.stage().dataset.target",
)
LAYER = Interaction(
    "layer, remembered",
    "100 ms",
    "() => bench.choose('Layer', 1)",
    "() => bench.stage().dataset.layer",
    kernel=True,
)
IN_THE_BROWSER = (
    Interaction("nothing: a frame of this page as it is", "", "() => {}", "() => performance.now()"),
    TILE,
    Interaction(
        "hover the large map",
        "16 ms",
        "(i) => bench.hover('canvas.cnnvis-detail', i)",
        "() => bench.text('.cnnvis-panel-detail .cnnvis-readout')",
    ),
    Interaction(
        "hover the photograph: who sees it",
        "16 ms",
        "(i) => bench.hover('canvas.cnnvis-photo', i)",
        "() => bench.text('.cnnvis-panel-photo .cnnvis-readout')",
        times=40,
    ),
    UNIT,
    COLOURS,
    Interaction("opacity", "16 ms", "() => bench.slide('Opacity')", times=10),
    Interaction("scale", "16 ms", "(i) => bench.press('[data-trait=scale] button', i + 1)"),
    Interaction("sort", "16 ms", "(i) => bench.press('[data-trait=sort] button', i + 1)"),
    Interaction(
        "zoom of the grid", "16 ms", "(i) => bench.press('.cnnvis-panel-maps .cnnvis-zoom button', i >> 2)"
    ),
    Interaction(
        "zoom of the map", "16 ms", "(i) => bench.press('.cnnvis-panel-detail .cnnvis-zoom button', i >> 2)"
    ),
    CLASS,
)
STEPS = Interaction(
    "one convolution, the position under the pointer",
    "16 ms",
    "(i) => bench.hover('canvas.cnnvis-steps', i)",
    "() => { const { y, x } = bench.stage().querySelector('.cnnvis-panel-steps').dataset; return `${y},${x}`; }",
)


LISTED = Interaction(
    "class of the list, at any layer",
    "16 ms",
    "(i) => bench.press('.cnnvis-class', i + 1)",
    "() => bench.stage().dataset.target",
    times=20,
)
WEIGHTS = Interaction(
    "one convolution, another filter's weights",
    "200 ms",
    "() => bench.slide('Filter')",
    "() => bench.text('.cnnvis-panel-steps .cnnvis-title')",
    times=10,
    kernel=True,
)
METHOD = Interaction(
    "method, remembered",
    "100 ms",
    f"(i) => bench.choose('Method', {list(METHODS)}[i % 5])",
    "() => bench.text('.cnnvis-panel-photo .cnnvis-caption').match(/[a-z-]+cam[+]*/)?.[0]",
    times=15,
    kernel=True,
)
IMAGE = Interaction(
    "image, seen before",
    "100 ms",
    f"(i) => bench.choose('Image', {list(IMAGES)}[i % 4])",
    "() => bench.text('.cnnvis-panel-photo .cnnvis-readout')",
    kernel=True,
)
NETWORK = Interaction(
    "network, seen before",
    "100 ms",
    "() => bench.choose('Network', bench.text('.cnnvis-panel-maps .cnnvis-caption').includes('bundled')"
    " ? 'MobileNetV2' : 'bundled')",
    "() => bench.text('.cnnvis-panel-maps .cnnvis-caption').split(' ')[0]",
    kernel=True,
)
STEP = "() => bench.text('.cnnvis-panel-filter .cnnvis-readout').match(/^step ([1-9]\\d*) of/)?.[1] ?? ''"


class Visit:
    """An Explorer in a notebook, and the figures of one network."""

    def __init__(self, notebook: Notebook, goals: dict[str, str]):
        self.notebook, self.page, self.goals = notebook, notebook.page, goals
        self.rows: dict[str, Row] = {}
        self.facts: dict[str, str] = {}

    def counts(self) -> dict[str, int]:
        self.page.evaluate("() => bench.quiet()")
        return self.page.evaluate("() => ({ ...bench.counts })")

    def wait(self, condition: str) -> None:
        """Until a JavaScript condition on the stage element ``s`` holds."""
        self.page.wait_for_function(f"() => {{ const s = bench.stage(); return s && ({condition}); }}")

    def show(self, **state: object) -> None:
        """Go somewhere by code, and let all that follows by itself come."""
        self.notebook.execute(f"explorer.update(**{state!r}); time.sleep(1.5)")
        self.counts()

    def measure(self, what: Interaction, name: str = "", before: str = "", times: int = 0) -> list[float]:
        """Repeat a gesture, each time after some code in the kernel whose own messages are not counted."""
        name, times, figures = name or what.name, times or what.times, []
        traffic: Counter[str] = Counter()
        quiet = self.counts()
        for i in range(times):
            if before:
                self.notebook.execute(before)
                quiet = self.counts()
            figure = self.page.evaluate(
                "([act, look, i]) => bench.time(eval(act), eval(look), i, 60000)",
                [f"({what.act})", f"({what.look})", i],
            )
            figures.append(figure["till" if what.kernel else "work"])
            if before or i == times - 1:
                traffic += Counter(self.counts()) - Counter(quiet)
        self.note(name, what.goal, figures, {key: traffic[key] / times for key in traffic})
        return figures

    def note(
        self, name: str, goal: str, figures: list[float], traffic: dict[str, float] | None = None
    ) -> None:
        self.rows[name] = row = Row(figures, traffic or {})
        self.goals.setdefault(name, goal)
        print(f"  {name:60} {spread(row.milliseconds):18} {travel(row.traffic)}", flush=True)

    def attempt(self, part: Callable[..., None], *about: str) -> None:
        """What fails is said, and the rest is measured all the same."""
        try:
            part(*about)
        except (PlaywrightError, AssertionError) as error:
            print(f"  FAILED in {part.__name__}: {str(error)[:300]}", flush=True)

    def browser(self, head: str, conv: str) -> None:
        """What is answered without the kernel."""
        self.show(layer=head, unit=0)
        for what in IN_THE_BROWSER:
            self.measure(what)
        self.show(layer=conv, unit=0, target=None, sort="index", scale="map")
        self.measure(LISTED)
        self.page.evaluate("() => bench.press('[data-steps=open]', 0)")
        self.wait("s.querySelector('.cnnvis-panel-steps')?.dataset.y")
        self.measure(STEPS)
        self.measure(WEIGHTS)
        self.page.evaluate("() => bench.press('[data-steps=open]', 0)")

    def kernel(self) -> None:
        """What the kernel answers, remembered and for the first time."""
        sent = []
        step = self.notebook.kernel_eval("max(1, len(explorer.network.layers) // 12)")
        for _ in range(12):
            before = self.counts()["inBytes"]
            self.page.evaluate("(step) => bench.choose('Layer', step)", step)
            sent.append((self.counts()["inBytes"] - before) / 1000)
        self.fact(
            "kilobytes sent for a layer, of twelve layers",
            f"median {statistics.median(sent):.0f}, most {max(sent):.0f}",
        )
        self.measure(LAYER)
        self.measure(
            LAYER, "layer, nothing remembered", "time.sleep(1.5); explorer.network.forget()", times=8
        )
        self.show(layer=None)
        self.measure(
            METHOD, "method, nothing remembered", "time.sleep(1.5); explorer.network.forget()", times=5
        )
        self.measure(METHOD)
        self.measure(
            IMAGE, "image, for the first time", "time.sleep(1.5); explorer.network.forget()", times=4
        )
        self.measure(IMAGE, times=8)

    def networks(self, name: str) -> None:
        self.measure(NETWORK, "network, for the first time", times=1)
        self.measure(NETWORK, times=6)
        self.show(network=name)

    def picture(self, layer: str) -> None:
        """A filter's picture: the first, how many a second, and Cancel."""
        self.show(layer=layer, unit=0)
        firsts, between, cancels = [], [], []
        for attempt in range(6):
            self.next_unit()
            begun = self.page.evaluate(
                "async ([step]) => { bench.button('want?'); const look = eval(step);"
                " return bench.watch(look, (n) => n && !look(), 30); }",
                [f"({STEP})"],
            )
            assert begun, "no picture was seen to grow"
            firsts.append(begun[0])
            between += [late - early for early, late in pairwise(begun)]
            if attempt == 0:
                self.note("filter picture, the very first of a layer", "300 ms", firsts[:1])
        self.note("filter picture, the first to be seen", "300 ms", firsts[1:])
        self.note("filter picture, from one to the next", "200 ms: 5 a second", between)
        for _ in range(3):
            self.next_unit()
            cancels.append(
                self.page.evaluate(
                    """async ([step]) => {
                      const look = eval(step);
                      bench.button("want?");
                      await bench.watch(look, (n) => n >= 2, 30);
                      const start = performance.now();
                      bench.button("Cancel");
                      await bench.watch(look, () => !look(), 30);
                      return performance.now() - start;
                    }""",
                    [f"({STEP})"],
                )
            )
        self.note("filter picture, Cancel", "one step", cancels)

    def next_unit(self) -> None:
        """To a unit without a picture."""
        self.page.evaluate("() => bench.slide('Filter')")
        self.counts()

    def camera(self) -> None:
        self.show(layer=None)
        before = self.counts()
        times = self.page.evaluate(
            """async () => {
              bench.button("Camera");
              const times = await bench.watch(() => bench.stage().dataset.live, () => false, 6);
              bench.button("Stop");
              return times;
            }"""
        )
        after = self.counts()
        assert len(times) > 4, "the camera gave no pictures"
        traffic = {key: (after[key] - before[key]) / len(times) for key in after}
        between = [late - early for early, late in pairwise(times[3:])]
        self.note("camera, from one heatmap to the next", "100 ms: 10 a second", between, traffic)

    def busy(self) -> None:
        """The same while a cell runs."""
        for when, code in BUSY.items():
            self.show(layer=None, unit=0, target=None)
            self.notebook.start(code)
            self.page.wait_for_timeout(200)
            for what, times in ((UNIT, 15), (TILE, 10), (COLOURS, 5), (CLASS, 5), (LAYER, 6)):
                self.measure(what, f"{what.name}, {when}", times=times)
            assert self.page.evaluate("() => Promise.race([cnnvisTestRun.then(() => false), true])"), (
                "the cell was over"
            )
            self.notebook.finish()

    def memory(self, layer: str) -> None:
        """What the page holds on one layer, before and after 200 switches to others."""
        session = self.page.context.new_cdp_session(self.page)
        session.send("Performance.enable")

        def held() -> dict[str, float]:
            self.show(layer=layer)
            session.send("HeapProfiler.collectGarbage")
            heap = session.send("Runtime.getHeapUsage")
            metrics = {
                each["name"]: each["value"] for each in session.send("Performance.getMetrics")["metrics"]
            }
            arrays = heap.get("backingStorageSize", 0)  # buffers are not in the heap itself
            return {
                "megabytes": (heap["usedSize"] + arrays) / 1e6,
                "DOM nodes": metrics["Nodes"],
                "listeners": metrics["JSEventListeners"],
            }

        before = held()
        self.page.evaluate(
            """async ([act, look]) => {
              for (let i = 0; i < 200; i++) await bench.time(eval(act), eval(look), i, 60000);
            }""",
            [f"({LAYER.act})", f"({LAYER.look})"],
        )
        after = held()
        for what in before:
            self.fact(
                f"{what} of the page, before and after 200 layer switches",
                f"{before[what]:.0f}, {after[what]:.0f}",
            )

    def fact(self, what: str, words: str) -> None:
        self.facts[what] = words
        print(f"  {what}: {words}", flush=True)


@dataclass(frozen=True)
class Subject:
    """A network to look into, and two of its layers."""

    source: str  # what stands between the brackets of Explorer(...)
    network: str  # its name in the list
    head: str  # feeds global average pooling and Dense
    convolution: str


def subjects(folder: Path | None) -> dict[str, Subject]:
    weights = repr(str(folder.resolve() / "mobilenet_v2.weights.h5")) if folder else "'random'"
    large = f"cnnvis.load_network('mobilenet_v2', weights={weights})"
    return {
        "bundled": Subject("", "bundled", "block4_add", "block3_conv2"),
        "mobilenet_v2": Subject(large, "MobileNetV2", "out_relu", "block_6_expand"),
    }


def visit(lab: Lab, name: str, subject: Subject, goals: dict[str, str]) -> Visit:
    print(name, flush=True)
    cell = f"import time\nimport cnnvis_widgets as cnnvis\nexplorer = cnnvis.Explorer({subject.source})\nexplorer"
    notebook = lab.open([cell], width=1300, height=1000, script=PAGE)
    notebook.run_all()
    seen = Visit(notebook, goals)
    seen.wait("Number(s.dataset.frame) >= 2")
    seen.page.wait_for_timeout(3000)
    seen.attempt(seen.browser, subject.head, subject.convolution)
    seen.attempt(seen.kernel)
    if name != "bundled":
        seen.attempt(seen.networks, subject.network)
    seen.attempt(seen.picture, subject.convolution)
    seen.attempt(seen.camera)
    seen.attempt(seen.busy)
    seen.attempt(seen.memory, subject.head)
    return seen


def spread(figures: list[float]) -> str:
    ordered = sorted(figures)
    high = ordered[max(0, round(len(ordered) * 0.95) - 1)]
    return f"{statistics.median(ordered):.1f} ({high:.1f})"


def travel(traffic: dict[str, float]) -> str:
    if not traffic:
        return ""
    ways = [f"{traffic[way]:.1f} ({traffic[way + 'Bytes'] / 1000:.1f})" for way in ("out", "in")]
    return " / ".join(ways)


def table(visits: dict[str, Visit], goals: dict[str, str]) -> str:
    """Markdown: a line an interaction, then what else was found."""
    heads = [f"{name}, ms | messages (kB) out / in" for name in visits]
    lines = [f"| interaction | goal | {' | '.join(heads)} |", "|---" * (2 + 2 * len(visits)) + "|"]
    for name, goal in goals.items():
        cells = []
        for each in visits.values():
            row = each.rows.get(name)
            cells += [spread(row.milliseconds), travel(row.traffic)] if row else ["", ""]
        lines.append(f"| {name} | {goal} | {' | '.join(cells)} |")
    lines += ["", "Median (95th percentile) of each gesture; messages and kilobytes per gesture.", ""]
    for what in next(iter(visits.values())).facts:
        found = (f"{name} {each.facts[what]}" for name, each in visits.items() if what in each.facts)
        lines.append(f"- {what}: " + "; ".join(found))
    sources = [file for kind in ("js", "css") for file in (ROOT / "cnnvis_widgets").rglob(f"*.{kind}")]
    written = sum(len(file.read_bytes()) for file in sources) / 1000
    sent = sum(len(str(text).encode()) for text in (Stage._esm, Stage._css, Bar._esm, Bar._css)) / 1000
    lines.append(f"- all JavaScript and CSS: {written:.0f} kB as written, {sent:.0f} kB as sent")
    return "\n".join(lines) + "\n"


@contextlib.contextmanager
def browser() -> Iterator[Browser]:
    """The tests' Chromium, with a made-up camera."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=find_browser(), args=[*ARGS, *CAMERA])
        yield started
        started.close()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--networks", type=Path, help="folder with mobilenet_v2.weights.h5")
    parser.add_argument("--output", type=Path, help="file for the table, in Markdown")
    parser.add_argument("--only", choices=subjects(None), help="one network alone")
    options = parser.parse_args()
    goals: dict[str, str] = {}
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as root, serve(Path(root)) as server, browser() as chromium:
        lab = Lab(server, chromium)
        visits = {
            name: visit(lab, name, subject, goals)
            for name, subject in subjects(options.networks).items()
            if options.only in (None, name)
        }
        lab.close()
    words = table(visits, goals)
    print(f"\n{words}\n{time.monotonic() - started:.0f} s in all")
    if options.output:
        options.output.write_text(words, encoding="utf-8")


if __name__ == "__main__":
    main()
