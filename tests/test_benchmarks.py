"""A smoke run of the benchmarks on a tiny network; what is compared, refused and counted."""

import json
from pathlib import Path

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


def test_a_smoke_run_compares_times_and_writes_its_tables(tmp_path, monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from side_by_side.run import main

    assert main(["a", "--quick", "--output", str(tmp_path)]) == 0
    held = json.loads((tmp_path / "results.json").read_text())
    assert set(held) == {"a"} and not held["a"]["problem"]
    rows = held["a"]["rows"]
    assert not [row["remark"] for row in rows if row["remark"].startswith("failed")]
    beside = [row for row in rows if row["tool"] == "tf-keras-vis"]
    assert len(beside) == 5 and all(row["figures"] and row["difference"] < 1e-3 for row in beside)
    words = (tmp_path / "results.md").read_text()
    assert "## Where we lose" in words and "| small | another class |" in words
    assert (tmp_path / "charts" / "a.svg").stat().st_size > 1000
    assert "GFLOP/s" in capsys.readouterr().out


def test_an_answer_that_differs_is_not_timed(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import numpy as np
    from side_by_side.bench import Bench, Call, Task
    from side_by_side.limits import Rates
    from side_by_side.rows import OURS, judged, read

    file = tmp_path / "rows.jsonl"
    bench = Bench("a", file, True, Rates(1e9, 1e9), say=lambda words: None)
    right = np.float32([1, 2])
    calls = {
        OURS: Call(lambda i: right),
        "same": Call(lambda i: right + 1e-5),
        "other": Call(lambda i: right + 1),
        "known": Call(lambda i: right + 1, fault="known fault: one too many"),
        "broken": Call(lambda i: 1 / 0),
    }
    bench.time("none", Task("a task", calls))
    rows = {row.tool: row for row in read(file)}
    assert {tool for tool, row in rows.items() if row.figures} == {OURS, "same", "known"}
    assert rows["other"].remark == "not timed: its answer differs by 0.33"
    assert rows["broken"].remark.startswith("failed: ZeroDivisionError")
    assert {row.tool for row in judged(rows.values())[0].peers} == {"same", "other", "known", "broken"}


def test_a_unit_that_the_original_leaves_off_says_nothing_of_the_others(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import numpy as np
    from original_speed import times

    assert times(np.array([3.0, 0.0, 1.0, 2.0]), np.array([2.0, 0.0, 2.0, 0.0])).tolist() == [1.5, 0.5]


def test_the_limit_of_a_small_network_by_hand(monkeypatch):
    import keras
    from keras import layers

    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from side_by_side.limits import Rates, forward
    from side_by_side.subjects import subject

    first, scores = subject("small").model.get_layer("first"), subject("small").model.get_layer("scores")
    assert forward(None, layers=[first]).parts[0] == (
        2 * (3 * 3 * 3) * 8 * 32 * 32,
        4 * (3 * 3 * 3 * 8 + 8 + 32 * 32 * 3 + 32 * 32 * 8),
    )
    assert forward(None, 2, [scores]).parts[0] == (2 * 2 * 16 * 10, 4 * (16 * 10 + 10 + 2 * (16 + 10)))
    assert forward(None, layers=[scores]).seconds(Rates(1e3, 1e9)) == 0.32
    inputs = keras.Input((4, 4, 5))
    model = keras.Model(
        inputs, layers.BatchNormalization()(layers.DepthwiseConv2D(3, use_bias=False)(inputs))
    )
    spread, scaled = forward(model).parts
    assert spread == (2 * 3 * 3 * 5 * 2 * 2, 4 * (3 * 3 * 5 + 4 * 4 * 5 + 2 * 2 * 5))
    assert scaled == (2 * 2 * 2 * 5, 4 * (4 * 5 + 2 * 2 * 2 * 5))
