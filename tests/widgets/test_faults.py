"""Real faults while an Explorer works: the last good view, its state and what is kept stay, the next request works."""

from __future__ import annotations

import contextlib
import ctypes
import shutil
import subprocess
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import pytest
from waiting import wait_until

import cnnvis_widgets as cnnvis
from cnnvis_widgets.errors import CnnvisError, CnnvisWarning
from cnnvis_widgets.jobs.cache import Cache
from cnnvis_widgets.jobs.worker import worker
from cnnvis_widgets.networks import room
from cnnvis_widgets.widgets import views


def strike(error: type[BaseException]) -> None:
    """Raise an exception in the worker's thread, wherever that is: all that can be done to a thread from outside."""
    thread = ctypes.c_ulong(worker()._thread.ident)
    assert ctypes.pythonapi.PyThreadState_SetAsyncExc(thread, ctypes.py_object(error)) == 1


def works(explorer, layer: str) -> None:
    """The next request is answered, with what code computes."""
    explorer.update(layer=layer)
    expected = cnnvis.feature_maps(explorer.network, explorer.image, layer).values
    np.testing.assert_array_equal(explorer.feature_maps.values, expected)
    assert explorer.stage.layer["path"] == layer and not explorer.stage.error and not explorer.stage.busy


@pytest.mark.parametrize("error", [SystemExit, MemoryError])
def test_a_worker_struck_down_in_mid_request(explorer, monkeypatch, error):
    explorer.update(layer="block2_conv1")
    before, heat, maps = explorer.state, explorer.stage.heat, explorer.stage.maps
    remembered = len(explorer.network.memory)
    real, begun = views.growing, threading.Event()

    def slow(*about) -> Iterator:
        for number, shown in enumerate(real(*about)):
            yield shown
            while number == 1:  # until something ends this thread's patience
                begun.set()
                time.sleep(0.002)

    monkeypatch.setattr(views, "growing", slow)
    explorer.controls.method.value = "occlusion"
    assert begun.wait(20)
    assert explorer.stage.growing
    strike(error)
    wait_until(lambda: error.__name__ in explorer.stage.error)
    assert explorer.state == before and explorer.controls.method.value == before["method"]
    assert (explorer.stage.heat, explorer.stage.maps, explorer.stage.growing) == (heat, maps, False)
    assert len(explorer.network.memory) >= remembered
    works(explorer, "block3_conv1")


def test_a_worker_struck_down_between_two_requests(explorer):
    explorer.update(layer="block2_conv1")
    one = worker()
    thread = one._thread
    wait_until(lambda: not (one._current or one._running or one._waiting))  # all is fetched ahead
    strike(SystemExit)
    works(explorer, "block3_conv1")
    assert worker()._thread is thread and thread.is_alive()


@contextlib.contextmanager
def small_disk(folder: Path, fault: str) -> Iterator[None]:
    """A file system of its own that is full, or read-only; root too is refused."""
    folder.mkdir()
    mount = shutil.which("mount")
    command = [mount or "false", "-t", "tmpfs", "-o", "size=64k", "none", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("a small disk for the test needs the right to mount one")
    try:
        if fault == "full":
            with contextlib.suppress(OSError), (folder / "others.bin").open("wb", buffering=0) as file:
                while True:
                    file.write(bytes(4096))
        else:
            subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("fault", ["full", "read-only"])
def test_a_disk_that_takes_nothing_is_told_once_and_pictures_are_made(explorer, monkeypatch, tmp_path, fault):
    folder = tmp_path / "disk"
    with small_disk(folder, fault):
        monkeypatch.setenv("CNNVIS_CACHE", str(folder))
        unit = {"full": 1, "read-only": 2}[fault]  # none that the network remembers
        explorer.update(layer="block1_conv1", unit=unit, recipe="fast")
        before, there = explorer.state, sorted(folder.iterdir())
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            explorer.controls.maximize.click()
            wait_until(lambda: explorer.stage.picture_unit == unit and not explorer.stage.picture_progress)
            wait_until(lambda: explorer.controls.cancel.disabled)
        told = [str(one.message) for one in said if one.category is CnnvisWarning]
        assert len(told) == 1 and "work goes on without" in told[0]
        assert explorer.state == before and not explorer.stage.error
        assert sorted(folder.iterdir()) == there  # nothing half-written
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            Cache().put("another", {"x": np.zeros(100_000, np.uint8)})
        works(explorer, "block2_conv1")


@pytest.mark.skipif(room.available() is None, reason="this system does not say how much memory is free")
def test_what_cannot_fit_into_memory_is_told_in_the_widget_and_the_view_stays(explorer, little_memory):
    explorer.update(layer="block2_conv1")
    before, heat, maps = explorer.state, explorer.stage.heat, explorer.stage.maps
    layers = keras.layers
    model = keras.Sequential(
        [layers.Input((None, None, 3)), layers.Conv2D(64, 3), layers.GlobalAveragePooling2D()]
    )
    large = cnnvis.load_network(model, input_size=(3000, 3000))
    with pytest.raises(CnnvisError, match="of memory"):
        explorer.update(network=large)
    assert "GB are free" in explorer.stage.error
    assert explorer.state == before
    assert (explorer.stage.heat, explorer.stage.maps) == (heat, maps)
    works(explorer, "block3_conv1")
