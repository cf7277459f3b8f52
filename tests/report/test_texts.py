"""Texts in a report: those that were scored, from a kept column or from inputs that may have moved."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batch_scorer.config import ScoreConfig
from batch_scorer.errors import InputError
from batch_scorer.report.findings import Findings
from tests.conftest import REVIEWS
from tests.jobs import score_here
from tests.made_runs import HOSTILE, write_run
from tests.report.conftest import build


def test_texts_of_a_kept_column_are_those_that_were_scored(folder: Path, findings: Findings) -> None:
    texts = dict(
        zip(*(pq.read_table(folder / "reviews.parquet")[name].to_pylist() for name in ("id", "text")), strict=True)
    )
    assert [texts[review.record_id] for review in findings.reviews] == [review.text for review in findings.reviews]
    assert "The texts come from the kept column text." == findings.texts_note


def test_texts_other_than_those_scored_are_left_out_and_counted(tmp_path: Path) -> None:
    table = write_run(tmp_path / "first", 6)
    texts = table["text"].to_pylist()
    others = [f"{texts[0]} more", texts[1].replace(" ", "  ", 1), texts[2].upper(), None, *texts[4:]]
    write_run(tmp_path / "run", 6, kept={"other": others})
    findings = build(tmp_path / "run", text_column="other")
    assert {r: t for r, t in zip(table["id"].to_pylist(), [None, None, others[2], None, *texts[4:]], strict=True)} == {
        review.record_id: review.text for review in findings.reviews
    }
    assert "2 texts are not shown: they are not what was scored. 1 review was not found there." in findings.texts_note


def test_texts_are_left_out_unless_requested(folder: Path) -> None:
    findings = build(folder / "run", reviews=2)
    assert {None} == {review.text for review in findings.reviews}
    assert "--text-from INPUT" in findings.texts_note


@pytest.fixture(scope="module")
def elsewhere(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The input as it was scored, and as it may have become since."""
    moved = tmp_path_factory.mktemp("elsewhere")
    table = pq.read_table(folder / "reviews.parquet")
    shuffled = table.take(np.random.default_rng(0).permutation(len(table)))
    pq.write_table(table, moved / "reviews.parquet", row_group_size=300)
    pq.write_table(shuffled, moved / "shuffled.parquet")
    shuffled.slice(0, 500).to_pandas().to_csv(moved / "half.csv", index=False)
    return {"unchanged": folder / "reviews.parquet", **{path.stem: path for path in moved.iterdir()}, "folder": moved}


@pytest.mark.parametrize("place", ["unchanged", "reviews", "shuffled", "folder"])
def test_texts_are_found_in_inputs_that_moved(
    place: str, folder: Path, findings: Findings, elsewhere: dict[str, Path]
) -> None:
    from_inputs = build(folder / "run", text_from=(str(elsewhere[place]),), label_column="truth", reviews=20)
    assert {r.record_id: r.text for r in findings.reviews} == {r.record_id: r.text for r in from_inputs.reviews}
    assert f"The texts come from {elsewhere[place]}." == from_inputs.texts_note


def test_texts_missing_from_the_inputs_are_counted(folder: Path, elsewhere: dict[str, Path]) -> None:
    findings = build(folder / "run", text_from=(str(elsewhere["half"]),), reviews=20)
    missing = sum(review.text is None for review in findings.reviews)
    assert 0 < missing < len(findings.reviews)
    assert f"{missing} reviews were not found there." in findings.texts_note


def test_inputs_without_the_columns_of_the_run_are_refused(folder: Path, tmp_path: Path) -> None:
    pq.write_table(pa.table({"body": ["a"]}), tmp_path / "x.parquet")
    with pytest.raises(InputError, match=r"column 'text' is missing[\s\S]*inputs that were scored"):
        build(folder / "run", text_from=(str(tmp_path / "x.parquet"),))


def test_hostile_texts_and_ids_are_unchanged(tmp_path: Path) -> None:
    write_run(tmp_path / "run", 20, hostile=True, rejected=20, keep=("text", "product"))
    findings = build(tmp_path / "run", text_column="text")
    assert set(HOSTILE) <= {review.record_id for review in findings.reviews}
    for review in findings.reviews:
        if review.record_id in HOSTILE:
            assert review.text is not None
            assert review.text.startswith(review.record_id)
            assert (("product", review.record_id),) == review.kept


# The name of a file, and the options that it is scored with.
SCORED: dict[str, dict[str, Any]] = {
    "reviews.jsonl": {},
    "reviews.log": {"input_format": "lines"},
    "reviews.txt": {"input_format": "lines"},  # one review, by its name
    "ratings.txt": {"input_format": "csv", "delimiter": "\t", "text_column": "document", "id_column": "id"},
    "reviews.json": {"input_format": "lines"},  # malformed JSON lines, by its name
    "reviews.csv": {"input_format": "lines"},  # a file with a header, by its name
}


@pytest.mark.parametrize("name", SCORED)
def test_run_of_a_real_model_gets_all_its_texts(name: str, tiny_model: Path, tmp_path: Path) -> None:
    path = tmp_path / name
    lines = [json.dumps({"id": i, "text": text}) if name == "reviews.jsonl" else text for i, text in REVIEWS]
    if name == "ratings.txt":
        lines = ["id\tdocument", *(f"{i}\t{text}" for i, text in REVIEWS)]
    path.write_text("".join(f"{line}\n" for line in lines))
    score_here(ScoreConfig.of((str(path),), str(tmp_path / "out"), model=str(tiny_model), **SCORED[name]))
    findings = build(tmp_path / "out", text_from=(str(path),))
    assert ({text for _, text in REVIEWS}, f"The texts come from {path}.") == (
        {review.text for review in findings.reviews},
        findings.texts_note,
    )
    converted = tmp_path / "converted"
    converted.mkdir()
    texts = [{SCORED[name].get("text_column", "text"): text, "id": i} for i, text in REVIEWS]
    pq.write_table(pa.Table.from_pylist(texts), converted / "reviews.parquet")
    found = {r.text for r in build(tmp_path / "out", text_from=(str(converted),)).reviews}
    assert ({text for _, text in REVIEWS} if name == "ratings.txt" else {None}) == found  # by the ids, if there are any
