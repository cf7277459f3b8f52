"""Whole jobs by a model of format 2: rows as plain Python has them, resumed, explained, compared, reported, queried."""

from __future__ import annotations

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
from batch_scorer.errors import OptionError
from batch_scorer.models.artifact import Artifact
from batch_scorer.models.network import fold_head
from batch_scorer.report.build import build_findings
from batch_scorer.report.question import Question
from batch_scorer.runners.job import plan_job
from tests.cli.test_main import run
from tests.conftest import REVIEWS
from tests.jobs import part_bytes, rows, score_here
from tests.plain_model import expected

TEXTS = {
    **dict(REVIEWS),
    "long": "good film, bad plot. " * 6 + "It\u2019s wonderful",
    "very long": "a very boring movie " * 12 + "and not good",
    "apostrophe": "It\u2019s not a film",
    "tied": "a movie, a plot, a film",
}


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path, tiny_model_2: Path) -> dict[str, ScoreConfig]:
    """The same texts, and a record without words, scored by the tiny models of format 1 and 2."""
    folder = tmp_path_factory.mktemp("jobs")
    lines = [
        json.dumps({"id": name, "text": text, "stars": len(text), "label": len(text) % 2})
        for name, text in TEXTS.items()
    ]
    (folder / "in.jsonl").write_text("\n".join([*lines[:4], '{"id": "none", "text": "?!"}', *lines[4:]]) + "\n")
    shared: dict[str, Any] = {
        "id_column": "id",
        "kept": (Kept("stars", "stars"), Kept("label", "label")),
        "shard_rows": 4,
        "workers": 1,
        "no_text_hash": True,
    }
    made = {}
    for name, model in (("1", tiny_model), ("2", tiny_model_2)):
        made[name] = ScoreConfig.of(
            [str(folder / "in.jsonl")], str(folder / name), str(model), run_id=name, max_error_rate=0.5, **shared
        )
        score_here(made[name])
    return made


@pytest.fixture(scope="module")
def outputs(jobs: dict[str, ScoreConfig]) -> dict[str, Path]:
    return {name: Path(job.output.directory) for name, job in jobs.items()}


def test_rows_are_those_of_plain_python(outputs: dict[str, Path], tiny_2: Artifact) -> None:
    found = rows(outputs["2"])
    assert [*TEXTS] == [row["record_id"] for row in found]
    _, bias = fold_head(tiny_2.tensors, tiny_2.architecture.batch_norm_epsilon)
    for row in found:
        wanted = expected(tiny_2, TEXTS[row["record_id"]], 10)
        for name in ("n_tokens", "n_tokens_used", "truncated", "oov_rate", "temperature"):
            assert wanted[name] == row[name], name
        for name in ("logit", "probability", "rest_contribution"):
            assert wanted[name] == pytest.approx(row[name], abs=1e-5)
        for name in ("top_attended", "top_contributing"):
            assert sorted(w["position"] for w in wanted[name]) == sorted(w["position"] for w in row[name])
        for word in (*row["top_attended"], *row["top_contributing"]):
            text = TEXTS[row["record_id"]]
            assert word["token"] == text[word["char_start"] : word["char_end"]].lower()
            assert row["n_tokens"] - row["n_tokens_used"] <= word["position"] < row["n_tokens"]
        listed = sum(word["contribution"] for word in row["top_contributing"])
        assert row["logit"] == pytest.approx(bias + listed + row["rest_contribution"], abs=1e-5)
    assert {"long": (26, False), "very long": (28, True)} == {
        row["record_id"]: (row["n_tokens_used"], row["truncated"]) for row in found if "long" in row["record_id"]
    }
    assert ["no_words"] == [row["code"] for row in rows(outputs["2"], "errors")]


def test_manifest_says_how_texts_were_read_and_which_columns_there_are(
    outputs: dict[str, Path], tiny: Artifact
) -> None:
    one, two = (json.loads((outputs[name] / "manifest.json").read_text()) for name in "12")
    names = ("schema_version", "long_texts", "max_windows", "max_words", "temperature")
    assert [2, "windows", 4, 7, 1.4] == [two[name] for name in names]
    assert [1, "last", 1, 19, 1.3] == [one[name] for name in names]
    assert {"type": "words", "pattern": "[\\w'\u2019]+"} == two["tokenizer"]
    assert {"type": "words", "pattern": r"[\w']+"} == one["tokenizer"]
    for name, manifest in (("1", one), ("2", two)):
        schema = pq.read_schema(outputs[name] / "predictions/part-00000.parquet")
        assert [*manifest["columns"][:-2], "model_id", "run_id"] == [
            c for c in schema.names if c not in ("stars", "label")
        ]
        assert ("temperature" in schema.names) == (name == "2")
        for part in (*outputs[name].glob("*/part-*.parquet"),):
            assert str(manifest["schema_version"]).encode() == pq.read_metadata(part).metadata[b"schema_version"]
    assert sum(two["profile"]["run"]["length"]["reviews"]) == 10
    assert 2 == two["profile"]["run"]["truncated"]  # also the review of 42 words


def test_resumed_run_has_the_same_bytes(jobs: dict[str, ScoreConfig], tmp_path: Path) -> None:
    job, copy = jobs["2"], tmp_path / "out"
    shutil.copytree(job.output.directory, copy)
    for name in ("shards/00001.json", "manifest.json", "_SUCCESS"):
        (copy / name).unlink()
    score_here(job.with_options(output=str(copy), resume=True))
    assert part_bytes(job.output.directory) == part_bytes(copy)


def test_column_may_be_kept_as_temperature_only_where_rows_have_none(
    jobs: dict[str, ScoreConfig], tmp_path: Path
) -> None:
    kept = {"kept": (Kept("stars", "Temperature"),), "output": str(tmp_path / "out")}
    with pytest.raises(OptionError, match="already has a column 'Temperature'") as caught:
        plan_job(jobs["2"].with_options(**kept))
    assert "--keep stars=input_stars" in str(caught.value.fix)

    score_here(jobs["1"].with_options(**kept))
    opened = open_run(tmp_path / "out")
    assert [len(text) for text in TEXTS.values()] == opened.predictions(["Temperature"])["Temperature"].to_pylist()
    shown = json.loads(run("explain", "--run", tmp_path / "out", "--id", "r1", "--json").stdout)
    assert (len(TEXTS["r1"]), 1.3) == (shown["Temperature"], shown["temperature"])
    both = opened.to_duckdb(duckdb.connect()).sql('select "Temperature" from predictions').fetchall()
    assert [(len(text),) for text in TEXTS.values()] == both


def test_row_is_explained_with_its_own_temperature(outputs: dict[str, Path], tiny_2: Artifact) -> None:
    for name in ("very long", "apostrophe"):
        shown = json.loads(run("explain", "--run", outputs["2"], "--id", name, "--json").stdout)
        wanted = expected(tiny_2, TEXTS[name], 10)
        assert TEXTS[name] == shown["text"]
        assert wanted["temperature"] == pytest.approx(shown["temperature"], abs=1e-6)
        said = run("explain", "--run", outputs["2"], "--id", name).stdout
        assert f"temperature {wanted['temperature']:.3f}" in said
    assert "the last 28 read" in run("explain", "--run", outputs["2"], "--id", "very long").stdout


def test_text_is_explained_as_its_row_is(outputs: dict[str, Path], tiny_model_2: Path) -> None:
    by_id = {row["record_id"]: row for row in rows(outputs["2"])}
    for name in ("very long", "apostrophe", "tied"):
        shown = json.loads(run("explain", TEXTS[name], "--model", tiny_model_2, "--json").stdout)
        row = by_id[name]
        for column in ("n_tokens", "n_tokens_used", "truncated", "predicted_label"):
            assert row[column] == shown[column]
        for column in ("probability", "logit", "temperature", "oov_rate", "rest_contribution"):
            assert row[column] == pytest.approx(shown[column], abs=1e-5)
        assert {w["token"] for w in row["top_contributing"]} == {w["token"] for w in shown["top_contributing"]}


def test_runs_of_both_formats_are_compared_in_log_odds_by_row(outputs: dict[str, Path], tmp_path: Path) -> None:
    result = run("compare", outputs["1"], outputs["2"], "--json", "--output", tmp_path / "tables")
    found = json.loads(result.stdout)
    assert (0, 10, 0) == (result.exit_code, found["pairs"]["both"], found["pairs"]["other_text"])
    settings = {setting["name"]: (setting["a"], setting["b"]) for setting in found["settings"]}
    assert ("1.3", "1.4 (median)") == settings["temperature"]
    assert ("1", "4") == settings["max_windows"]

    sums = {"a": 0.0, "b": 0.0}
    for side, name in (("a", "1"), ("b", "2")):
        for row in rows(outputs[name]):
            for word in row["top_contributing"]:
                if word["token"] == "good":
                    sums[side] += word["contribution"] / row.get("temperature", 1.3)
    words = {row["token"]: row for row in pq.read_table(tmp_path / "tables/words.parquet").to_pylist()}
    for side, total in sums.items():
        assert 100 * total == pytest.approx(words["good"][f"log_odds_{side}"], rel=1e-6)
    tokens = pq.read_table(tmp_path / "tables/tokens.parquet").to_pylist()
    (film,) = (row for row in tokens if (row["record_id"], row["token"]) == ("apostrophe", "film"))
    assert film["contribution_a"] is not None and film["contribution_b"] is not None, "not taken for the same word"


def test_run_is_reported_with_its_texts_and_the_temperature_of_each_row(
    outputs: dict[str, Path], tmp_path: Path
) -> None:
    result = run(
        "report", outputs["2"], "--text-from", outputs["2"].parent / "in.jsonl", "--output", tmp_path / "p.html"
    )
    assert (0, "") == (result.exit_code, result.stderr)
    page = (tmp_path / "p.html").read_text(encoding="utf-8")
    data = json.loads(page.partition('id="data">')[2].partition("</script>")[0])
    by_id = {row["record_id"]: row for row in rows(outputs["2"])}
    assert {review["id"]: round(by_id[review["id"]]["temperature"], 3) for review in data["reviews"]} == {
        review["id"]: review["temperature"] for review in data["reviews"]
    }
    texts = {review["id"]: review["text"] for review in data["reviews"]}
    assert TEXTS["apostrophe"] == texts["apostrophe"]
    assert "up to the last 28" in page and "depends on the number of words" in page


def test_quality_of_a_run_that_read_windows_is_sliced_by_what_was_read(outputs: dict[str, Path]) -> None:
    quality = build_findings(Question(str(outputs["2"]), label_column="label")).quality
    assert quality is not None
    slices = {slice.value: slice.reviews for slice in quality.slices if slice.column == "length"}
    assert {"1 to 7 words": 6, "8 to 28 words": 2, "29 words or more, not read whole": 2} == slices


def test_reviews_of_both_formats_are_rows_of_one_view_with_a_temperature_each(outputs: dict[str, Path]) -> None:
    connection = duckdb.connect()
    connection.execute(run("sql", outputs["1"], outputs["2"]).stdout)
    apart = """select run_id, count(*), max(abs(1 / (1 + exp(-logit / temperature)) - probability)) < 1e-6
        from predictions group by run_id order by run_id"""
    assert [("1", 10, True), ("2", 10, True)] == connection.execute(apart).fetchall()


def test_views_of_a_run_without_a_temperature_by_row_have_no_such_column(outputs: dict[str, Path]) -> None:
    connection = duckdb.connect()
    connection.execute(run("sql", outputs["1"]).stdout)
    query = """select max(abs(1 / (1 + exp(-logit / temperature)) - probability)) < 1e-6
        from predictions join runs using (run_id)"""
    assert [(True,)] == connection.execute(query).fetchall()


def test_every_record_that_is_rejected_leaves_views_with_the_columns_of_the_run(
    tmp_path: Path, tiny_model_2: Path, config: Callable[..., ScoreConfig], jsonl_file: Callable[..., Path]
) -> None:
    job = config(jsonl_file({"text": "?"}), model=str(tiny_model_2), max_error_rate=1)
    score_here(job)
    opened = open_run(job.output.directory)
    assert "temperature" in opened.predictions().column_names
    found = opened.to_duckdb(duckdb.connect()).sql("select temperature from predictions").fetchall()
    assert [] == found
