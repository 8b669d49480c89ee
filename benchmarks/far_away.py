"""The Explorer in real JupyterLab when the server is far away, as a Binder is: what is painted how soon.

    python benchmarks/far_away.py [--latency 200] [--rate 10] [--network NAME [--weights FILE]] [--whole]

Between browser and server stands a proxy on this machine that holds every byte back for half of --latency (milliseconds
there and back) and passes at most --rate million bits a second each way. (The throttle of Chromium's own tools leaves
WebSockets alone, by which a kernel answers.) The kernel has CNNVIS_FAR_AWAY set, as on Binder, without --whole. Times
are from the gesture to the end of the frame that shows its effect.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from interactions import CLASS, LAYER, PAGE, TILE, UNIT, Interaction, Visit, browser
from lab.lab import Lab, Server, serve

THUMBNAILS = dataclasses.replace(LAYER, name="layer, its thumbnails", goal="400 ms", times=15)
IN_THE_BROWSER = tuple(dataclasses.replace(what, times=15, kernel=True) for what in (UNIT, TILE, CLASS))


class Direction:
    """One way of a line that all connections share."""

    def __init__(self, delay: float, rate: float):
        self.delay, self.rate, self.free = delay, rate, 0.0

    def due(self, size: int) -> float:
        """When the last of these bytes arrives."""
        self.free = max(self.free, time.monotonic()) + 8 * size / self.rate
        return self.free + self.delay

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sent: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

        async def deliver() -> None:
            while (item := await sent.get())[1]:
                await asyncio.sleep(max(0, item[0] - time.monotonic()))
                writer.write(item[1])
                await writer.drain()
            writer.close()

        delivering = asyncio.create_task(deliver())
        with contextlib.suppress(ConnectionError):
            while piece := await reader.read(8192):
                await sent.put((self.due(len(piece)), piece))
        await sent.put((0, b""))
        with contextlib.suppress(ConnectionError):
            await delivering


@contextlib.contextmanager
def far_away(server: Server, latency: float, rate: float) -> Iterator[Server]:
    """The same server at the end of a long line; latency in seconds there and back, rate in bits a second."""
    there, back = (Direction(latency / 2, rate) for _ in range(2))
    near = urlsplit(server.url)
    loop, ports = asyncio.new_event_loop(), []
    started = threading.Event()

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers, questions = await asyncio.open_connection(near.hostname, near.port)
        await asyncio.gather(there.carry(reader, questions), back.carry(answers, writer))

    async def listen() -> None:
        line = await asyncio.start_server(connect, "127.0.0.1")
        ports.append(line.sockets[0].getsockname()[1])
        started.set()

    def run() -> None:
        asyncio.set_event_loop(loop)
        loop.create_task(listen())
        loop.run_forever()

    threading.Thread(target=run, daemon=True).start()
    started.wait()
    yield dataclasses.replace(server, url=f"http://127.0.0.1:{ports[0]}")
    loop.call_soon_threadsafe(loop.stop)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--latency", type=float, default=200, help="milliseconds there and back")
    parser.add_argument("--rate", type=float, default=10, help="million bits a second")
    parser.add_argument("--network", default="bundled")
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--whole", action="store_true", help="maps as they are sent to a near browser")
    given = parser.parse_args()
    if not given.whole:
        os.environ["CNNVIS_FAR_AWAY"] = "1"
    weights = f", weights={str(given.weights.resolve())!r}" if given.weights else ""
    code = (
        "import time\nimport cnnvis_widgets as cnnvis\n"
        f"explorer = cnnvis.Explorer(cnnvis.load_network({given.network!r}{weights}))\nexplorer"
    )
    with (
        tempfile.TemporaryDirectory() as root,
        serve(Path(root)) as near,
        far_away(near, given.latency / 1000, given.rate * 1e6) as server,
        browser() as chromium,
    ):
        lab = Lab(server, chromium)
        notebook = lab.open([code], width=1300, height=1000, script=PAGE)
        notebook.run_all()
        seen = Visit(notebook, {})
        seen.wait("Number(s.dataset.frame) >= 2")
        seen.page.wait_for_timeout(5000)
        head = notebook.kernel_eval("explorer.network.default_layer.path")
        print(
            f"{given.network}, {given.latency:g} ms, {given.rate:g} Mbit/s; median (95 %) ms, messages (kB) out / in"
        )
        seen.show(layer=head, unit=0)
        for what in (*IN_THE_BROWSER, THUMBNAILS):
            measure(seen, what)
        step = notebook.kernel_eval("max(1, len(explorer.network.layers) // 12)")
        measure(
            seen,
            dataclasses.replace(
                THUMBNAILS, name=f"every {step}th layer", act=f"() => bench.choose('Layer', {step})"
            ),
        )
        lab.close()


def measure(seen: Visit, what: Interaction) -> None:
    """Each gesture when all is quiet: what the last one sent still travels."""
    seen.measure(what, before="pass")


if __name__ == "__main__":
    main()
