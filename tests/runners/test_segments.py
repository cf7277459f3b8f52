"""Whole jobs that list sentences and phrases: rows as plain Python has them, resumed, explained, queried, reported."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

from batch_scorer import open_run
from batch_scorer.config import Kept, ScoreConfig
from batch_scorer.errors import OptionError, OutputError
from batch_scorer.models.artifact import Artifact
from batch_scorer.models.exact_engine import ExactEngine
from batch_scorer.report.build import build_findings
from batch_scorer.report.page_data import as_json
from batch_scorer.report.question import Question
from batch_scorer.runners.job import plan_job
from batch_scorer.scoring.gaps import gaps
from tests.cli.test_main import run
from tests.conftest import REVIEWS
from tests.jobs import part_bytes, rows, score_here
from tests.plain_model import expected, segments

TEXTS = {
    **dict(REVIEWS),
    "several": "A good film. Bad plot, very boring! Not the wonderful film<br /><br />it's",
    "long": "good film, bad plot. " * 6 + "It's wonderful",
}
COLUMNS = ["sentences", "start_contribution", "top_spans", "spans_rest"]


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path, tiny_model_2: Path) -> dict[str, ScoreConfig]:
    """The same texts by the tiny models of format 1 and 2, and by the first one without the options."""
    folder, made = tmp_path_factory.mktemp("jobs"), {}
    lines = [json.dumps({"id": name, "text": text}) for name, text in TEXTS.items()]
    (folder / "in.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    asked = {"sentences": True, "spans": 2}
    for name, model, options in (("1", tiny_model, asked), ("2", tiny_model_2, asked), ("plain", tiny_model, {})):
        shared: dict[str, Any] = {
            "id_column": "id",
            "shard_rows": 4,
            "workers": 1,
            "run_id": name,
            "no_text_hash": True,
        }
        made[name] = ScoreConfig.of([str(folder / "in.jsonl")], str(folder / name), str(model), **shared, **options)
        score_here(made[name])
    return made


@pytest.fixture(scope="module")
def outputs(jobs: dict[str, ScoreConfig]) -> dict[str, Path]:
    return {name: Path(job.output.directory) for name, job in jobs.items()}


@pytest.mark.parametrize("name", ["1", "2"])
def test_rows_are_those_of_plain_python(name: str, outputs: dict[str, Path], tiny: Artifact, tiny_2: Artifact) -> None:
    model, found = {"1": tiny, "2": tiny_2}[name], rows(outputs[name])
    bias = ExactEngine(model).bias
    assert [*TEXTS] == [row["record_id"] for row in found]
    for row in found:
        text, first = TEXTS[row["record_id"]], row["n_tokens"] - row["n_tokens_used"]
        start, end = model.tokenizer.spans(text)
        begins = gaps([text], [(start[first:], end[first:])])
        wanted = segments(expected(model, text, 1_000), begins.new_sentence.tolist(), begins.new_clause.tolist(), 2)
        for one, other in zip(wanted["sentences"], row["sentences"], strict=True):
            assert one == pytest.approx(other, abs=1e-5)
        assert [s["position"] for s in wanted["top_spans"]] == [s["position"] for s in row["top_spans"]]
        for column, rest in (("sentences", "start_contribution"), ("top_spans", "spans_rest")):
            assert wanted[rest] == pytest.approx(row[rest], abs=1e-5)
            total = sum(one["contribution"] for one in row[column]) + row[rest]
            assert row["logit"] == pytest.approx(bias + total, abs=1e-5)


def test_manifest_and_files_say_what_was_asked_for(outputs: dict[str, Path]) -> None:
    for name, optional in (("1", COLUMNS), ("2", ["temperature", *COLUMNS])):
        manifest = json.loads((outputs[name] / "manifest.json").read_text())
        assert (3, True, 2) == tuple(manifest[key] for key in ("schema_version", "sentences", "spans"))
        part = pq.ParquetFile(outputs[name] / "predictions/part-00000.parquet")
        assert (
            manifest["columns"]
            == part.schema_arrow.names
            == [*manifest["columns"][:13], *optional, "model_id", "run_id"]
        )
        assert b"3" == part.schema_arrow.metadata[b"schema_version"]
        assert "top_spans.list.element.n_words" in [part.schema.column(i).path for i in range(len(part.schema))]


def test_run_without_the_options_says_nothing_of_them_and_has_the_same_other_columns(outputs: dict[str, Path]) -> None:
    for document in ("manifest.json", "plan.json"):
        assert not {"sentences", "spans"} & set(json.loads((outputs["plain"] / document).read_text()))
    plain = rows(outputs["plain"])
    assert not set(COLUMNS) & set(plain[0])
    with_them = [{name: row[name] for name in plain[0]} | {"run_id": "plain"} for row in rows(outputs["1"])]
    assert plain == with_them


def test_resumed_run_has_the_same_bytes(jobs: dict[str, ScoreConfig], tmp_path: Path) -> None:
    job = jobs["1"].with_options(output=str(tmp_path / "out"), resume=True)
    shutil.copytree(jobs["1"].output.directory, tmp_path / "out")
    (tmp_path / "out/shards/00001.json").unlink()
    score_here(job)
    assert part_bytes(jobs["1"].output.directory) == part_bytes(tmp_path / "out")


def test_run_is_not_resumed_with_other_options(jobs: dict[str, ScoreConfig]) -> None:
    with pytest.raises(OutputError) as refused:
        plan_job(jobs["1"].with_options(resume=True, sentences=False, spans=3))
    assert "--spans was 2 and is now 3; --sentences was True and is now None" == refused.value.got


@pytest.mark.parametrize("name", COLUMNS)
def test_column_may_be_kept_by_such_a_name_only_where_rows_have_none(jobs: dict[str, ScoreConfig], name: str) -> None:
    kept = (Kept("id", name),)
    with pytest.raises(OptionError, match=f"already has a column '{name}'"):
        plan_job(jobs["1"].with_options(kept=kept, output=f"{jobs['1'].output.directory}-new"))
    plan_job(jobs["plain"].with_options(kept=kept, output=f"{jobs['plain'].output.directory}-new"))


def test_views_have_a_row_for_each_sentence_and_each_phrase(outputs: dict[str, Path]) -> None:
    connection = duckdb.connect()
    connection.execute(run("sql", outputs["1"], outputs["2"], outputs["plain"]).stdout)
    for view, column, number in (("sentences", "sentences", "sentence"), ("phrases", "top_spans", "rank")):
        expected = [
            (row["run_id"], row["record_id"], at, *segment.values())
            for name in ("1", "2")
            for row in rows(outputs[name])
            for at, segment in enumerate(row[column], 1)
        ]
        found = connection.execute(
            f"select run_id, record_id, {number}, char_start, char_end, position, n_words, contribution, attention "
            f"from {view} order by all"
        )
        assert sorted(expected) == found.fetchall()
    logits = """select max(abs(p.logit - bias - words - p.start_contribution)) < 1e-5 from predictions p
        join (select run_id, record_id, sum(contribution) as words from sentences group by all)
        using (run_id, record_id) join runs using (run_id)"""
    assert [(True,)] == connection.execute(logits).fetchall()


def test_views_of_a_run_that_lists_none_are_the_four_of_any_run(outputs: dict[str, Path]) -> None:
    connection = duckdb.connect()
    connection.execute(run("sql", outputs["plain"]).stdout)
    assert ["errors", "predictions", "runs", "tokens"] == [
        name
        for (name,) in connection.execute(
            "select view_name from duckdb_views() where not internal order by 1"
        ).fetchall()
    ]


def test_kept_columns_are_repeated_in_views_unless_a_segment_has_a_field_of_that_name(
    jobs: dict[str, ScoreConfig], tmp_path: Path
) -> None:
    kept = (Kept("id", "Position"), Kept("id", "s"), Kept("id", "number"), Kept("id", "token"))
    score_here(jobs["1"].with_options(kept=kept, output=str(tmp_path / "out")))
    connection = open_run(tmp_path / "out").to_duckdb(duckdb.connect())
    found = connection.execute("select s = record_id and number = s and token = s and position >= 0 from phrases")
    assert {(True,)} == set(found.fetchall())


def test_run_in_which_everything_is_rejected_has_views_without_rows(
    jobs: dict[str, ScoreConfig], jsonl_file: Callable[..., Path], tmp_path: Path
) -> None:
    inputs = (str(jsonl_file({"id": "1", "text": "?"})),)
    score_here(jobs["2"].with_options(inputs=inputs, output=str(tmp_path / "out"), max_error_rate=1.0))
    opened = open_run(tmp_path / "out")
    assert set(COLUMNS) < set(opened.predictions().column_names)
    connection = opened.to_duckdb(duckdb.connect())
    assert [(0, 0)] == connection.execute(
        "select (select count(*) from sentences), (select count(*) from phrases)"
    ).fetchall()


def test_report_has_the_strongest_phrases_of_a_run_that_lists_them(outputs: dict[str, Path]) -> None:
    reviews = build_findings(Question(str(outputs["1"]))).reviews
    listed = {row["record_id"]: row["top_spans"] for row in rows(outputs["1"])}
    assert {*TEXTS} == {review.record_id for review in reviews}
    for review in reviews:
        for s, phrase in zip(listed[review.record_id], review.phrases, strict=True):
            assert {name: value for name, value in s.items() if name != "attention"} == pytest.approx(
                dataclasses.asdict(phrase)
            )
    shown = json.loads(as_json(reviews, 0.5, 7))["reviews"]
    assert [[[*p.values()][:4] for p in listed[one["id"]]] for one in shown] == [
        [phrase[:4] for phrase in one.get("phrases", ())] for one in shown
    ]
    plain = build_findings(Question(str(outputs["plain"]))).reviews
    assert not any("phrases" in one for one in json.loads(as_json(plain, 0.5, 7))["reviews"])


def test_row_of_a_run_is_explained_with_its_phrases_and_sentences(outputs: dict[str, Path]) -> None:
    result = run("explain", "--run", outputs["1"], "--id", "several")
    assert 0 == result.exit_code, result.output
    (row,) = (row for row in rows(outputs["1"]) if row["record_id"] == "several")
    said = [" ".join(line.split()) for line in result.stdout.splitlines()]
    for title, column in (("the phrases that weigh most", "top_spans"), ("the sentences", "sentences")):
        assert title in said
        for s in row[column]:
            text = " ".join(TEXTS["several"][s["char_start"] : s["char_end"]].replace("<br />", " ").split())
            assert f"{text} {s['position']} {s['n_words']} {s['contribution']:+.3f}" in said
