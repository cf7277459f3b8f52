"""The benchmark of nights: that its nights are what it says, by the tiny model, and that its index is of its runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from batch_scorer.runs.hashes import text_hashes
from batch_scorer.runs.record_index import mapped
from benchmarks.nights import memory, trial
from benchmarks.nights.__main__ import fitted, in_words


@pytest.mark.slow
def test_nights_by_record_read_what_is_new_and_end_with_the_rows_of_one_run(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial, "FIRST", 40)
    for name, night in (("EMPTY", 3), ("REWRITTEN", 2), ("DELETED", 2)):
        monkeypatch.setattr(trial, name, night)
    monkeypatch.setattr(trial, "_REWRITTEN_FILE", "01-0.jsonl")
    monkeypatch.setattr(trial, "_DELETED_FILE", "00-0.jsonl")
    texts = [f"good film number {i}" for i in range(2_000)]

    result = trial.nights(texts, tmp_path, "record", 4, str(tiny_model))

    told = result["nights"]
    assert result["reviews"] == result["equal"] > 100
    assert [night["new"] for night in told] == [night["scored"] for night in told]
    assert 0 == told[3]["new"] and 40 < told[0]["new"] and 25 < told[2]["new"]
    assert 0 < told[1]["passed_over"] < told[2]["passed_over"]
    assert "by record: 4 nights" in in_words("record", result)


def test_fit_tells_the_start_from_the_records() -> None:
    told = [{"scored": scored, "processor": 3 + scored / 500} for scored in (0, 10, 100, 40)]
    told[0]["processor"] = 99  # the first night imports everything

    assert pytest.approx((3, 2)) == fitted(told)


def test_synthetic_records_are_of_ten_runs_that_overlap(tmp_path: Path) -> None:
    runs = memory.make_runs(2_000, tmp_path)

    assert memory.plan(2_000, tmp_path)["index_mb"] * 1e6 == 16 * (200 + 9 * 180)
    assert 10 == len(runs) == len(memory._runs_in(tmp_path))
    (path,) = (tmp_path / "out/earlier").iterdir()
    assert not mapped(str(path)).has(["review-0"], text_hashes(["no such text"])).any()
