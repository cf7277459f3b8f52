"""A row of a run by its id, and the text that it is about: found, or said to be missing and why."""

from __future__ import annotations

import datetime
import decimal
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batch_scorer.config import Kept, ScoreConfig
from batch_scorer.errors import InputError
from batch_scorer.runs.finished import open_run
from batch_scorer.scoring import run_row
from batch_scorer.scoring.plain import explained
from batch_scorer.scoring.run_row import RunRow, find_row, find_text
from batch_scorer.storage.stores import client
from tests.conftest import REVIEWS
from tests.finished_runs import Original
from tests.jobs import rows, score_here
from tests.stubs import gcs

TEXTS = dict(REVIEWS)


@pytest.fixture
def output(original: Original, tmp_path: Path) -> str:
    """The run over `REVIEWS`: two parts, two words listed of each review; its input is where it was."""
    return original.copy(tmp_path / "run", "it")


def row_of(output: str, record_id: str) -> RunRow:
    return find_row(open_run(output), record_id)


@pytest.mark.parametrize("record_id", TEXTS)
def test_row_is_that_of_the_table_and_its_text_that_of_the_input(record_id: str, output: str) -> None:
    row = row_of(output, record_id)
    assert [row.columns] == [columns for columns in rows(output) if columns["record_id"] == record_id]
    assert 1 == row.same_id
    found = find_text(row)
    assert TEXTS[record_id] == found.text
    assert found.note.startswith("from ") and found.note.endswith("in.jsonl")


def test_row_group_whose_ids_lie_elsewhere_is_not_read(output: str, monkeypatch: pytest.MonkeyPatch) -> None:
    read, read_row_group = [], pq.ParquetFile.read_row_group

    def watched(self: pq.ParquetFile, *args: Any, **options: Any) -> pa.Table:
        read.append(options.get("columns"))
        return read_row_group(self, *args, **options)

    monkeypatch.setattr(pq.ParquetFile, "read_row_group", watched)
    assert "r5" == row_of(output, "r5").record_id
    assert [["record_id"], None] == read, "more than the second part's ids and then its row"


def test_review_of_a_row_has_the_numbers_of_the_words_that_the_row_lists_and_no_others(output: str) -> None:
    row = row_of(output, "r4")  # 42 words, of which the last 19 are read
    review = row.review(TEXTS["r4"])
    assert (42, 23) == (len(review.words), sum(not word.is_read for word in review.words))
    assert ["good"] * 40 + ["and", "bad"] == [review.text[word.start : word.end] for word in review.words]
    listed = {w["position"]: w for w in (*row.columns["top_attended"], *row.columns["top_contributing"])}
    for position, word in enumerate(review.words):
        numbers = listed.get(position, {"attention": 0.0, "contribution": 0.0})
        assert (numbers["attention"], numbers["contribution"]) == (word.attention, word.contribution)
    assert (row.run.manifest["bias"], 1.3, 0) == (review.bias, review.temperature, review.unknown)
    assert 4 == row_of(output, "r5").review(None).unknown
    assert ((), "") == (row.review(None).words, row.review(None).text)


def test_id_that_several_rows_have_gives_the_first_and_their_number(original: Original, tmp_path: Path) -> None:
    def same_ids(table: pa.Table) -> pa.Table:
        ids = ["twin" if i in ("r2", "r3", "r6") else i for i in table["record_id"].to_pylist()]
        return table.set_column(0, table.field(0), [ids])

    output = original.copy(tmp_path / "run", "it", change=same_ids)
    row = row_of(output, "twin")
    assert (3, 5) == (row.same_id, row.n_tokens)
    assert TEXTS["r2"] == find_text(row).text


def test_missing_row_is_refused_with_the_size_of_the_run(output: str) -> None:
    with pytest.raises(InputError, match="the run has no such row") as refused:
        row_of(output, "r7")
    error = refused.value
    assert f"{output}, --id r7" == error.where
    assert "the record_id of one of its 6 rows, made of column 'id'" == error.expected
    assert "1 rejected record" in str(error.got) and "inspect" in str(error.fix)


def test_rejected_record_is_refused_with_its_code_by_id_or_by_place(
    jsonl_file: Callable[..., Path], config: Callable[..., ScoreConfig], tmp_path: Path
) -> None:
    source = jsonl_file({"id": "a", "text": "good"}, {"id": "b", "text": "..."}, {"id": "c"}, b"{broken")
    for name, id_column in (("ids", "id"), ("places", None)):
        score_here(config(source, output=str(tmp_path / name), id_column=id_column, max_error_rate=1))
    place = {row["code"]: f"{source}#{row['offset']}" for row in rows(tmp_path / "places", "errors")}
    cases = {
        ("ids", "b"): "no_words: ",
        ("ids", "c"): "missing_text: ",
        ("ids", place["malformed_json"]): "malformed_json: ",  # its id could not be read
        ("places", place["no_words"]): "no_words: ",
        ("places", place["missing_text"]): "missing_text: ",
    }
    for (output, record_id), got in cases.items():
        with pytest.raises(InputError, match="was rejected") as refused:
            row_of(str(tmp_path / output), record_id)
        assert str(refused.value.got).startswith(got), record_id


def test_text_that_is_no_longer_the_one_that_was_scored_is_not_shown(
    output: str, jsonl_file: Callable[..., Path]
) -> None:
    changed = jsonl_file(*({"id": i, "text": text.replace("film", "flim")} for i, text in REVIEWS))
    row = row_of(output, "r1")
    found = find_text(row, (str(changed),))
    assert found.text is None
    assert f"not shown: what is now in {changed} is not the text that was scored" in found.note
    assert TEXTS["r5"] == find_text(row_of(output, "r5"), (str(changed),)).text


def test_text_is_found_by_its_id_where_the_inputs_are_in_another_order(output: str, tmp_path: Path) -> None:
    moved = tmp_path / "moved.csv"
    moved.write_text("text,id\n" + "".join(f'"{text}",{i}\n' for i, text in reversed(REVIEWS)), encoding="utf-8")
    assert [*TEXTS.values()] == [find_text(row_of(output, i), (str(moved),)).text for i in TEXTS]


def test_inputs_that_are_gone_leave_a_note_and_given_ones_are_refused(
    reviews_file: Path, config: Callable[..., ScoreConfig], tmp_path: Path
) -> None:
    job = config(reviews_file, id_column="id")
    score_here(job)
    row = row_of(job.output.directory, "r1")
    empty = tmp_path / "other.jsonl"
    empty.write_text('{"id": "x", "text": "good"}\n')
    assert f"not shown: this review is not in {empty}" in find_text(row, (str(empty),)).note
    reviews_file.unlink()
    found = find_text(row)
    assert found.text is None
    assert found.note.startswith("not shown: the run's inputs cannot be read (") and "--text-from INPUT" in found.note
    with pytest.raises(InputError, match="the texts cannot be read") as refused:
        find_text(row, (str(reviews_file),))
    assert str(reviews_file) in str(refused.value)


def test_kept_text_is_taken_from_the_row_itself(
    reviews_file: Path, config: Callable[..., ScoreConfig], tmp_path: Path
) -> None:
    job = config(reviews_file, id_column="id", kept=(Kept("text", "body"), Kept("id", "key")))
    score_here(job)
    reviews_file.unlink()
    row = row_of(job.output.directory, "r3")
    assert (TEXTS["r3"], "the kept column body") == (find_text(row).text, find_text(row).note)
    assert {"body": TEXTS["r3"], "key": "r3"} == row.kept


def test_kept_column_with_the_name_of_one_that_the_run_lacks_is_not_taken_for_it(
    reviews_file: Path, config: Callable[..., ScoreConfig]
) -> None:
    job = config(reviews_file, id_column="id", kept=(Kept("id", "top_spans"), Kept("text", "sentences")))
    score_here(job)

    row = row_of(job.output.directory, "r3")

    assert {"top_spans": "r3", "sentences": TEXTS["r3"]} == row.kept
    shown = explained(row.review(TEXTS["r3"]))
    assert "the words that weigh most" in shown
    assert "phrases" not in shown


def test_json_has_every_column_with_the_shortest_float32_and_kept_values_as_json_holds_them(
    original: Original, tmp_path: Path
) -> None:
    kept = {
        "day": pa.scalar(datetime.date(2024, 5, 1)),
        "price": pa.scalar(decimal.Decimal("1.50")),
        "exact": pa.scalar(0.1),
        "raw": pa.scalar(b"\x00\xff"),
        "nested": pa.scalar({"at": [datetime.datetime(2024, 5, 1, 12)]}),
        "nothing": pa.scalar(None, pa.int8()),
    }
    row = row_of(original.copy(tmp_path / "run", "it", kept), "r2")
    found = json.loads(json.dumps(row.to_json("Bad plot.")))
    assert [*row.columns, "bias", "temperature", "text"] == [*found]
    assert ("r2", "it", "Bad plot.", 1.3) == tuple(
        found[name] for name in ("record_id", "run_id", "text", "temperature")
    )
    assert ("2024-05-01", "1.50", 0.1, "AP8=", {"at": ["2024-05-01T12:00:00"]}, None) == tuple(
        found[name] for name in kept
    )
    assert len(str(found["probability"])) <= 12
    assert found["logit"] == pytest.approx(row.columns["logit"], abs=1e-6)


@pytest.fixture
def address(output: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The run in a bucket."""
    client._client.cache_clear()  # of the server of another test
    client.use(())
    with gcs.serving("bucket") as store:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", store.url)
        for path in Path(output).rglob("*"):
            if path.is_file():
                store.put("bucket", f"out/{path.relative_to(output)}", path.read_bytes())
        yield "gs://bucket/out"
    client._client.cache_clear()


def test_row_of_a_run_in_a_store_is_that_of_the_same_run_here(address: str, output: str) -> None:
    assert row_of(output, "r6").columns == row_of(address, "r6").columns
    assert TEXTS["r6"] == find_text(row_of(address, "r6")).text
    with pytest.raises(InputError, match="no such row"):
        row_of(address, "r7")


def test_id_with_half_a_character_is_looked_for_as_the_table_holds_it(output: str) -> None:
    with pytest.raises(InputError, match="no such row"):
        row_of(output, "r\udcff")
    assert run_row.printable("r\udcff") == "r\ufffd"
