"""The index of the records of earlier runs, beside a plain dict of what each id was in its newest run."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batch_scorer.errors import JobError, RefusedError
from batch_scorer.planning.plan import Plan
from batch_scorer.runs import indexing, layout
from batch_scorer.runs.finished import Run
from batch_scorer.runs.hashes import id_hashes, text_hashes
from batch_scorer.runs.indexing import write_index
from batch_scorer.runs.record_index import CODE_HASHES, RecordIndex, index_path
from batch_scorer.schema import ERRORS, Rejection, rejections_table

EARLIER = {"rows": 0, "fingerprint": "0123456789abcdef"}


class Planned:
    """What of a plan the index is opened by."""

    def __init__(self, earlier_records: dict[str, Any] | None) -> None:
        self.earlier_records = earlier_records


def run_of(folder: Path, parts: Sequence[Sequence[tuple[str, str]]], rejected: Sequence[Rejection] = ()) -> Run:
    """A run whose predictions have these ids and texts, and nothing else."""
    folder.mkdir(parents=True)
    predictions = []
    for i, rows in enumerate(parts):
        table = pa.table({"record_id": [key for key, _ in rows], "text_hash": text_hashes([text for _, text in rows])})
        predictions.append(str(folder / f"p{i}.parquet"))
        pq.write_table(table.cast(pa.schema([("record_id", pa.string()), ("text_hash", pa.uint64())])), predictions[-1])
    pq.write_table(rejections_table([*rejected], "r", "m") if rejected else ERRORS.empty_table(), folder / "e.parquet")
    return Run(str(folder), {}, {}, True, tuple(predictions), (str(folder / "e.parquet"),))


def index_of(output: Path, runs: Sequence[Run], rows: int) -> RecordIndex:
    earlier = {**EARLIER, "rows": rows}
    write_index(runs, earlier, str(output))
    index = RecordIndex.open(Planned(earlier), str(output))  # type: ignore[arg-type]
    assert index is not None
    return index


@pytest.mark.parametrize("bucket_rows", [1 << 20, 40, 1], ids=["one bucket", "several", "as many as there may be"])
def test_index_has_the_texts_of_each_id_in_its_newest_run(
    bucket_rows: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexing, "BUCKET_ROWS", bucket_rows)
    monkeypatch.setattr(indexing, "_BATCH_ROWS", 16)
    rng, newest, runs, rows = random.Random(3), dict[str, set[str]](), list[Run](), 0
    for number in range(5):
        written = [(f"id{rng.randrange(150)}", f"text {rng.randrange(3)}") for _ in range(rng.randint(0, 120))]
        half = len(written) // 2
        runs.append(run_of(tmp_path / str(number), [written[:half], [], written[half:]]))
        newest |= {key: {text for other, text in written if other == key} for key, _ in written}
        rows += len(written)

    index = index_of(tmp_path / "out", runs, rows)

    asked = [(f"id{i}", f"text {j}") for i in range(160) for j in range(4)]
    rng.shuffle(asked)
    found = index.has([key for key, _ in asked], text_hashes([text for _, text in asked]))
    assert [text in newest.get(key, ()) for key, text in asked] == found.tolist()
    assert sum(len(texts) for texts in newest.values()) == len(index)
    assert any(len(texts) > 1 for texts in newest.values())
    assert not [*Path(layout.staging(str(tmp_path / "out")) or "").iterdir()]


def test_rejection_is_known_by_its_code_and_its_place_where_it_has_no_id(tmp_path: Path) -> None:
    rejected = [
        Rejection("a.jsonl", 7, "r1", "no_words", "m"),
        Rejection("a.jsonl", 9, None, "malformed_json", "m"),
        Rejection("b.jsonl", None, None, "unreadable", "m"),
    ]
    older = run_of(tmp_path / "1", [[("r1", "good")]])
    newer = run_of(tmp_path / "2", [[("r3", "no_words")]], rejected)

    index = index_of(tmp_path / "out", [older, newer], 4)

    def is_known(key: str, code: str) -> bool:
        return bool(index.has([key], np.array([CODE_HASHES[code]], np.uint64))[0])

    assert (True, False) == (is_known("r1", "no_words"), is_known("r1", "missing_text"))
    assert (True, False) == (is_known("a.jsonl#9", "malformed_json"), is_known("b.jsonl#None", "unreadable"))
    assert not is_known("r3", "no_words")  # that was its text
    assert [False, True] == index.has(["r1", "r3"], text_hashes(["good", "no_words"])).tolist()
    assert 3 == len(index)


def test_two_ids_with_the_same_key_are_told_apart_by_their_checks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def weak(ids: Sequence[str]) -> Any:
        hashes = id_hashes(ids)
        hashes[:, 0] &= np.uint64(1)
        return hashes

    for module in ("indexing", "record_index"):
        monkeypatch.setattr(f"batch_scorer.runs.{module}.id_hashes", weak)
    first = run_of(tmp_path / "1", [[(f"id{i}", "old") for i in range(50)]])
    second = run_of(tmp_path / "2", [[(f"id{i}", "new") for i in range(25)]])

    index = index_of(tmp_path / "out", [first, second], 75)

    asked = [f"id{i}" for i in range(60)]
    assert [25 <= i < 50 for i in range(60)] == index.has(asked, text_hashes(["old"] * 60)).tolist()
    assert [i < 25 for i in range(60)] == index.has(asked, text_hashes(["new"] * 60)).tolist()


def test_index_of_no_rows_has_nothing(tmp_path: Path) -> None:
    index = index_of(tmp_path / "out", [run_of(tmp_path / "1", [[]])], 0)

    assert (0, [False]) == (len(index), index.has(["a"], text_hashes(["a"])).tolist())
    assert [] == index.has([], text_hashes([])).tolist()


def test_index_that_is_there_is_not_written_again(tmp_path: Path) -> None:
    run = run_of(tmp_path / "1", [[("a", "good")]])
    index_of(tmp_path / "out", [run], 1)
    Path(run.predictions[0]).unlink()

    assert [True] == index_of(tmp_path / "out", [run], 1).has(["a"], text_hashes(["good"])).tolist()


def test_index_that_is_missing_is_refused_with_what_writes_it(tmp_path: Path) -> None:
    plan: Plan = Planned(EARLIER)  # type: ignore[assignment]

    with pytest.raises(JobError, match="records of earlier runs is missing") as missing:
        RecordIndex.open(plan, str(tmp_path))

    assert index_path(EARLIER, str(tmp_path)) in str(missing.value) and "--resume" in str(missing.value)
    assert RecordIndex.open(Planned(None), str(tmp_path)) is None  # type: ignore[arg-type]


@pytest.mark.parametrize("damage", ["cut", "gone", "no hash"])
def test_part_of_an_earlier_run_that_is_damaged_is_refused_by_name(damage: str, tmp_path: Path) -> None:
    run = run_of(tmp_path / "1", [[("a", "good")]])
    part = Path(run.predictions[0])
    if damage == "cut":
        part.write_bytes(part.read_bytes()[:50])
    elif damage == "gone":
        part.unlink()
    else:
        pq.write_table(pa.table({"record_id": ["a"]}), part)

    with pytest.raises(RefusedError, match="the output of the run is damaged") as refused:
        write_index([run], {**EARLIER, "rows": 1}, str(tmp_path / "out"))

    assert str(part) in str(refused.value)
    assert not (tmp_path / "out/earlier").exists()
