"""Rejected records and unreadable files of a run: counted over all parts, by file, and never in the way of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from batch_scorer import storage
from batch_scorer.errors import StoreError, UnavailableError
from batch_scorer.runs.rejections import Unreadable, by_file, first_rejected, rejected_by_code, unreadable_files
from batch_scorer.schema import Rejection, rejections_table


def written(folder: Path, *parts: list[Rejection]) -> dict[str, Any]:
    """What a manifest says of these parts of `errors`, which are in `folder` then."""
    (folder / "errors").mkdir()
    paths = [f"errors/part-{number:05d}.parquet" for number in range(len(parts))]
    for path, rejections in zip(paths, parts, strict=True):
        pq.write_table(rejections_table(rejections, "r", "m"), folder / path)
    unreadable = sum(rejection.code == "unreadable" for rejections in parts for rejection in rejections)
    listed = [{"path": path} for path in [*paths, "predictions/part-00000.parquet"]]
    return {"parts": listed, "counts": {"unreadable": unreadable}, "not_a_success": "why"}


def test_codes_are_counted_over_all_parts_or_not_at_all(tmp_path: Path) -> None:
    codes = [["no_words"] * 3, ["no_words", "missing_text"]]
    run = written(tmp_path, *([Rejection("a", 1, None, code, "m") for code in part] for part in codes))
    found = rejected_by_code(str(tmp_path), run)
    assert [("no_words", 4), ("missing_text", 1)] == list((found or {}).items())
    (tmp_path / run["parts"][0]["path"]).write_bytes(b"damaged")
    assert rejected_by_code(str(tmp_path), run) is None


@pytest.mark.parametrize("error", [UnavailableError("gone"), StoreError("denied")])
def test_store_that_is_gone_when_the_run_is_over_takes_nothing_from_its_success(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def gone(path: str) -> None:
        asked.append(path)
        raise error

    monkeypatch.setattr(storage, "open_read", gone)
    run = {"parts": [{"path": f"errors/part-0000{i}.parquet"} for i in range(3)], "counts": {"unreadable": 1}}
    assert rejected_by_code("gs://b/out", run) is None
    asked.clear()
    assert [] == unreadable_files("gs://b/out", run)
    assert 1 == len(asked)  # each takes a minute of attempts


def test_files_that_cannot_be_read_are_told_by_file_with_how_many_more_there_are(tmp_path: Path) -> None:
    places = [("a", "1"), ("b: c", "2"), ("a", "3"), ("d", "4"), ("e", "5"), ("e", "6")]
    bad = [Rejection(path, None, None, "unreadable", why) for path, why in places]
    run = written(tmp_path, [Rejection("a", 1, None, "no_words", "m"), *bad[:2]], bad[2:])
    found = unreadable_files(str(tmp_path), run)
    assert places == found
    files = ["a cannot be read: 1 (the first of several ranges)", "b: c cannot be read: 2", "d cannot be read: 4"]
    assert (files, ["and 2 more files or ranges"]) == by_file(found)
    assert (files, ["and 1,002 more files or ranges"]) == by_file(found, 1_006)
    assert (files[1:2], []) == by_file(found[1:2], 1)
    assert ([], []) == by_file([])
    assert "a cannot be read: 1" == str(Unreadable("a", "1"))


def test_first_rejected_record_has_the_most_frequent_code_that_is_told_nowhere_else(tmp_path: Path) -> None:
    codes = ["no_words", "no_words", "malformed_json", "missing_text", "missing_text"]
    run = written(tmp_path, [Rejection("a.jsonl", at, None, code, f"of {at}") for at, code in enumerate(codes)])
    rejected = rejected_by_code(str(tmp_path), run)
    assert "missing_text in a.jsonl: of 3" == first_rejected(str(tmp_path), run, rejected)
    assert first_rejected(str(tmp_path), {**run, "not_a_success": None}, rejected) is None
    two_null = {**run, "counts": {**run["counts"], "empty": 2 + 2}}  # and two without words
    assert "malformed_json in a.jsonl: of 2" == first_rejected(str(tmp_path), two_null, rejected)
