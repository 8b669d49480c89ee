"""What a person may count on whatever ipykernel does with a cell that takes long.

Where ``CNNVIS_KERNELS`` names folders (``pip install --target``; `make test-kernels` makes them), every test runs on
the ipykernel of each of them, otherwise on the installed one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab.lab import Notebook, Server

START = "import cnnvis_widgets as cnnvis\n{0} = cnnvis.Explorer(layer='{1}', unit=5)\n{0}"
CELLS = [START.format("first", "block2_conv1"), START.format("second", "block3_conv1")]
BEGINNING = """
import asyncio, time
for explorer, layer in ((first, 'block2_conv1'), (second, 'block3_conv1')):
    explorer.update(layer=layer, unit=5)
"""
FOLDERS = [Path(name) for name in os.environ.get("CNNVIS_KERNELS", "").split(os.pathsep) if name]


class Room:
    """A notebook with two Explorers."""

    def __init__(self, notebook: Notebook):
        self.notebook, self.page = notebook, notebook.page

    def explorer(self, number: int):
        return self.page.locator(".cnnvis-explorer").nth(number)

    def wait(self, number: int, **data: object) -> None:
        """Until the stage of an Explorer shows these values."""
        self.page.wait_for_function(
            """([number, data]) => {
              const stage = document.querySelectorAll(".cnnvis-stage")[number];
              return stage && Object.entries(data).every(([name, value]) => stage.dataset[name] === String(value));
            }""",
            arg=[number, data],
            timeout=30_000,
        )

    def choose(self, number: int, layer: str) -> None:
        row = self.explorer(number).locator(
            ".widget-dropdown", has=self.page.get_by_text("Layer", exact=True)
        )
        row.locator("select").evaluate(
            """(select, layer) => {
              select.selectedIndex = [...select.options].findIndex(({ label }) => label.split(/\\s/)[0] === layer);
              select.dispatchEvent(new Event("change", { bubbles: true }));
            }""",
            layer,
        )

    def move(self, number: int, times: int = 1) -> None:
        """Press the right arrow on the filter slider, a few times within a second."""
        handle = self.explorer(number).locator(".widget-slider .noUi-handle").first
        handle.evaluate(
            """async (handle, times) => {
              for (let i = 0; i < times; i++) {
                const press = { key: "ArrowRight", bubbles: true, cancelable: true };
                handle.dispatchEvent(new KeyboardEvent("keydown", press));
                await new Promise((done) => setTimeout(done, 20));
              }
            }""",
            times,
        )

    def units(self) -> list[int]:
        """As the kernel has them, once it has heard of the last move."""
        self.page.wait_for_timeout(600)
        return self.notebook.kernel_eval("[first.state['unit'], second.state['unit']]")

    def is_busy(self) -> bool:
        """Whether the cell that was started has not ended."""
        return self.page.evaluate("() => Promise.race([cnnvisTestRun.then(() => false), true])")


@pytest.fixture(
    scope="module", params=FOLDERS or [None], ids=lambda folder: folder.name if folder else "installed"
)
def notebook(module_lab, lab_server: Server, request) -> Notebook:
    if request.param is not None:
        lab_server.add_kernel(request.param.name, request.param.resolve())
    kernel = request.param.name if request.param else "python3"
    notebook = module_lab.open(CELLS, width=1300, height=1000, kernel=kernel)
    notebook.run_all()
    return notebook


@pytest.fixture
def room(notebook) -> Iterator[Room]:
    room = Room(notebook)
    notebook.execute(BEGINNING)
    room.wait(0, layer="block2_conv1", unit=5)
    room.wait(1, layer="block3_conv1", unit=5)
    yield room
    assert not notebook.errors, notebook.errors.pop()


@pytest.fixture
def version(notebook) -> int:
    return notebook.kernel_eval("__import__('ipykernel').version_info[0]")


@pytest.mark.parametrize(
    "wait", ["for _ in range(20): time.sleep(0.1)", "await asyncio.sleep(2)"], ids=["cell", "async"]
)
def test_unit_and_layer_change_while_a_cell_runs(room, version, wait):
    room.notebook.start(wait)
    room.page.wait_for_timeout(300)
    room.move(0, 3)
    room.wait(0, unit=8)
    assert room.is_busy()
    room.choose(1, "block4_conv1")
    room.wait(1, layer="block4_conv1")
    assert room.is_busy() or version < 7  # before 7 a kernel hears nothing until a cell has ended
    room.notebook.finish()
    assert room.units()[0] == 8
    room.move(0)
    room.move(1)
    assert room.units()[0] == 9


def test_an_async_cell_that_touches_a_control_leaves_it_alive(room):
    room.notebook.start("first.controls.unit.value = 20; await asyncio.sleep(1.5)")
    room.wait(0, unit=20)
    room.move(0, 2)
    room.wait(0, unit=22)
    room.notebook.finish()
    assert room.units()[0] == 22
    room.move(0, 2)
    room.wait(0, unit=24)
    assert room.units()[0] == 24


def test_forty_moves_within_a_second_end_where_the_hand_stopped(room):
    room.notebook.execute("first.update(unit=0)")
    room.wait(0, unit=0)
    room.move(0, 40)
    room.wait(0, unit=40)
    assert room.units() == [40, 5]
    room.wait(0, unit=40)


def test_a_kernel_restarted_in_mid_computation_and_the_cells_run_again(room):
    begun = (
        "first.controls.method.value = 'occlusion'; second.controls.maximize.click(); print(first.stage.busy)"
    )
    assert room.notebook.execute(begun).strip(), "nothing is being computed"
    room.notebook._await(
        "the restart", "() => jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()"
    )
    room.notebook.run_all()
    room.wait(0, layer="block2_conv1", unit=5)
    room.wait(1, layer="block3_conv1", unit=5)
    room.move(1, 2)
    room.choose(0, "block4_conv1")
    room.wait(0, layer="block4_conv1")
    assert room.units()[1] == 7
    room.notebook.execute("import asyncio, time")
