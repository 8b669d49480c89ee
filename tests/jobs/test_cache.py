"""What is kept between kernels: whole or not at all, bounded, and never in the way."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

from cnnvis_widgets.cli import main
from cnnvis_widgets.errors import CnnvisWarning
from cnnvis_widgets.jobs.cache import Cache


@pytest.fixture
def kept(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "kept")


def arrays(seed: int = 0, size: int = 100) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    return {"picture": random.integers(0, 256, (size, 3), np.uint8), "reached": random.random(4, np.float32)}


def same(found: dict[str, np.ndarray] | None, expected: dict[str, np.ndarray]) -> bool:
    return found is not None and all(np.array_equal(found[name], expected[name]) for name in expected)


def test_what_was_kept_comes_back_under_its_key_alone(kept: Cache):
    assert kept.get("a") is None
    kept.put("a", arrays())
    found = Cache(kept.folder).get("a")  # as another kernel would
    assert same(found, arrays())
    assert found["reached"].dtype == np.float32
    assert kept.get("b") is None
    kept.put("a", arrays(1))
    assert same(kept.get("a"), arrays(1))


def test_wherever_a_file_was_cut_or_altered_it_counts_as_missing(kept: Cache):
    kept.put("a", arrays())
    (path,) = kept.folder.iterdir()
    whole = path.read_bytes()
    random = np.random.default_rng(0)
    for place in random.integers(0, len(whole), 60):
        path.write_bytes(whole[:place])
        assert kept.get("a") is None and not path.exists()
        altered = bytearray(whole)
        altered[place] ^= 0x55
        path.write_bytes(altered)
        # A flipped bit in what no reader looks at, such as a time, may do no harm; a wrong array never comes out.
        found = kept.get("a")
        assert found is None or same(found, arrays()) or set(found) != set(arrays())


def test_pickles_are_neither_written_nor_read(kept: Cache):
    with pytest.raises(TypeError, match="could run code"):
        kept.put("a", {"x": np.array([print], object)})
    kept.put("a", arrays())
    (path,) = kept.folder.iterdir()
    with path.open("wb") as file:
        np.savez(file, x=np.array([{"a": 1}], object))
    assert kept.get("a") is None


def test_the_least_recently_used_go_when_it_is_full(kept: Cache):
    one = {"x": np.zeros(10_000, np.uint8)}
    kept.limit = 35_000
    for age, key in enumerate("abc"):
        kept.put(key, one)
        os.utime(kept._path(key), (age, age))
    assert kept.get("a") is not None  # used now, so "b" is the oldest
    kept.put("d", one)
    assert [key for key in "abcd" if kept.get(key) is not None] == ["a", "c", "d"]
    assert kept.size() <= kept.limit
    kept.put("e", {"x": np.zeros(40_000, np.uint8)})  # alone too large: nothing is thrown away for it
    assert kept.get("e") is None and kept.get("d") is not None


def test_only_its_own_files_are_removed(kept: Cache):
    kept.put("a", arrays())
    mine = kept.folder / "my weights.npz"
    mine.write_bytes(b"precious")
    dead, growing = kept.folder / "cnnvis-dead.part", kept.folder / "cnnvis-growing.part"
    for half in (dead, growing):
        half.write_bytes(b"half")
    os.utime(dead, (0, 0))
    kept.put("b", arrays())
    assert not dead.exists() and growing.exists()
    kept.clear()
    assert list(kept.folder.iterdir()) == [mine]


def test_nothing_half_written_is_left_when_the_disk_is_full(tmp_path: Path):
    code = """
import resource, sys, warnings
import numpy as np
from cnnvis_widgets.jobs.cache import Cache
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))  # what a full disk does: a write fails midway
kept = Cache(sys.argv[1])
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    for seed in range(3):
        kept.put(str(seed), {"x": np.zeros(100_000, np.uint8)})
    kept.put("small", {"x": np.zeros(10, np.uint8)})
print(len(said), said[0].category.__name__, kept.get("0"), kept.get("small")["x"].size)
"""
    told = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], check=True, capture_output=True, text=True
    )
    assert told.stdout.split() == ["1", "CnnvisWarning", "None", "10"]
    assert [path.suffix for path in tmp_path.iterdir()] == [".npz"]


def test_a_folder_that_takes_nothing_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "file").touch()
    kept = Cache(tmp_path / "file" / "kept")  # cannot be made, as in a read-only place
    with pytest.warns(CnnvisWarning, match="work goes on without"):
        kept.put("a", arrays())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        kept.put("a", arrays())
    assert kept.get("a") is None and kept.size() == 0 and kept.clear() == 0


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_still_answers(kept: Cache):
    kept.put("a", arrays())
    kept.folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
    with pytest.warns(CnnvisWarning):
        kept.put("b", arrays())
    assert same(kept.get("a"), arrays())
    kept.folder.chmod(0o700)


def test_several_processes_at_once_see_whole_entries_only(kept: Cache):
    code = """
import sys
import numpy as np
from cnnvis_widgets.jobs.cache import Cache
kept, number = Cache(sys.argv[1], limit=60_000), int(sys.argv[2])
for turn in range(60):
    kept.put(str(turn % 4), {"x": np.full(20_000, number, np.uint8)})
    found = kept.get(str(turn % 4))
    assert found is None or (found["x"].size == 20_000 and len(set(found["x"].tolist())) == 1)
"""
    started = [
        subprocess.Popen([sys.executable, "-W", "error", "-c", code, str(kept.folder), str(number)])
        for number in range(3)
    ]
    assert [one.wait(timeout=60) for one in started] == [0] * 3
    assert not list(kept.folder.glob("*.part"))
    assert kept.size() <= 60_000 + 3 * 21_000  # each process keeps its own latest


def test_the_environment_moves_it_or_switches_it_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CNNVIS_CACHE", str(tmp_path / "here"))
    Cache().put("a", arrays())
    assert len(list((tmp_path / "here").iterdir())) == 1
    monkeypatch.setenv("CNNVIS_CACHE", "off")
    off = Cache()
    off.put("a", arrays())
    assert off.folder is None and off.get("a") is None and off.size() == 0 and off.clear() == 0
    monkeypatch.delenv("CNNVIS_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "system"))
    assert "cnnvis-widgets" in str(Cache().folder)


def test_the_command_line_tells_and_clears(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    monkeypatch.setenv("CNNVIS_CACHE", str(tmp_path))
    Cache().put("a", {"x": np.zeros(3_000_000, np.uint8)})
    assert main(["cache"]) == 0
    told = capsys.readouterr().out
    assert str(tmp_path) in told and "3.0 MB" in told
    assert main(["cache", "--clear"]) == 0
    assert "3.0 MB" in capsys.readouterr().out and Cache().size() == 0
    monkeypatch.setenv("CNNVIS_CACHE", "off")
    assert main(["cache"]) == 0
    assert "off" in capsys.readouterr().out
