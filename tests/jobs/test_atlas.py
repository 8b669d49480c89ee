"""The atlas: the same pictures as without it, each unit once, whoever is killed; read while it fills, anywhere."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import fsspec
import models
import numpy as np
import psutil
import pytest
from atlas_stub import LARGER, TERMS, Stub, StubPatches, expected, on_the_web
from dask.utils import key_split
from distributed import Client, get_worker
from distributed.protocol.pickle import dumps

import cnnvis_widgets as cnnvis
from cnnvis_widgets.cli import main
from cnnvis_widgets.compute.maximize import Pixels, Recipe, find_recipe
from cnnvis_widgets.errors import CnnvisError, UnknownLayerError
from cnnvis_widgets.jobs.atlas import fill as filling
from cnnvis_widgets.jobs.atlas import open_atlas
from cnnvis_widgets.jobs.atlas import store as store_of
from cnnvis_widgets.jobs.atlas.pictures import fill_batch
from cnnvis_widgets.jobs.atlas.store import BATCH, Batch, Place, begin, place_of, write
from cnnvis_widgets.networks import parcel
from cnnvis_widgets.networks.network import Network
from cnnvis_widgets.networks.parcel import pack, unpack, weights_hash

RUN = Path(__file__).parents[1] / "atlas_run.py"
LAYERS = tuple(layer for layer, _units in TERMS.layers)
WANTED = {layer: np.arange(units) for layer, units in TERMS.layers}


def silent(*_progress) -> None:
    """A progress that says nothing."""


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """Two workers that are threads of this process: quick to start."""
    with Client(processes=False, n_workers=2, threads_per_worker=1, dashboard_address=None) as client:
        yield client


@pytest.fixture
def stub(tmp_path) -> Stub:
    return Stub(str(tmp_path / "made.txt"))


def begun(address: object, options: dict | None = None) -> Place:
    place = place_of(address, options)
    begin(place, TERMS, LAYERS)
    return place


def filled_plainly(folder: Path, terms=TERMS) -> Place:
    """A store filled by nothing but a loop, one batch after the other."""
    place, stub = place_of(folder / "plain.zarr"), Stub(os.devnull, size=terms.size)
    begin(place, terms, LAYERS)
    for layer, count in terms.layers:
        for start in range(0, count, BATCH):
            fill_batch(place, layer, tuple(range(start, min(start + BATCH, count))), stub)
    filling._seal_full(open_atlas(place), LAYERS)
    return place


def content(place: Place) -> dict[str, bytes]:
    """Every file of a store; what a killed process has left unfinished under another name is none."""
    root = Path(place.address)
    files = [file for file in root.rglob("*") if file.is_file() and file.suffix != ".partial"]
    return {file.relative_to(root).as_posix(): file.read_bytes() for file in files}


def all_right(place: Place) -> int:
    """How many units a reader finds; each of them must be the whole of what it should be."""
    atlas, found = open_atlas(place), 0
    for layer in LAYERS:
        units = np.flatnonzero(atlas.done(layer))
        for unit, picture in zip(units, atlas.pictures(layer, units), strict=True):
            np.testing.assert_array_equal(picture, expected(layer, int(unit), atlas.terms.size))
        np.testing.assert_array_equal(atlas.activations(layer, units), units / 2)
        found += len(units)
    return found


def test_every_unit_is_made_once_and_a_second_run_makes_nothing(client, stub, tmp_path):
    place = begun(tmp_path / "a.zarr")
    told: list[tuple] = []
    atlas = filling.fill(client, place, WANTED, stub, lambda *progress: told.append(progress))
    assert sorted(stub.made()) == sorted(
        (layer, unit) for layer, units in TERMS.layers for unit in range(units)
    )
    assert all_right(place) == 61
    assert atlas.remark("first/conv", 39) == "übrig 39"
    assert told[0] == (0, 61, None)
    assert told[-1] == (61, 61, 0.0)
    filling.fill(client, place, WANTED, stub, silent)
    assert len(stub.made()) == 61
    assert content(place) == content(filled_plainly(tmp_path))
    assert all(dict(place.group("r", TERMS.folder(layer)).attrs) == {"complete": True} for layer in LAYERS)


def test_some_units_first_then_only_the_others(client, stub, tmp_path):
    place = begun(tmp_path / "a.zarr")
    some = {"first/conv": np.array([3, 17, 18]), "second-conv": np.array([20])}
    atlas = filling.fill(client, place, some, stub, silent)
    assert len(stub.made()) == 4
    assert np.flatnonzero(atlas.done("first/conv")).tolist() == [3, 17, 18]
    with pytest.raises(CnnvisError, match="Unit 4 of 'first/conv' is not in the atlas yet"):
        atlas.pictures("first/conv", [3, 4])
    told: list[tuple] = []
    filling.fill(client, place, WANTED, stub, lambda *progress: told.append(progress))
    assert told[0] == (4, 61, None)
    assert len(stub.made()) == len(set(stub.made())) == 61
    assert content(place) == content(filled_plainly(tmp_path))


def test_pictures_come_in_the_order_asked_for(stub, tmp_path):
    place = begun(tmp_path / "a.zarr")
    fill_batch(place, "first/conv", (0, 1, 2, 3), stub)
    atlas = open_atlas(place)
    pictures = atlas.pictures("first/conv", [3, 0, 3])
    np.testing.assert_array_equal(pictures, [expected("first/conv", unit) for unit in (3, 0, 3)])
    assert atlas.activations("first/conv", [3, 0]).tolist() == [1.5, 0]
    assert atlas.pictures("first/conv", []).shape == (0, 12, 10, 3)


def test_what_was_written_without_its_flags_is_not_read_and_is_made_anew(stub, tmp_path):
    """A writer dies after the pictures, before the flags: here, because its remarks cannot be written."""
    place = begun(tmp_path / "a.zarr")
    wrong = np.zeros((2, *TERMS.size, 3), np.uint8)
    broken = Batch(np.array([0, 1]), wrong, np.zeros(2, np.float32), (None, None))  # type: ignore[arg-type]
    with pytest.raises(AttributeError):
        write(place, TERMS, "first/conv", broken)
    assert (tmp_path / "a.zarr").rglob("pictures/*")
    assert not open_atlas(place).done("first/conv").any()
    with pytest.raises(CnnvisError, match="Unit 0"):
        open_atlas(place).picture("first/conv", 0)
    assert fill_batch(place, "first/conv", (0, 1), stub) == 2
    assert all_right(place) == 2
    assert fill_batch(place, "first/conv", (0, 1), stub) == 0  # another client's task for the same units


def test_a_batch_that_fails_is_told_at_the_end_and_the_others_are_there(client, stub, tmp_path):
    place = begun(tmp_path / "a.zarr")

    def make(layer, units):
        if layer == "first/conv" and 16 in units:
            raise CnnvisError("No luck here.")
        return stub(layer, units)

    with pytest.raises(CnnvisError, match=r"16 units .* unit 16 of 'first/conv' \(No luck here\.\)"):
        filling.fill(client, place, WANTED, make, silent)
    assert all_right(place) == 61 - 16
    filling.fill(client, place, WANTED, stub, silent)
    assert all_right(place) == 61


def test_a_second_client_that_begins_meanwhile_takes_nothing_away(stub, tmp_path):
    place = begun(tmp_path / "a.zarr")
    fill_batch(place, "first/conv", tuple(range(16)), stub)
    before = content(place)
    begin(place, TERMS, LAYERS)
    assert content(place) == before
    assert all_right(place) == 16


def test_ctrl_c_leaves_a_store_that_goes_on(client, stub, tmp_path):
    place = begun(tmp_path / "a.zarr")

    def impatient(there, *_rest):
        if there >= 16:
            raise KeyboardInterrupt

    atlas = filling.fill(client, place, WANTED, replace(stub, seconds=0.1), impatient)
    assert 16 <= all_right(place) < 61
    assert atlas.progress()[1] == 61
    filling.fill(client, place, WANTED, stub, silent)
    assert all_right(place) == 61


def test_patches_of_a_layer_are_there_all_at_once_or_not_at_all(client, stub, tmp_path):
    place = begun(tmp_path / "a.zarr")
    with pytest.raises(CnnvisError, match=r"The patches of 'first/conv' could not be found \(gone\)"):
        filling.fill(client, place, WANTED, stub, silent, StubPatches(break_after=32))
    atlas = open_atlas(place)
    assert all_right(place) == 61
    assert [atlas.has_patches(layer) for layer in LAYERS] == [False, True]  # the second one has but 21 units
    with pytest.raises(CnnvisError, match="patches of 'first/conv' are not in the atlas yet"):
        atlas.patches("first/conv", 0)
    filling.fill(client, place, WANTED, stub, silent, StubPatches())
    assert len(stub.made()) == 61  # no picture was made anew
    for layer, unit in (("first/conv", 39), ("second-conv", 20)):
        images, values = atlas.patches(layer, unit)
        assert images.shape == (2, 4, 6, 3) and (images == unit).all()
        assert values.tolist() == [unit, unit / 2]


def test_the_network_travels_to_each_worker_once_and_tasks_only_name_it(
    network, client, tmp_path, monkeypatch
):
    monkeypatch.setattr(filling, "dask_client", lambda *_: contextlib.nullcontext(client))
    for module in (filling, store_of):
        monkeypatch.setattr(module, "BATCH", 2)
    unpacked, sizes = [], []

    def noted(given):
        unpacked.append(get_worker().address)
        return unpack(given)

    def mapped(function, *columns, **options):
        sizes.extend(len(dumps((function, *row))) for row in zip(*columns, strict=True))
        return Client.map(client, function, *columns, **options)

    monkeypatch.setattr(parcel, "unpack", noted)
    monkeypatch.setattr(client, "map", mapped)
    atlas = cnnvis.atlas(network, "conv1", tmp_path / "a.zarr", steps=1, patches=0, progress=silent)
    assert atlas.progress() == (6, 6) and len(sizes) == 3
    assert 1 <= len(unpacked) == len(set(unpacked)) <= 2, (
        "a worker unpacks the network once, for all its tasks"
    )
    assert max(sizes) < 2000 < len(dumps(pack(network))) / 5
    dropped: list[str] = []
    monkeypatch.setattr(client, "unregister_worker_plugin", dropped.append)
    cnnvis.atlas(network, "conv1", tmp_path / "a.zarr", steps=1, patches=0, progress=silent)
    assert not dropped, "where nothing is missing nothing travels, and no scheduler is told to forget it"


def test_one_store_holds_one_recipe_of_ones_own_whatever_its_name(network, client, tmp_path, monkeypatch):
    monkeypatch.setattr(filling, "dask_client", lambda *_: contextlib.nullcontext(client))

    def run(recipe):
        how = {"patches": 0, "progress": silent, "units": [0]}
        return cnnvis.atlas(network, "conv1", tmp_path / "a.zarr", recipe=recipe, **how)

    own = Recipe("fourier", 1, Pixels(), stages=((0.5, 1.0),))
    atlas = run(own)
    assert run(Recipe("fourier", 1, Pixels(), stages=((0.5, 1.0),))).terms == atlas.terms
    for other in (replace(own, stages=((1.0, 1.0),)), replace(find_recipe("fourier"), steps=1)):
        with pytest.raises(CnnvisError, match="holds an atlas with another recipe that is called fourier"):
            run(other)
    assert filling._parts(replace(find_recipe("fast"), steps=7)) == "", "steps are told apart by themselves"


def test_units_that_are_no_list_of_whole_numbers_are_refused(stub, tmp_path):
    place = begun(tmp_path / "a.zarr")
    fill_batch(place, "first/conv", (0, 1, 2, 3), stub)
    atlas = open_atlas(place)
    for units in (3, "3", [1.5], [[1, 2]], [True]):
        for ask in (atlas.pictures, atlas.activations, atlas.done):
            with pytest.raises(CnnvisError, match="units is a list of whole numbers"):
                ask("first/conv", units)
    with pytest.raises(CnnvisError, match="units 0 to 39; 40 was asked for"):
        atlas.done("first/conv", [40])
    assert atlas.done("first/conv", [0, 3, 4]).tolist() == [True, True, False]


def test_progress_says_how_long_the_rest_will_take(monkeypatch):
    clock, told = [100.0], []
    monkeypatch.setattr(filling, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    count = filling._Count(10, 60, lambda *progress: told.append(progress))
    clock[0] += 8
    count.add(16)  # 26 are there; the other 34 at half a second each
    assert told == [(10, 60, None), (26, 60, pytest.approx(17.0))]


@pytest.mark.parametrize("where", ["terminal", "notebook", "file"])
def test_one_line_counts_up_with_the_time_left_and_a_file_gets_a_line_now_and_then(where, monkeypatch):
    class Stream(io.StringIO):
        __module__ = "ipykernel.iostream" if where == "notebook" else "io"

        def isatty(self):
            return where == "terminal"

    clock, stream = [1000.0], Stream()
    monkeypatch.setattr(filling, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    monkeypatch.setattr(sys, "stderr", stream)
    line = filling.ProgressLine()
    for there, left in [(0, None), (16, 7265.0), (32, 75.0), (48, 5.4), (61, 0.0)]:
        line(there, 61, left)
        clock[0] += 1
    words = ["0 of 61 units", "16 of 61 units, 2 h 1 min left", "32 of 61 units, 1 min 15 s left"]
    words += ["48 of 61 units, 5 s left", "61 of 61 units"]
    if where == "file":
        words = [words[0], words[-1]]
    said = stream.getvalue()
    assert said.count("\r") == (0 if where == "file" else 5) and said.count("\n") == (
        2 if where == "file" else 1
    )
    shown = [part.strip() for part in said.replace("\n", "\r").split("\r") if part.strip()]
    assert shown == [f"atlas: {part}" for part in words]


def test_patches_are_those_of_top_patches(network, client, tmp_path, monkeypatch):
    patches = pytest.importorskip("cnnvis_widgets.compute.patches")
    monkeypatch.setattr(filling, "dask_client", lambda *_: contextlib.nullcontext(client))
    atlas = cnnvis.atlas(
        network, "conv2", tmp_path / "a.zarr", units=[1], steps=1, patches=4, progress=silent
    )
    images, values = atlas.patches("conv2", 5)
    plain = patches.top_patches(network, "conv2", units=[5], count=4)
    np.testing.assert_array_equal(images, plain.images[0])
    np.testing.assert_array_equal(values, plain.values[0])


def test_a_folder_of_photographs_that_is_not_there_is_told_before_anything_is_made(network, tmp_path):
    store = tmp_path / "a.zarr"
    with pytest.raises(CnnvisError, match="There is no folder"):
        cnnvis.atlas(network, "conv2", store, images=tmp_path / "photos", progress=silent)
    with pytest.raises(CnnvisError, match="images is a folder that every worker can read; \\["):
        cnnvis.atlas(network, "conv2", store, images=[np.zeros((9, 9, 3), np.uint8)], progress=silent)
    assert not store.exists()


def test_tasks_go_by_network_and_layer_on_the_dashboard():
    keys = filling._keys("ResNet-50", [("conv-1", tuple(range(16, 32))), ("conv-1", ()), ("conv-2", (7,))])
    assert [key_split(key) for key in keys] == [
        "ResNet_50 conv_1",
        "ResNet_50 conv_1 patches",
        "ResNet_50 conv_2",
    ]
    assert len(set(filling._keys("n", [("conv-1", (7,)), ("conv_1", (7,))]))) == 2, "one task would be lost"
    assert keys[0].startswith("ResNet_50 conv_1-16-31") and keys[2].startswith("ResNet_50 conv_2-7-7")


def test_a_store_of_other_terms_is_refused(tmp_path):
    place = begun(tmp_path / "a.zarr")
    with pytest.raises(CnnvisError, match="holds an atlas with recipe stub, not maco; name another store"):
        begin(place, replace(TERMS, recipe="maco"), LAYERS)
    with pytest.raises(CnnvisError, match="weights 0, not 1"):
        begin(place, replace(TERMS, weights="1"), LAYERS)
    with pytest.raises(UnknownLayerError, match="first/conv"):
        open_atlas(place).done("frist/conv")
    (tmp_path / "photos").mkdir()
    for name in ("nowhere", "photos"):
        with pytest.raises(CnnvisError, match=f"^There is no atlas at .*{name}; name the store"):
            open_atlas(tmp_path / name)


@pytest.mark.parametrize("store", [None, "", " ", 3])
def test_a_store_that_is_no_place_is_refused_and_nothing_is_written(store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for use in (open_atlas, begun):
        with pytest.raises(CnnvisError, match="An atlas lies in a folder, or at an address"):
            use(store)
    assert not list(tmp_path.iterdir())


def test_a_store_in_memory_and_one_read_over_http(client, stub, tmp_path):
    place = begun("memory://atlas-of-the-tests")
    filling.fill(client, place, WANTED, stub, silent)
    assert all_right(place) == 61

    folder = begun(tmp_path / "a.zarr")
    with on_the_web(tmp_path) as address:
        web = open_atlas(f"{address}/a.zarr")
        assert not web.done("second-conv").any()
        fill_batch(folder, "second-conv", tuple(range(16)), stub)
        assert web.done("second-conv").sum() == 16  # it is read while it fills
        np.testing.assert_array_equal(web.picture("second-conv", 15), expected("second-conv", 15))
        assert web.layers == LAYERS
    with pytest.raises(CnnvisError, match=r"The atlas at http://.* cannot be read"):
        web.picture("second-conv", 3)  # not "it is not there yet"


def test_workers_and_client_are_killed_and_another_run_completes_the_store(client, tmp_path):
    """SIGKILL amid batches, first a worker, then the program itself; the store ends as if nothing had happened."""
    place, stub = place_of(tmp_path / "a.zarr"), Stub(str(tmp_path / "made.txt"), size=LARGER.size)
    process = subprocess.Popen([sys.executable, str(RUN), place.address, stub.log], stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: len(stub.made()) >= 64, process)
        first = stub.pids()[-1]
        os.kill(first, signal.SIGKILL)
        wait_until(
            lambda: len(set(stub.pids()) - {first}) == 2, process
        )  # the one that took its place works too
        assert all_right(place) > 0  # while it is being written
    finally:
        process.kill()
        process.wait()
    wait_until(lambda: not any(map(alive, stub.pids())))
    there, made = all_right(place), stub.made()
    assert 0 < there < 1000

    wanted = {layer: np.arange(units) for layer, units in LARGER.layers}
    filling.fill(client, place, wanted, stub, silent)
    assert len(stub.made()) - len(made) == 1000 - there  # only what was missing
    assert all_right(place) == 1000
    assert content(place) == content(filled_plainly(tmp_path, LARGER))


def wait_until(true, process: subprocess.Popen | None = None) -> None:
    until = time.monotonic() + 60
    while not true():
        assert time.monotonic() < until
        assert process is None or process.poll() is None, "it ended before it could be killed"
        time.sleep(0.01)


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.fixture(scope="module")
def s3(tmp_path_factory) -> Iterator[dict]:
    """fsspec's options for an S3 server that is a process of its own on this machine."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(server, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    options = {"key": "any", "secret": "any", "endpoint_url": f"http://127.0.0.1:{port}"}

    def answers() -> bool:
        with socket.socket() as knock:
            return knock.connect_ex(("127.0.0.1", port)) == 0

    try:
        wait_until(answers, process)
        fsspec.filesystem("s3", **options).mkdir("atlases")
        yield options
    finally:
        process.kill()
        process.wait()


def test_a_store_on_s3_is_filled_read_meanwhile_and_the_same_as_in_a_folder(client, s3, stub, tmp_path):
    place = begun("s3://atlases/toy.zarr", s3)
    reader = open_atlas("s3://atlases/toy.zarr", s3)
    assert not reader.done("second-conv").any()
    filling.fill(client, place, {"second-conv": np.arange(18)}, stub, silent)
    assert reader.done("second-conv").sum() == 18
    np.testing.assert_array_equal(reader.picture("second-conv", 17), expected("second-conv", 17))
    filling.fill(client, place, {"second-conv": np.arange(21)}, stub, silent)
    assert all_right(place) == len(stub.made()) == 21

    folder = begun(tmp_path / "a.zarr")
    filling.fill(client, folder, {"second-conv": np.arange(21)}, stub, silent)
    files = fsspec.filesystem("s3", **s3, use_listings_cache=False)
    there = files.cat(files.find("atlases/toy.zarr"))
    assert {name.removeprefix("atlases/toy.zarr/"): bytes_ for name, bytes_ in there.items()} == content(
        folder
    )


@pytest.fixture(scope="module")
def network():
    return cnnvis.load_network(models.functional().model)


def test_an_atlas_by_worker_processes_holds_what_maximize_filters_makes(network, tmp_path):
    atlas = cnnvis.atlas(network, store=tmp_path / "a.zarr", steps=2, patches=0, workers=1, progress=silent)
    assert atlas.layers == ("conv1", "conv2")  # every convolution
    assert (atlas.terms.network, atlas.terms.recipe, atlas.terms.size) == (network.name, "fourier", (24, 24))
    for layer in atlas.layers:
        plain = cnnvis.maximize_filters(network, layer, steps=2)
        order = np.argsort(plain.units)
        np.testing.assert_array_equal(atlas.pictures(layer), plain.images[order])
        np.testing.assert_allclose(atlas.activations(layer), plain.activations[order], rtol=1e-5)


def test_a_network_goes_into_a_parcel_and_comes_out_the_same(network):
    made = Network(network.model, name="mine", preprocess=_halved, class_names=list("abcde"))
    again = unpack(pack(made))
    assert (again.name, again.class_names, again.input_size) == ("mine", tuple("abcde"), (24, 24))
    picture = models.picture()
    np.testing.assert_array_equal(again.prepare(picture), made.prepare(picture))
    np.testing.assert_allclose(again.logits(picture), made.logits(picture), rtol=1e-5)
    assert weights_hash(again) == weights_hash(made)
    again.model.weights[0].assign_add(np.full(again.model.weights[0].shape, 1e-6, np.float32))
    assert weights_hash(again) != weights_hash(made)


def _halved(pixels):
    return pixels / 2


def test_the_command_fills_a_store_and_a_second_one_goes_on(tmp_path, capsys, monkeypatch, client):
    """With threads in the place of processes, which would only take longer to start."""
    monkeypatch.setattr(filling, "dask_client", lambda *_: contextlib.nullcontext(client))
    store = str(tmp_path / "a.zarr")
    line = f"atlas bundled --layers block1_conv1 --store {store} --recipe fast --steps 1 --patches 0".split()
    line += ["--size", "48x64"]
    assert main([*line, "--units", "0-2"]) == 0
    assert capsys.readouterr().out.strip() == store
    assert np.flatnonzero(open_atlas(store).done("block1_conv1")).tolist() == [0, 1, 2]
    assert open_atlas(store).picture("block1_conv1", 2).shape == (48, 64, 3)
    assert main([*line, "--units", "0-3"]) == 0
    assert open_atlas(store).done("block1_conv1").sum() == 4
    assert main([*line, "--units", "0-3", "--seed", "3"]) == 1
    assert "seed 0, not 3; name another store" in capsys.readouterr().err


def test_a_scheduler_elsewhere_is_used_and_may_be_killed(client, stub, tmp_path, monkeypatch):
    """Scheduler and worker as programs of their own, as on a cluster."""
    told, place = tmp_path / "scheduler.json", begun(tmp_path / "a.zarr")
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(RUN.parent), os.environ.get("PYTHONPATH", "")])
    }
    dask = [sys.executable, "-m", "dask"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "env": environment}
    host = ["--host", "127.0.0.1", "--scheduler-file", str(told), "--no-dashboard"]
    scheduler = subprocess.Popen([*dask, "scheduler", *host, "--port", "0"], **quiet)
    worker = subprocess.Popen([*dask, "worker", *host, "--nthreads", "1", "--no-nanny"], **quiet)

    def kill(there, *_rest):
        if there >= 16:
            scheduler.kill()

    try:
        wait_until(lambda: told.exists() and told.read_text().endswith("}"), scheduler)  # written to its end
        address = json.loads(told.read_text())["address"]
        with (
            filling.dask_client(address, None, place) as elsewhere,
            pytest.raises(CnnvisError, match="another run"),
        ):
            filling.fill(elsewhere, place, WANTED, replace(stub, seconds=0.2), kill)
        assert 16 <= all_right(place) < 61
        monkeypatch.setattr(filling, "_REACHED_WITHIN", 0.5)
        with pytest.raises(CnnvisError, match=f"No Dask scheduler answers at {address}"):
            filling.dask_client(address, None, place).__enter__()
    finally:
        scheduler.kill()
        worker.kill()
    there, made = all_right(place), len(stub.made())
    filling.fill(client, place, WANTED, stub, silent)
    assert len(stub.made()) - made == 61 - there  # only what was missing
    assert all_right(place) == 61
    assert content(place) == content(filled_plainly(tmp_path))
